"""CalypsoAI: projects, which are the service's tenants, with their scanners, packages, providers and people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from guardrails_plugin.server.auth import ADMIN, MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import forbidden, invalid, not_found
from guardrails_plugin.server.routers.calypso.access import enter, library, organisation
from guardrails_plugin.server.routers.calypso.catalogue import built_in, package, packages, stable_id
from guardrails_plugin.server.routers.calypso.models import known_providers
from guardrails_plugin.server.routers.calypso.scanner_store import checked_config, newest
from guardrails_plugin.server.routers.calypso.settings import (
    Entry,
    EntryPatch,
    PackagePatch,
    ProviderPatch,
    SettingsPatch,
    Setup,
    setup_of,
)
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
    moment,
)
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.records import Project

__all__ = ["router"]

router = APIRouter(prefix=PREFIX)

_Type = Literal["app", "chat", "bot"]
_Status = Literal["draft", "test", "live"]
_People = Annotated[list[Ref], Field(max_length=1000)]
_Friendly = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class ProjectBody(Wire):
    """A new project. Packages, scanners and providers may stand in ``config`` or beside it."""

    name: Name
    type: _Type | None = None
    project_type: _Type | None = None
    friendly_id: _Friendly | None = None
    admins: _People = Field(default_factory=list)
    members: _People = Field(default_factory=list)
    config: SettingsPatch = SettingsPatch()
    packages: Annotated[list[PackagePatch], Field(max_length=100)] | None = None
    scanners: Annotated[list[EntryPatch], Field(max_length=1000)] | None = None
    providers: Annotated[list[ProviderPatch], Field(max_length=100)] | None = None
    deployment_status: _Status | None = None


class ProjectPatch(Wire):
    """A change; what is not given stays, and so do scanners that are not named."""

    name: Name | None = None
    admins: _People | None = None
    members: _People | None = None
    config: SettingsPatch = SettingsPatch()
    scanners: Annotated[list[EntryPatch], Field(max_length=1000)] | None = None
    deployment_status: _Status | None = None


@router.post("/projects")
def create_project(given: ProjectBody, exchange: Current, services: Running) -> Made:
    """Make a project; for administrators."""
    exchange.user.require(ADMIN)
    config = given.config
    scanners = config.scanners or given.scanners or []
    providers = config.providers or given.providers or []
    wanted = config.packages if config.packages is not None else given.packages
    started = Setup({made.id: True for made in packages() if made.default and wanted is None})
    setup = started.with_packages(_known_packages(wanted or []))
    setup = setup.with_people(given.admins, given.members).with_status(given.deployment_status)
    kind = given.type or given.project_type or "app"
    made = services.store.create_project(given.name, friendly_id=given.friendly_id or "", kind=kind)
    try:
        _check_providers(services, exchange, made, setup, providers)
        setup = _with_scanners(services, exchange, made, setup, scanners).with_providers(providers)
    except Exception:
        services.store.delete_project(made.id)
        raise
    services.store.update_project(made.id, config=setup.stored(made))
    _happened(exchange, "project_created", made.id)
    return Made(id=made.id)


@router.get("/projects")
def list_projects(
    exchange: Current,
    services: Running,
    *,
    limit: Limit = 100,
    cursor: Cursor = None,
    search: Search = None,
    provider_id: Annotated[str | None, Query(alias="providerId", max_length=128)] = None,
) -> dict[str, Any]:
    """All projects for administrators, one's own for others."""
    found = services.store.projects(only=None if exchange.user.is_admin else exchange.project_id)
    wanted = [
        project
        for project in found
        if (search or "").casefold() in project.name.casefold()
        and (provider_id is None or setup_of(project).providers.get(provider_id, (False, False))[0])
    ]
    page = cut("projects", [{"project": project} for project in wanted], cursor, limit)
    return {**page, "projects": [_project(services, item["project"]) for item in page["projects"]]}


@router.get("/project")
def get_global_project(exchange: Current, services: Running) -> dict[str, Any]:
    """The project of these credentials: for a global token the global project."""
    return {"project": _project(services, enter(services, exchange))}


@router.get("/projects/{project_id}")
def get_project(project_id: Id, exchange: Current, services: Running) -> dict[str, Any]:
    """One project, by id or friendly id."""
    return {"project": _project(services, enter(services, exchange, project_id))}


