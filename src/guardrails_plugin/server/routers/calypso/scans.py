"""CalypsoAI: scans and prompts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field, JsonValue

from guardrails_plugin.server.auth import GUARD, MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.llm import Completion
from guardrails_plugin.server.routers.calypso.access import organisation
from guardrails_plugin.server.routers.calypso.models import Provider, ask, default_provider, named_provider
from guardrails_plugin.server.routers.calypso.room import Asked, Room, room_for
from guardrails_plugin.server.routers.calypso.scanning import Scanned, scan
from guardrails_plugin.server.routers.calypso.wire import PREFIX, Ref, Wire
from guardrails_plugin.server.services import Running, Services

__all__ = ["router"]

router = APIRouter(prefix=PREFIX)

_Ids = Annotated[list[Ref], Field(max_length=1000)]
_Metadata = dict[str, JsonValue] | None


class ScanBody(Wire):
    """A content to scan."""

    input: str
    project: Ref | None = None
    external_metadata: _Metadata = None
    scan_direction: Literal["request", "response"] = "request"
    flag_only: bool = True
    verbose: bool = False
    disabled: _Ids | None = None
    force_enabled: _Ids | None = None
    config_overrides: Annotated[dict[str, dict[str, JsonValue]] | None, Field(max_length=1000)] = None
    request_prompt_id: Ref | None = None


class PromptBody(Wire):
    """A prompt for a provider's model, guarded both ways."""

    input: str
    project: Ref | None = None
    provider: Ref | None = None
    verbose: bool = False
    skip_scanning: bool = False
    external_metadata: _Metadata = None
    disabled: _Ids | None = None
    force_enabled: _Ids | None = None
    config_overrides: Annotated[dict[str, dict[str, JsonValue]] | None, Field(max_length=1000)] = None


class VersionMeta(Wire):
    """The version of a scanner that ran."""

    created_at: str
    created_by: str | None
    description: str
    id: str
    name: str
    published: bool


class ScannerResult(Wire):
    """What one scanner found, in one direction."""

    completed_date: str
    custom_config: bool
    data: dict[str, Any] = Field(examples=[{"type": "custom"}, {"type": "keyword", "matches": {}}])
    message: str | None
    outcome: Literal["passed", "failed"]
    scan_direction: Literal["request", "response"]
    scanner_id: str
    scanner_version_meta: VersionMeta
    started_date: str


Outcome = Literal["cleared", "flagged", "redacted", "blocked"]


class ScanResult(Wire):
    """What all scanners found."""

    outcome: Outcome
    scanner_results: list[ScannerResult]


class Scan(Wire):
    """A scan."""

    endpoint_id: str
    external_metadata: _Metadata
    id: str
    input: str
    preserve: bool
    project_id: str
    received_at: str
    redacted_input: str
    request_prompt_id: str | None
    result: ScanResult
    scanners: dict[str, Any] | None
    type: Literal["scan"]
    user_id: str


class ProviderResult(Wire):
    """What a provider was sent and answered."""

    data: str | None
    input: str
    received_date: str
    sent_date: str
    status_code: int


class PromptResult(ScanResult):
    """What became of a prompt."""

    analysis: None
    files: None
    provider_result: ProviderResult | None
    response: str | None


class Prompt(Wire):
    """A prompt."""

    endpoint_id: str
    external_metadata: _Metadata
    from_template: bool
    id: str
    input: str
    memory: None
    org_id: str
    parent_id: None
    preserve: bool
    project_id: str
    provider: str
    received_at: str
    redacted_input: str
    result: PromptResult
    scanners: dict[str, Any] | None
    type: Literal["prompt"]
    user_id: str


@router.post("/scans")
async def post_scan(body: ScanBody, exchange: Current, services: Running) -> Scan:
    """Scan a text, without a model. Findings are only reported unless ``flagOnly`` is false."""
    received, exchange.event = iso(now()), "scan"
    room = await asyncio.to_thread(room_for, services, exchange, body.project, _asked(body))
    exchange.user.require(GUARD)
    found = await scan(services, exchange, room, body.input, body.scan_direction, flag_only=body.flag_only)
    return Scan(
        endpoint_id=room.project.id,
        external_metadata=body.external_metadata,
        id=exchange.id,
        input=body.input,
        preserve=False,
        project_id=room.project.id,
        received_at=received,
        redacted_input=found.output,
        request_prompt_id=body.request_prompt_id,
        result=ScanResult(outcome=_outcome(found), scanner_results=_results(found)),
        scanners=_named(room) if body.verbose else None,
        type="scan",
        user_id=exchange.user.subject,
    )


