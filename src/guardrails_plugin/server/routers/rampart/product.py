"""Project Rampart's API: ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter

from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers.rampart import (
    audit,
    auth,
    defaults,
    filtering,
    incidents,
    keys,
    llm,
    packs,
    policies,
    provider_keys,
    results,
    security,
    settings,
    single,
    stats,
    system,
    testing,
    traces,
)
from guardrails_plugin.server.routers.rampart.auth import LOGIN
from guardrails_plugin.server.routers.rampart.filtering import DEMO
from guardrails_plugin.server.routers.rampart.system import HEALTH
from guardrails_plugin.server.routers.rampart.wire import PREFIX, envelope
from guardrails_plugin.server.services import Services

__all__ = ["build"]

_PARTS = (
    auth,
    security,
    incidents,
    packs,
    keys,
    stats,
    filtering,
    single,
    results,
    defaults,
    policies,
    audit,
    traces,
    llm,
    provider_keys,
    settings,
    testing,
    system,
)

router = APIRouter()
for _part in _PARTS:
    router.include_router(_part.router)


def build(_services: Services) -> Product:
    """The routes."""
    return Product(router, prefixes=(PREFIX,), envelope=envelope, public=HEALTH | {LOGIN, DEMO}, unrecorded=HEALTH)
