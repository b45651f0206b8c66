"""Rampart: health and status."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool
from starlette.responses import JSONResponse, Response

import guardrails_plugin
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, milliseconds
from guardrails_plugin.server.services import Running, Services

__all__ = ["HEALTH", "router"]

HEALTH = frozenset({f"{PREFIX}/health", f"{PREFIX}/health/live", f"{PREFIX}/health/ready"})
_BEGAN = time.monotonic()
_MODEL = Path(guardrails_plugin.__file__).parent / "models" / "injection"
_MINUTE = 60.0

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_Part = Literal["operational", "down", "not_configured"]


class Parts(BaseModel):
    """What the service depends on."""

    api: _Part = "operational"
    database: _Part
    redis: _Part
    ml_models: _Part


class Health(BaseModel):
    """Healthy when every part is."""

    status: Literal["healthy", "unhealthy"]
    timestamp: str
    version: str
    services: Parts


class Live(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ApiStatus(BaseModel):
    """Of this process; requests are the project's, in the running hour."""

    status: str
    uptime_seconds: float
    requests_per_minute: float


class DatabaseStatus(BaseModel):
    """``connection_pool``: connections in use, of how many."""

    status: str
    connection_pool: str
    query_latency_ms: float


class RedisStatus(BaseModel):
    """Where rate limits are counted, when it is configured."""

    status: str
    memory_usage: str | None
    hit_rate: float | None


class ModelStatus(BaseModel):
    """``last_updated``: when the files of the model were written here."""

    prompt_injection: str
    content_filter: str
    last_updated: str


class Status(BaseModel):
    """Everything in detail."""

    api: ApiStatus
    database: DatabaseStatus
    redis: RedisStatus
    security_models: ModelStatus


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=Health, responses={503: {"model": Health}})
async def health(services: Running) -> Response:
    """Whether the service works."""
    found = await _health(services)
    return JSONResponse(found.model_dump(), 200 if found.status == "healthy" else 503)


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", response_model=Health, responses={503: {"model": Health}})
async def ready(services: Running) -> Response:
    """The same."""
    return await health(services)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live")
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/status")
async def status(exchange: Current, services: Running) -> Status:
    """Numbers about the parts."""
    began = time.perf_counter()
    with suppress(SQLAlchemyError):
        await asyncio.to_thread(services.database.ping)
    latency = time.perf_counter() - began
    database = await services.health.database()
    models = await services.health.engine()
    hour = await asyncio.to_thread(services.store.usage.totals, exchange.project_id, prefix="requests", hours=1)
    uptime = time.monotonic() - _BEGAN
    minutes = max(1.0, min(time.time() % 3600, uptime) / _MINUTE)
    loaded = "loaded" if models else "failed"
    return Status(
        api=ApiStatus(
            status="healthy",
            uptime_seconds=round(uptime, 3),
            requests_per_minute=round(hour.get("requests", 0.0) / minutes, 3),
        ),
        database=DatabaseStatus(
            status="healthy" if database else "down",
            connection_pool=_pool(services),
            query_latency_ms=milliseconds(latency),
        ),
        redis=await _redis(services),
        security_models=ModelStatus(prompt_injection=loaded, content_filter=loaded, last_updated=_updated()),
    )


async def _health(services: Services) -> Health:
    health = services.health
    database, models = await health.database(), await health.engine()
    redis = _part(await health.counters()) if services.settings.redis_url else "not_configured"
    parts = Parts(database=_part(database), redis=redis, ml_models=_part(models))
    good = "down" not in parts.model_dump().values()
    return Health(
        status="healthy" if good else "unhealthy",
        timestamp=iso(now()),
        version=guardrails_plugin.__version__,
        services=parts,
    )


def _part(works: bool) -> _Part:  # noqa: FBT001 - what it words
    return "operational" if works else "down"


def _pool(services: Services) -> str:
    pool = services.database.engine.pool
    return f"{pool.checkedout()}/{pool.size()}" if isinstance(pool, QueuePool) else "1/1"


async def _redis(services: Services) -> RedisStatus:
    if not services.settings.redis_url:
        return RedisStatus(status="not_configured", memory_usage=None, hit_rate=None)
    # Deferred: an extra.
    from redis.asyncio import Redis

    client = Redis.from_url(services.settings.redis_url, socket_timeout=2.0)
    try:
        told: dict[str, Any] = await client.info()
    except Exception:  # noqa: BLE001 - any error of any transport
        return RedisStatus(status="down", memory_usage=None, hit_rate=None)
    finally:
        await client.aclose()
    hits, misses = int(told.get("keyspace_hits", 0)), int(told.get("keyspace_misses", 0))
    rate = round(hits / (hits + misses), 4) if hits + misses else None
    return RedisStatus(status="healthy", memory_usage=str(told.get("used_memory_human", "")), hit_rate=rate)


def _updated() -> str:
    newest = max((file.stat().st_mtime for file in _MODEL.iterdir()), default=0.0)
    return iso(datetime.fromtimestamp(newest, timezone.utc))
