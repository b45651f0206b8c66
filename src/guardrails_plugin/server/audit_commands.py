"""``guardrails-plugin audit verify | export``: the log, read without the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import guardrails_plugin
from guardrails_plugin.audit.ocsf import ocsf_event
from guardrails_plugin.audit.sql import Head, SqlAudit
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.database import Database

__all__ = ["export", "verify"]


def verify(expected: str = "") -> Head:
    """Check the log of the configured database.

    Args:
        expected: a head noted earlier, ``number:code``, that must still be part of it.

    Returns:
        Its end.

    Raises:
        Broken: it is not what was written.
        ConfigError: ``expected`` is no head.
    """
    number, _, mac = expected.partition(":")
    if expected and not (number.isdigit() and len(mac) == 64):
        raise ConfigError("audit verify: --expect: expected number:code, as an earlier verify printed it")
    settings = Settings.from_environment()
    with closing(Database(settings.database_url)) as database, database.read() as connection:
        return SqlAudit(settings.keyring).verify(connection, expected=Head(int(number), mac) if expected else None)


def export(form: str) -> Iterator[str]:
    """The log as JSON lines, each record checked before it is given.

    Args:
        form: ``jsonl`` (the records, with number and code) or ``ocsf``.

    Raises:
        Broken: at the first record that is not what was written.
    """
    settings = Settings.from_environment()
    with closing(Database(settings.database_url)) as database, database.read() as connection:
        for head, record in SqlAudit(settings.keyring).records(connection):
            shown: dict[str, Any] = {**record, "number": head.number, "mac": head.mac}
            yield json.dumps(ocsf_event(record, guardrails_plugin.__version__) if form == "ocsf" else shown)
