"""Scanning a content: what each scanner found, and what that means together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any, Literal

from guardrails_plugin import conversation
from guardrails_plugin.actions.mask import Mask
from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.results import new_call
from guardrails_plugin.rewrite import clusters, rewrite
from guardrails_plugin.scanners import Keywords, RegularExpressions
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.routers.calypso.judging import Judged, judged
from guardrails_plugin.server.routers.calypso.room import Active, Room
from guardrails_plugin.server.routers.calypso.scanner_store import definition
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import NO_CONTEXT, Context, GuardResult, Origin, Stage, Verdict

__all__ = ["Scanned", "outcome_of", "scan", "scanned_stream", "stream_recipe"]

_RECIPE = "calypso"
_VERDICTS = {
    "cleared": Verdict.ALLOW,
    "flagged": Verdict.REPORT,
    "redacted": Verdict.TRANSFORM,
    "blocked": Verdict.BLOCK,
}


@dataclass(frozen=True, slots=True)
class Found:
    """How one scanner fared."""

    scanner: Active
    _: KW_ONLY
    failed: bool
    started: datetime
    completed: datetime
    matches: Mapping[str, Any] = field(default_factory=dict, repr=False)
    error: str | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan came to.

    Attributes:
        outcome: cleared, flagged, redacted or blocked.
        results: one per scanner, as on the wire.
        output: the content, redacted where that was asked for.
        messages: what the scanners that found something have to say.
        names: of the scanners, by id.
    """

    outcome: str
    results: tuple[dict[str, Any], ...]
    output: Any = field(repr=False)
    messages: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


async def scan(
    services: Services,
    exchange: Exchange,
    room: Room,
    content: Any,
    direction: str,
    *,
    flag_only: bool = False,
    prompt: str = "",
) -> Scanned:
    """Run the scanners of a room that look this way on a content.

    Args:
        services: the service.
        exchange: the request.
        room: see `room_for`.
        content: a text, or provider messages.
        direction: request or response.
        flag_only: findings are reported and nothing more.
        prompt: what was asked, for an answer.
    """
    running = [scanner for scanner in room.scanners if scanner.looks_at(direction)]
    origin = Origin.USER if direction == "request" else Origin.MODEL
    before = exchange.verdict
    found: dict[str, Found] = {}
    results: list[GuardResult] = []
    for group in _kinds(running):
        began = now()
        stage = Stage.PROMPT if direction == "request" else Stage.RESPONSE
        result = await services.guard.check(
            exchange, content, stage=stage, recipe=_recipe(group), context=Context(prompt=prompt)
        )
        results.append(result)
        ended = now()
        found |= {scanner.id: _found(scanner, result, content, began, ended) for scanner in group}
    plain = [scanner for scanner in running if scanner.id not in found]
    answers = await asyncio.gather(
        *(
            judged(
                services,
                exchange,
                room.setup,
                definition=str((scanner.config or {})["input"]),
                content=content,
                origin=origin,
            )
            for scanner in plain
        )
    )
    found |= {scanner.id: _told(scanner, answer) for scanner, answer in zip(plain, answers, strict=True)}
    ordered = [found[scanner.id] for scanner in running]
    outcome = outcome_of([one.scanner.mode for one in ordered if one.failed], flag_only=flag_only)
    _note(exchange, results, before, outcome)
    return Scanned(
        outcome=outcome,
        results=tuple(_result(one, direction) for one in ordered),
        output=_covered(content, results, origin) if outcome in ("redacted", "blocked") else content,
        messages=tuple(one.scanner.entry.flag_message or "" for one in ordered if one.failed),
        names={scanner.id: scanner.name for scanner in running},
    )


def stream_recipe(room: Room) -> Recipe | None:
    """What guards an answer while it arrives; None when a scanner in plain words has to see the whole of it.

    Unlike those of `scan`, its rules block: what stands behind a block is not sent.
    """
    running = [scanner for scanner in room.scanners if scanner.looks_at("response")]
    if sum(map(len, _kinds(running))) < len(running):
        return None
    return _recipe(running, blocking=True)


