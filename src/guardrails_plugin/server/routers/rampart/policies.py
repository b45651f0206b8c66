"""Rampart: policies of a user, from templates of regulations or their own, and what they say about a content."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

from guardrails_plugin.recipes import compliance_policies
from guardrails_plugin.recipes.pack import Pack
from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.identity import iso
from guardrails_plugin.server.problems import ApiError, not_found
from guardrails_plugin.server.routers.rampart.conditions import CONDITIONS
from guardrails_plugin.server.routers.rampart.judging import Judged, Policy, Rule, judge
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.objects import Object

__all__ = ["router"]

_KIND = "rampart.policy"
_MOST = 200
"""Policies of one user."""

_ACTIONS = ("BLOCK", "REDACT", "FLAG", "LOG", "ALERT", "ALLOW")

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


def _action(value: str) -> str:
    if value.upper() not in _ACTIONS:
        raise ValueError(f"expected one of {', '.join(_ACTIONS)}")
    return value.upper()


def _condition(value: str) -> str:
    if value not in CONDITIONS():
        raise ValueError(f"expected one of {', '.join(sorted(CONDITIONS()))}")
    return value


class RuleBody(Body):
    """A condition, what it asks for (in any case), and its weight: the highest that is met decides."""

    condition: Annotated[str, AfterValidator(_condition)]
    action: Annotated[str, AfterValidator(_action)]
    priority: Annotated[int, Field(ge=0, le=1000)] = 5


_Name = Annotated[str, Field(min_length=1, max_length=256)]
_Text = Annotated[str, Field(max_length=4000)]
_Type = Annotated[str, Field(min_length=1, max_length=64)]
_Rules = Annotated[list[RuleBody], Field(max_length=100)]
_Tags = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)]


class NewPolicy(Body):
    """A policy."""

    name: _Name
    description: _Text = ""
    policy_type: _Type = "custom"
    rules: _Rules
    tags: _Tags = Field(default=[])
    enabled: bool = True


class PolicyChange(Body):
    """Fields to change."""

    name: _Name | None = None
    description: _Text | None = None
    policy_type: _Type | None = None
    rules: _Rules | None = None
    tags: _Tags | None = None
    enabled: bool | None = None


class PolicyItem(BaseModel):
    """A policy of the caller."""

    id: str
    name: str
    description: str
    policy_type: str
    rules: list[Rule]
    tags: list[str]
    enabled: bool
    template_id: str | None
    created_at: str
    updated_at: str


class Template(BaseModel):
    """A regulation's policy, to be made one's own."""

    id: str
    name: str
    description: str
    rules: list[Rule]


class Evaluate(Body):
    """A content; and conditions that no text shows and the application knows to be met."""

    content: str
    conditions: list[Annotated[str, AfterValidator(_condition)]] = Field(default=[], max_length=50)


class Deleted(BaseModel):
    """A policy that was removed."""

    message: str
    policy_id: str


@router.get("/policies/templates")
async def list_templates() -> list[Template]:
    """The regulations."""
    return [
        Template(id=pack.name, name=pack.title or pack.name, description=pack.description, rules=_template_rules(pack))
        for pack in compliance_policies().values()
    ]


@router.post("/policies/templates/{template_id}")
def use_template(template_id: str, exchange: Current, services: Running) -> PolicyItem:
    """Make a regulation's policy one's own."""
    pack = compliance_policies().get(template_id)
    if pack is None:
        raise not_found("Policy template")
    body = {
        "description": pack.description,
        "policy_type": "compliance",
        "rules": [rule.model_dump() for rule in _template_rules(pack)],
        "tags": [template_id.replace("_", "-")],
        "enabled": True,
        "template_id": template_id,
    }
    return _created(exchange, services, pack.title or pack.name, body)


@router.post("/policies/evaluate")
async def evaluate(body: Evaluate, exchange: Current, services: Running) -> Judged:
    """What all enabled policies of the caller say about a content."""
    began = perf_counter()
    mine = await _mine(exchange, services)
    return await judge(exchange, services, body.content, given=set(body.conditions), policies=mine, began=began)


@router.get("/policies")
def list_policies(exchange: Current, services: Running) -> list[PolicyItem]:
    """The caller's policies, oldest first."""
    return [_item(found) for found in _objects(exchange, services)]


