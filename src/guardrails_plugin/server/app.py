"""The composition root: settings in, application out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from multiprocessing import parent_process
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

import guardrails_plugin
from guardrails_plugin.audit.sql import SqlAudit, stamp
from guardrails_plugin.errors import ConfigError, GuardError
from guardrails_plugin.server.auth import Authenticator
from guardrails_plugin.server.body import BodyLimit
from guardrails_plugin.server.bootstrap import bootstrap
from guardrails_plugin.server.exchange import Exchange, ExchangeMiddleware, current_exchange
from guardrails_plugin.server.gate import Gate, address
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.health import Health
from guardrails_plugin.server.identity import now
from guardrails_plugin.server.limits import Limiter
from guardrails_plugin.server.llm import LlmProxy
from guardrails_plugin.server.metrics import Metrics
from guardrails_plugin.server.problems import problem_of, problem_response
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.providers import ProviderKeys
from guardrails_plugin.server.recorder import Recorder
from guardrails_plugin.server.route_table import RouteTable
from guardrails_plugin.server.services import Services
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.migrate import migrate
from guardrails_plugin.server.store.store import Store
from guardrails_plugin.server.store.usage import Counts

__all__ = ["PRODUCTS", "create_app", "from_environment", "prepare"]

PRODUCTS = (
    "guardrails_plugin.server.routers.system",
    "guardrails_plugin.server.routers.native",
    "guardrails_plugin.server.routers.management",
    "guardrails_plugin.server.routers.users",
    "guardrails_plugin.server.routers.pangea.product",
    "guardrails_plugin.server.routers.hiddenlayer.product",
    "guardrails_plugin.server.routers.calypso.product",
    "guardrails_plugin.server.routers.rampart.product",
)
"""Modules with ``build(services) -> Product``; earlier ones win where paths meet."""

_TITLE = "Guardrails"
_OWN = frozenset({"/openapi.json"})
"""Paths that FastAPI serves itself."""

_TELEMETRY: Any = {"logs": False, "operation_spans": False, "auto_configure": False}
"""Of FastAPI's own telemetry only the spans and metrics of requests: what it logs about a malformed body quotes it."""


def from_environment() -> FastAPI:
    """The application as the environment configures it: what uvicorn's workers call."""
    return create_app(Settings.from_environment(), shared=parent_process() is not None)


def create_app(settings: Settings, *, products: Sequence[str] = PRODUCTS, shared: bool = False) -> FastAPI:
    """The service. Brings the database to this version's tables and makes the credentials of the settings.

    Args:
        settings: what the operator decided.
        products: modules whose routes are served.
        shared: other processes serve the same database.

    Raises:
        ConfigError: a setting is wrong.
    """
    prepare(settings)
    services = _services(settings, shared=shared)
    app = FastAPI(
        title=_TITLE,
        version=guardrails_plugin.__version__,
        lifespan=partial(_lifespan, services=services),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,  # to an address made of what the caller says is our name
        telemetry=_TELEMETRY,
    )
    app.state.services = services
    mounted = [import_module(name).build(services) for name in products]
    app.state.products = mounted
    for product in mounted:
        app.include_router(product.router)
    app.state.public = _OWN.union(*(product.public for product in mounted))
    _wrap(app, services, mounted)
    return app


def prepare(settings: Settings) -> None:
    """Bring the database to this version's tables, and make the credentials that the settings name.

    Raises:
        ConfigError: the database cannot be used.
    """
    database = Database(settings.database_url)
    try:
        migrate(database)
        store = Store(database)
        bootstrap(store, Authenticator(store, settings.keyring), settings)
    except OperationalError as error:
        # Its message names host and user, and what the driver says of the password.
        kind = type(error.orig).__name__
        raise ConfigError(f"GUARDRAILS_DATABASE_URL: the {database.kind} database cannot be used ({kind})") from None
    finally:
        database.close()


