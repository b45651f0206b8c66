"""Rampart: signing in."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.identity import iso
from guardrails_plugin.server.problems import ApiError, not_found, unauthorized
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body
from guardrails_plugin.server.services import Running
from guardrails_plugin.server.store.records import User

__all__ = ["LOGIN", "router"]

LOGIN = f"{PREFIX}/auth/login"
_TRIES_PER_MINUTE = 10
"""Passwords tried for one e-mail address, from wherever."""

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class Login(Body):
    """E-mail address and password."""

    email: str = Field(min_length=3, max_length=320)
    password: str = Field(min_length=1, max_length=1024, repr=False)


class UserItem(BaseModel):
    """A user."""

    id: str
    email: str
    created_at: str
    is_active: bool


class Session(BaseModel):
    """A signed-in user's token, for ``Authorization: Bearer``; ``expires_in`` in seconds."""

    token: str
    user: UserItem
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a word of OAuth
    expires_in: int


@router.post("/auth/login")
async def login(body: Login, exchange: Current, services: Running) -> Session:
    """A session for a user with a password."""
    exchange.event = "login"
    allowance = await services.limiter.hit(f"login:{body.email.casefold()}", per_minute=_TRIES_PER_MINUTE)
    if allowance is not None and not allowance.allowed:
        raise ApiError(429, "Too many tries; wait a minute.", headers=allowance.headers)
    user = await asyncio.to_thread(services.authenticator.login, body.email, body.password)
    if user is None:
        exchange.event = "authentication_failed"
        raise unauthorized("E-mail address or password is wrong.", code="INVALID_CREDENTIALS")
    exchange.metadata["user_id"] = user.id
    token, seconds = services.authenticator.session(user=user)
    return Session(token=token, user=_item(user), expires_in=seconds)


@router.get("/auth/me")
def me(exchange: Current, services: Running) -> UserItem:
    """The user these credentials act for."""
    user = services.store.user(exchange.user.user_id) if exchange.user.user_id else None
    if user is None:
        raise not_found("User")
    return _item(user)


def _item(user: User) -> UserItem:
    return UserItem(id=user.id, email=user.email, created_at=iso(user.created_at), is_active=user.is_active)