@router.post("/policies")
def create_policy(body: NewPolicy, exchange: Current, services: Running) -> PolicyItem:
    """Make a policy."""
    return _created(exchange, services, body.name, {**body.model_dump(exclude={"name"}), "template_id": None})


@router.get("/policies/{policy_id}")
def get_policy(policy_id: str, exchange: Current, services: Running) -> PolicyItem:
    """One policy of the caller."""
    return _item(_find(exchange, services, policy_id))


@router.put("/policies/{policy_id}")
def change_policy(policy_id: str, body: PolicyChange, exchange: Current, services: Running) -> PolicyItem:
    """Change what is given; the rest stays."""
    return _changed(exchange, services, policy_id, body.model_dump(exclude_none=True))


@router.patch("/policies/{policy_id}/toggle")
@router.post("/policies/{policy_id}/toggle")
def toggle_policy(policy_id: str, exchange: Current, services: Running) -> PolicyItem:
    """Switch a policy on or off."""
    exchange.user.require(MANAGE)
    enabled = bool(_find(exchange, services, policy_id).body["enabled"])
    return _changed(exchange, services, policy_id, {"enabled": not enabled})


@router.delete("/policies/{policy_id}")
def delete_policy(policy_id: str, exchange: Current, services: Running) -> Deleted:
    """Remove a policy."""
    user = exchange.user.require(MANAGE)
    if not services.store.objects.delete(user.project_id, _KIND, policy_id, owner_id=user.subject):
        raise not_found("Policy")
    exchange.event, exchange.metadata["policy_id"] = "policy_deleted", policy_id
    return Deleted(message="Policy deleted successfully", policy_id=policy_id)


def _template_rules(pack: Pack) -> list[Rule]:
    return [Rule(condition=one.condition, action=one.action, priority=one.priority) for one in pack.conditions]


def _created(exchange: Exchange, services: Services, name: str, body: dict[str, Any]) -> PolicyItem:
    user = exchange.user.require(MANAGE)
    if len(_objects(exchange, services)) >= _MOST:
        raise ApiError(409, f"There are {_MOST} policies already.")
    made = services.store.objects.create(user.project_id, _KIND, body, name=name, owner_id=user.subject)
    exchange.event, exchange.metadata["policy_id"] = "policy_created", made.id
    return _item(made)


def _changed(exchange: Exchange, services: Services, policy_id: str, change: dict[str, Any]) -> PolicyItem:
    user, found = exchange.user.require(MANAGE), _find(exchange, services, policy_id)
    name = change.pop("name", None)
    body = {**found.body, **change}
    # A template's conditions keep their meaning only while they are the template's.
    body["template_id"] = None if "rules" in change else body["template_id"]
    changed = services.store.objects.update(user.project_id, _KIND, policy_id, body, name=name, owner_id=user.subject)
    if changed is None:
        raise not_found("Policy")
    exchange.event, exchange.metadata["policy_id"] = "policy_updated", policy_id
    return _item(changed)


def _find(exchange: Exchange, services: Services, policy_id: str) -> Object:
    user = exchange.user
    found = services.store.objects.get(user.project_id, _KIND, policy_id, owner_id=user.subject)
    if found is None:
        raise not_found("Policy")
    return found


def _objects(exchange: Exchange, services: Services) -> Sequence[Object]:
    user = exchange.user
    return services.store.objects.list(user.project_id, _KIND, owner_id=user.subject, limit=_MOST).items


async def _mine(exchange: Exchange, services: Services) -> list[Policy]:
    found = await asyncio.to_thread(_objects, exchange, services)
    items = [_item(one) for one in found]
    return [Policy(item.id, item.name, item.template_id or "", tuple(item.rules)) for item in items if item.enabled]


def _item(found: Object) -> PolicyItem:
    return PolicyItem(
        id=found.id, name=found.name, created_at=iso(found.created_at), updated_at=iso(found.updated_at), **found.body
    )
