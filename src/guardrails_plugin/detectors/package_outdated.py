"""Packages that are out of date: retired by their makers, or older than the newest version that the user's files name.

Retired ones stand in ``data/retired_packages.toml``, with what took their place and where that is said. Newest versions
are looked up nowhere; they come in the user's files: what ``pip list --outdated --format json`` and ``npm outdated
--json`` print, or lists, one ``name==1.2`` (PyPI), ``npm:name==1.2``, ``go:path==1.2`` or ``crates.io:name==1.2`` a
line, such as ``pip freeze`` makes of an environment that is up to date.

Limits: some thirty retired packages, those that code of assistants still names; of a range ("^1.2") the version in it
counts; a file of newest versions is as old as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from guardrails_plugin.detectors.package_advisories import ECOSYSTEMS, normal_name
from guardrails_plugin.detectors.package_versions import version_key
from guardrails_plugin.detectors.table import read_table
from guardrails_plugin.errors import ConfigError

__all__ = ["Newest", "successor"]

_Row = tuple[str, str, str]
"""Ecosystem, name, newest version."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest version of packages, by ecosystem and normal name."""

    by_package: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)

    @staticmethod
    def load(paths: Iterable[Path]) -> Newest:
        """Read files.

        Raises:
            ConfigError: a file cannot be read, or says nothing that is understood.
        """
        found: dict[tuple[str, str], str] = {}
        for path in paths:
            try:
                rows = list(_rows(path.read_text("utf-8-sig")))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise ConfigError(f"packages: newest: cannot read {path.name}: {type(error).__name__}") from None
            known = [row for row in rows if row[0] in ECOSYSTEMS and version_key(row[2], row[0]) is not None]
            if not known:
                raise ConfigError(
                    f"packages: newest: {path.name} names no newest version; expected what pip list --outdated "
                    "--format json or npm outdated --json print, or lines such as name==1.2 or npm:name==1.2"
                )
            found |= {(ecosystem, normal_name(name, ecosystem)): version for ecosystem, name, version in known}
        return Newest(found)

    def above(self, version: str, name: str, ecosystem: str) -> str | None:
        """The newest version of a package, when this one is older."""
        newest = self.by_package.get((ecosystem, normal_name(name, ecosystem)))
        given = version_key(version, ecosystem)
        last = version_key(newest, ecosystem) if newest else None
        return newest if given is not None and last is not None and given < last else None


def _rows(text: str) -> Iterator[_Row]:
    if not text.lstrip().startswith(("{", "[")):
        for line in text.splitlines():
            entry, _, version = line.partition("#")[0].strip().partition("==")
            ecosystem, _, name = entry.rpartition(":")
            yield (ecosystem.lower() or "pypi"), name, version.strip()
        return
    content = json.loads(text)
    if isinstance(content, list):  # pip
        yield from (("pypi", item["name"], item["latest_version"]) for item in content)
    else:  # npm
        yield from (("npm", name, item["latest"]) for name, item in content.items())


def successor(name: str, ecosystem: str) -> str | None:
    """What took the place of a retired package; None for one that is not known to be.

    >>> successor("PyCrypto", "pypi")
    'pycryptodome'
    """
    return _retired().get((ecosystem, normal_name(name, ecosystem)))


@cache
def _retired() -> Mapping[tuple[str, str], str]:
    rows = read_table("retired_packages")["package"]
    return {(row["ecosystem"], normal_name(row["name"], row["ecosystem"])): row["instead"] for row in rows}
