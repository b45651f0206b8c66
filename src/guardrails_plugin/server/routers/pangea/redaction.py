"""Pangea's Redact: personal data and secrets out of texts and objects.

The recipe is the project's own one named ``pangea_redact``, else every value of either kind becomes its type in
brackets. ``rules`` (entity types) and ``rulesets`` narrow it, ``redaction_method_overrides`` say what becomes of all
values. Values covered in part as the client asks, or replaced by its own words, are reported by the engine and
rewritten here with an action made for the call.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from guardrails_plugin import conversation, registry
from guardrails_plugin.protocols import Call
from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.rewrite import clusters, rewrite
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.routers.pangea import fpe, jsonpath
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.server.routers.pangea.overrides import ACTIONS
from guardrails_plugin.server.routers.pangea.schemas import (
    PartialMasking,
    RedactBody,
    RedactionMethod,
    RedactOptions,
    StructuredBody,
)
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Finding, GuardResult, Origin, Stage, Verdict

__all__ = ["redacted", "structured"]

_RECIPE = Recipe(
    name="pangea_redact",
    stage=Stage.RESPONSE,
    rules=[Rule(detector="secrets", action="replace"), Rule(detector="pii", action="replace")],
)
_RULESETS = {"PII": "pii", "SECRETS": "secrets", "PHARMA": "pii", "FINANCIAL": "pii", "HEALTH": "pii"}
_OWN = "own"


async def redacted(services: Services, exchange: Exchange, body: RedactBody) -> tuple[str, dict[str, Any]]:
    """Summary and result for a text."""
    done = await _redact(services, exchange, body.text, body)
    shown = {"redacted_text": done.output} if body.return_result else {}
    return _said(done), {**_result(services, exchange, done, body), **shown}


async def structured(services: Services, exchange: Exchange, body: StructuredBody) -> tuple[str, dict[str, Any]]:
    """Summary and result for an object, or for JSON in a string, which stays a string."""
    data = _parsed(body.data) if isinstance(body.data, str) else body.data
    wanted = await asyncio.to_thread(_places, body.jsonp, data)
    # Each value with the name of its field, which is context for what it holds.
    content = [{str(place[-1]) if place else "": jsonpath.at(data, place)} for place in wanted]
    done = await _redact(services, exchange, content, body)
    result = _result(services, exchange, done, body)
    if body.return_result:
        values = (next(iter(changed.values())) for changed in done.output)
        data = jsonpath.put(data, dict(zip(wanted, values, strict=True)))
        result["redacted_data"] = json.dumps(data, ensure_ascii=False) if isinstance(body.data, str) else data
    return _said(done), result


@dataclass(frozen=True, slots=True)
class _Done:
    """A redacted content, and how often something in it was replaced."""

    output: Any = field(repr=False)
    count: int
    result: GuardResult


async def _redact(services: Services, exchange: Exchange, content: Any, options: RedactOptions) -> _Done:
    if options.vault_parameters:
        detail = "Keys and salts are the operator's; none can be named here."
        raise faulty("/vault_parameters", detail, "DoesNotExist")
    method = options.redaction_method_overrides
    own = _own_action(method)
    recipe = await _recipe(services, exchange)
    result = await services.guard.check(
        exchange,
        content,
        stage=Stage.RESPONSE,
        recipe=_RECIPE if recipe is _RECIPE else recipe.name,
        overrides=_overrides(recipe, options, "report" if own else "") or None,
    )
    if complete(result).blocked:
        raise ApiError(503, "The text could not be checked; try again.")
    if own is not None:
        return _rewritten(content, result, own)
    output = content if result.output is None else result.output
    return _Done(output, len(result.replacements), result)


async def _recipe(services: Services, exchange: Exchange) -> Recipe:
    own = [r for r in await services.guard.recipes(exchange) if r.name == _RECIPE.name]
    return next((recipe for recipe in own if recipe.stage in (Stage.RESPONSE, None)), _RECIPE)


def _overrides(recipe: Recipe, options: RedactOptions, action: str) -> dict[str, dict[str, Any]]:
    """The client's choice of rules and method, by rule."""
    method = options.redaction_method_overrides
    if method is not None and not action:
        action = {**ACTIONS, "detect_only": "report"}[method.redaction_type]
    only = _wanted(options)
    changes: dict[str, dict[str, Any]] = {}
    for rule in recipe.rules:
        if action:
            changes[rule.name] = {"action": action, **dict.fromkeys(rule.actions, action)}
        if only is None or rule.detector not in only:
            if only is not None:
                changes[rule.name] = {"disabled": True}
            continue
        if types := only[rule.detector]:
            taken = {kind: action or _configured(rule, kind) for kind in types}
            changes[rule.name] = {"action": "disabled", **dict.fromkeys(rule.actions, "disabled"), **taken}
    return changes


def _configured(rule: Rule, kind: str) -> str:
    """What a rule does about a type (a rule of the project may say so by category, too: then its default counts)."""
    return next((action for name, action in rule.actions.items() if name.upper() == kind), rule.action)


