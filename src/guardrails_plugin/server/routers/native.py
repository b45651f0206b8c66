"""Our own API: the engine, as it is, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from guardrails_plugin.recipes import Recipe
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.guarding import writable
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import Context, GuardResult, Origin, Stage

__all__ = ["ERRORS", "PREFIX", "Checked", "RecipeItem", "build", "checked", "recipe_item"]

PREFIX = "/guardrails/v1"
_LONGEST_BATCH = 256

Overriding = Annotated[
    dict[str, dict[str, Any]] | None, Field(description="changes for this call, by rule name", examples=[None])
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error."""

    error: str
    detail: str
    trace_id: str
    fields: list[dict[str, Any]] = []


class Knowledge(_Model):
    """What the caller knows beyond the content."""

    prompt: str = ""
    history: list[str] = []
    system: str = ""
    untrusted: list[str] = []
    calls: list[dict[str, Any]] = []
    metadata: dict[str, str] = {}
    fpe_context: str | None = None


class _Options(_Model):
    stage: Stage
    recipe: str | None = None
    overrides: Overriding = None
    context: Knowledge = Field(default_factory=Knowledge)
    debug: bool = False


class CheckBody(_Options):
    """One content to guard."""

    content: str | list[Any] | dict[str, Any] = Field(description="a text, provider messages, a tool call or any JSON")


class BatchBody(_Options):
    """Many contents to guard the same way."""

    contents: list[str | list[Any] | dict[str, Any]] = Field(max_length=_LONGEST_BATCH)


class StreamBody(_Options):
    """A text in chunks, to be guarded as a stream."""

    stage: Stage = Stage.RESPONSE
    chunks: list[str]


class UnredactBody(_Model):
    """A content with encrypted values, and the token that turns them back."""

    content: str | list[Any] | dict[str, Any]
    fpe_context: str


class ScoreBody(_Model):
    """Texts to score."""

    detector: str = "prompt_injection"
    texts: list[str] = Field(max_length=_LONGEST_BATCH)
    origin: Origin = Origin.USER


class FoundItem(BaseModel):
    """One finding and what was done about it. Offsets are code points of the segment's original text."""

    detector: str
    type: str
    score: float
    segment: int
    start: int
    end: int
    action: str


class DetectorItem(BaseModel):
    """One detector of the recipe, in order."""

    detector: str
    detected: bool
    executed: bool
    actions: list[str]
    failure: str | None


class Checked(BaseModel):
    """The result for one content."""

    id: str
    stage: Stage
    recipe: str
    verdict: str = Field(examples=["allow", "report", "transform", "block"])
    blocked: bool
    output: Any = Field(description="the content to go on with; null when blocked")
    summary: str
    reasons: list[str]
    findings: list[FoundItem]
    detectors: list[DetectorItem]
    fpe_context: str | None
    seconds: float


class CheckedBatch(BaseModel):
    """One result per content, in order."""

    results: list[Checked]


class Unredacted(BaseModel):
    """The content with the original values."""

    content: Any


class Scored(BaseModel):
    """One probability per text."""

    scores: list[float]


class RecipeItem(BaseModel):
    """A recipe one may name."""

    name: str
    stage: Stage | None
    description: str
    version: int
    rules: list[str]


class RecipeList(BaseModel):
    """All of them."""

    recipes: list[RecipeItem]


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 408, 413, 422, 429, 503)
}


router = APIRouter(prefix=PREFIX, tags=["guardrails"], responses=ERRORS)


def build(_services: Services) -> Product:
    """The routes."""
    return Product(router, prefixes=(PREFIX,))


@router.post("/check")
async def check(body: CheckBody, exchange: Current, services: Running) -> Checked:
    """Guard one content."""
    return checked(await services.guard.check(exchange, body.content, **_options(body)))


@router.post("/check/batch")
async def check_batch(body: BatchBody, exchange: Current, services: Running) -> CheckedBatch:
    """Guard many contents; models see them as one batch."""
    results = await services.guard.check_batch(exchange, body.contents, **_options(body))
    return CheckedBatch(results=[checked(result) for result in results])


@router.post("/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(body: StreamBody, exchange: Current, services: Running) -> StreamingResponse:
    """Guard a text in chunks: events ``token`` with what may be shown, then ``result``."""
    options = _options(body)
    options.pop("debug")
    writable(body.chunks)
    stream_guard = await services.guard.stream(exchange, **options)

    async def events() -> AsyncIterator[str]:
        for chunk in body.chunks:
            if text := await asyncio.to_thread(stream_guard.feed, chunk):
                yield _event("token", {"text": text})
        if text := await asyncio.to_thread(stream_guard.finish):
            yield _event("token", {"text": text})
        exchange.note(stream_guard.result)
        yield _event("result", checked(stream_guard.result).model_dump(mode="json"))

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/unredact")
async def unredact(body: UnredactBody, exchange: Current, services: Running) -> Unredacted:
    """Turn encrypted values back; only for the project they were encrypted for."""
    exchange.event = "unredact"
    return Unredacted(content=await services.guard.unredact(exchange, body.content, body.fpe_context))


@router.post("/score")
async def score(body: ScoreBody, exchange: Current, services: Running) -> Scored:
    """Calibrated probabilities of a detector, below any threshold too."""
    return Scored(scores=await services.guard.score(exchange, body.detector, body.texts, origin=body.origin))


@router.get("/recipes")
async def recipes(exchange: Current, services: Running) -> RecipeList:
    """What ``recipe`` may name."""
    return RecipeList(recipes=[recipe_item(recipe) for recipe in await services.guard.recipes(exchange)])


def recipe_item(recipe: Recipe) -> RecipeItem:
    """A recipe on the wire."""
    return RecipeItem(
        name=recipe.name,
        stage=recipe.stage,
        description=recipe.description,
        version=recipe.version,
        rules=[rule.name for rule in recipe.rules],
    )


def checked(result: GuardResult) -> Checked:
    """A result on the wire."""
    return Checked(
        id=result.id,
        stage=result.stage,
        recipe=result.recipe,
        verdict=result.verdict.name.lower(),
        blocked=result.blocked,
        output=result.output,
        summary=result.summary,
        reasons=list(result.reasons),
        findings=[
            FoundItem(
                detector=decision.finding.detector,
                type=decision.finding.entity_type,
                score=round(decision.finding.score, 4),
                segment=decision.finding.segment,
                start=decision.finding.start,
                end=decision.finding.end,
                action=decision.action,
            )
            for decision in result.decisions
        ],
        detectors=[
            DetectorItem(
                detector=found.detector,
                detected=found.detected,
                executed=found.executed,
                actions=list(found.actions),
                failure=found.failure,
            )
            for found in result.detections
        ],
        fpe_context=result.fpe_context,
        seconds=round(result.seconds, 6),
    )


def _options(body: _Options) -> dict[str, Any]:
    known = body.context
    return {
        "stage": body.stage,
        "recipe": body.recipe,
        "overrides": body.overrides,
        "debug": body.debug,
        "context": Context(
            prompt=known.prompt,
            history=known.history,
            system=known.system,
            untrusted=known.untrusted,
            calls=known.calls,
            metadata=known.metadata,
            fpe_context=known.fpe_context,
        ),
    }


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
