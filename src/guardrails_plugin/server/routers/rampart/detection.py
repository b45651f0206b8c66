"""The one recipe behind Rampart's routes, of which each asks for some rules, and what its findings are called there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from guardrails_plugin.planning import Overrides
from guardrails_plugin.protocols import Call
from guardrails_plugin.recipes import Recipe, Rule, compliance_policies
from guardrails_plugin.results import new_call
from guardrails_plugin.rewrite import clusters, rewrite
from guardrails_plugin.types import NO_CONTEXT, Decision, Finding, Origin, Verdict

__all__ = [
    "PERSONAL",
    "PRIVACY",
    "RECIPE",
    "SECRETS",
    "SENSITIVE",
    "TOXIC",
    "pii_findings",
    "pii_name",
    "pii_type",
    "redacted",
    "rules",
    "sensitive_topics",
    "worst",
]

TOXIC = "toxicity"
SECRETS = "secrets"
PRIVACY = "privacy_requests"
_URLS = "urls"
PERSONAL = ("pii", _URLS)
"""Rules behind Rampart's filter ``pii``."""

_TOPICS = {
    "SELF_HARM_INTENT": "self_harm",
    "SELF_HARM_INSTRUCTIONS": "self_harm",
    "SEXUALLY_EXPLICIT": "sexual_content",
    "THREAT": "violence",
    "POLITICS": "politics",
    "RELIGION": "religion",
    "SEXUAL_ORIENTATION": "sexual_orientation",
    "ETHNICITY": "ethnicity",
    "DISABILITY": "disability",
}
"""What Rampart's filter ``sensitive_topics`` finds, by entity type. Mentions of groups: English word lists."""

_SURE = {"SEXUALLY_EXPLICIT": 0.8}
"""Least score of a topic whose head was taught by few texts: in distress and in fury it hears this too."""

_GROUPS = ("POLITICS", "RELIGION", "SEXUAL_ORIENTATION", "ETHNICITY", "DISABILITY")
SENSITIVE = ("self_harm", "demographic", TOXIC)
"""Rules behind that filter."""

_TOP_LEVEL = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|dev|app|co|us|uk|ca|de|fr|es|it|nl|eu|ch|at|au|jp|cn|in|br|ru|kr"
)
_PATTERNS = {
    "URL": r"""\b(?:https?|ftp)://[^\s<>"'`|\\^{}]*[^\s<>"'`|\\^{}.,;:!?)\]]""",
    "BARE_DOMAIN": r"(?:^|[^\w@.%+/-])(?P<value>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}"
    rf"(?:{_TOP_LEVEL}))\b",
}
"""Addresses with their scheme; bare domains under top-level domains that prose has no other use for."""

_NAMES = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "US_SSN": "ssn",
    "STREET_ADDRESS": "address",
    "LOCATION": "address",
    "PERSON": "name",
    "BARE_DOMAIN": "url",
}


def _recipe() -> Recipe:
    privacy = next(rule for rule in compliance_policies()["ccpa"].add if rule.name == PRIVACY)
    everything = (
        Rule.model_validate({"detector": "prompt_injection", "threshold": "balanced", "trusted": [Origin.SYSTEM]}),
        Rule(detector="data_exfiltration"),
        Rule(detector="malicious_url"),
        Rule(detector="pii"),
        Rule(detector="regex", name=_URLS, settings={"patterns": _PATTERNS, "ignore_case": True, "score": 0.9}),
        Rule(detector="named_entities", settings={"entities": ["PERSON", "LOCATION"]}),
        Rule(detector=SECRETS),
        Rule(detector=TOXIC),
        Rule(detector="self_harm"),
        Rule(detector="demographic", settings={"entities": _GROUPS}),
        Rule(detector="regex", name=PRIVACY, settings=privacy.settings),
    )
    return Recipe(name="rampart", description="Everything Rampart's routes look for.", rules=everything)


RECIPE = _recipe()


def rules(names: Iterable[str], **changes: Mapping[str, Any]) -> Overrides:
    """Only these rules of `RECIPE`, with these changes."""
    wanted = set(names)
    return {
        rule.name: changes.get(rule.name, {}) if rule.name in wanted else {"disabled": True} for rule in RECIPE.rules
    }


def worst(findings: Iterable[Finding]) -> float:
    """The highest score; 0 for none."""
    return max((finding.score for finding in findings), default=0.0)


def pii_findings(findings: Sequence[Finding]) -> list[Finding]:
    """What counts as personal data. A domain inside an e-mail address is part of that."""
    mails = [finding for finding in findings if finding.entity_type == "EMAIL_ADDRESS"]
    inside = {_place(f) for f in findings if _is_url(f) and any(f.start < m.end and m.start < f.end for m in mails)}
    sources = {"pii", "named_entities", SECRETS}
    return [f for f in findings if (f.detector in sources or _is_url(f)) and not (_is_url(f) and _place(f) in inside)]


def sensitive_topics(findings: Iterable[Finding]) -> list[str]:
    """The sensitive topics among findings, each once, in the order of the text."""
    found = [
        finding
        for finding in findings
        if finding.detector in SENSITIVE
        and finding.entity_type in _TOPICS
        and finding.score >= _SURE.get(finding.entity_type, 0.0)
    ]
    found.sort(key=lambda finding: finding.start)
    return list(dict.fromkeys(_TOPICS[finding.entity_type] for finding in found))


def pii_name(finding: Finding) -> str:
    """Rampart's name of an entity type: ``email``, ``ssn``, ...; others in lower case."""
    return _NAMES.get(finding.entity_type, finding.entity_type.lower())


def pii_type(name: str) -> frozenset[str]:
    """The entity types behind one of Rampart's names."""
    known = {entity for entity, known in _NAMES.items() if known == name}
    return frozenset(known or {name.upper()})


def redacted(text: str, findings: Iterable[Finding]) -> str:
    """The text with ``[EMAIL_REDACTED]`` and the like in place of what was found."""
    decisions = [Decision(finding, _Token.name, Verdict.TRANSFORM) for finding in findings]
    actions: Any = {_Token.name: _Token()}
    return rewrite(text, clusters(text, decisions), actions, new_call(None, NO_CONTEXT))[0]


class _Token:
    name: ClassVar[str] = "replace"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def apply(self, value: str, finding: Finding, call: Call) -> str:  # noqa: ARG002 - see `protocols.Action`
        return f"[{pii_name(finding).upper()}_REDACTED]"


def _is_url(finding: Finding) -> bool:
    return finding.detector == "regex" and finding.entity_type in ("URL", "BARE_DOMAIN")


def _place(finding: Finding) -> tuple[int, int]:
    return finding.start, finding.end
