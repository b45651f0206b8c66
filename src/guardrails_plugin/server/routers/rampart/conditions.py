"""What the conditions of Rampart's policies mean, and whether a content meets them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from guardrails_plugin.recipes import compliance_policies
from guardrails_plugin.server.routers.rampart.detection import (
    PERSONAL,
    PRIVACY,
    RECIPE,
    SECRETS,
    TOXIC,
    pii_findings,
    pii_type,
)
from guardrails_plugin.types import Finding

__all__ = ["CONDITIONS", "Meaning", "meaning"]

_ANY = "*"
_NAMED = ("email", "phone", "ssn", "credit_card", "ip_address", "url")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What in a text meets a condition.

    Attributes:
        rules: rules of the recipe that must run.
        types: entity types that meet it; ``*`` for whatever those rules find. None: a duty of the application, which
            no text shows.
    """

    rules: tuple[str, ...] = ()
    types: frozenset[str] = field(default=frozenset())

    def met(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that meet it."""
        detectors = {_detector(rule) for rule in self.rules}
        own = [finding for finding in findings if finding.detector in detectors]
        if set(PERSONAL) & set(self.rules):
            own = pii_findings(own)
        return [finding for finding in own if _ANY in self.types or finding.entity_type in self.types]


def meaning(condition: str, template: str) -> Meaning:
    """The meaning of a condition; a template's own comes before what the name means elsewhere."""
    return _by_template().get(template, {}).get(condition) or CONDITIONS()[condition]


@cache
def CONDITIONS() -> Mapping[str, Meaning]:  # noqa: N802 - reads as the constant it is, made at first use
    """Every condition that a policy may name."""
    own = {
        "prompt_injection": Meaning(("prompt_injection",), frozenset({_ANY})),
        "contains_toxicity": Meaning((TOXIC,), frozenset({_ANY})),
        "contains_secrets": Meaning((SECRETS,), frozenset({_ANY})),
        "data_exfiltration": Meaning(("data_exfiltration",), frozenset({_ANY})),
        **{f"contains_{name}": Meaning(PERSONAL, _types(name)) for name in _NAMED},
    }
    for conditions in _by_template().values():
        for name, found in conditions.items():
            known = own.get(name, found)
            own[name] = Meaning(_together(known.rules, found.rules), known.types | found.types)
    return own


@cache
def _by_template() -> Mapping[str, Mapping[str, Meaning]]:
    return {
        pack.name: {condition.condition: _meaning(condition.entity_types) for condition in pack.conditions}
        for pack in compliance_policies().values()
    }


def _meaning(types: Collection[str]) -> Meaning:
    if not types:
        return Meaning()
    if "SECRET" in types:
        return Meaning((SECRETS,), frozenset({_ANY}))
    rules = (PRIVACY,) if _privacy() & set(types) else ("pii",)
    return Meaning(rules, frozenset(types))


@cache
def _privacy() -> frozenset[str]:
    """Types that the policies' own patterns find."""
    added = [rule for pack in compliance_policies().values() for rule in pack.add]
    return frozenset(name for rule in added for name in rule.settings.get("patterns", {}))


def _types(name: str) -> frozenset[str]:
    return pii_type(name) | ({"URL"} if name == "url" else frozenset())


def _together(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _detector(rule: str) -> str:
    return next(known.detector for known in RECIPE.rules if known.name == rule)
