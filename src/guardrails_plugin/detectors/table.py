r"""Pattern tables: TOML rows to `Pattern` objects.

A row::

    [[pattern]]
    id = "github_pat"                 # unique in the file, snake_case
    entity_type = "GITHUB_TOKEN"
    regex = '''\bghp_[A-Za-z0-9]{36}\\b'''
    score = 0.95                      # other fields: see `matching.Pattern`
    issuer = "GitHub"                 # further keys are kept in `Pattern.extra`
    source = "https://docs.github.com/..."
    good = ["token <ghp_{alnum:36}>"] # must be found
    bad = ["ghp_short"]               # must not be found by this row

A field above the rows counts for all of them.

Examples are templates, so that no live-looking secret stands in the repository: see `examples.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.matching import Pattern

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["load_table", "read_table"]

_FIELDS = {field.name for field in fields(Pattern)} - {"extra"}


def read_table(name: str) -> dict[str, Any]:
    """``data/<name>.toml`` as it stands there."""
    return tomllib.loads((files("guardrails_plugin.detectors") / "data" / f"{name}.toml").read_text("utf-8"))


@cache
def load_table(name: str) -> tuple[Pattern, ...]:
    """The patterns of ``data/<name>.toml``, in file order.

    Raises:
        ConfigError: a row is malformed; the message names file and row.
    """
    table = read_table(name)
    common = {key: value for key, value in table.items() if key in _FIELDS}
    rows = ({**common, **row} for row in table["pattern"])
    patterns = tuple(_pattern(row, f"{name}.toml: pattern[{index}]") for index, row in enumerate(rows))
    if len({pattern.id for pattern in patterns}) < len(patterns):
        raise ConfigError(f"{name}.toml: two patterns have the same id")
    return patterns


def _pattern(row: Mapping[str, Any], where: str) -> Pattern:
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key in _FIELDS
    }
    try:
        return Pattern(**known, extra={key: value for key, value in row.items() if key not in _FIELDS})
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None