@router.patch("/projects/{project_id}")
def update_project(project_id: Id, given: ProjectPatch, exchange: Current, services: Running) -> Done:
    """Change a project."""

    def change(project: Project, setup: Setup) -> Setup:
        config = given.config
        _check_providers(services, exchange, project, setup, config.providers or [])
        setup = setup.with_packages(_known_packages(config.packages or []))
        setup = _with_scanners(services, exchange, project, setup, config.scanners or given.scanners or [])
        setup = setup.with_providers(config.providers or [])
        return setup.with_people(given.admins, given.members).with_status(given.deployment_status)

    return _changed(services, exchange, project_id, change, "Project updated", name=given.name)


@router.delete("/projects/{project_id}")
def delete_project(project_id: Id, exchange: Current, services: Running) -> Done:
    """Remove a project with its users, credentials and scanners; for administrators."""
    exchange.user.require(ADMIN)
    before = exchange.user
    project = enter(services, exchange, project_id)
    if project.id == organisation(services).id:
        raise forbidden("The global project cannot be deleted.")
    exchange.principal = before  # the record of the deletion is the asking project's
    services.store.delete_project(project.id)
    services.authenticator.forget()
    _happened(exchange, "project_deleted", project.id)
    return Done(message="Project deleted")


@router.post("/projects/{project_id}/scanner-packages/{package_id}")
def add_package(project_id: Id, package_id: Id, exchange: Current, services: Running) -> Done:
    """Add a package: its scanners run."""
    patches = _known_packages([PackagePatch(id=package_id)])
    return _changed(services, exchange, project_id, lambda _, setup: setup.with_packages(patches), "Package added")


@router.delete("/projects/{project_id}/scanner-packages/{package_id}")
def remove_package(project_id: Id, package_id: Id, exchange: Current, services: Running) -> Done:
    """Remove a package with what was set about its scanners."""

    def change(_: Project, setup: Setup) -> Setup:
        if package_id not in setup.packages:
            raise not_found("Package")
        return setup.without_package(package_id)

    return _changed(services, exchange, project_id, change, "Package removed")


@router.post("/projects/{project_id}/scanners/{scanner_id}")
def add_scanner(project_id: Id, scanner_id: Id, exchange: Current, services: Running) -> Done:
    """Put a scanner into a project's list, switched off unless it is there already."""

    def change(project: Project, setup: Setup) -> Setup:
        known = scanner_id in setup.entries()
        patch = EntryPatch(id=scanner_id) if known else EntryPatch(id=scanner_id, enabled=False)
        return _with_scanners(services, exchange, project, setup, [patch])

    return _changed(services, exchange, project_id, change, "Scanner added")


@router.delete("/projects/{project_id}/scanners/{scanner_id}")
def remove_scanner(project_id: Id, scanner_id: Id, exchange: Current, services: Running) -> Done:
    """Take a scanner off a project's list."""

    def change(_: Project, setup: Setup) -> Setup:
        if scanner_id not in setup.scanners:
            raise not_found("Scanner")
        return setup.without([scanner_id])

    return _changed(services, exchange, project_id, change, "Scanner removed")


@router.post("/projects/{project_id}/providers/{provider_id}")
def add_provider(project_id: Id, provider_id: Id, exchange: Current, services: Running) -> Done:
    """Let a project use a provider."""

    def change(project: Project, setup: Setup) -> Setup:
        patches = [ProviderPatch(id=provider_id)]
        _check_providers(services, exchange, project, setup, patches)
        return setup.with_providers(patches)

    return _changed(services, exchange, project_id, change, "Provider added")


@router.delete("/projects/{project_id}/providers/{provider_id}")
def remove_provider(project_id: Id, provider_id: Id, exchange: Current, services: Running) -> Done:
    """Let a project no longer use a provider."""

    def change(_: Project, setup: Setup) -> Setup:
        if provider_id not in setup.providers:
            raise not_found("Provider")
        return setup.without_provider(provider_id)

    return _changed(services, exchange, project_id, change, "Provider removed")


