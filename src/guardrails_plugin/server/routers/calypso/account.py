"""CalypsoAI: who one is, and credentials."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from guardrails_plugin.server.auth import GUARD, MANAGE
from guardrails_plugin.server.dates import ZonedMoment
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.problems import forbidden, not_found
from guardrails_plugin.server.routers.calypso.access import enter
from guardrails_plugin.server.routers.calypso.wire import (
    PREFIX,
    Cursor,
    Done,
    Id,
    Limit,
    Name,
    Ref,
    Wire,
    cut,
    moment,
)
from guardrails_plugin.server.services import Running
from guardrails_plugin.server.store.records import Token, User

__all__ = ["router"]

router = APIRouter(prefix=PREFIX)

_PREFIX = "cai"
_SCOPES = (GUARD, MANAGE)


class TokenBody(Wire):
    """A new token: of a machine, or one's own. Without a project it is for that of the credentials used."""

    name: Name
    expires_at: ZonedMoment | None = None
    machine: bool = False
    project_id: Ref | None = None
    scopes: Annotated[list[Literal["guard", "manage"]], Field(min_length=1, max_length=2)] | None = None


class UserPatch(Wire):
    """The groups a user is in."""

    groups: Annotated[list[Ref], Field(max_length=100)]


@router.get("/users/me")
def me(exchange: Current, services: Running) -> dict[str, Any]:
    """Who these credentials belong to."""
    user = exchange.user
    found = services.store.user(user.user_id) if user.user_id else None
    if found is not None:
        return {"user": _user(found)}
    return {
        "user": {"id": user.subject, "email": None, "groups": [], "name": user.preview, "projectId": user.project_id}
    }


@router.get("/users")
def list_users(exchange: Current, services: Running, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """The users of the project."""
    exchange.user.require(MANAGE)
    return cut("users", [_user(user) for user in services.store.users(exchange.project_id)], cursor, limit)


@router.patch("/users/{user_id}")
def update_user(user_id: Id, given: UserPatch, exchange: Current, services: Running) -> Done:
    """Put a user into groups, which scanners can be for."""
    exchange.user.require(MANAGE)
    found = next((user for user in services.store.users(exchange.project_id) if user.id == user_id), None)
    if found is None:
        raise not_found("User")
    services.store.update_user(exchange.project_id, user_id, settings={**found.settings, "groups": given.groups})
    exchange.event = "user_updated"
    exchange.metadata["changed_user_id"] = user_id
    return Done(message="User updated")


@router.post("/tokens")
def create_token(given: TokenBody, exchange: Current, services: Running) -> dict[str, Any]:
    """Make a token; its value is in this answer and nowhere else. A machine's may scan, and no more unless asked."""
    project = enter(services, exchange, given.project_id)
    user = exchange.user.require(MANAGE)
    own = [GUARD] if given.machine else [scope for scope in _SCOPES if scope in user.scopes]
    scopes = list(given.scopes or own)
    value, token = services.authenticator.issue(
        project.id,
        kind="machine" if given.machine else "bearer",
        scopes=scopes,
        name=given.name,
        owner_id="" if given.machine else user.user_id,
        prefix=_PREFIX,
        expires_at=given.expires_at,
    )
    exchange.event = "token_created"
    exchange.metadata["token_id"] = token.id
    return {"token": {**_token(token), "value": value}}


@router.get("/tokens")
def list_tokens(
    exchange: Current,
    services: Running,
    *,
    limit: Limit = 100,
    cursor: Cursor = None,
    machine: Annotated[bool | None, Query()] = None,
    project_id: Annotated[str | None, Query(alias="projectId", max_length=128, pattern=r"^[^\x00]*$")] = None,
) -> dict[str, Any]:
    """A project's tokens, without their values."""
    project = enter(services, exchange, project_id)
    exchange.user.require(MANAGE)
    found = [_token(token) for token in services.store.tokens(project.id)]
    wanted = [token for token in found if machine is None or token["machine"] is machine]
    return cut("tokens", wanted, cursor, limit)


@router.delete("/tokens/{token_id}")
def delete_token(token_id: Id, exchange: Current, services: Running) -> Done:
    """Revoke a token."""
    user = exchange.user.require(MANAGE)
    if token_id == "bootstrap":  # noqa: S105 - an id
        raise forbidden("The bootstrap token is the environment's: change the variable and start again.")
    found = services.store.token_by_id(token_id)
    if found is None or user.within(found.project_id) is None:
        raise not_found("Token")
    services.store.delete_token(found.project_id, token_id)
    services.authenticator.forget()
    exchange.event = "token_revoked"
    exchange.metadata["token_id"] = token_id
    return Done(message="Token deleted")


def _user(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "groups": list(user.settings.get("groups", ())),
        "name": user.email,
        "projectId": user.project_id,
    }


def _token(token: Token) -> dict[str, Any]:
    return {
        "createdAt": moment(token.created_at),
        "expiresAt": moment(token.expires_at) if token.expires_at else None,
        "id": token.id,
        "machine": not token.owner_id,
        "name": token.name,
        "preview": token.preview,
        "projectId": token.project_id,
        "scopes": list(token.scopes),
        "userId": token.owner_id or f"machine={token.id}",
    }
