"""Rampart: one content through the filters: personal data, abuse, prompt injection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, field_validator
from starlette.requests import Request

from guardrails_plugin.planning import Overrides
from guardrails_plugin.recipes import Recipe, Rule, builtin_packs
from guardrails_plugin.recipes.pack import Pack
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.gate import address
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.identity import iso, new_id, now
from guardrails_plugin.server.problems import ApiError, invalid, not_found
from guardrails_plugin.server.routers.rampart.detection import (
    PERSONAL,
    RECIPE,
    SECRETS,
    TOXIC,
    pii_findings,
    pii_name,
    redacted,
    rules,
    worst,
)
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, milliseconds
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import Finding, GuardResult, Stage

__all__ = ["DEMO", "FilterBody", "Filtered", "router", "run_filter"]

DEMO = f"{PREFIX}/filter/demo"
_DEMO_LENGTH = 2_000
_DEMO_PER_MINUTE = 20
"""Demonstrations for one address."""

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_Filter = Literal["pii", "toxicity", "prompt_injection", "secrets", "profanity", "bias"]
_INJECTION = "prompt_injection"
_TOXIC_FILTERS = {"toxicity": None, "profanity": "OBSCENE", "bias": "IDENTITY_ATTACK"}
"""Filters that the detector of abuse answers, and the one label that counts for them (None: every label)."""

_LABELS = ("toxicity", "severe_toxicity", "obscene", "sexually_explicit", "insult", "threat", "identity_attack")
_PATTERNS = {
    "override": "instruction_override",
    "extraction": "system_prompt_extraction",
    "jailbreak": "jailbreak",
    "forged_turn": "forged_turn",
    "indirect": "indirect_injection",
}
_FLAG, _MONITOR = 0.5, 0.25
"""Below the detector's own threshold: worth a look, worth counting."""

_NAME_LENGTH = 64
_PATTERN_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9 _.-]{{0,{_NAME_LENGTH - 1}}}")

_PRESIDIO_PACKS = frozenset({"healthcare"})
"""Packs that also look for names with Presidio, where it is installed."""


