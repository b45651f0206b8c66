"""What a set of Rampart's policies says about one content."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from time import perf_counter

from pydantic import BaseModel

from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.routers.rampart.conditions import meaning
from guardrails_plugin.server.routers.rampart.detection import RECIPE, redacted, rules
from guardrails_plugin.server.routers.rampart.wire import milliseconds
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Finding, Stage

__all__ = ["Judged", "Policy", "Rule", "judge"]

_STRICTNESS = ("ALLOW", "LOG", "FLAG", "ALERT", "REDACT", "BLOCK")
"""Which of two actions of the same priority decides."""


class Rule(BaseModel):
    """A condition, what it asks for, and its weight."""

    condition: str
    action: str
    priority: int


class MatchedRule(Rule):
    """A rule whose condition is met."""

    policy_id: str


class Violation(BaseModel):
    """The same, as older clients read it."""

    policy_id: str
    policy_name: str
    rule_index: int
    action: str
    reason: str


class Judged(BaseModel):
    """What the policies say.

    Attributes:
        policy_id: the one that decides; null when no condition is met.
        action: of its rule; ``ALLOW`` when no condition is met.
        matched_rules: all that are met, those that decide first.
        modified_content: without what a ``REDACT`` is about; null when nothing was changed.
    """

    policy_id: str | None
    triggered: bool
    action: str
    matched_rules: list[MatchedRule]
    processing_time_ms: float
    allowed: bool
    violations: list[Violation]
    actions_taken: list[str]
    modified_content: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as it is judged by."""

    id: str
    name: str
    template: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class _Met:
    policy: Policy
    index: int
    findings: tuple[Finding, ...]

    @property
    def rule(self) -> Rule:
        return self.policy.rules[self.index]


async def judge(
    exchange: Exchange,
    services: Services,
    content: str,
    *,
    given: Collection[str],
    policies: Sequence[Policy],
    began: float,
) -> Judged:
    """One content by all policies.

    Args:
        exchange: the request.
        services: the service.
        content: what to judge.
        given: conditions that the application knows to be met.
        policies: the enabled ones.
        began: when the work did, by `perf_counter`.

    Raises:
        ApiError: 403, the caller may not have contents checked; 503, a detector failed.
    """
    exchange.user.require(GUARD)
    findings = await _findings(exchange, services, content, policies)
    met = sorted(_met(policies, findings, given), key=_weight, reverse=True)
    about = [finding for one in met if one.rule.action == "REDACT" for finding in one.findings]
    changed = redacted(content, about) if about else None
    first = met[0] if met else None
    action = first.rule.action if first else "ALLOW"
    exchange.metadata["policy_action"] = action
    exchange.count("rampart.policies.evaluations")
    exchange.count("rampart.policies.blocked", int(action == "BLOCK"))
    return Judged(
        policy_id=first.policy.id if first else None,
        triggered=bool(met),
        action=action,
        matched_rules=[MatchedRule(policy_id=one.policy.id, **one.rule.model_dump()) for one in met],
        processing_time_ms=milliseconds(perf_counter() - began),
        allowed=action != "BLOCK",
        violations=[_violation(one) for one in met],
        actions_taken=list(dict.fromkeys(one.rule.action for one in met)),
        modified_content=changed,
    )


async def _findings(
    exchange: Exchange, services: Services, content: str, policies: Sequence[Policy]
) -> Sequence[Finding]:
    """What the detectors find that some condition asks about."""
    asked = {
        name for policy in policies for rule in policy.rules for name in meaning(rule.condition, policy.template).rules
    }
    if not asked:
        return ()
    result = await services.guard.check(exchange, content, stage=Stage.PROMPT, recipe=RECIPE, overrides=rules(asked))
    return complete(result).findings


def _met(policies: Sequence[Policy], findings: Sequence[Finding], given: Collection[str]) -> list[_Met]:
    met = []
    for policy in policies:
        for index, rule in enumerate(policy.rules):
            found = meaning(rule.condition, policy.template).met(findings)
            if found or rule.condition in given:
                met.append(_Met(policy, index, tuple(found)))
    return met


def _weight(met: _Met) -> tuple[int, int]:
    return met.rule.priority, _STRICTNESS.index(met.rule.action)


def _violation(met: _Met) -> Violation:
    return Violation(
        policy_id=met.policy.id,
        policy_name=met.policy.name,
        rule_index=met.index,
        action=met.rule.action,
        reason=f"condition {met.rule.condition} is met",
    )
