"""Which patterns may match where: one pass over the bytes for all of them.

`HyperscanScanner` reports gate hits; `AhoCorasickScanner` needs only pure wheels and reports which patterns have
their required literal somewhere. Compiled hyperscan databases are cached in the user's cache folder: compiling takes
up to seconds, loading a fraction of a millisecond.

Hyperscan is not taken at its word. Version 5.4.12 of its engine overlooks about one random expression in a thousand
when a match stands behind more text than a vector register holds: ``(?:i|we)(?: am)? {1,3}(?:just )?(?:can't|won't)``
is one. A fresh database is therefore asked for samples of every gate; a pattern of which it misses one is searched for
in the whole text, always.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import stat
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from guardrails_plugin.gate import Gate, samples

__all__ = ["AhoCorasickScanner", "Gated", "HyperscanScanner", "Scanner"]

Gated = tuple[int, Gate, bool, str]
"""Pattern number, its gate, whether case is ignored, and a lower-case literal that every match contains."""


_SAMPLES = 12
"""Samples of every gate; the flaw showed in all shortest samples of some branch."""

_BETWEEN = b" " + b"x" * 47 + b" "
"""What stands round a sample: more than the 32 bytes of a vector register."""


class Scanner(Protocol):
    """Finds the patterns that may match."""

    def hits(self, data: bytes) -> Mapping[int, Sequence[int] | None]:
        """Pattern number -> ends of its gate's hits, ascending; None: the whole text must be searched."""
        ...


class HyperscanScanner:
    """All gates in one hyperscan database (block mode; every scan under way has a scratch space of its own)."""

    def __init__(self, gated: Sequence[Gated], ungated: Sequence[int]) -> None:
        self._always: dict[int, Sequence[int] | None] = dict.fromkeys(ungated)
        self._database: Any = None
        if gated:
            self._database, missed = _database(gated)
            self._always |= dict.fromkeys(missed)
        self._scratches: list[Any] = []
        """Those that no scan uses. Not one a thread: they take a millisecond to make, and threads may not live long."""

    @staticmethod
    def available() -> bool:
        """True when the hyperscan wheel is installed."""
        return find_spec("hyperscan") is not None

    def hits(self, data: bytes) -> Mapping[int, Sequence[int] | None]:
        """See `Scanner`."""
        found: list[tuple[int, int]] = []
        if self._database is not None:
            scratch = self._scratch()
            self._database.scan(data, match_event_handler=_collect, context=found, scratch=scratch)
            self._scratches.append(scratch)
        if not found:
            return self._always
        ends: dict[int, Any] = {}
        for number, end in found:
            ends.setdefault(number, []).append(end)
        return {**ends, **self._always}

    def _scratch(self) -> Any:
        # Asking for forgiveness: between a look and a pop another thread may take the last one.
        try:
            return self._scratches.pop()
        except IndexError:
            import hyperscan

            return hyperscan.Scratch(self._database)


def _collect(number: int, _start: int, end: int, _flags: int, found: list[tuple[int, int]]) -> None:
    found.append((number, end))


class AhoCorasickScanner:
    """Patterns whose literal occurs (ASCII case ignored), and those that have none."""

    def __init__(self, gated: Sequence[Gated], ungated: Sequence[int]) -> None:
        # Deferred: only this path needs it.
        from ahocorasick_rs import BytesAhoCorasick

        literals = sorted({literal for _, _, _, literal in gated if literal})
        self._numbers = [[n for n, _, _, own in gated if own == literal] for literal in literals]
        self._always: dict[int, Sequence[int] | None] = dict.fromkeys(
            [*ungated, *(number for number, _, _, literal in gated if not literal)]
        )
        self._automaton = BytesAhoCorasick([literal.encode() for literal in literals]) if literals else None

    def hits(self, data: bytes) -> Mapping[int, Sequence[int] | None]:
        """See `Scanner`; never says where."""
        if self._automaton is None:
            return self._always
        seen = {index for index, _, _ in self._automaton.find_matches_as_indexes(data.lower(), overlapping=True)}
        return {**dict.fromkeys(number for index in seen for number in self._numbers[index]), **self._always}


def _database(gated: Sequence[Gated]) -> tuple[Any, Sequence[int]]:
    """The compiled gates and the numbers of those it overlooks, from the cache when they are there."""
    import hyperscan

    expressions = [gate.expression.encode() for _, gate, _, _ in gated]
    flags = [hyperscan.HS_FLAG_CASELESS if ignore_case else 0 for _, _, ignore_case, _ in gated]
    numbers = [number for number, _, _, _ in gated]
    versions = (hyperscan.__name__, getattr(hyperscan, "__version__", ""), _SAMPLES, _BETWEEN)
    content = repr((versions, expressions, flags, numbers)).encode()
    path = _cache_folder() / f"{hashlib.sha256(content).hexdigest()}.hsdb"
    with contextlib.suppress(OSError, hyperscan.HyperscanError):
        missed, _, blob = _read_own(path).partition(b"\n")
        return hyperscan.loadb(blob, hyperscan.HS_MODE_BLOCK), json.loads(missed)
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=expressions, ids=numbers, elements=len(numbers), flags=flags)
    overlooked = _overlooked(database, gated)
    with contextlib.suppress(OSError):
        _write_own(path, json.dumps(overlooked).encode() + b"\n" + hyperscan.dumpb(database))
    return database, overlooked


def _overlooked(database: Any, gated: Sequence[Gated]) -> list[int]:
    """Numbers of the patterns of which the database misses a sample that the standard library finds."""
    import hyperscan

    scratch = hyperscan.Scratch(database)
    rng = random.Random(0)  # noqa: S311 - the same samples on every machine
    missed = []
    for number, gate, ignore_case, _ in gated:
        text = _BETWEEN.join((b"", *samples(gate.expression, _SAMPLES, rng), b""))
        found: list[tuple[int, int]] = []
        database.scan(text, match_event_handler=_collect, context=found, scratch=scratch)
        ends = [end for own, end in found if own == number]
        expected = re.finditer(gate.expression.encode(), text, re.IGNORECASE if ignore_case else 0)
        if not all(any(match.start() < end <= match.start() + gate.reach for end in ends) for match in expected):
            missed.append(number)
    return missed


def _cache_folder() -> Path:
    # Deferred: costs more than the scan of a short text.
    from platformdirs import user_cache_path

    return Path(os.environ.get("GUARDRAILS_CACHE_DIR") or user_cache_path("guardrails_plugin")) / "matching"


def _read_own(path: Path) -> bytes:
    """The file's content, if nobody but its owner could have written it: a database is executable, in effect."""
    with path.open("rb") as file:
        if hasattr(os, "getuid"):
            for status in (os.fstat(file.fileno()), path.parent.stat()):
                if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise PermissionError("cached pattern database is writable by others")
        data = file.read()
    digest, _, content = data.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise OSError("cached pattern database is damaged")
    return content


def _write_own(path: Path, content: bytes) -> None:
    """Written beside and renamed, so that a reader sees a whole file or none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    Path(name).replace(path)
