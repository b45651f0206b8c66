"""Our own API: projects, credentials and recipes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from guardrails_plugin.server.auth import ADMIN, GUARD, MANAGE
from guardrails_plugin.server.dates import ZonedMoment
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.gate import check_limits
from guardrails_plugin.server.guarding import RECIPE
from guardrails_plugin.server.problems import forbidden, invalid, not_found
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers.native import ERRORS, PREFIX, RecipeItem, recipe_item
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.records import Project, Token

__all__ = ["build"]

router = APIRouter(prefix=PREFIX, tags=["management"], responses=ERRORS)

_Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_RecipeName = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProjectBody(_Model):
    """A new project."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    friendly_id: _Name | None = None


class ProjectItem(BaseModel):
    """A project: a tenant, which sees nothing of any other."""

    id: str
    friendly_id: str
    name: str
    created_at: datetime


class ProjectList(BaseModel):
    """Those one may see."""

    projects: list[ProjectItem]


class TokenBody(_Model):
    """A new credential of a project. Only administrators give it more requests than the service's default."""

    name: Annotated[str, Field(max_length=256)] = ""
    project: str | None = Field(default=None, description="id or friendly id; one's own by default")
    scopes: Annotated[list[Annotated[str, Field(pattern=f"^({GUARD}|{MANAGE})$")]], Field(min_length=1)] = [GUARD]
    per_minute: Annotated[int, Field(ge=0, le=10**9)] | None = None
    per_hour: Annotated[int, Field(ge=0, le=10**9)] | None = None
    expires_at: ZonedMoment | None = None


class TokenItem(BaseModel):
    """A credential; its secret is not kept."""

    id: str
    kind: str
    name: str
    preview: str
    project_id: str
    scopes: list[str]
    per_minute: int | None
    per_hour: int | None
    created_at: datetime
    expires_at: datetime | None


class NewToken(TokenItem):
    """... and its secret, this once."""

    secret: str


class TokenList(BaseModel):
    """A project's credentials."""

    tokens: list[TokenItem]


class RecipeBody(_Model):
    """A recipe of one's own: an ordered list of rules, as in a recipe file, whose name may stand there too."""

    name: str | None = None
    stage: str | None = None
    description: Annotated[str, Field(max_length=1000)] = ""
    version: int = 1
    rules: Annotated[list[dict[str, Any]], Field(max_length=200)]
    deadline: float | None = None


class AuditPage(BaseModel):
    """A part of the project's audit records, newest first."""

    total: int
    records: list[dict[str, Any]]


class Usage(BaseModel):
    """Sums of the project, by name."""

    totals: dict[str, float]


class Gone(BaseModel):
    """What was removed."""

    deleted: str


def build(_services: Services) -> Product:
    """The routes."""
    return Product(router)


@router.post("/projects", status_code=201)
def create_project(body: ProjectBody, exchange: Current, services: Running) -> ProjectItem:
    """Make a project; for administrators."""
    exchange.user.require(ADMIN)
    made = services.store.create_project(body.name, friendly_id=body.friendly_id or "")
    _happened(exchange, "project_created", made.id)
    return _project(made)


@router.get("/projects")
def list_projects(exchange: Current, services: Running) -> ProjectList:
    """All projects for administrators, one's own for others."""
    only = None if exchange.user.is_admin else exchange.project_id
    return ProjectList(projects=[_project(found) for found in services.store.projects(only=only)])


@router.post("/tokens", status_code=201)
def create_token(body: TokenBody, exchange: Current, services: Running) -> NewToken:
    """Make a credential. Its secret is in this answer and nowhere else."""
    user = exchange.user.require(MANAGE)
    project = services.store.project(body.project or user.project_id)
    if project is None or user.within(project.id) is None:
        raise not_found("Project")
    check_limits(user, services.settings, per_minute=body.per_minute, per_hour=body.per_hour)
    secret, token = services.authenticator.issue(
        project.id,
        scopes=body.scopes,
        name=body.name,
        per_minute=body.per_minute,
        per_hour=body.per_hour,
        expires_at=body.expires_at,
    )
    _happened(exchange, "token_created", token.id)
    return NewToken(secret=secret, **_token(token).model_dump())


