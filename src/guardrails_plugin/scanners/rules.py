"""From scanners to what an engine runs: rules, and detectors for those that a recipe cannot write down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError

from guardrails_plugin.detectors.judge import ChatModel, Judge
from guardrails_plugin.detectors.similarity import Embedder, MeaningEmbedder, Similarity
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Detector
from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.recipes.recipe import explain
from guardrails_plugin.scanners.model import Examples, Keywords, NaturalLanguage, RegularExpressions, Scanner, Version
from guardrails_plugin.types import GuardResult, Origin, Stage

__all__ = ["ScannerRules", "scanned", "scanner_rules", "term_rules"]

_RESPONSE = frozenset({Stage.RESPONSE, Stage.POST_TOOL})
"""Stages of what comes back; at the others content is on its way in."""


@dataclass(frozen=True)
class ScannerRules:
    """What to add to a recipe and to an engine.

    Attributes:
        detectors: for ``Engine(detectors=...)``, by the names that the rules use.
        messages: what a user is told when a rule blocks, by rule name.
    """

    rules: tuple[Rule, ...] = ()
    detectors: Mapping[str, Detector] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)

    def added_to(self, recipe: Recipe, name: str = "") -> Recipe:
        """The recipe with the rules behind its own."""
        return recipe.model_copy(update={"name": name or recipe.name, "rules": [*recipe.rules, *self.rules]})

    def message(self, result: GuardResult) -> str:
        """What to tell the user about a blocked result: the message of the first scanner that blocked, or ""."""
        blocking = (detection.detector for detection in result.detections if "block" in detection.actions)
        return next((self.messages[rule] for rule in blocking if self.messages.get(rule)), "")


def scanned(direction: str, stage: Stage) -> bool:
    """True when a scanner of this direction looks at a stage."""
    return direction == "both" or (direction == "response") == (stage in _RESPONSE)


def scanner_rules(
    chosen: Sequence[tuple[Scanner, Version]], *, judge: ChatModel | None = None, embedder: Embedder | None = None
) -> ScannerRules:
    """The rules of versions of scanners.

    Args:
        chosen: which versions.
        judge: model for natural-language definitions.
        embedder: of examples; the embedded encoder by default.

    Raises:
        ConfigError: a natural-language definition without a model; a definition that cannot be compiled.
    """
    rules: list[Rule] = []
    detectors: dict[str, Detector] = {}
    for scanner, version in chosen:
        name = f"scanner_{scanner.id}"
        own = _detector(scanner, version, name, judge, embedder)
        if own is not None:
            detectors[name] = own
        detector, settings = (name, {}) if own is not None else _settings(scanner, version)
        rules.append(
            Rule(
                detector=detector,
                name=name,
                settings=settings,
                action="block" if version.action == "block" else "report",
                threshold=dict.fromkeys(Origin, version.threshold),
                # What only audits must not stop anything, not even when it fails.
                on_error="block" if version.action == "block" else "report",
            )
        )
    messages = {f"scanner_{scanner.id}": version.message for scanner, version in chosen if version.message}
    return ScannerRules(tuple(rules), detectors, messages)


def _settings(scanner: Scanner, version: Version) -> tuple[str, dict[str, object]]:
    definition = version.definition
    if isinstance(definition, Keywords):
        return "keywords", {"terms": definition.terms, "allow": definition.allow, "entity_type": scanner.entity_type}
    if isinstance(definition, RegularExpressions):
        return "regex", {"patterns": dict(definition.patterns), "ignore_case": definition.ignore_case}
    raise ConfigError(f"scanner {scanner.id!r}: no detector for a definition of kind {definition.kind!r}")


def _detector(
    scanner: Scanner, version: Version, name: str, judge: ChatModel | None, embedder: Embedder | None
) -> Detector | None:
    definition: Any = version.definition
    made: Any = None
    if isinstance(definition, Examples):
        try:
            made = Similarity(
                examples=definition.examples,
                counter_examples=definition.counter_examples,
                entity_type=scanner.entity_type,
                embedder=embedder or MeaningEmbedder(),
            )
        except ValidationError as error:
            raise explain(error, f"scanner {scanner.id!r}") from None
    if isinstance(definition, NaturalLanguage):
        if judge is None:
            raise ConfigError(f"scanner {scanner.id!r}: a natural-language definition needs a chat model: judge=...")
        made = Judge(judge, definition.text, name=name, entity_type=scanner.entity_type)
    return cast("Detector | None", made)


def term_rules(
    *,
    blocked: Sequence[str] = (),
    audited: Sequence[str] = (),
    blocked_patterns: Sequence[str] = (),
    audited_patterns: Sequence[str] = (),
) -> tuple[Rule, ...]:
    """Rules for plain lists: words and sentences, and regular expressions (re2), that block or are only recorded.

    >>> [rule.name for rule in term_rules(blocked=["project falcon"], audited_patterns=["TCK-[0-9]+"])]
    ['blocked_terms', 'audit_patterns']
    """
    lists = (
        ("blocked_terms", "keywords", "block", {"terms": tuple(blocked), "entity_type": "BLOCKED_TERM"}, blocked),
        ("blocked_patterns", "regex", "block", {"patterns": _numbered("blocked", blocked_patterns)}, blocked_patterns),
        ("audit_terms", "keywords", "report", {"terms": tuple(audited), "entity_type": "AUDIT_TERM"}, audited),
        ("audit_patterns", "regex", "report", {"patterns": _numbered("audit", audited_patterns)}, audited_patterns),
    )
    return tuple(
        Rule(
            detector=detector,
            name=name,
            action=action,
            settings=settings,
            on_error="block" if action == "block" else "report",
        )
        for name, detector, action, settings, given in lists
        if given
    )


def _numbered(prefix: str, patterns: Sequence[str]) -> dict[str, str]:
    return {f"{prefix}_pattern_{number}": pattern for number, pattern in enumerate(patterns, 1)}