class FilterBody(Body):
    """A content and what to look for. Fields left out are the key's pack's, then the defaults."""

    content: str
    filters: Annotated[list[_Filter], Field(max_length=10)] | None = None
    redact: bool | None = None
    toxicity_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    trace_id: Annotated[str, Field(max_length=128)] | None = None
    custom_pii_patterns: dict[str, Annotated[str, Field(max_length=1000)]] | None = Field(default=None, max_length=20)
    use_presidio_pii: bool | None = None

    @field_validator("custom_pii_patterns")
    @classmethod
    def _named(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        # The names are on the record and in the statistics: no place for contents.
        if given and not all(_PATTERN_NAME.fullmatch(name) for name in given):
            raise ValueError(
                f"names: expected 1 to {_NAME_LENGTH} letters, digits, spaces, '_', '-' or '.', a letter or digit first"
            )
        return given


class Entity(BaseModel):
    """Personal data; offsets are code points of the content."""

    type: str
    value: str
    start: int
    end: int
    confidence: float
    label: str | None = None


class Toxicity(BaseModel):
    """Probabilities by label, and whether one reached the threshold."""

    toxicity: float
    severe_toxicity: float
    obscene: float
    sexually_explicit: float
    insult: float
    threat: float
    identity_attack: float
    is_toxic: bool
    label: Literal["toxic", "not_toxic"]


class Injection(BaseModel):
    """Whether the content tries to take the model over; ``patterns_matched`` are the kinds of rules that matched."""

    is_injection: bool
    confidence: float
    risk_score: float
    recommendation: Literal["BLOCK", "FLAG", "MONITOR", "ALLOW"]
    patterns_matched: list[str]


class Filtered(BaseModel):
    """What was found.

    Attributes:
        filtered_content: with ``[EMAIL_REDACTED]`` and the like; null when nothing was changed.
        is_safe: no injection, no abuse, and no personal data left in clear (web addresses aside).
        toxicity_scores: null when not asked for; likewise prompt_injection.
    """

    id: str
    original_content: str
    filtered_content: str | None
    is_safe: bool
    pii_detected: list[Entity]
    toxicity_scores: Toxicity | None
    prompt_injection: Injection | None
    filters_applied: list[str]
    template_pack: str | None
    analyzed_at: str
    processing_time_ms: float
    trace_id: str | None


@router.post("/filter")
async def filter_content(body: FilterBody, exchange: Current, services: Running) -> Filtered:
    """Look for what the filters name, and redact it if asked."""
    pack = builtin_packs().get(str(exchange.user.settings.get("template_pack") or ""))
    return await run_filter(exchange, services, body, pack=pack)


@router.post("/filter/demo")
async def filter_demo(body: FilterBody, request: Request, exchange: Current, services: Running) -> Filtered:
    """The same for anybody: short contents, few of them, redacted by default. The operator may switch it off."""
    if not services.settings.public_demo:
        raise not_found()
    if len(body.content) > _DEMO_LENGTH:
        raise invalid(f"content: {len(body.content)} characters, the demonstration takes {_DEMO_LENGTH}")
    if body.custom_pii_patterns or body.use_presidio_pii:
        raise invalid("custom_pii_patterns, use_presidio_pii: not in the demonstration")
    allowance = await services.limiter.hit(f"demo:{address(request.scope)}", per_minute=_DEMO_PER_MINUTE)
    if allowance is not None:
        exchange.headers.update(allowance.headers)
        if not allowance.allowed:
            raise ApiError(429, f"The demonstration takes {_DEMO_PER_MINUTE} requests a minute.")
    redact = True if body.redact is None else body.redact
    return await run_filter(exchange, services, body.model_copy(update={"redact": redact}), pack=None)


async def run_filter(exchange: Exchange, services: Services, body: FilterBody, *, pack: Pack | None) -> Filtered:
    """One content through the filters, counted in the statistics."""
    began = perf_counter()
    preset = (pack or builtin_packs()["default"]).listing
    filters = list(dict.fromkeys(body.filters if body.filters is not None else preset.filters))
    threshold = preset.toxicity_threshold if body.toxicity_threshold is None else body.toxicity_threshold
    chosen = _rules(filters, threshold, body, pack)
    result = complete(
        await services.guard.check(
            exchange, body.content, stage=Stage.PROMPT, recipe=RECIPE, overrides=chosen, debug=True
        )
    )
    personal = [*pii_findings(result.findings), *await _custom(exchange, services, body, filters)]
    personal.sort(key=lambda finding: (finding.start, finding.end))
    redact = preset.redact if body.redact is None else body.redact
    changed = redacted(body.content, personal) if redact and personal else None
    abuse = _toxicity(filters, result) if _TOXIC_FILTERS.keys() & set(filters) else None
    attack = _injection(result) if _INJECTION in filters else None
    left = [] if redact else [finding for finding in personal if pii_name(finding) != "url"]
    filtered = Filtered(
        id=new_id(),
        original_content=body.content,
        filtered_content=changed,
        is_safe=not (left or (abuse and abuse.is_toxic) or (attack and attack.is_injection)),
        pii_detected=[_entity(body.content, finding) for finding in personal],
        toxicity_scores=abuse,
        prompt_injection=attack,
        filters_applied=filters,
        template_pack=pack.name if pack else None,
        analyzed_at=iso(now()),
        processing_time_ms=milliseconds(perf_counter() - began),
        trace_id=body.trace_id,
    )
    _count(exchange, filtered, perf_counter() - began)
    return filtered


def _rules(filters: Sequence[str], threshold: float, body: FilterBody, pack: Pack | None) -> Overrides:
    names = [name for name in (_INJECTION, SECRETS) if name in filters]
    if "pii" in filters:
        names += PERSONAL
        # A pack that has something to say about credentials wants them found.
        names += [SECRETS] if pack and SECRETS in pack.change else []
        by_pack = pack is not None and pack.name in _PRESIDIO_PACKS and find_spec("presidio_analyzer") is not None
        names += ["named_entities"] if (by_pack if body.use_presidio_pii is None else body.use_presidio_pii) else []
    changes: dict[str, Any] = {}
    if _TOXIC_FILTERS.keys() & set(filters):
        names.append(TOXIC)
        changes[TOXIC] = {"threshold": threshold}
    return rules(names, **changes)


async def _custom(
    exchange: Exchange, services: Services, body: FilterBody, filters: Sequence[str]
) -> Sequence[Finding]:
    """What the caller's own patterns find: a recipe apart, so that the shared one stays compiled."""
    if not body.custom_pii_patterns or "pii" not in filters:
        return ()
    rule = Rule(detector="regex", name="custom", settings={"patterns": body.custom_pii_patterns, "ignore_case": True})
    recipe = Recipe(name="rampart_custom", rules=[rule])
    return complete(await services.guard.check(exchange, body.content, stage=Stage.PROMPT, recipe=recipe)).findings


def _entity(content: str, finding: Finding) -> Entity:
    return Entity(
        type=pii_name(finding),
        value=content[finding.start : finding.end],
        start=finding.start,
        end=finding.end,
        confidence=round(finding.score, 4),
        label=finding.entity_type,
    )


def _toxicity(filters: Sequence[str], result: GuardResult) -> Toxicity:
    scores = dict.fromkeys(_LABELS, 0.0)
    for finding in result.raw or ():
        label = finding.entity_type.lower()
        if finding.detector == TOXIC and label in scores:
            scores[label] = max(scores[label], round(finding.score, 4))
    wanted = {_TOXIC_FILTERS[name] for name in filters if name in _TOXIC_FILTERS}
    toxic = any(
        finding.detector == TOXIC and (None in wanted or finding.entity_type in wanted) for finding in result.findings
    )
    return Toxicity(**scores, is_toxic=toxic, label="toxic" if toxic else "not_toxic")


def _injection(result: GuardResult) -> Injection:
    found = [finding for finding in result.findings if finding.detector == _INJECTION]
    candidates = [finding for finding in result.raw or () if finding.detector == _INJECTION]
    score = round(worst(candidates), 4)
    below = "FLAG" if score >= _FLAG else "MONITOR" if score >= _MONITOR else "ALLOW"
    seen = [str(one.evidence["category"]) for one in candidates if one.evidence.get("analyzer") == "rules"]
    return Injection(
        is_injection=bool(found),
        confidence=score,
        risk_score=score,
        recommendation="BLOCK" if found else below,  # type: ignore[arg-type]
        patterns_matched=list(dict.fromkeys(_PATTERNS.get(category, category) for category in seen)),
    )


def _count(exchange: Exchange, filtered: Filtered, seconds: float) -> None:
    exchange.count("rampart.filter.requests")
    exchange.count("rampart.filter.seconds", seconds)
    for entity in filtered.pii_detected:
        exchange.count(f"rampart.filter.pii.{entity.type}"[:128])
    if filtered.filtered_content is not None:
        exchange.count("rampart.filter.redacted", len(filtered.pii_detected))
    if filtered.toxicity_scores is not None and filtered.toxicity_scores.is_toxic:
        exchange.count("rampart.filter.toxic")