def scanned_stream(exchange: Exchange, room: Room, result: GuardResult, text: str) -> Scanned:
    """What `scan` tells, of an answer that was guarded by `stream_recipe`.

    Args:
        exchange: the request.
        room: see `room_for`.
        result: the guard's.
        text: the answer as far as it came.
    """
    ended = now()
    running = [scanner for scanner in room.scanners if scanner.looks_at("response")]
    found = [_found(scanner, result, text, ended, ended) for scanner in running]
    outcome = "blocked" if result.blocked else outcome_of([one.scanner.mode for one in found if one.failed])
    exchange.metadata["outcome"] = outcome
    return Scanned(
        outcome=outcome,
        results=tuple(_result(one, "response") for one in found),
        output=result.output,
        messages=tuple(one.scanner.entry.flag_message or "" for one in found if one.failed),
        names={scanner.id: scanner.name for scanner in running},
    )


def _kinds(running: Sequence[Active]) -> list[list[Active]]:
    """Scanners that the engine runs, in one go each.

    Built-in ones, whose thousand patterns are compiled together, apart from custom ones: a new pattern does not
    compile all of them again.
    """
    standard = [scanner for scanner in running if scanner.built_in]
    custom = [scanner for scanner in running if not scanner.built_in and scanner.type != "custom"]
    return [group for group in (standard, custom) if group]


def _covered(content: Any, results: Sequence[GuardResult], origin: Origin) -> Any:
    """The content with everything covered that any of the results wants covered."""
    decisions = [decision for result in results for decision in result.decisions]
    if all(decision.verdict is not Verdict.TRANSFORM for decision in decisions):
        return content
    call, new = new_call(None, NO_CONTEXT), []
    actions: Any = {"mask": Mask()}
    for index, segment in enumerate(conversation.segments(content, origin)):
        spans = clusters(segment.text, [decision for decision in decisions if decision.finding.segment == index])
        new.append(rewrite(segment.text, spans, actions, call)[0])
    return conversation.substitute(content, new)


def outcome_of(modes: Sequence[str], *, flag_only: bool = False) -> str:
    """What findings mean together, by the modes of their scanners.

    >>> outcome_of(["audit", "redact"])
    'redacted'
    >>> outcome_of(["block"], flag_only=True)
    'flagged'
    """
    if not modes:
        return "cleared"
    if flag_only:
        return "flagged"
    return "blocked" if "block" in modes else "redacted" if "redact" in modes else "flagged"


def _recipe(scanners: Sequence[Active], *, blocking: bool = False) -> Recipe:
    """One rule a detector, whatever the number of built-in scanners over it; one rule a custom scanner.

    Args:
        scanners: those that the engine runs.
        blocking: whether rules block. A block stops the rules behind it, where every scanner has to answer.
    """
    rules: list[Rule] = []
    for key, group in _grouped(scanners).items():
        first = group[0]
        if first.built_in is None:
            rules.append(_custom_rule(first, blocking=blocking))
            continue
        by_type = {
            kind: _action([one for one in group if kind in _types(one)], blocking=blocking)
            for one in group
            for kind in _types(one)
        }
        whole = [one for one in group if not _types(one)]
        rules.append(
            Rule(
                detector=first.built_in.detector,
                name=key,
                action=_action(whole, blocking=blocking) if whole else "disabled",
                actions=by_type,
                threshold=dict.fromkeys(Origin, first.threshold),
                settings=first.built_in.settings,
                trusted=frozenset({Origin.SYSTEM}) if first.built_in.trusts_system else frozenset(),
                on_error=_on_error(group, blocking=blocking),
            )
        )
    return Recipe(name=_RECIPE, rules=rules)


def _grouped(scanners: Sequence[Active]) -> dict[str, list[Active]]:
    groups: dict[str, list[Active]] = {}
    for scanner in scanners:
        groups.setdefault(_rule_name(scanner), []).append(scanner)
    return groups


