"""What a check came to, made a result: verdict, rewritten output, sealed encryption."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.crypto import fpe_context
from guardrails_plugin.crypto.format_preserving import surrogate_number
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.detect import Outcome, Plan
from guardrails_plugin.detectors.base import by_place
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.policy import verdict
from guardrails_plugin.protocols import Call
from guardrails_plugin.rewrite import clusters, rewrite
from guardrails_plugin.types import Context, Decision, GuardResult, Replacement, Text, Verdict

__all__ = ["concluded", "new_call"]


def new_call(keyring: Keyring | None, context: Context) -> Call:
    """What actions may use during one check: the keys, the tenant, a tweak, numbers for distinct values.

    The tweak is fresh, the numbers begin at 1, unless the context has the token of an earlier turn: equal values then
    are encrypted to the same as there.

    Raises:
        ConfigError: that token cannot be opened.
    """
    if context.fpe_context is None:
        return Call(_Ordinals().number, keyring, context.tenant, os.urandom(8) if keyring else b"")
    if keyring is None:
        raise ConfigError("Context.fpe_context needs the keyring that made it: Engine(keyring=...)")
    earlier = fpe_context.open_(context.fpe_context, keyring, context.tenant)
    tweak = earlier.tweak(keyring.primary) or os.urandom(8)
    return Call(_Ordinals(earlier.entries).number, keyring, context.tenant, tweak, context.fpe_context)


def concluded(content: object, outcome: Outcome, plan: Plan, call: Call, *, debug: bool = False) -> GuardResult:
    """The result of one content; its timings are the caller's to add.

    Args:
        content: what was checked.
        outcome: what the detectors found and the policy decided.
        plan: what was run.
        call: what actions may use.
        debug: keep every candidate.
    """
    decisions = tuple(sorted(outcome.decisions, key=_place)) if outcome.decisions else ()
    worst = verdict(decisions, outcome.failures)
    output: Any = None if worst is Verdict.BLOCK else content
    replacements: tuple[Replacement, ...] = ()
    if worst is Verdict.TRANSFORM:
        output, replacements = _rewritten(content, outcome.texts, decisions, plan, call)
    elif worst is not Verdict.BLOCK and not isinstance(content, str):
        output = conversation.substitute(content, [text.original for text in outcome.texts])
    return GuardResult(
        id=os.urandom(12).hex(),
        stage=plan.stage,
        recipe=plan.recipe,
        verdict=worst,
        output=output,
        findings=tuple(decision.finding for decision in decisions),
        decisions=decisions,
        detections=tuple(outcome.detections),
        failures=tuple(outcome.failures),
        replacements=replacements,
        fpe_context=_sealed(outcome.texts, replacements, call),
        raw=by_place(outcome.raw) if debug else None,
        original=content,
        shadow=_enforced(decisions, plan) if plan.shadow else None,
    )


def _enforced(decisions: Sequence[Decision], plan: Plan) -> Verdict:
    """What the verdict would have been, had the recipe been enforced."""
    return max((plan.actions[decision.action].verdict for decision in decisions), default=Verdict.ALLOW)


class _Ordinals:
    """Numbers distinct values of a type: 1, 2, ..., going on where earlier turns ended."""

    def __init__(self, earlier: Iterable[fpe_context.Entry] = ()) -> None:
        self._numbers: dict[str, dict[str, int]] = {}
        self._last: dict[str, int] = {}
        for entry in earlier:
            number = surrogate_number(entry.text, entry.entity_type)
            if number is not None and entry.plaintext is not None:
                self._numbers.setdefault(entry.entity_type, {})[entry.plaintext] = number
                self._last[entry.entity_type] = max(number, self._last.get(entry.entity_type, 0))

    def number(self, entity_type: str, value: str) -> int:
        known = self._numbers.setdefault(entity_type, {})
        if value not in known:
            known[value] = self._last[entity_type] = self._last.get(entity_type, 0) + 1
        return known[value]


def _place(decision: Decision) -> tuple[int, int, int, str, str]:
    finding = decision.finding
    return finding.segment, finding.start, finding.end, finding.entity_type, finding.detector


def _rewritten(
    content: object, texts: Sequence[Text], decisions: Sequence[Decision], plan: Plan, call: Call
) -> tuple[Any, tuple[Replacement, ...]]:
    new: list[str] = []
    made: list[Replacement] = []
    for text in texts:
        spans = clusters(text.original, (d for d in decisions if d.finding.segment == text.segment))
        changed, replacements = rewrite(text.original, spans, plan.actions, call)
        new.append(changed)
        made += replacements
    return conversation.substitute(content, new), tuple(made)


def _sealed(texts: Sequence[Text], replacements: Sequence[Replacement], call: Call) -> str | None:
    entries = [_entry(texts, made) for made in replacements if made.decision.action == "encrypt"]
    if not entries or call.keyring is None:
        return call.earlier
    token = fpe_context.seal(entries, call.tweak, call.keyring, call.tenant)
    return token if call.earlier is None else fpe_context.merge((call.earlier, token), call.keyring, call.tenant)


def _entry(texts: Sequence[Text], made: Replacement) -> fpe_context.Entry:
    finding, source = made.decision.finding, made.source
    text = texts[finding.segment].original
    beside = text[max(0, source.start - 1) : source.start], text[source.end : source.end + 1]
    value = text[source.start : source.end]
    return fpe_context.entry(value, made.text, finding, touching=any(char.isalnum() for char in beside))
