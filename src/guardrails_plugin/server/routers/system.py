"""Health, readiness, metrics and documentation."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, JSONResponse, Response

from guardrails_plugin.server.docs_page import DOCS_PAGE
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.problems import forbidden
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.store import DEFAULT_PROJECT

__all__ = ["build"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests can be served, and what is missing."""

    status: Literal["ready", "not ready"]
    database: bool = Field(description="takes records")
    tables: bool
    counters: bool
    recipes: bool = Field(description="compiled; until then the first requests wait for it")
    engine: bool
    provider: bool = Field(description="its client, if there is a default model, is imported")


router = APIRouter(tags=["system"])


def build(services: Services) -> Product:
    """The routes."""
    open_metrics = {"/metrics"} if services.settings.public_metrics else set()
    return Product(
        router,
        public=frozenset({"/healthz", "/readyz", "/docs", *open_metrics}),
        unrecorded=frozenset({"/healthz", "/readyz"}),
    )


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> Alive:
    """The process answers; nothing is said about what it depends on."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(services: Running) -> Response:
    """Database, tables, counters and engine, each tried a moment ago; recipes and the model's client are loaded."""
    health = services.health
    database = await health.database()
    tables = database and await health.tables()
    counters = await health.counters()
    engine = await health.engine()
    good = database and tables and counters and engine and health.provider
    state = Ready(
        status="ready" if good else "not ready",
        database=database,
        tables=tables,
        counters=counters,
        recipes=health.recipes,
        engine=engine,
        provider=health.provider,
    )
    return JSONResponse(state.model_dump(), 200 if good else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(exchange: Current, services: Running) -> Response:
    """Prometheus text format. Numbers of all projects: for administrators, and for credentials of the first project.

    Anybody may read them where the operator says so (``GUARDRAILS_PUBLIC_METRICS``).
    """
    if not services.settings.public_metrics and not exchange.user.is_admin:
        home = await asyncio.to_thread(services.store.project, DEFAULT_PROJECT)
        if home is None or exchange.project_id != home.id:
            raise forbidden("Metrics are for administrators and credentials of the first project.")
    return Response(services.metrics.render(), headers={"Content-Type": services.metrics.content_type})


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """All routes, from the OpenAPI document; loads nothing from elsewhere."""
    return HTMLResponse(DOCS_PAGE)
