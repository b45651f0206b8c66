"""Audit records through the standard library's logging."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["LogSink"]

_LEVELS = {"block": logging.WARNING, "transform": logging.INFO, "report": logging.INFO}


class LogSink:
    """One JSON line per check: blocks as warnings, findings as info, the rest as debug.

    Args:
        logger: a logger or its name.
    """

    def __init__(self, logger: logging.Logger | str = "guardrails_plugin.audit") -> None:
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger

    def write(self, record: Mapping[str, Any]) -> None:
        """See `protocols.Sink`."""
        level = _LEVELS.get(str(record["verdict"]), logging.DEBUG)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", json.dumps(record, separators=(",", ":")))