def _changed(
    services: Services,
    exchange: Exchange,
    project_id: str,
    change: Callable[[Project, Setup], Setup],
    message: str,
    *,
    name: str | None = None,
) -> Done:
    """Change a project's configuration."""
    project = enter(services, exchange, project_id)
    exchange.user.require(MANAGE)
    setup = change(project, setup_of(project))
    services.store.update_project(project.id, name=name, config=setup.stored(project))
    services.authenticator.forget()  # people who are no longer in it have credentials for it
    _happened(exchange, "project_updated", project.id)
    return Done(message=message)


def _with_scanners(
    services: Services, exchange: Exchange, project: Project, setup: Setup, patches: list[EntryPatch]
) -> Setup:
    """The configuration with scanners changed, all of which the project may use.

    Raises:
        ApiError: 404, a scanner is not there; 400, a version is not published, or a mode is not possible.
    """
    if not patches:
        return setup
    known = library(services, project, setup, everything=exchange.user.is_admin)
    for patch in patches:
        made = known.get(patch.id)
        if built_in(patch.id) is None and made is None:
            raise not_found(f"Scanner {patch.id!r}")
        if made is None:
            continue
        versions = {version["id"]: version for version in made.body["versions"]}
        if patch.version and not versions.get(patch.version, {}).get("published"):
            raise invalid(f"scanner {patch.id!r}: version: expected the id of one of its published versions.")
        if patch.config is not None:
            checked_config(patch.config)
        if patch.mode == "redact" and newest(made.body)["config"]["type"] == "custom":
            raise invalid(f"scanner {patch.id!r}: mode 'redact' is for keyword and regex scanners.")
    return setup.with_entries(patches)


def _known_packages(patches: list[PackagePatch]) -> list[PackagePatch]:
    for patch in patches:
        if package(patch.id) is None:
            raise not_found(f"Package {patch.id!r}")
    return patches


def _check_providers(
    services: Services, exchange: Exchange, project: Project, setup: Setup, patches: list[ProviderPatch]
) -> None:
    """Refuse what the project cannot have: only administrators give it the organisation's providers.

    Raises:
        ApiError: 404, a provider is not there, or not for this project to take.
    """
    known = {provider.id: provider.project_id for provider in known_providers(services, project.id)} if patches else {}
    free = {*setup.providers, *(key for key, owner in known.items() if owner in ("", project.id))}
    for patch in patches:
        if patch.id not in known or not (patch.id in free or exchange.user.is_admin):
            raise not_found(f"Provider {patch.id!r}")


def _project(services: Services, project: Project) -> dict[str, Any]:
    setup = setup_of(project)
    return {
        "adminCount": len(setup.admins),
        "adminRoleId": stable_id("role", project.id, "admin"),
        "admins": list(setup.admins),
        "chatbotId": None,
        "config": {
            "packages": [_package(key, enabled=enabled) for key, enabled in setup.packages.items()],
            "providerRouting": None,
            "providers": _providers(services, project, setup),
            "scanners": [_entry(entry) for entry in setup.entries().values()],
        },
        "createdAt": moment(project.created_at),
        "deploymentStatus": setup.status,
        "friendlyId": project.friendly_id,
        "id": project.id,
        "memberCount": len(setup.members),
        "memberRoleId": stable_id("role", project.id, "member"),
        "members": list(setup.members),
        "name": project.name,
        "orgId": organisation(services).id,
        "type": project.type,
    }


def _package(package_id: str, *, enabled: bool) -> dict[str, Any]:
    made = package(package_id)
    return {"enabled": enabled, "id": package_id, "name": made.name if made else None}


def _providers(services: Services, project: Project, setup: Setup) -> list[dict[str, Any]]:
    known = {provider.id: provider for provider in known_providers(services, project.id)}
    return [
        {"default": default, "enabled": enabled, "id": key, "name": known[key].name, "type": known[key].type}
        for key, (enabled, default) in setup.providers.items()
        if key in known
    ]


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "blocking": entry.blocking,
        "config": entry.config,
        "enabled": entry.enabled,
        "flagMessage": entry.flag_message,
        "force": entry.force,
        "groups": sorted(entry.groups),
        "id": entry.id,
        "mode": entry.mode,
        "users": sorted(entry.users),
        "version": entry.version,
    }


def _happened(exchange: Exchange, event: str, project_id: str) -> None:
    exchange.event = event
    exchange.metadata["project_id"] = project_id
