"""What the engine found on one side of a model, as HiddenLayer's analyzers.

Every analyzer runs and is listed, also behind a block and when the project switched it off; versions are those of the
documented shapes. Frameworks: OWASP Top 10 for LLM applications (v1.1 and 2025), MITRE ATLAS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from guardrails_plugin import conversation, registry
from guardrails_plugin.detectors.denial_of_service import TOKEN_THRESHOLD, estimate_tokens
from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.routers.hiddenlayer.recipes import entity, recipe_for
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Decision, Finding, GuardResult, Origin, Stage, Verdict

__all__ = ["SIGNALS", "Side", "analyze", "level"]

_VERSIONS = {"prompt_injection": "5"}
_INPUT = (
    "block_list",
    "prompt_injection",
    "personally_identifiable_information",
    "code",
    "url",
    "denial_of_service",
    "language",
)
_OUTPUT = ("personally_identifiable_information", "guardrails", "code", "url")
SIGNALS = (*_INPUT, "guardrails")

_ANALYZERS = {
    "keywords": "block_list",
    "pii": "personally_identifiable_information",
    "named_entities": "personally_identifiable_information",
    "regex": "personally_identifiable_information",
    "secrets": "personally_identifiable_information",
    "malicious_url": "url",
    "refusal": "guardrails",
}
_BLOCK_OVERRIDE = "BLOCK_OVERRIDE"
"""Entity type of a ``keywords`` rule whose hits count as injections."""

_INJECTION = ("LLM01", "Prompt Injection")
_FRAMEWORKS: Mapping[str, Mapping[str, Sequence[tuple[str, str]]]] = {
    "prompt_injection": {
        "mitre": (("AML.T0051", "LLM Prompt Injection"), ("AML.T0054", "LLM Jailbreak")),
        "owasp": (_INJECTION,),
        "owasp:2025": (_INJECTION,),
    },
    "personally_identifiable_information": {
        "mitre": (("AML.T0057", "LLM Data Leakage"),),
        "owasp": (("LLM06", "Sensitive Information Disclosure"),),
        "owasp:2025": (("LLM02", "Sensitive Information Disclosure"),),
    },
    "code": {
        "mitre": (("AML.T0050", "Command and Scripting Interpreter"),),
        "owasp": (("LLM02", "Insecure Output Handling"),),
        "owasp:2025": (("LLM05", "Improper Output Handling"),),
    },
    "url": {
        "mitre": (("AML.T0052", "Phishing"),),
        "owasp": (("LLM02", "Insecure Output Handling"),),
        "owasp:2025": (("LLM05", "Improper Output Handling"),),
    },
    "denial_of_service": {
        "mitre": (("AML.T0029", "Denial of ML Service"),),
        "owasp": (("LLM04", "Model Denial of Service"),),
        "owasp:2025": (("LLM10", "Unbounded Consumption"),),
    },
}

_URL = re.compile(r"\bhttps?://[^\s<>\"'`{}|\\^]{1,2048}")
_SURE = 0.95
"""An injection this sure, and blocked, is critical."""

_LEVELS = ("None", "Low", "Medium", "High", "Critical")


async def analyze(services: Services, exchange: Exchange, content: Mapping[str, Any], stage: Stage) -> Side:
    """Run every rule of a side's recipe over a content with ``messages``.

    A block stops the rules behind it, but every analyzer has to answer: then it is run again, with those that blocked
    only reporting, so that the same compiled patterns serve.
    """
    recipe, reference = await recipe_for(services.guard, exchange, stage)
    results: list[GuardResult] = []
    softened: dict[str, dict[str, str]] = {}
    while not results or any(not found.executed for found in results[-1].detections):
        result = await services.guard.check(
            exchange, content, stage=stage, recipe=reference, overrides=softened or None, debug=True
        )
        results.append(result)
        executed = {found.detector for found in result.detections if found.executed}
        softened |= {rule.name: _softened(rule) for rule in recipe.rules if rule.name in executed}
    return Side("input" if stage is Stage.PROMPT else "output", recipe, tuple(results), content)


def _softened(rule: Rule) -> dict[str, str]:
    """Overrides with which a rule does all that it does, but for blocking."""
    actions = {"action": rule.action, **rule.actions}
    return {name: "report" if action == "block" else action for name, action in actions.items()} | {
        "on_error": "report"
    }


@dataclass(frozen=True)
class Side:
    """One side of a model, analysed.

    Attributes:
        phase: ``input`` or ``output``.
        recipe: the project's rules for it.
        results: of the runs that it took.
        content: as it came.
    """

    phase: str
    recipe: Recipe
    results: tuple[GuardResult, ...] = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """The worst."""
        return max(result.verdict for result in self.results)

    @property
    def modified(self) -> Any:
        """The content after redaction."""
        output = self.results[-1].output
        return self.content if output is None else output

    @property
    def milliseconds(self) -> float:
        """All runs."""
        return round(1000 * sum(result.seconds for result in self.results), 3)

    @cached_property
    def texts(self) -> Sequence[str]:
        """Its strings, as findings number them."""
        return [segment.text for segment in conversation.segments(self.content, Origin.USER)]

    @cached_property
    def owners(self) -> Sequence[int]:
        """Index of the message that each of the first strings stands in."""
        messages = enumerate(self.content.get("messages", ()))
        return [index for index, message in messages for _ in conversation.segments(message, Origin.USER)]

    @cached_property
    def decisions(self) -> Sequence[Decision]:
        """Of all runs; of each detector those of the first run that got to it."""
        kept: list[Decision] = []
        known: set[str] = set()
        for result in self.results:
            kept += [decision for decision in result.decisions if decision.finding.detector not in known]
            names = {found.detector for found in result.detections if found.executed}
            known |= {rule.detector for rule in self.recipe.rules if rule.name in names}
        return kept

    @property
    def names(self) -> Sequence[str]:
        """Its analyzers, in order: the documented ones, then those of further rules."""
        own = [_analyzer(rule.detector, rule.settings.get("entity_type", "")) for rule in self.recipe.rules]
        return tuple(dict.fromkeys((*(_INPUT if self.phase == "input" else _OUTPUT), *own)))

    def of(self, name: str) -> Sequence[Decision]:
        """An analyzer's decisions."""
        return [d for d in self.decisions if _analyzer(d.finding.detector, d.finding.entity_type) == name]

    def rules(self, name: str) -> Sequence[Rule]:
        """The enabled rules of an analyzer."""
        return [
            rule
            for rule in self.recipe.rules
            if rule.enabled and _analyzer(rule.detector, rule.settings.get("entity_type", "")) == name
        ]

    def message(self, finding: Finding) -> int | None:
        """The message a finding stands in; None outside of messages."""
        return self.owners[finding.segment] if finding.segment < len(self.owners) else None

    def value(self, finding: Finding) -> str:
        """The found characters."""
        return self.texts[finding.segment][finding.start : finding.end]

    def analyses(self) -> list[dict[str, Any]]:
        """One entry per analyzer."""
        return [self._analysis(name) for name in self.names]

    def findings(self, name: str, decisions: Sequence[Decision]) -> dict[str, Any]:
        """What an analyzer found, and where frameworks place it."""
        placed = _FRAMEWORKS.get(name, {}) if decisions else {}
        frameworks = {
            framework: [{"label": label, "name": title} for label, title in items]
            for framework, items in placed.items()
        }
        return {"frameworks": frameworks, **_FINDINGS.get(name, _nothing)(self, decisions)}

    def configuration(self, name: str) -> dict[str, Any]:
        """How the project set an analyzer up."""
        rules = self.rules(name)
        return {"enabled": bool(rules), **_CONFIGURATIONS.get(name, _bare)(self, rules)}

    def seconds(self, name: str) -> float:
        """Of an analyzer: its rules' own time, and its share of the pass that serves all patterns."""
        named = [rule.name for rule in self.rules(name)]
        own = sum(result.timings.get(rule, 0.0) for result in self.results for rule in named)
        shared = sum(result.timings.get("matching", 0.0) for result in self.results)
        return own + shared * len(named) / max(1, len(self.recipe.rules))

    def _analysis(self, name: str) -> dict[str, Any]:
        version = _VERSIONS.get(name, "1")
        decisions = self.of(name)
        return {
            "id": f"{name}.{version}.{self.phase}",
            "name": name,
            "phase": self.phase,
            "version": version,
            "detected": bool(decisions),
            "configuration": self.configuration(name),
            "findings": self.findings(name, decisions),
            "processing_time_ms": round(1000 * self.seconds(name), 3),
        }


