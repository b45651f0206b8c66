"""Finds packages that should not be installed: vulnerable, malicious and outdated ones, look-alikes of known names.

How: linear-time patterns find where packages are named (``pip install``, ``npm install``, ``go get``, ``cargo add`` and
their like, requirement lines, dependencies in package.json, go.mod and Cargo.toml, imports); each name is looked up in
the user's own files (`package_advisories`; versions by `package_versions`) and compared with well-known names
(``data/packages.toml`` and ``popular``). A look-alike is one typing error (a letter more, less, other, or two swapped)
from a known name of five letters or more and is not known itself; of Go modules see `package_modules`. A name without
a version counts as vulnerable only when no version is fixed. Outdated is what its makers have retired, and a version
that is older than the newest that the user's files name (`package_outdated`).

Source: OSV schema 1.6; Go modules reference; the Cargo book; PEP 440, 503 and 508; typing errors after Damerau (1964).
Limits: imports carry no version and are only compared with malicious names and look-alikes; the name that is imported
may differ from the package's. Look-alikes are a suspicion (0.55 to 0.7): real packages have such names, too. Names that
a model made up are not told apart from rare ones.
Quality: of the 10,000 most used names of PyPI and npm, 0.4 % were called look-alikes (the best known of these are
exempt since); in 7,400 ordinary mails, documents and source files three findings, all of that kind. On a blind
set .77 of 30 imitations are found, none of 30 real names (PyPI and npm); nothing was measured of Go and Rust.
Cost: files are read once, when the detector is made; 320,000 records took one to two minutes on a busy
machine, so give it the part of a dump that matters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.package_advisories import ECOSYSTEMS, Advisories, Advisory, normal_name
from guardrails_plugin.detectors.package_modules import imitated_module, module_paths
from guardrails_plugin.detectors.package_outdated import Newest, successor
from guardrails_plugin.matching import compile_pattern
from guardrails_plugin.types import Context, Finding, Text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Packages"]

_PYPI_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{1,80}"
_NPM_NAME = r"(?:@[a-z0-9][\w.-]{0,60}/)?[A-Za-z0-9][\w.-]{1,80}"
_GO_NAME = r"[A-Za-z0-9][\w-]{0,60}(?:\.[\w-]{1,60}){1,4}(?:/[\w.~-]{1,80}){1,8}"
_CRATE_NAME = r"[A-Za-z][\w-]{1,63}"
_IMPORTS = frozenset({"python_import", "python_from", "js_import", "go_import", "rust_use"})
_WORD = re.compile(r"[^\s,'\"]+")
_PINNED = re.compile(
    rf"(?P<name>{_PYPI_NAME})(?:\[[^\]]{{0,80}}\])?\s*(?:(?:===?|~=|>=|<=|!=|<|>)\s*(?P<version>[\w.!+-]{{1,40}}))?.*"
)
_AT = re.compile(rf"(?P<name>{_NPM_NAME})(?:@[\^~=v]{{0,2}}(?P<version>\d[\w.+-]{{0,40}})|@\w{{1,20}})?")
_MODULE = re.compile(rf"(?P<name>{_GO_NAME})(?:(?:@|\s+)v(?P<version>\d[\w.+-]{{0,60}})|@\w{{1,40}})?")
_CRATE = re.compile(rf"(?P<name>{_CRATE_NAME})(?:@[=]?(?P<version>\d[\w.+-]{{0,40}})|@.*)?")
_CARGO_LINE = re.compile(rf"(?P<name>{_CRATE_NAME})\s*=\s*(?:\{{.*\bversion\s*=\s*)?\"[\^~=]? ?(?P<version>[^\"]+)\".*")
_DEPENDENCIES = re.compile(r"(?m)^\[(?:[^\]\n]{1,80}\.)?(?:(?:dev|build)-)?dependencies(?:\.[\w-]{1,63})?\]")
_POETRY = "[tool."
_HINTS = (
    "install",
    "go get",
    "/",
    "extern crate",
    "use ",
    "dependencies]",
    " add ",
    " i ",
    "==",
    "~=",
    "import",
    "require",
    '": "',
    '":"',
)
"""One of these is in every text that names a package."""

_SHORTEST = 5
_MALICIOUS, _VULNERABLE, _MAYBE, _OUTDATED, _ALIKE, _ALIKE_LONG = 0.95, 0.9, 0.6, 0.8, 0.55, 0.7
_LONG = 8


def _ecosystems(names: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    if unknown := set(names) - ECOSYSTEMS:
        raise ValueError(f"unknown ecosystem {min(unknown)!r}; valid: {', '.join(sorted(ECOSYSTEMS))}")
    return names


@dataclass(frozen=True, config=SETTINGS)
class Packages:
    """Packages that should not be installed.

    Attributes:
        vulnerabilities: OSV files, folders or zips, JSON lines, or a safety-db file.
        malicious: the same, or plain lists of names (``name`` for PyPI, ``npm:name``, ``go:path``, ``crates.io:name``).
        newest: files that name newest versions, see `package_outdated`.
        popular: further names that must not be imitated, by ecosystem (``pypi``, ``npm``, ``go``,
            ``crates.io``): such as your own.
        allow: names that are never reported.
        look_alikes: look for imitations of known names.
        outdated: look for packages that their makers have retired, and for versions older than those of ``newest``.
    """

    vulnerabilities: tuple[Path, ...] = ()
    malicious: tuple[Path, ...] = ()
    newest: tuple[Path, ...] = ()
    popular: Annotated[Mapping[str, tuple[str, ...]], AfterValidator(_ecosystems)] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    look_alikes: bool = True
    outdated: bool = True

    name: ClassVar[str] = "packages"
    entity_types: ClassVar[frozenset[str]] = frozenset(
        {"VULNERABLE_PACKAGE", "MALICIOUS_PACKAGE", "OUTDATED_PACKAGE", "LOOK_ALIKE_PACKAGE"}
    )
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __post_init__(self) -> None:
        _ = self._vulnerable, self._malicious, self._newest  # a missing file is an error now, not at the first text

    @cached_property
    def _vulnerable(self) -> Advisories:
        return Advisories.load(self.vulnerabilities, "vulnerabilities")

    @cached_property
    def _malicious(self) -> Advisories:
        return Advisories.load(self.malicious, "malicious")

    @cached_property
    def _newest(self) -> Newest:
        return Newest.load(self.newest)

    @cached_property
    def _known(self) -> Mapping[str, frozenset[str]]:
        """Names that are what they are, by ecosystem."""
        return {
            ecosystem: frozenset(normal_name(name, ecosystem) for name in (*names, *self.popular.get(ecosystem, ())))
            for ecosystem, names in _well_known().items()
        }

    @cached_property
    def _slips(self) -> Mapping[str, Mapping[str, str]]:
        """Known names with one letter left out -> the name: two names one slip apart share such a form, or nearly."""
        return {
            ecosystem: {form: name for name in sorted(names) if len(name) >= _SHORTEST for form in _forms(name)}
            for ecosystem, names in self._known.items()
        }

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.allow)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        best: dict[tuple[int, int, str], Finding] = {}
        for view in text.views:
            for named in _named(view.text):
                if (judged := self._judged(named)) is None:
                    continue
                span = view.span(named.start, named.end)
                evidence: dict[str, str | float] = {"ecosystem": named.ecosystem, "rule": named.rule, **judged.facts}
                found = Finding(self.name, judged.kind, judged.score, span.start, span.end, text.segment, evidence)
                best.setdefault((span.start, span.end, judged.kind), found)
        return by_place(best.values())

    def _judged(self, named: _Named) -> _Judged | None:
        name = normal_name(named.name, named.ecosystem)
        names = tuple(module_paths(name)) if named.ecosystem == "go" else (name,)
        if not self._allowed.isdisjoint(names):
            return None
        if advisory := _advisory(self._malicious, names, named):
            return _Judged("MALICIOUS_PACKAGE", _MALICIOUS, {"advisory": advisory.id})
        if named.rule not in _IMPORTS and (worst := _advisory(self._vulnerable, names, named)):
            score = _VULNERABLE if named.version else _MAYBE
            return _Judged("VULNERABLE_PACKAGE", score, {"advisory": worst.id})
        if self.outdated and (facts := self._outdated(names, named)):
            return _Judged("OUTDATED_PACKAGE", _OUTDATED, facts)
        if self.look_alikes and _alike().isdisjoint(names) and (real := self._imitated(name, named.ecosystem)):
            return _Judged("LOOK_ALIKE_PACKAGE", _ALIKE_LONG if len(name) >= _LONG else _ALIKE, {"looks_like": real})
        return None

    def _outdated(self, names: Sequence[str], named: _Named) -> Mapping[str, str] | None:
        """What is newer, or what has taken its place; what Python imports is a module, its package may be another."""
        for name in names:
            if newest := self._newest.above(named.version, name, named.ecosystem):
                return {"newest": newest}
            instead = None if named.rule.startswith("python_") else successor(name, named.ecosystem)
            if instead:
                return {"instead": instead}
        return None

    def _imitated(self, name: str, ecosystem: str) -> str | None:
        """The well-known name that this one is a slip away from."""
        known = self._known[ecosystem]
        if ecosystem == "go":
            own = any(path in known for path in module_paths(name))
            return None if own else imitated_module(name, sorted(known), _one_slip)
        if len(name) < _SHORTEST or name in known or name.replace("-", "_") in sys.stdlib_module_names:
            return None
        slips = self._slips[ecosystem]
        candidates = {slips[form] for form in (name, *_forms(name)) if form in slips} | {
            f for f in _forms(name) if f in known
        }
        near = sorted(real for real in candidates if len(real) >= _SHORTEST and _one_slip(name, real))
        return near[0] if near else None


def _advisory(advisories: Advisories, names: Sequence[str], named: _Named) -> Advisory | None:
    """The first that concerns a package under one of these names."""
    for advisory in (found for name in names for found in advisories.of(name, named.ecosystem)):
        if advisory.concerns(named.version, named.ecosystem) if named.version else advisory.every_version:
            return advisory
    return None


class _Named(NamedTuple):
    """A package as a text names it; the version is "" unless it is one version."""

    name: str
    version: str
    ecosystem: str
    rule: str
    start: int
    end: int


class _Judged(NamedTuple):
    kind: str
    score: float
    facts: Mapping[str, str]


@cache
def _compiled() -> tuple[tuple[str, str, Any, int], ...]:
    """How a package is named in a text: rule, ecosystem, pattern, number of its group ``value``."""
    rows = ((row["id"], row["ecosystem"], compile_pattern(row["regex"], where=row["id"])) for row in _table()["row"])
    return tuple((rule, ecosystem, pattern, pattern.groupindex[b"value"]) for rule, ecosystem, pattern in rows)


def _named(text: str) -> Iterator[_Named]:
    if not any(hint in text for hint in _HINTS):
        return
    data = text.encode("utf-8", "replace")
    ascii_only = len(data) == len(text)
    cargo = "dependencies" in text and _POETRY not in text and _DEPENDENCIES.search(text) is not None
    for rule, ecosystem, pattern, group in _compiled():
        if rule == "cargo_toml" and not cargo:
            continue
        done = done_chars = 0
        for match in pattern.finditer(data):
            first, last = match.span(group)
            done_chars += first - done if ascii_only else len(data[done:first].decode("utf-8", "replace"))
            done = first
            said = data[first:last].decode("utf-8", "replace")
            yield from _parts(said, done_chars, rule, ecosystem)


def _parts(said: str, at: int, rule: str, ecosystem: str) -> Iterator[_Named]:
    """The single packages of an install line, a requirement or an import."""
    if rule == "package_json":
        name, _, version = said.partition('"')
        yield _Named(name, version.strip(' :"^~=v'), ecosystem, rule, at, at + len(said))
        return
    if rule == "cargo_toml":
        if line := _CARGO_LINE.match(said):
            yield _Named(line["name"], line["version"], ecosystem, rule, at, at + len(said))
        return
    skip = False
    for word in _WORD.finditer(said) if rule.endswith("install") else [re.match(r"[^\n]+", said)]:
        part = word.group() if word else ""
        if part.startswith("-") or skip:
            skip = part in _TAKES_VALUE  # its value is no package
            continue
        match = _SHAPES[ecosystem].fullmatch(part)
        if word and match and not part.endswith((".txt", ".whl", ".gz", ".tgz")) and "://" not in part:
            exact = ecosystem != "pypi" or "==" in part
            yield _Named(
                match["name"],
                (match["version"] or "") if exact else "",
                ecosystem,
                rule,
                at + word.start(),
                at + word.end(),
            )


_TAKES_VALUE = frozenset(
    "-r -c -i -e -f -t --requirement --constraint --index-url --extra-index-url --find-links --target --editable"
    " --features -F --vers --version --git --path --branch --tag --rev --registry --python -n --name --prefix"
    " --group -G --channel".split()
)


_SHAPES: Mapping[str, re.Pattern[str]] = {"npm": _AT, "pypi": _PINNED, "go": _MODULE, "crates.io": _CRATE}


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((files("guardrails_plugin.detectors") / "data" / "packages.toml").read_text("utf-8"))


@cache
def _well_known() -> Mapping[str, tuple[str, ...]]:
    return {ecosystem: tuple(_table()[ecosystem].split()) for ecosystem in sorted(ECOSYSTEMS)}


@cache
def _alike() -> frozenset[str]:
    return frozenset(_table()["alike"].split())


def _forms(name: str) -> set[str]:
    """The name with each of its letters left out once."""
    return {name[:at] + name[at + 1 :] for at in range(len(name))}


def _one_slip(one: str, other: str) -> bool:
    """True for a distance of one by Damerau (1964), optimal string alignment."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1 or one == other:
        return False
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    return one[at + 1 :] == other[at + 1 :] or swapped
