"""What is asked of detectors, actions and sinks of one's own: that they have their parts, and what detectors return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from guardrails_plugin.errors import ConfigError, DetectorError
from guardrails_plugin.protocols import Detector
from guardrails_plugin.types import Finding, Text

__all__ = ["BreachError", "all_findings", "is_shipped", "require_named", "require_parts"]

_NEEDS: dict[str, tuple[tuple[str, ...], str]] = {
    "detector": (
        ("name", "entity_types", "categories", "detect"),
        "make one of a function with FunctionDetector of guardrails_plugin.detectors.function",
    ),
    "action": (("name", "verdict", "apply"), "see guardrails_plugin.protocols.Action"),
    "sink": (("write",), "shipped ones are in guardrails_plugin.audit, such as LogSink()"),
}
_CALLED = frozenset({"detect", "apply", "write"})


class BreachError(DetectorError):
    """A detector returned what it must not; ``failure`` says what, in words of ours."""


def is_shipped(thing: object) -> bool:
    """Whether it is part of this package, whose tests hold it to its contract."""
    return type(thing).__module__.startswith("guardrails_plugin.")


def require_named(kind: str, given: object) -> None:
    """Refuses what is no mapping of names to detectors or actions.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"{kind}s: expected a mapping of names, got {type(given).__name__}")
    for name, thing in given.items():
        require_parts(kind, thing, f"{kind}s[{name!r}]")


def require_parts(kind: str, thing: object, where: str) -> None:
    """Refuses what is no detector, action or sink.

    Raises:
        ConfigError: it is not; the message says what one needs.
    """
    needed, hint = _NEEDS[kind]
    missing = [
        part
        for part in needed
        if not (callable(getattr(thing, part, None)) if part in _CALLED else hasattr(thing, part))
    ]
    if missing or isinstance(thing, type):
        given = f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__
        lacks = f" without {', '.join(missing)}" if missing else ", not an object of it"
        raise ConfigError(f"{where}: expected an object with {', '.join(needed)}, got {given}{lacks} ({hint})")


def all_findings(name: str, detector: Detector, texts: Sequence[Text], found: object) -> list[Sequence[Finding]]:
    """What a detector returned, when it keeps its promises: one list of findings for each text, inside that text.

    Args:
        name: of the rule.
        detector: whose findings they are.
        texts: what it was given.
        found: what it returned.

    Raises:
        BreachError: it does not.
    """
    rows = _rows(name, found, "one list of findings for each text")
    if len(rows) != len(texts):
        raise BreachError(name, f"returned {len(rows)} lists of findings for {len(texts)} texts")
    known: list[Sequence[Finding]] = [_rows(name, row, "a list of findings for a text") for row in rows]
    for text, row in zip(texts, known, strict=True):
        for finding in row:
            if wrong := _wrong(finding, text, detector.entity_types):
                raise BreachError(name, f"returned {wrong}")
    return known


def _rows(name: str, found: object, expected: str) -> list[Any]:
    if not isinstance(found, Iterable) or isinstance(found, (str, Mapping)):
        raise BreachError(name, f"returned {type(found).__name__} in place of {expected}")
    return list(found)


def _wrong(finding: object, text: Text, types: frozenset[str]) -> str | None:
    """What is wrong with a finding, without a word of the text."""
    if not isinstance(finding, Finding):
        return f"{type(finding).__name__} in place of a Finding"
    if finding.segment != text.segment:
        return "a finding of another segment than its text's"
    start, end = finding.start, finding.end
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= len(text.original)):
        return "a finding outside its text"
    if types and finding.entity_type not in types:
        return "a finding of a type that is not among its entity_types"
    if not (isinstance(finding.score, (int, float)) and 0 <= finding.score <= 1):
        return "a score outside 0..1"
    return None
