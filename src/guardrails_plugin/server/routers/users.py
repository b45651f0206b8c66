"""Our own API: people with a password, the groups they are in and what they may do."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from guardrails_plugin.server.auth import ADMIN, GUARD, MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import ApiError, forbidden, not_found
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers.native import ERRORS, PREFIX, Problem
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.settings import LEAST_PASSWORD
from guardrails_plugin.server.store.records import User

__all__ = ["build"]

router = APIRouter(prefix=PREFIX, tags=["users"], responses={**ERRORS, 409: {"model": Problem}})

_GROUPS = "groups"
"""Where a user's settings hold them."""

# PostgreSQL keeps no NUL.
_Email = Annotated[str, Field(max_length=320, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
_Password = Annotated[str, Field(min_length=LEAST_PASSWORD, max_length=1024)]
_Scopes = Annotated[list[Annotated[str, Field(pattern=f"^({GUARD}|{MANAGE}|{ADMIN})$")]], Field(min_length=1)]
_Group = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
_Groups = Annotated[list[_Group], Field(max_length=100)]
_ProjectRef = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]


class UserBody(BaseModel):
    """A new user of a project. Only administrators make administrators."""

    model_config = ConfigDict(extra="forbid")

    email: _Email
    password: _Password = Field(repr=False)
    project: _ProjectRef | None = Field(default=None, description="id or friendly id; one's own by default")
    name: Annotated[str, Field(max_length=256, pattern=r"^[^\x00]*$")] = ""
    scopes: _Scopes = [GUARD]
    groups: _Groups = []


class UserChange(BaseModel):
    """What is to be changed; the rest stays."""

    model_config = ConfigDict(extra="forbid")

    password: _Password | None = Field(default=None, repr=False)
    name: Annotated[str, Field(max_length=256, pattern=r"^[^\x00]*$")] | None = None
    scopes: _Scopes | None = None
    groups: _Groups | None = None
    is_active: bool | None = None


class UserItem(BaseModel):
    """A user; the password is kept as a hash, and never shown."""

    id: str
    project_id: str
    email: str
    name: str
    scopes: list[str]
    groups: list[str]
    is_active: bool
    created_at: datetime


class UserList(BaseModel):
    """A project's users, oldest first."""

    users: list[UserItem]


class GoneUser(BaseModel):
    """Who was removed."""

    deleted: str


def build(_services: Services) -> Product:
    """The routes."""
    return Product(router)


@router.post("/users", status_code=201)
def create_user(body: UserBody, exchange: Current, services: Running) -> UserItem:
    """Make a user."""
    project_id = _project(services, exchange, body.project)
    _may_give(exchange, body.scopes)
    made = services.store.create_user(
        project_id,
        body.email,
        services.authenticator.hash_password(body.password),
        scopes=body.scopes,
        settings=_settings(body.name, body.groups),
    )
    _happened(exchange, "user_created", made)
    return _item(made)


@router.get("/users")
def list_users(
    exchange: Current, services: Running, project: Annotated[_ProjectRef | None, Query()] = None
) -> UserList:
    """The users of one's own project, or, for administrators, of another."""
    found = services.store.users(_project(services, exchange, project))
    return UserList(users=[_item(user) for user in found])


@router.get("/users/{user_id}")
def read_user(user_id: str, exchange: Current, services: Running) -> UserItem:
    """One user."""
    return _item(_find(services, exchange, user_id))


@router.patch("/users/{user_id}")
def change_user(user_id: str, body: UserChange, exchange: Current, services: Running) -> UserItem:
    """Change a user. With another password, or deactivated, every session of theirs is over."""
    found = _changeable(services, exchange, user_id)
    _may_give(exchange, body.scopes or ())
    if found.id == exchange.user.user_id and (body.is_active is False or body.scopes is not None):
        raise _oneself()
    own = _item(found)
    changed = services.store.update_user(
        found.project_id,
        found.id,
        password_hash=None if body.password is None else services.authenticator.hash_password(body.password),
        scopes=body.scopes,
        is_active=body.is_active,
        settings={
            **found.settings,
            **_settings(
                own.name if body.name is None else body.name, own.groups if body.groups is None else body.groups
            ),
        },
    )
    services.authenticator.forget()
    if changed is None:  # removed meanwhile
        raise not_found("User")
    _happened(exchange, "user_changed", changed)
    return _item(changed)


@router.delete("/users/{user_id}")
def delete_user(user_id: str, exchange: Current, services: Running) -> GoneUser:
    """Remove a user with their credentials and provider keys. The user of the environment is made again at a start."""
    found = _changeable(services, exchange, user_id)
    if found.id == exchange.user.user_id:
        raise _oneself()
    services.store.delete_user(found.project_id, found.id)
    services.authenticator.forget()
    _happened(exchange, "user_deleted", found)
    return GoneUser(deleted=found.id)


def _project(services: Services, exchange: Exchange, named: str | None) -> str:
    user = exchange.user.require(MANAGE)
    found = services.store.project(named or user.project_id)
    if found is None or user.within(found.id) is None:
        raise not_found("Project")
    return found.id


def _find(services: Services, exchange: Exchange, user_id: str) -> User:
    user = exchange.user.require(MANAGE)
    found = services.store.user(user_id)
    if found is None or user.within(found.project_id) is None:
        raise not_found("User")
    return found


def _changeable(services: Services, exchange: Exchange, user_id: str) -> User:
    found = _find(services, exchange, user_id)
    if ADMIN in found.scopes and not exchange.user.is_admin:
        # With a password of one's choice for an administrator one would be one.
        raise forbidden("Only administrators change or remove an administrator.")
    return found


def _may_give(exchange: Exchange, scopes: list[str] | tuple[str, ...]) -> None:
    if ADMIN in scopes and not exchange.user.is_admin:
        raise forbidden(f"Only administrators give the scope {ADMIN!r}.")


def _oneself() -> ApiError:
    return ApiError(409, "Nobody deactivates, removes or changes the scopes of themselves; another one may.")


def _settings(name: str, groups: list[str]) -> dict[str, str | list[str]]:
    return {"name": name, _GROUPS: list(dict.fromkeys(groups))}


def _happened(exchange: Exchange, event: str, user: User) -> None:
    exchange.event = event
    exchange.metadata["id"] = user.id


def _item(user: User) -> UserItem:
    return UserItem(
        id=user.id,
        project_id=user.project_id,
        email=user.email,
        name=str(user.settings.get("name", "")),
        scopes=list(user.scopes),
        groups=list(user.settings.get(_GROUPS, ())),
        is_active=user.is_active,
        created_at=user.created_at,
    )
