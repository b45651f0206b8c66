"""What routers work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from guardrails_plugin.audit.sql import SqlAudit
from guardrails_plugin.server.auth import Authenticator
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.health import Health
from guardrails_plugin.server.limits import Limiter
from guardrails_plugin.server.llm import LlmProxy
from guardrails_plugin.server.metrics import Metrics
from guardrails_plugin.server.providers import ProviderKeys
from guardrails_plugin.server.recorder import Recorder
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.store import Store

__all__ = ["Running", "Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service; made once, by `app.create_app`."""

    settings: Settings
    database: Database
    store: Store
    authenticator: Authenticator
    guard: Guarding
    llm: LlmProxy
    provider_keys: ProviderKeys
    audit: SqlAudit
    limiter: Limiter
    metrics: Metrics
    recorder: Recorder
    health: Health


async def _running(request: Request) -> Services:
    # A coroutine, or FastAPI would run it on a thread.
    services: Services = request.app.state.services
    return services


Running = Annotated[Services, Depends(_running)]
"""Parameter of a handler: ``async def handler(services: Running)``."""
