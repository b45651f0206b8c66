"""Rampart: a user's settings, which the security analysis and the chat proxy follow."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body
from guardrails_plugin.server.services import Running, Services

__all__ = ["Security", "UserSettings", "router", "security_settings"]

_KIND = "rampart.settings"

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class Security(BaseModel):
    """What is done about what is found.

    Attributes:
        block_threshold: confidence from which an attack is blocked.
        auto_redact_pii: whether the chat proxy replaces personal data, both ways.
        enable_toxicity_filter: whether it looks for abuse.
    """

    block_threshold: float = 0.7
    auto_redact_pii: bool = True
    enable_toxicity_filter: bool = True


class Notifications(BaseModel):
    """Kept for the client's use; the service itself sends no mail."""

    security_alerts: bool = True
    email_reports: bool = False


class ApiLimits(BaseModel):
    """The caller's limits; null: none."""

    requests_per_minute: int | None
    requests_per_hour: int | None


class UserSettings(BaseModel):
    """All settings."""

    security: Security
    notifications: Notifications
    api_limits: ApiLimits


class SecurityChange(Body):
    """Fields to change."""

    block_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    auto_redact_pii: bool | None = None
    enable_toxicity_filter: bool | None = None


class NotificationsChange(Body):
    """Fields to change."""

    security_alerts: bool | None = None
    email_reports: bool | None = None


class SettingsChange(Body):
    """Parts to change. ``api_limits`` may be sent back as it came; only the operator changes it."""

    security: SecurityChange = SecurityChange()
    notifications: NotificationsChange = NotificationsChange()
    api_limits: ApiLimits | None = None


@router.get("/settings")
def read_settings(exchange: Current, services: Running) -> UserSettings:
    """The caller's settings."""
    return _shown(exchange, services, _kept(exchange, services))


@router.put("/settings")
def change_settings(body: SettingsChange, exchange: Current, services: Running) -> UserSettings:
    """Change what is given; the rest stays. A key that may only guard follows these settings."""
    exchange.user.require(MANAGE)
    if body.api_limits is not None and body.api_limits != _limits(exchange, services):
        raise ApiError(403, "api_limits: only the operator, or the limits of a key, change these.")
    kept = _kept(exchange, services)
    for part in ("security", "notifications"):
        kept[part] = {**kept.get(part, {}), **getattr(body, part).model_dump(exclude_none=True)}
    store, user = services.store.objects, exchange.user
    found = store.list(user.project_id, _KIND, owner_id=user.subject, limit=1).items
    if found:
        store.update(user.project_id, _KIND, found[0].id, kept, owner_id=user.subject)
    else:
        store.create(user.project_id, _KIND, kept, owner_id=user.subject)
    exchange.event = "settings_updated"
    return _shown(exchange, services, kept)


async def security_settings(exchange: Exchange, services: Services) -> Security:
    """What the caller has set, or the defaults."""
    kept = await asyncio.to_thread(_kept, exchange, services)
    return Security(**kept.get("security", {}))


def _kept(exchange: Exchange, services: Services) -> dict[str, Any]:
    user = exchange.user
    found = services.store.objects.list(user.project_id, _KIND, owner_id=user.subject, limit=1).items
    return dict(found[0].body) if found else {}


def _shown(exchange: Exchange, services: Services, kept: dict[str, Any]) -> UserSettings:
    return UserSettings(
        security=Security(**kept.get("security", {})),
        notifications=Notifications(**kept.get("notifications", {})),
        api_limits=_limits(exchange, services),
    )


def _limits(exchange: Exchange, services: Services) -> ApiLimits:
    user, default = exchange.user, services.settings
    per_minute = default.per_minute if user.per_minute is None else user.per_minute
    per_hour = default.per_hour if user.per_hour is None else user.per_hour
    return ApiLimits(requests_per_minute=per_minute or None, requests_per_hour=per_hour or None)