@router.post("/prompts")
async def post_prompt(body: PromptBody, exchange: Current, services: Running) -> Prompt:
    """Send a prompt to a model: scanned before it is sent, the answer scanned before it is given."""
    received, exchange.event = iso(now()), "prompt"
    room = await asyncio.to_thread(room_for, services, exchange, body.project, _asked(body))
    # After the project is entered: what counts is what the caller may do there.
    exchange.user.require(MANAGE if body.skip_scanning else GUARD)
    if body.skip_scanning:
        forced = tuple(scanner for scanner in room.scanners if scanner.entry.force)
        room = Room(room.project, room.setup, forced)
    provider = await asyncio.to_thread(_provider, services, room, body.provider)
    before = await scan(services, exchange, room, body.input, "request")
    result = await _answered(services, exchange, room, provider, before)
    home = await asyncio.to_thread(organisation, services)
    return Prompt(
        endpoint_id=room.project.id,
        external_metadata=body.external_metadata,
        from_template=False,
        id=exchange.id,
        input=body.input,
        memory=None,
        org_id=home.id,
        parent_id=None,
        preserve=False,
        project_id=room.project.id,
        provider=provider.name,
        received_at=received,
        redacted_input=before.output,
        result=result,
        scanners=_named(room) if body.verbose else None,
        type="prompt",
        user_id=exchange.user.subject,
    )


async def _answered(
    services: Services, exchange: Exchange, room: Room, provider: Provider, before: Scanned
) -> PromptResult:
    """The result for a scanned prompt; a blocked one does not reach the provider."""
    if before.outcome == "blocked":
        return _prompt_result("blocked", before, None, None, None)
    completion = await ask(services, exchange, provider, [{"role": "user", "content": before.output}])
    after = await scan(services, exchange, room, completion.text, "response", prompt=before.output)
    outcome = _worst(before, after)
    # What was blocked or covered is in none of the fields.
    text = None if after.outcome == "blocked" else after.output
    sent = _sent(completion, before.output, text)
    return _prompt_result(outcome, before, after, sent, text)


def _worst(before: Scanned, after: Scanned) -> Outcome:
    """The graver outcome of the two."""
    order: tuple[Outcome, ...] = ("cleared", "flagged", "redacted", "blocked")
    return order[max(order.index(_outcome(before)), order.index(_outcome(after)))]


def _prompt_result(
    outcome: Outcome, before: Scanned, after: Scanned | None, sent: ProviderResult | None, text: str | None
) -> PromptResult:
    return PromptResult(
        analysis=None,
        files=None,
        outcome=outcome,
        provider_result=sent,
        response=text,
        scanner_results=[*_results(before), *(_results(after) if after else [])],
    )


def _sent(completion: Completion, prompt: str, text: str | None) -> ProviderResult:
    return ProviderResult(
        data=text,
        input=prompt,
        received_date=iso(completion.received_at),
        sent_date=iso(completion.sent_at),
        status_code=200,
    )


def _provider(services: Services, room: Room, name: str | None) -> Provider:
    if name:
        return named_provider(services, room.project.id, room.setup, name)
    return default_provider(services, room.project.id, room.setup)


def _asked(body: ScanBody | PromptBody) -> Asked:
    return Asked(
        disabled=frozenset(body.disabled or ()),
        forced=frozenset(body.force_enabled or ()),
        configs=body.config_overrides or {},
    )


def _results(found: Scanned) -> list[ScannerResult]:
    return [ScannerResult.model_validate(result) for result in found.results]


def _outcome(found: Scanned) -> Outcome:
    return found.outcome  # type: ignore[return-value]


def _named(room: Room) -> dict[str, Any]:
    """The scanners that ran, by id, for ``verbose``."""
    return {
        scanner.id: {"name": scanner.name, "direction": scanner.direction, "type": scanner.type, "mode": scanner.mode}
        for scanner in room.scanners
    }
