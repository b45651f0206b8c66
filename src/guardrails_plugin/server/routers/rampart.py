"""Project Rampart's API: ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter

from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers import (
    rampart_audit,
    rampart_auth,
    rampart_filter,
    rampart_keys,
    rampart_llm,
    rampart_packs,
    rampart_policies,
    rampart_provider_keys,
    rampart_security,
    rampart_settings,
    rampart_stats,
    rampart_system,
    rampart_testing,
)
from guardrails_plugin.server.routers.rampart_auth import LOGIN
from guardrails_plugin.server.routers.rampart_filter import DEMO
from guardrails_plugin.server.routers.rampart_system import HEALTH
from guardrails_plugin.server.routers.rampart_wire import PREFIX, envelope
from guardrails_plugin.server.services import Services

__all__ = ["build"]

_PARTS = (
    rampart_auth,
    rampart_security,
    rampart_packs,
    rampart_keys,
    rampart_stats,
    rampart_filter,
    rampart_policies,
    rampart_audit,
    rampart_llm,
    rampart_provider_keys,
    rampart_settings,
    rampart_testing,
    rampart_system,
)

router = APIRouter()
for _part in _PARTS:
    router.include_router(_part.router)


def build(_services: Services) -> Product:
    """The routes."""
    return Product(router, prefixes=(PREFIX,), envelope=envelope, public=HEALTH | {LOGIN, DEMO}, unrecorded=HEALTH)
