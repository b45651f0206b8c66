"""Rampart: keys of applications (``rmp_live_...``), with a template pack and limits of their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardrails_plugin.server.auth import GUARD, MANAGE, Principal
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.gate import check_limits
from guardrails_plugin.server.identity import iso
from guardrails_plugin.server.problems import not_found
from guardrails_plugin.server.routers.rampart.packs import known_pack
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, Gone
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.records import Token

__all__ = ["router"]

_KIND = "rampart"
_Limit = Annotated[int, Field(ge=1, le=10**9)]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class NewKey(Body):
    """A new key; limits not given are the service's, and only administrators give it more."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    template_pack: str | None = None
    rate_limit_per_minute: _Limit | None = None
    rate_limit_per_hour: _Limit | None = None


class Attach(Body):
    """A pack, or null for none."""

    template_pack: str | None


class KeyItem(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    key_preview: str
    template_pack: str | None
    rate_limit_per_minute: int | None
    rate_limit_per_hour: int | None
    created_at: str


class CreatedKey(KeyItem):
    """... and its secret, this once, under both names that clients know."""

    key: str
    secret: str
    key_info: KeyItem


@router.get("/rampart-keys")
def list_keys(exchange: Current, services: Running) -> list[KeyItem]:
    """The caller's keys."""
    return [_item(token, services.settings) for token in _own(exchange.user, services)]


@router.post("/rampart-keys")
def create_key(body: NewKey, exchange: Current, services: Running) -> CreatedKey:
    """Make a key. Its secret is in this answer and nowhere else."""
    user = exchange.user.require(MANAGE)
    check_limits(user, services.settings, per_minute=body.rate_limit_per_minute, per_hour=body.rate_limit_per_hour)
    secret, token = services.authenticator.issue(
        user.project_id,
        kind=_KIND,
        scopes=(GUARD,),
        name=body.name,
        owner_id=user.user_id,
        prefix="rmp_live",
        per_minute=body.rate_limit_per_minute,
        per_hour=body.rate_limit_per_hour,
        settings={"template_pack": known_pack(body.template_pack)},
    )
    exchange.event, exchange.metadata["key_id"] = "key_created", token.id
    item = _item(token, services.settings)
    return CreatedKey(**item.model_dump(), key=secret, secret=secret, key_info=item)


@router.put("/rampart-keys/{key_id}/template-pack")
def attach_pack(key_id: str, body: Attach, exchange: Current, services: Running) -> KeyItem:
    """Give a key a pack, or take it away; holds from its next request."""
    user = exchange.user.require(MANAGE)
    token = _find(user, services, key_id)
    settings = {**token.settings, "template_pack": known_pack(body.template_pack)}
    changed = services.store.update_token(user.project_id, token.id, settings)
    services.authenticator.forget()
    exchange.event, exchange.metadata["key_id"] = "key_updated", token.id
    if changed is None:
        raise not_found("Key")
    return _item(changed, services.settings)


@router.delete("/rampart-keys/{key_id}")
def delete_key(key_id: str, exchange: Current, services: Running) -> Gone:
    """Revoke a key."""
    user = exchange.user.require(MANAGE)
    token = _find(user, services, key_id)
    services.store.delete_token(user.project_id, token.id)
    services.authenticator.forget()
    exchange.event, exchange.metadata["key_id"] = "key_deleted", token.id
    return Gone(message="API key deleted successfully", key_id=token.id)


def _own(user: Principal, services: Services) -> list[Token]:
    return services.store.tokens(user.project_id, kind=_KIND, owner_id=user.user_id)


def _find(user: Principal, services: Services, key_id: str) -> Token:
    for token in _own(user, services):
        if token.id == key_id:
            return token
    raise not_found("Key")


def _item(token: Token, settings: Settings) -> KeyItem:
    per_minute = settings.per_minute if token.per_minute is None else token.per_minute
    per_hour = settings.per_hour if token.per_hour is None else token.per_hour
    return KeyItem(
        id=token.id,
        name=token.name,
        key_preview=token.preview,
        template_pack=token.settings.get("template_pack"),
        rate_limit_per_minute=per_minute or None,
        rate_limit_per_hour=per_hour or None,
        created_at=iso(token.created_at),
    )