def level(sides: Iterable[Side]) -> str:
    """How bad it is: reports are low, redactions medium, blocks high, sure injections critical."""
    worst = 0
    for decision in (decision for side in sides for decision in side.decisions):
        sure = decision.finding.detector == "prompt_injection" and decision.finding.score >= _SURE
        worst = max(worst, decision.verdict + (decision.verdict is Verdict.BLOCK and sure))
    return _LEVELS[worst]


def _analyzer(detector: str, entity_type: str) -> str:
    if entity_type == _BLOCK_OVERRIDE:
        return "prompt_injection"
    return _ANALYZERS.get(detector, detector)


def _nothing(_side: Side, _decisions: Sequence[Decision]) -> dict[str, Any]:
    return {}


def _matches(side: Side, decisions: Sequence[Decision]) -> dict[str, Any]:
    return {"matches": list(dict.fromkeys(side.value(decision.finding) for decision in decisions))}


def _probabilities(detector: str) -> Callable[[Side, Sequence[Decision]], dict[str, Any]]:
    def found(side: Side, decisions: Sequence[Decision]) -> dict[str, Any]:
        raw = (finding for result in side.results for finding in result.raw or ())
        scores = [finding.score for finding in raw if finding.detector == detector]
        scores += [decision.finding.score for decision in decisions]
        return {"probabilities": [round(max(scores, default=0.0), 6)]}

    return found


