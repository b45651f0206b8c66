"""Rampart: one content through the filters: personal data, abuse, prompt injection."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from time import perf_counter

from fastapi import APIRouter
from starlette.requests import Request

from guardrails_plugin.planning import Overrides
from guardrails_plugin.recipes import Recipe, Rule, builtin_packs
from guardrails_plugin.recipes.pack import Pack
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.gate import address
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.problems import ApiError, invalid, not_found
from guardrails_plugin.server.routers.rampart.detection import (
    PERSONAL,
    RECIPE,
    SECRETS,
    SENSITIVE,
    TOXIC,
    pii_findings,
    pii_name,
    redacted,
    rules,
    sensitive_topics,
    worst,
)
from guardrails_plugin.server.routers.rampart.filter_body import FilterBody, FilterOptions, filter_defaults
from guardrails_plugin.server.routers.rampart.filtered import Entity, Filtered, Injection, Toxicity
from guardrails_plugin.server.routers.rampart.incidents import open_incident
from guardrails_plugin.server.routers.rampart.results import keep
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, milliseconds
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import Finding, GuardResult, Stage

__all__ = ["DEMO", "router", "run_filter"]

DEMO = f"{PREFIX}/filter/demo"
_DEMO_LENGTH = 2_000
_DEMO_PER_MINUTE = 20
"""Demonstrations for one address."""

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_INJECTION = "prompt_injection"
_TOPICS = "sensitive_topics"
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

_PRESIDIO_PACKS = frozenset({"healthcare"})
"""Packs that also look for names with Presidio, where it is installed."""


@router.post("/filter")
async def filter_content(body: FilterBody, exchange: Current, services: Running) -> Filtered:
    """Look for what the filters name, and redact it if asked. The result is on the record, the content is not."""
    exchange.trace = body.trace_id or ""
    pack = builtin_packs().get(str(exchange.user.settings.get("template_pack") or ""))
    defaults = FilterOptions() if pack else await filter_defaults(exchange, services)
    found = await run_filter(exchange, services, body, pack=pack, defaults=defaults)
    keep(exchange, found)
    if found.prompt_injection is not None and found.prompt_injection.is_injection:
        await open_incident(exchange, services, _INJECTION, found.prompt_injection.confidence, found.trace_id)
    return found


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
    return await run_filter(exchange, services, body.model_copy(update={"redact": redact}))


async def run_filter(
    exchange: Exchange,
    services: Services,
    body: FilterBody,
    *,
    pack: Pack | None = None,
    defaults: FilterOptions | None = None,
) -> Filtered:
    """One content through the filters, counted in the statistics.

    Args:
        exchange: the request.
        services: the service.
        body: what was asked.
        pack: of the key.
        defaults: of the project, where there is no pack.
    """
    began = perf_counter()
    body = body.over(defaults)
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
    topics = _topics(filters, result)
    left = [] if redact else [finding for finding in personal if pii_name(finding) != "url"]
    filtered = Filtered(
        id=exchange.id,
        original_content=body.content,
        filtered_content=changed,
        is_safe=not (left or topics or (abuse and abuse.is_toxic) or (attack and attack.is_injection)),
        pii_detected=[_entity(body.content, finding) for finding in personal],
        toxicity_scores=abuse,
        prompt_injection=attack,
        sensitive_topics=topics,
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
    names += [TOXIC] if _TOXIC_FILTERS.keys() & set(filters) else []
    names += SENSITIVE if _TOPICS in filters else []
    return rules(names, **{TOXIC: {"threshold": threshold}})


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


def _topics(filters: Sequence[str], result: GuardResult) -> list[str] | None:
    return sensitive_topics(result.findings) if _TOPICS in filters else None


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
