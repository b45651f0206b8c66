"""CalypsoAI: providers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, JsonValue

from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.connections import KEYLESS
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.outbound import check_url
from guardrails_plugin.server.problems import ApiError, forbidden, invalid, not_found
from guardrails_plugin.server.routers.calypso.access import enter
from guardrails_plugin.server.routers.calypso.catalogue import BUILT, stable_id
from guardrails_plugin.server.routers.calypso.models import PROVIDER, SYSTEM, known_providers, usable_providers
from guardrails_plugin.server.routers.calypso.settings import setup_of
from guardrails_plugin.server.routers.calypso.wire import (
    PREFIX,
    Cursor,
    Done,
    Id,
    Limit,
    Made,
    Name,
    Ref,
    Search,
    Wire,
    cut,
)
from guardrails_plugin.server.services import Running, Services

__all__ = ["router"]

router = APIRouter(prefix=PREFIX)

_Secret = Annotated[str, Field(min_length=1, max_length=4_000)]


class ProviderBody(Wire):
    """A connection to a model, of one of the system's kinds."""

    name: Name
    system_provider: Ref
    project_id: Ref | None = None
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    secrets: dict[str, _Secret] = Field(default_factory=dict, max_length=10, repr=False)


@router.get("/providers")
def list_providers(
    exchange: Current, services: Running, limit: Limit = 100, cursor: Cursor = None, search: Search = None
) -> dict[str, Any]:
    """The providers one may use."""
    project = enter(services, exchange)
    found = usable_providers(services, project.id, setup_of(project))
    wanted = [one.on_the_wire() for one in found if (search or "").casefold() in one.name.casefold()]
    return cut("providers", wanted, cursor, limit)


@router.get("/providers/system")
def list_system_providers(exchange: Current) -> dict[str, Any]:
    """The kinds of provider one may make."""
    del exchange
    return {"providers": [_system(name, kind) for name, kind in SYSTEM.items()], "next": None, "prev": None}


@router.get("/providers/{provider}")
def get_provider(provider: Id, exchange: Current, services: Running) -> dict[str, Any]:
    """One provider, by name or id."""
    project = enter(services, exchange)
    for found in usable_providers(services, project.id, setup_of(project)):
        if provider in (found.id, found.name):
            return {"provider": found.on_the_wire()}
    raise not_found("Provider")


@router.post("/providers")
def create_provider(given: ProviderBody, exchange: Current, services: Running) -> Made:
    """Make a provider. Its API key (the first of ``secrets``) is kept sealed and never shown again."""
    project = enter(services, exchange, given.project_id)
    exchange.user.require(MANAGE)
    named = next((name for name in SYSTEM if given.system_provider in (name, stable_id("system", name))), None)
    if named is None:
        raise invalid(f"systemProvider: valid: {', '.join(SYSTEM)}, or the id of one of them.")
    model, url = given.inputs.get("model"), given.inputs.get("baseUrl", "")
    if not isinstance(model, str) or not model or not isinstance(url, str):
        raise invalid("inputs: expected model, and optionally baseUrl, as texts.")
    if any(given.name in (one.name, one.id) for one in known_providers(services, project.id)):
        raise ApiError(409, "A provider with this name exists already.")
    key = next(iter(given.secrets.values()), "")
    kind = SYSTEM[named]
    if not key:
        _check_keyless(services, kind, url)
    sealed = services.provider_keys.add(project.id, "", kind, key, name=given.name, base_url=url) if key else None
    body = {
        "type": kind,
        "model": model,
        "inputs": {name: value for name, value in given.inputs.items() if name != "model"},
        "systemProviderId": stable_id("system", named),
        "keyId": sealed.id if sealed else "",
    }
    made = services.store.objects.create(project.id, PROVIDER, body, name=given.name)
    exchange.event = "provider_created"
    exchange.metadata["provider_id"] = made.id
    return Made(id=made.id)


@router.delete("/providers/{provider}")
def delete_provider(provider: Id, exchange: Current, services: Running) -> Done:
    """Remove a provider with its key."""
    exchange.user.require(MANAGE)
    if provider == stable_id("provider", services.llm.default[0]):
        raise forbidden("The service's own provider is the operator's to change.")
    found = services.store.objects.get(exchange.project_id, PROVIDER, provider)
    if found is None:
        raise not_found("Provider")
    if found.body["keyId"]:
        services.store.delete_provider_key(exchange.project_id, found.body["keyId"])
    services.store.objects.delete(exchange.project_id, PROVIDER, found.id)
    exchange.event = "provider_deleted"
    exchange.metadata["provider_id"] = found.id
    return Done(message="Provider deleted")


def _check_keyless(services: Services, kind: str, url: str) -> None:
    """Refuse a provider without a key that no call could reach.

    Raises:
        ApiError: 400, it needs a key, or an address that may be called.
    """
    if kind not in KEYLESS:
        raise invalid(f"secrets: expected the API key; only {', '.join(sorted(KEYLESS))} may do without.")
    if not url:
        raise invalid("inputs: expected baseUrl, since there is no API key in secrets.")
    check_url(url, services.settings.provider_hosts)


def _system(name: str, kind: str) -> dict[str, Any]:
    return {
        "availability": "available",
        "createdAt": BUILT,
        "id": stable_id("system", name),
        "inputs": {"model": None, "baseUrl": None},
        "name": name,
        "secrets": {"apiKey": None},
        "systemProviderId": None,
        "template": {"outputs": {"content": "{{ content }}", "statusCode": "{{ statusCode }}"}},
        "type": kind,
    }