def _wanted(options: RedactOptions) -> dict[str, list[str]] | None:
    """Detectors and their types; no types: all of them. None: whatever the recipe has."""
    if options.rules is None and options.rulesets is None:
        return None
    wanted: dict[str, list[str]] = {}
    for name in options.rulesets or ():
        if name.upper() not in _RULESETS:
            raise faulty("/rulesets", f"There is no ruleset {name[:80]!r}.", "DoesNotExist")
        wanted[_RULESETS[name.upper()]] = []
    for name in options.rules or ():
        detector = next((d for d in ("pii", "secrets") if name.upper() in _types(d)), None)
        if detector is None:
            raise faulty("/rules", f"There is no rule {name[:80]!r}.", "DoesNotExist")
        if wanted.get(detector) != []:
            wanted.setdefault(detector, []).append(name.upper())
    return wanted


def _types(detector: str) -> frozenset[str]:
    types: frozenset[str] = registry.load("detectors", detector)().entity_types
    return types


def _own_action(method: RedactionMethod | None) -> _Cover | _Words | None:
    """An action made for this call, when the client says more than the name of a method."""
    if method is None:
        return None
    if method.redaction_type == "partial_masking" and method.partial_masking is not None:
        return _Cover(method.partial_masking)
    if method.redaction_type == "replacement" and method.redaction_value is not None:
        return _Words(method.redaction_value)
    return None


@dataclass(frozen=True, slots=True)
class _Cover:
    """Covers a value but for some characters at its ends, or only some at its ends."""

    how: PartialMasking
    name: ClassVar[str] = _OWN
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The value, covered; of the same length."""
        del finding, call
        how, size = self.how, len(value)
        if how.masking_type == "mask" and (how.masked_from_left or how.masked_from_right):
            covered = {i for i in range(size) if i < how.masked_from_left or i >= size - how.masked_from_right}
        else:
            covered = set(range(how.unmasked_from_left, max(0, size - how.unmasked_from_right)))
        char = how.masking_char[0] if how.masking_char else "*"
        kept = set(how.chars_to_ignore)
        return "".join(char if i in covered and c not in kept else c for i, c in enumerate(value))


@dataclass(frozen=True, slots=True)
class _Words:
    """The client's own words instead of a value."""

    words: str
    name: ClassVar[str] = _OWN
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The words."""
        del value, finding, call
        return self.words


def _rewritten(content: Any, result: GuardResult, action: _Cover | _Words) -> _Done:
    texts = [segment.text for segment in conversation.segments(content, Origin.MODEL)]
    decided = [replace(decision, action=_OWN, verdict=Verdict.TRANSFORM) for decision in result.decisions]
    new, count = [], 0
    actions: Any = {_OWN: action}
    for index, text in enumerate(texts):
        spans = clusters(text, (decision for decision in decided if decision.finding.segment == index))
        changed, made = rewrite(text, spans, actions, Call(lambda _type, _value: 1))
        new.append(changed)
        count += len(made)
    return _Done(conversation.substitute(content, new) if new else content, count, result)


def _result(services: Services, exchange: Exchange, done: _Done, options: RedactOptions) -> dict[str, Any]:
    context = fpe.wrapped(done.result, services.settings.keyring, exchange.project_id, options.config_id)
    return {
        "count": done.count,
        **({} if context is None else {"fpe_context": context}),
        **({"report": _report(done)} if options.debug else {}),
    }


def _report(done: _Done) -> Mapping[str, Any]:
    """Every decision; scores are 0 or 1, since the SDK reads them as whole numbers."""
    texts = [segment.text for segment in conversation.segments(done.result.original, Origin.MODEL)]
    decisions = done.result.decisions
    return {
        "summary_counts": dict(Counter(decision.finding.entity_type for decision in decisions)),
        "recognizer_results": [
            {
                "field_type": decision.finding.entity_type,
                "score": round(decision.finding.score),
                "text": texts[decision.finding.segment][decision.finding.start : decision.finding.end],
                "start": decision.finding.start,
                "end": decision.finding.end,
                "redacted": done.count > 0,
            }
            for decision in decisions
        ],
    }


def _said(done: _Done) -> str:
    return f"Success. Redacted {done.count} item(s)."


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise faulty("/data", "Expected JSON.", "BadFormat") from None


def _places(paths: Sequence[str] | None, data: Any) -> list[jsonpath.Place]:
    """Where to redact: everywhere, or at the given paths; what lies within another place is not taken twice."""
    if paths is None:
        return [()]
    found: list[jsonpath.Place] = []
    for index, path in enumerate(paths):
        try:
            found += jsonpath.places(path, data)
        except ValueError as error:
            raise faulty(f"/jsonp/{index}", str(error).capitalize(), "BadFormat") from None
    distinct = dict.fromkeys(found)
    return [place for place in distinct if not any(place[:size] in distinct for size in range(len(place)))]
