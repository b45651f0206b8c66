"""Rampart: what the filter does for a whole project where neither a request nor its key's pack says."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from guardrails_plugin.recipes import builtin_packs
from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.routers.rampart.filter_body import DEFAULTS, FilterName, FilterOptions, kept_defaults
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX
from guardrails_plugin.server.services import Running

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class FilterDefaults(BaseModel):
    """What counts: the project's own, and the built-in ones for what it leaves open."""

    filters: list[FilterName]
    redact: bool
    toxicity_threshold: float
    custom_pii_patterns: dict[str, str]
    use_presidio_pii: bool


@router.get("/policies/defaults/content-filter")
def read_defaults(exchange: Current, services: Running) -> FilterDefaults:
    """The project's defaults."""
    return _shown(kept_defaults(exchange, services))


@router.put("/policies/defaults/content-filter")
def change_defaults(body: FilterOptions, exchange: Current, services: Running) -> FilterDefaults:
    """Replace them; what is left out is the service's again."""
    user, store = exchange.user.require(MANAGE), services.store.objects
    kept = body.model_dump(mode="json", exclude_none=True)
    found = store.list(user.project_id, DEFAULTS, limit=1).items
    if found:
        store.update(user.project_id, DEFAULTS, found[0].id, kept)
    else:
        store.create(user.project_id, DEFAULTS, kept)
    exchange.event = "filter_defaults_updated"
    return _shown(body)


def _shown(own: FilterOptions) -> FilterDefaults:
    built_in = builtin_packs()["default"].listing
    known = {
        "filters": built_in.filters,
        "redact": built_in.redact,
        "toxicity_threshold": built_in.toxicity_threshold,
        "custom_pii_patterns": {},
        "use_presidio_pii": False,
    }
    return FilterDefaults.model_validate(known | own.model_dump(exclude_none=True))