def _rule_name(scanner: Active) -> str:
    built = scanner.built_in
    return scanner.id if built is None else f"{built.detector} {scanner.threshold} {built.trusts_system}"


def _custom_rule(scanner: Active, *, blocking: bool) -> Rule:
    what = definition(scanner.config or {})
    settings: dict[str, Any] = {}
    if isinstance(what, Keywords):
        settings = {"terms": what.terms, "entity_type": scanner.label}
    elif isinstance(what, RegularExpressions):
        settings = {"patterns": {scanner.label: what.patterns["match"]}}
    detector = "keywords" if isinstance(what, Keywords) else "regex"
    return Rule(
        detector=detector,
        name=scanner.id,
        settings=settings,
        action=_action([scanner], blocking=blocking),
        on_error=_on_error([scanner], blocking=blocking),
    )


def _types(scanner: Active) -> tuple[str, ...]:
    return scanner.built_in.types if scanner.built_in else ()


def _action(scanners: Sequence[Active], *, blocking: bool) -> str:
    modes = {scanner.mode for scanner in scanners}
    return "block" if blocking and "block" in modes else "mask" if "redact" in modes else "report"


def _on_error(scanners: Sequence[Active], *, blocking: bool) -> Literal["block", "report"]:
    return "block" if blocking and any(scanner.mode == "block" for scanner in scanners) else "report"


def _found(scanner: Active, result: GuardResult, content: Any, began: datetime, ended: datetime) -> Found:
    rule = _rule_name(scanner)
    failure = next((one.failure for one in result.detections if one.detector == rule and one.failure), None)
    if failure:
        return Found(
            scanner, failed=True, started=began, completed=ended, error=f"The scanner could not run: {failure}."
        )
    hits = [decision.finding for decision in result.decisions if _is_of(scanner, decision.finding)]
    matches: dict[str, Any] = {}
    if isinstance(content, str) and scanner.type != "custom":
        for hit in hits:
            matches.setdefault(content[hit.start : hit.end], []).append([hit.start, hit.end])
    return Found(scanner, failed=bool(hits), started=began, completed=ended, matches=matches)


def _is_of(scanner: Active, finding: Any) -> bool:
    if scanner.built_in is None:
        return bool(finding.entity_type == scanner.label)
    if finding.detector != scanner.built_in.detector:
        return False
    enough = isinstance(scanner.threshold, str) or finding.score >= scanner.threshold
    return enough and (not scanner.built_in.types or finding.entity_type in scanner.built_in.types)


def _told(scanner: Active, answer: Judged) -> Found:
    return Found(
        scanner,
        failed=answer.found or answer.error is not None,
        started=answer.started,
        completed=answer.completed,
        error=answer.error,
        tokens=answer.tokens,
    )


def _result(found: Found, direction: str) -> dict[str, Any]:
    """One scanner's result on the wire."""
    scanner = found.scanner
    data: dict[str, Any] = {"type": scanner.type}
    if scanner.type != "custom":
        data["matches"] = found.matches
    if found.tokens is not None:
        data["tokenUsage"] = found.tokens
    if found.error:
        data["error"] = found.error
    message = found.error or scanner.entry.flag_message
    return {
        "completedDate": iso(found.completed),
        "customConfig": scanner.custom,
        "data": data,
        "message": message if found.failed else None,
        "outcome": "failed" if found.failed else "passed",
        "scanDirection": direction,
        "scannerId": scanner.id,
        "scannerVersionMeta": dict(scanner.meta),
        "startedDate": iso(found.started),
    }


def _note(exchange: Exchange, results: Sequence[GuardResult], before: Verdict | None, outcome: str) -> None:
    """Put one check with the outcome on the record, in place of the engine's, which was told to stop nothing."""
    verdict = _VERDICTS[outcome]
    exchange.verdict = verdict if before is None else max(before, verdict)
    for result in results:
        exchange.count("checks", -1)
        exchange.count(f"checks.{result.verdict.name.lower()}", -1)
    exchange.count("checks")
    exchange.count(f"checks.{verdict.name.lower()}")
    exchange.metadata["outcome"] = outcome