@router.get("/tokens")
def list_tokens(exchange: Current, services: Running) -> TokenList:
    """The project's credentials, without secrets."""
    exchange.user.require(MANAGE)
    return TokenList(tokens=[_token(token) for token in services.store.tokens(exchange.project_id)])


@router.delete("/tokens/{token_id}")
def delete_token(token_id: str, exchange: Current, services: Running) -> Gone:
    """Revoke a credential."""
    exchange.user.require(MANAGE)
    if token_id == "bootstrap":  # noqa: S105 - an id
        raise forbidden("The bootstrap token is the environment's: change the variable and start again.")
    if not services.store.delete_token(exchange.project_id, token_id):
        raise not_found("Token")
    services.authenticator.forget()
    _happened(exchange, "token_revoked", token_id)
    return Gone(deleted=token_id)


@router.put("/recipes/{name}")
def put_recipe(name: _RecipeName, body: RecipeBody, exchange: Current, services: Running) -> RecipeItem:
    """Make or replace a recipe of the project's own; the name of a stage replaces that stage's."""
    exchange.user.require(MANAGE)
    if body.name not in (None, name):
        raise invalid(f"name: expected {name!r}, as in the path, or none.")
    data = {**body.model_dump(exclude_none=True), "name": name}
    recipe = services.guard.project_recipe(data)
    made = recipe.model_dump(mode="json")
    old = _own(services, exchange, name)
    if old is None:
        services.store.objects.create(exchange.project_id, RECIPE, made, name=name)
    else:
        services.store.objects.update(exchange.project_id, RECIPE, old, made)
    services.guard.forget(exchange.project_id)
    _happened(exchange, "recipe_changed", name)
    return recipe_item(recipe)


@router.delete("/recipes/{name}")
def delete_recipe(name: _RecipeName, exchange: Current, services: Running) -> Gone:
    """Remove a recipe of the project's own; the built-in one of that name, if any, counts again."""
    exchange.user.require(MANAGE)
    old = _own(services, exchange, name)
    if old is None:
        raise not_found("Recipe")
    services.store.objects.delete(exchange.project_id, RECIPE, old)
    services.guard.forget(exchange.project_id)
    _happened(exchange, "recipe_deleted", name)
    return Gone(deleted=name)


@router.get("/audit")
def audit(
    exchange: Current,
    services: Running,
    event: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> AuditPage:
    """The project's audit records."""
    exchange.user.require(MANAGE)
    with services.database.read() as connection:
        total, found = services.audit.search(connection, exchange.project_id, event=event, limit=limit, offset=offset)
    return AuditPage(total=total, records=found)


@router.get("/usage")
def usage(exchange: Current, services: Running, hours: Annotated[int | None, Query(ge=1, le=10**6)] = None) -> Usage:
    """What the project's requests add up to: in all, or in the last hours."""
    return Usage(totals=services.store.usage.totals(exchange.project_id, hours=hours))


def _own(services: Services, exchange: Exchange, name: str) -> str | None:
    found = services.store.objects.named(exchange.project_id, RECIPE, name)
    return found.id if found else None


def _happened(exchange: Exchange, event: str, what: str) -> None:
    exchange.event = event
    exchange.metadata["id"] = what


def _project(found: Project) -> ProjectItem:
    return ProjectItem(id=found.id, friendly_id=found.friendly_id, name=found.name, created_at=found.created_at)


def _token(token: Token) -> TokenItem:
    return TokenItem(
        id=token.id,
        kind=token.kind,
        name=token.name,
        preview=token.preview,
        project_id=token.project_id,
        scopes=list(token.scopes),
        per_minute=token.per_minute,
        per_hour=token.per_hour,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )
