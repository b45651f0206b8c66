"""Rampart: the caller's keys of model providers."""

from __future__ import annotations

from typing import Annotated

import httpx
from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.server.auth import MANAGE, Principal
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.identity import iso
from guardrails_plugin.server.outbound import check_url, public_client
from guardrails_plugin.server.problems import ApiError, not_found
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, Gone
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.records import ProviderKey

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_ADDRESSES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
"""Where a provider lists its models, which costs nothing and needs a good key."""

_PRODUCT = "rampart"

_Provider = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
_Key = Annotated[str, Field(min_length=8, max_length=1024, pattern=r"^[\x21-\x7e]+$", repr=False)]
_Url = Annotated[str, Field(max_length=1024)]


class NewProviderKey(Body):
    """A key; the caller's older one for this provider, if it was made here, gives way to it."""

    provider: _Provider
    api_key: _Key
    name: Annotated[str, Field(max_length=256)] = ""
    base_url: _Url = ""


class TryKey(Body):
    """A key to try; nothing is kept."""

    provider: _Provider
    api_key: _Key
    base_url: _Url = ""


class ProviderKeyItem(BaseModel):
    """A key without its secret. ``is_valid``: it can be opened with the service's keyring."""

    id: str
    provider: str
    name: str
    key_preview: str
    created_at: str
    updated_at: str
    is_valid: bool


class Tried(BaseModel):
    """Whether the provider took the key."""

    valid: bool
    provider: str
    message: str


@router.get("/keys")
def list_provider_keys(exchange: Current, services: Running) -> list[ProviderKeyItem]:
    """The caller's keys, and those of the whole project."""
    return [_item(key, services) for key in _visible(exchange.user, services)]


@router.post("/keys")
def add_provider_key(body: NewProviderKey, exchange: Current, services: Running) -> ProviderKeyItem:
    """Keep a key, sealed."""
    user = exchange.user.require(MANAGE)
    # Not all that the caller owns: a machine's keys are the project's, as those behind its CalypsoAI providers are.
    older = services.provider_keys.made_by(_PRODUCT, user.project_id, user.user_id, body.provider)
    made = services.provider_keys.add(
        user.project_id,
        user.user_id,
        body.provider,
        body.api_key,
        name=body.name,
        base_url=body.base_url,
        product=_PRODUCT,
    )
    for key in older:
        services.store.delete_provider_key(user.project_id, key.id)
    exchange.event, exchange.metadata["key_id"] = "provider_key_created", made.id
    if older:
        exchange.metadata["replaced_key_ids"] = [key.id for key in older]
    return _item(made, services)


@router.delete("/keys/{key_id}")
def delete_provider_key(key_id: str, exchange: Current, services: Running) -> Gone:
    """Remove a key."""
    user = exchange.user.require(MANAGE)
    if key_id not in {key.id for key in _visible(user, services)}:
        raise not_found("API key")
    services.store.delete_provider_key(user.project_id, key_id)
    exchange.event, exchange.metadata["key_id"] = "provider_key_deleted", key_id
    return Gone(message="API key deleted successfully", key_id=key_id)


@router.post("/keys/test")
async def try_provider_key(body: TryKey, exchange: Current, services: Running) -> Tried:
    """Ask the provider for its models with this key."""
    exchange.user.require(MANAGE)
    if body.provider not in _ADDRESSES:
        raise ApiError(404, f"Keys of provider {body.provider!r} cannot be tried yet.", code="MODEL_NOT_AVAILABLE")
    status = await _asked(body, services)
    if status in (401, 403):
        return Tried(valid=False, provider=body.provider, message="API key is not valid")
    if status >= 300:
        raise ApiError(502, f"The provider answered with status {status}.")
    return Tried(valid=True, provider=body.provider, message="API key is valid")


async def _asked(body: TryKey, services: Services) -> int:
    settings = services.settings
    trusted = settings.provider_hosts
    address = body.base_url
    if address:
        check_url(address, trusted)
    elif body.provider == services.llm.default[0] and settings.provider_url:
        address = settings.provider_url
        trusted |= {httpx.URL(address).host}
    headers = {"Authorization": f"Bearer {body.api_key}"}
    if body.provider == "anthropic":
        headers = {"x-api-key": body.api_key, "anthropic-version": "2023-06-01"}
    url = f"{(address or _ADDRESSES[body.provider]).rstrip('/')}/models"
    try:
        async with public_client(trusted) as client:
            return (await client.get(url, headers=headers, timeout=20.0)).status_code
    except httpx.HTTPError as error:
        raise ApiError(502, f"The provider could not be reached ({type(error).__name__}).") from None


def _visible(user: Principal, services: Services) -> list[ProviderKey]:
    return [key for key in services.store.provider_keys(user.project_id) if key.owner_id in ("", user.user_id)]


def _item(key: ProviderKey, services: Services) -> ProviderKeyItem:
    try:
        valid = bool(services.provider_keys.secret(key))
    except ConfigError:
        valid = False
    return ProviderKeyItem(
        id=key.id,
        provider=key.provider,
        name=key.name,
        key_preview=key.preview,
        created_at=iso(key.created_at),
        updated_at=iso(key.updated_at),
        is_valid=valid,
    )
