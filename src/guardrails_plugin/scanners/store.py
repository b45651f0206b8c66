"""Where scanners are kept: memory, a JSON file, or anything with the same three methods (a SQL table, say)."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes.recipe import explain
from guardrails_plugin.scanners.model import Scanner

__all__ = ["JsonStore", "MemoryStore", "Store"]


@runtime_checkable
class Store(Protocol):
    """Scanners by id. Every method is safe from any thread."""

    def all(self) -> Mapping[str, Scanner]:
        """Every scanner."""
        ...

    def put(self, scanner: Scanner, /) -> None:
        """Add it, or replace the one with its id."""
        ...

    def remove(self, scanner_id: str, /) -> None:
        """Forget it; an unknown id is fine."""
        ...


class MemoryStore:
    """Scanners of this process."""

    def __init__(self) -> None:
        self._scanners: dict[str, Scanner] = {}
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, Scanner]:
        """See `Store`."""
        return dict(self._scanners)

    def put(self, scanner: Scanner, /) -> None:
        """See `Store`."""
        with self._lock:
            self._write({**self._scanners, scanner.id: scanner})

    def remove(self, scanner_id: str, /) -> None:
        """See `Store`."""
        with self._lock:
            self._write({key: scanner for key, scanner in self._scanners.items() if key != scanner_id})

    def _write(self, scanners: dict[str, Scanner]) -> None:
        self._scanners = scanners


class JsonStore(MemoryStore):
    """Scanners in one JSON file, for one process at a time; a reader sees the whole file or the old one.

    Args:
        path: of the file; it is made when the first scanner is put.

    Raises:
        ConfigError: the file is there and holds something else; the message names the place.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self._path = Path(path)
        if self._path.exists():
            self._scanners = {scanner.id: scanner for scanner in self._read()}

    def _read(self) -> tuple[Scanner, ...]:
        try:
            return _SCANNERS.validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise explain(error, self._path.name) from None
        except OSError as error:
            raise ConfigError(f"scanners: cannot read {self._path.name}: {type(error).__name__}") from None

    def _write(self, scanners: dict[str, Scanner]) -> None:
        content = [scanner.model_dump(mode="json") for _, scanner in sorted(scanners.items())]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
        Path(name).replace(self._path)
        super()._write(scanners)


_SCANNERS = TypeAdapter(tuple[Scanner, ...])
