"""Audit records as lines of a file."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["JsonlSink"]


class JsonlSink:
    """Appends one JSON line per check; whole lines even from many threads and processes.

    Args:
        path: the file; made with its folder at the first record, readable by its owner only.
        durable: wait until every record is on the disk (about a millisecond each).
    """

    def __init__(self, path: str | Path, *, durable: bool = False) -> None:
        self._path = Path(path)
        self._durable = durable
        self._lock = threading.Lock()

    def write(self, record: Mapping[str, Any]) -> None:
        """See `protocols.Sink`."""
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # One write to a file opened for appending is not torn by other processes.
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line)
                if self._durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