def _entities(side: Side, decisions: Sequence[Decision]) -> dict[str, Any]:
    locations: dict[str, list[dict[str, Any]]] = {}
    for finding in (decision.finding for decision in decisions):
        place = {"message": side.message(finding), "start": finding.start, "end": finding.end}
        locations.setdefault(entity(finding.entity_type), []).append(place)
    return {"entities": sorted(locations), "locations": locations}


def _urls(side: Side, _decisions: Sequence[Decision]) -> dict[str, Any]:
    """Every address, harmless or not; ``detected`` is about the others."""
    found = (url.rstrip(".,;:!?)]") for text in side.texts for url in _URL.findall(text))
    return {"urls": list(dict.fromkeys(found))}


def _length(side: Side, _decisions: Sequence[Decision]) -> dict[str, Any]:
    return {"embeddings_length": sum(map(estimate_tokens, side.texts))}


_FINDINGS: Mapping[str, Callable[[Side, Sequence[Decision]], dict[str, Any]]] = {
    "block_list": _matches,
    "prompt_injection": _probabilities("prompt_injection"),
    "personally_identifiable_information": _entities,
    "url": _urls,
    "denial_of_service": _length,
    "guardrails": _probabilities("refusal"),
}


def _bare(_side: Side, _rules: Sequence[Rule]) -> dict[str, Any]:
    return {}


def _injection(_side: Side, rules: Sequence[Rule]) -> dict[str, Any]:
    settings = next((rule.settings for rule in rules if rule.detector == "prompt_injection"), {})
    blocked = [term for rule in rules if rule.detector == "keywords" for term in rule.settings.get("terms", ())]
    return {
        "scan_type": "full" if settings.get("classifier", True) else "quick",
        "allow_overrides": sorted(settings.get("allow", ())),
        "block_overrides": blocked,
    }


def _personal(_side: Side, rules: Sequence[Rule]) -> dict[str, Any]:
    actions = {action for rule in rules for action in (rule.action, *rule.actions.values())}
    changing = {a for action in actions for a in action.split("|")} - {"report", "block", "disabled"}
    own = [rule for rule in rules if rule.detector == "regex" and rule.name != "domains"]
    allowed = {value for rule in rules for value in (*rule.allow, *rule.settings.get("allow", ()))}
    return {
        "entities": sorted({entity(kind) for rule in rules for kind in _types(rule)}),
        "redact": bool(changing),
        "redact_type": "entity" if not changing or "replace" in changing else "strict",
        "custom_recognizers": [
            {"entity": name, "patterns": [regex]} for rule in own for name, regex in rule.settings["patterns"].items()
        ],
        "allow_list": sorted(allowed),
    }


def _types(rule: Rule) -> Iterable[str]:
    """What a rule of the PII analyzer looks for."""
    named = rule.settings.get("entities") or rule.settings.get("patterns")
    if named:
        return tuple(named)
    types: frozenset[str] = registry.load("detectors", rule.detector)(**rule.settings).entity_types
    return types


def _service(_side: Side, rules: Sequence[Rule]) -> dict[str, Any]:
    settings = next((rule.settings for rule in rules), {})
    return {"token_threshold": settings.get("token_threshold", TOKEN_THRESHOLD)}


def _languages(_side: Side, rules: Sequence[Rule]) -> dict[str, Any]:
    settings = next((rule.settings for rule in rules), {})
    allowed = settings.get("allowed", ("EN", "FR", "ES", "IT", "DE", "JA", "KO"))
    return {"allowed_languages": [code.upper() for code in allowed]}


_CONFIGURATIONS: Mapping[str, Callable[[Side, Sequence[Rule]], dict[str, Any]]] = {
    "prompt_injection": _injection,
    "personally_identifiable_information": _personal,
    "denial_of_service": _service,
    "language": _languages,
}