def _services(settings: Settings, *, shared: bool) -> Services:
    database = Database(settings.database_url, shared=shared)
    store = Store(database)
    audit = SqlAudit(settings.keyring)
    guard = Guarding(settings, store)
    keys = ProviderKeys(store, settings)
    limiter = Limiter(settings.redis_url)
    recorder = Recorder(database, audit)
    llm = LlmProxy(settings, guard, keys)
    return Services(
        settings=settings,
        database=database,
        store=store,
        authenticator=Authenticator(store, settings.keyring),
        guard=guard,
        llm=llm,
        provider_keys=keys,
        audit=audit,
        limiter=limiter,
        metrics=Metrics(),
        recorder=recorder,
        health=Health(database, recorder, limiter, guard, llm),
    )


def _wrap(app: FastAPI, services: Services, products: Sequence[Product]) -> None:
    """Put the layers round the routes: exchange > body limit > gate > routes."""
    unrecorded = frozenset[str]().union(*(product.unrecorded for product in products))
    table = RouteTable(product.router for product in products)
    respond = _responder(products)
    app.add_middleware(
        Gate,
        authenticator=services.authenticator,
        limiter=services.limiter,
        settings=services.settings,
        public=app.state.public,
        unlimited=unrecorded & app.state.public,
    )
    app.add_middleware(BodyLimit, limit=services.settings.body_limit)
    app.add_middleware(ExchangeMiddleware, respond=respond, finish=_finisher(services, unrecorded, table))

    async def handle(request: Request, error: Exception) -> Response:
        return respond(request, error)

    for kind in (HTTPException, RequestValidationError, GuardError):
        app.add_exception_handler(kind, handle)


def _responder(products: Sequence[Product]) -> Callable[[Request, Exception], Response]:
    """Words errors as the product does whose prefix fits the path best."""
    by_prefix = sorted(
        ((prefix.rstrip("/"), product.envelope) for product in products for prefix in product.prefixes),
        key=lambda item: -len(item[0]),
    )

    def respond(request: Request, error: Exception) -> Response:
        path = request.url.path
        envelope = next((words for prefix, words in by_prefix if f"{path}/".startswith(f"{prefix}/")), problem_response)
        return envelope(request, problem_of(error, current_exchange(request).id))

    return respond


def _finisher(
    services: Services, unrecorded: frozenset[str], table: RouteTable
) -> Callable[[Exchange, Scope], Awaitable[None]]:
    async def finish(exchange: Exchange, scope: Scope) -> None:
        route = table.template(scope) or (scope["path"] if scope["path"] in _OWN else "")
        services.metrics.observe(exchange, scope["method"], route or "none")
        if scope["path"] in unrecorded or (exchange.principal is None and exchange.status == 429):
            return  # a flood of refused strangers fills no disk
        await services.recorder.record(_record(exchange, scope, route), _counts(exchange))

    return finish


def _record(exchange: Exchange, scope: Scope, route: str) -> dict[str, Any]:
    principal = exchange.principal
    return {
        "id": exchange.id,
        "time": stamp(now()),
        "tenant": principal.project_id if principal else "",
        "subject": principal.subject if principal else "",
        "user_id": principal.user_id if principal else "",
        "credential": principal.preview if principal else "",
        "event": exchange.event,
        "trace": exchange.trace,
        "method": scope["method"],
        "route": route,
        "address": address(scope),
        "status": exchange.status,
        "seconds": round(exchange.seconds, 6),
        "verdict": "" if exchange.verdict is None else exchange.verdict.name.lower(),
        "findings": {detector: dict(found) for detector, found in exchange.findings.items()},
        "metadata": exchange.metadata,
    }


def _counts(exchange: Exchange) -> Counts | None:
    if exchange.principal is None:
        return None
    amounts = {"requests": 1.0, "requests.seconds": exchange.seconds, **exchange.counts}
    if exchange.verdict is not None:
        amounts["checks.seconds"] = exchange.guarding
    return Counts(exchange.principal.project_id, exchange.principal.subject, amounts)


@asynccontextmanager
async def _lifespan(app: FastAPI, services: Services) -> AsyncIterator[None]:
    _build_routes(app)
    services.guard.warm()
    services.llm.warm()
    yield
    services.guard.close()
    await services.llm.close()
    await services.limiter.close()
    await asyncio.to_thread(services.recorder.stop)
    services.database.close()


def _build_routes(app: FastAPI) -> None:
    """Make the handlers of all routes, which newer releases of FastAPI leave to the first request: half a second."""
    nowhere: Scope = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": [], "app": app}
    for route in app.router.routes:
        route.matches(nowhere)
