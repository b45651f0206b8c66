"""Advisories from the user's own files: vulnerable versions and malicious packages, by ecosystem and name.

Reads OSV records (a JSON file, a folder or zip of them, JSON lines), also gzipped; the safety-db file
(``{"package": [{"specs": ["<1.2"], ...}]}``, PyPI); flat JSON lines ``{"ecosystem", "name", "introduced", "fixed",
"versions", "id"}``; and plain lists, one ``name`` (PyPI), ``npm:name``, ``go:path``
or ``crates.io:name`` a line. No list ships with the package.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guardrails_plugin.detectors.package_versions import affected, version_key
from guardrails_plugin.errors import ConfigError

__all__ = ["ECOSYSTEMS", "Advisories", "Advisory", "normal_name"]

_SPEC = re.compile(r"\s*(<=|>=|==|!=|<|>|~=)\s*([\w.!+-]{1,60})\s*")
ECOSYSTEMS = frozenset({"pypi", "npm", "go", "crates.io"})
"""As OSV calls them, in lower case."""


def normal_name(name: str, ecosystem: str) -> str:
    """A package's name as its registry compares names (PEP 503 for PyPI; on crates.io - and _ are one; lower case).

    >>> normal_name("Typing_Extensions", "pypi")
    'typing-extensions'
    """
    if ecosystem == "pypi":
        return re.sub(r"[-_.]+", "-", name).lower()
    return name.lower().replace("_", "-") if ecosystem == "crates.io" else name.lower()


@dataclass(frozen=True, slots=True)
class Advisory:
    """One record: which versions of a package it concerns.

    Attributes:
        ranges: OSV events; a version in any of them is affected.
        versions: affected versions, listed.
        specs: safety-db specifiers, such as ``">=1.0,<1.2"``.
    """

    id: str
    ranges: Sequence[Sequence[Mapping[str, str]]] = ()
    versions: frozenset[str] = frozenset()
    specs: Sequence[str] = ()

    @property
    def every_version(self) -> bool:
        """True when it concerns the newest version, too: nothing is fixed."""
        open_ended = [events for events in self.ranges if not any(_closes(event) for event in events)]
        return bool(open_ended) or not (self.ranges or self.versions or self.specs)

    def concerns(self, version: str, ecosystem: str) -> bool:
        """True for an affected version."""
        if not (self.ranges or self.versions or self.specs) or version in self.versions:
            return True
        return any(affected(version, ecosystem, events) for events in self.ranges) or any(
            _within(version, ecosystem, spec) for spec in self.specs
        )


def _closes(event: Mapping[str, str]) -> bool:
    return "fixed" in event or "last_affected" in event


@dataclass(frozen=True, slots=True)
class Advisories:
    """Every advisory of some files, by ecosystem and normal name."""

    by_package: Mapping[tuple[str, str], Sequence[Advisory]] = field(default_factory=dict, repr=False)

    @staticmethod
    def load(paths: Iterable[Path], what: str) -> Advisories:
        """Read files.

        Raises:
            ConfigError: a file cannot be read, or holds nothing that is understood.
        """
        found: dict[tuple[str, str], list[Advisory]] = defaultdict(list)
        for path in paths:
            size = len(found)
            try:
                for ecosystem, name, advisory in _read(path):
                    if ecosystem in ECOSYSTEMS:
                        found[ecosystem, normal_name(name, ecosystem)].append(advisory)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
                raise ConfigError(f"packages: {what}: cannot read {path.name}: {type(error).__name__}") from None
            if len(found) == size == 0:
                raise ConfigError(f"packages: {what}: {path.name} holds no package of {', '.join(sorted(ECOSYSTEMS))}")
        return Advisories(dict(found))

    def of(self, name: str, ecosystem: str) -> Sequence[Advisory]:
        """What is known about a package."""
        return self.by_package.get((ecosystem, normal_name(name, ecosystem)), ())


_Row = tuple[str, str, Advisory]


def _read(path: Path) -> Iterator[_Row]:
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield from _documents(file.read_text("utf-8"))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield from _documents(archive.read(name).decode("utf-8"))
    else:
        data = path.read_bytes()
        text = gzip.GzipFile(fileobj=io.BytesIO(data)).read() if path.suffix == ".gz" else data
        yield from _documents(text.decode("utf-8-sig"))


def _documents(text: str) -> Iterator[_Row]:
    if not text.lstrip().startswith(("{", "[")):
        yield from _names(text)
        return
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = [json.loads(line) for line in text.splitlines() if line.strip()]
    for record in content if isinstance(content, list) else [content]:
        yield from _record(record)


def _names(text: str) -> Iterator[_Row]:
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        if entry:
            ecosystem, _, name = entry.rpartition(":")
            yield (ecosystem.lower() or "pypi"), name, Advisory("list")


def _record(record: Mapping[str, Any]) -> Iterator[_Row]:
    if "affected" in record:  # OSV
        for item in record["affected"]:
            package = item.get("package") or {}
            ranges = [r["events"] for r in item.get("ranges") or () if r.get("type") in ("ECOSYSTEM", "SEMVER")]
            versions = frozenset(item.get("versions") or ())
            yield str(package.get("ecosystem", "")).lower(), package["name"], Advisory(record["id"], ranges, versions)
    elif "name" in record and "ecosystem" in record:  # flat
        events = [{key: record[key]} for key in ("introduced", "fixed", "last_affected") if record.get(key)]
        versions = frozenset(record.get("versions") or ())
        advisory = Advisory(str(record.get("id", "list")), [events] if events else (), versions)
        yield str(record["ecosystem"]).lower(), record["name"], advisory
    else:  # safety-db
        for name, entries in record.items():
            for entry in entries if isinstance(entries, list) and name != "$meta" else ():
                specs = tuple(entry["specs"]) if isinstance(entry, Mapping) else (entry,)
                yield (
                    "pypi",
                    name,
                    Advisory(str(entry.get("id", "safety")) if isinstance(entry, Mapping) else "safety", specs=specs),
                )


def _within(version: str, ecosystem: str, spec: str) -> bool:
    """True for a version that meets every part of a specifier."""
    key = version_key(version, ecosystem)
    parts = [_SPEC.fullmatch(part) for part in spec.split(",")]
    if key is None or not all(parts):
        return False
    for part in filter(None, parts):
        other = version_key(part[2], ecosystem)
        if other is None:
            return False
        less, equal = key < other, key == other
        holds = {"<": less, "<=": less or equal, ">": not (less or equal), ">=": not less, "==": equal, "!=": not equal}
        if not holds.get(part[1], not less):
            return False
    return True
