"""CalypsoAI: scanners with their versions, and packages of scanners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import forbidden, invalid, not_found
from guardrails_plugin.server.routers.calypso.access import Library, enter, library
from guardrails_plugin.server.routers.calypso.catalogue import (
    BUILT,
    BuiltIn,
    Package,
    built_in,
    built_ins,
    package,
    package_of,
    packages,
)
from guardrails_plugin.server.routers.calypso.room import built_in_version
from guardrails_plugin.server.routers.calypso.scanner_store import (
    SCANNER,
    NewVersion,
    body,
    checked_config,
    edited,
    newest,
    published,
    version_meta,
)
from guardrails_plugin.server.routers.calypso.settings import setup_of
from guardrails_plugin.server.routers.calypso.wire import (
    PREFIX,
    Cursor,
    Direction,
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
from guardrails_plugin.server.store.objects import Object

__all__ = ["router"]

router = APIRouter(prefix=PREFIX)

Source = Annotated[Literal["vendor", "internal"] | None, Query()]


class ScannerBody(Wire):
    """A new scanner."""

    name: Name
    config: dict[str, JsonValue]
    direction: Direction = "both"
    shared: Annotated[bool, Field(alias="global")] = False
    published: bool = False
    version: NewVersion | None = None


class ScannerPatch(Wire):
    """A change. A configuration or direction makes a new version."""

    name: Name | None = None
    config: dict[str, JsonValue] | None = None
    direction: Direction | None = None
    shared: Annotated[bool | None, Field(alias="global")] = None
    published: bool | None = None
    version: NewVersion | None = None


class VersionPatch(Wire):
    """Publish a version, or withdraw it."""

    published: bool


class CopyBody(Wire):
    """What to call the copy."""

    name: Name | None = None


@router.get("/scanners")
def list_scanners(
    exchange: Current,
    services: Running,
    *,
    limit: Limit = 100,
    cursor: Cursor = None,
    search: Search = None,
    source: Source = None,
    package_id: Annotated[list[Ref] | None, Query(alias="packageId", max_length=100)] = None,
) -> dict[str, Any]:
    """The scanners one may use: custom ones, then those that come with the service."""
    found = []
    if source != "vendor" and not package_id:
        found = [_scanner(made) for made in _library(services, exchange).all()]
    if source != "internal":
        standard = built_ins().values()
        found += [_built_in(one) for one in standard if not package_id or _package_id(one) in package_id]
    wanted = [scanner for scanner in found if (search or "").casefold() in scanner["name"].casefold()]
    return cut("scanners", wanted, cursor, limit)


@router.post("/scanners")
def create_scanner(given: ScannerBody, exchange: Current, services: Running) -> Made:
    """Make a scanner: a draft, unless it is published at once."""
    exchange.user.require(MANAGE)
    content = body(
        checked_config(given.config),
        given.direction,
        exchange.user.subject,
        given=given.version or NewVersion(),
        shared=given.shared,
        public=given.published,
    )
    made = services.store.objects.create(exchange.project_id, SCANNER, content, name=given.name)
    _happened(exchange, "scanner_created", made.id)
    return Made(id=made.id)


@router.get("/scanners/{scanner_id}")
def get_scanner(scanner_id: Id, exchange: Current, services: Running) -> dict[str, Any]:
    """One scanner, as its newest version has it."""
    standard = built_in(scanner_id)
    if standard is not None:
        return {"scanner": _built_in(standard)}
    return {"scanner": _scanner(_visible(services, exchange, scanner_id))}


@router.patch("/scanners/{scanner_id}")
def update_scanner(scanner_id: Id, given: ScannerPatch, exchange: Current, services: Running) -> Done:
    """Change, publish or withdraw a scanner."""
    made = _own(services, exchange, scanner_id)
    content: Mapping[str, Any] = made.body
    if given.config is not None or given.direction is not None or given.version is not None:
        content = edited(
            content,
            exchange.user.subject,
            config=None if given.config is None else checked_config(given.config),
            direction=given.direction,
            given=given.version,
            public=bool(given.published),
        )
    elif given.published is not None:
        content = published(content, None, public=given.published)
    if given.shared is not None:
        content = {**content, "global": given.shared}
    services.store.objects.update(made.project_id, SCANNER, made.id, content, name=given.name)
    _happened(exchange, "scanner_updated", made.id)
    return Done(message="Scanner updated")


@router.delete("/scanners/{scanner_id}")
def delete_scanner(scanner_id: Id, exchange: Current, services: Running) -> Done:
    """Remove a scanner with all its versions; projects go on without it."""
    made = _own(services, exchange, scanner_id)
    services.store.objects.delete(made.project_id, SCANNER, made.id)
    _happened(exchange, "scanner_deleted", made.id)
    return Done(message="Scanner deleted")


@router.post("/scanners/{scanner_id}/duplicate")
def duplicate_scanner(scanner_id: Id, exchange: Current, services: Running, given: CopyBody | None = None) -> Made:
    """A draft of one's own like the newest version of a scanner."""
    exchange.user.require(MANAGE)
    if built_in(scanner_id) is not None:
        raise invalid("Scanners that come with the service cannot be duplicated.")
    old = _visible(services, exchange, scanner_id)
    last = newest(old.body)
    content = body(last["config"], last["direction"], exchange.user.subject, given=NewVersion())
    name = (given.name if given else None) or f"{old.name[:190]} (copy)"
    made = services.store.objects.create(exchange.project_id, SCANNER, content, name=name)
    _happened(exchange, "scanner_created", made.id)
    return Made(id=made.id)


@router.get("/scanners/{scanner_id}/versions")
def list_versions(
    scanner_id: Id,
    exchange: Current,
    services: Running,
    *,
    limit: Limit = 100,
    cursor: Cursor = None,
    only_published: Annotated[bool, Query(alias="onlyPublished")] = False,
) -> dict[str, Any]:
    """A scanner's versions, newest first."""
    standard = built_in(scanner_id)
    if standard is not None:
        return cut("versions", [built_in_version(standard)], cursor, limit)
    versions = [version_meta(version) for version in _visible(services, exchange, scanner_id).body["versions"]]
    wanted = [version for version in reversed(versions) if version["published"] or not only_published]
    return cut("versions", wanted, cursor, limit)


@router.get("/scanners/{scanner_id}/versions/{version_id}")
def get_version(scanner_id: Id, version_id: Id, exchange: Current, services: Running) -> dict[str, Any]:
    """One version with its configuration."""
    made = _visible(services, exchange, scanner_id)
    found = next((version for version in made.body["versions"] if version["id"] == version_id), None)
    if found is None:
        raise not_found("Version")
    return {"version": {**version_meta(found), "config": found["config"], "direction": found["direction"]}}


@router.patch("/scanners/{scanner_id}/versions/{version_id}")
def publish_version(scanner_id: Id, version_id: Id, given: VersionPatch, exchange: Current, services: Running) -> Done:
    """Publish one version, or withdraw it."""
    made = _own(services, exchange, scanner_id)
    if all(version["id"] != version_id for version in made.body["versions"]):
        raise not_found("Version")
    content = published(made.body, version_id, public=given.published)
    services.store.objects.update(made.project_id, SCANNER, made.id, content)
    _happened(exchange, "scanner_updated", made.id)
    return Done(message="Scanner version updated")


@router.get("/scanner-packages")
def list_packages(
    exchange: Current,
    limit: Limit = 100,
    cursor: Cursor = None,
    search: Search = None,
    source: Source = None,
) -> dict[str, Any]:
    """The packages that come with the service."""
    del exchange
    found = [] if source == "internal" else [_package(made) for made in packages()]
    wanted = [made for made in found if (search or "").casefold() in made["name"].casefold()]
    return cut("packages", wanted, cursor, limit)


@router.get("/scanner-packages/{package_id}")
def get_package(package_id: Id, exchange: Current) -> dict[str, Any]:
    """One package."""
    del exchange
    found = package(package_id)
    if found is None:
        raise not_found("Package")
    return {"package": _package(found)}


def _library(services: Services, exchange: Exchange) -> Library:
    project = enter(services, exchange)
    return library(services, project, setup_of(project))


def _visible(services: Services, exchange: Exchange, scanner_id: str) -> Object:
    found = _library(services, exchange).get(scanner_id)
    if found is None:
        raise not_found("Scanner")
    return found


def _own(services: Services, exchange: Exchange, scanner_id: str) -> Object:
    """A scanner that these credentials may change."""
    exchange.user.require(MANAGE)
    if built_in(scanner_id) is not None:
        raise forbidden("Scanners that come with the service cannot be changed.")
    found = services.store.objects.get(exchange.project_id, SCANNER, scanner_id)
    if found is None:
        raise not_found("Scanner")
    return found


def _scanner(made: Object) -> dict[str, Any]:
    last = newest(made.body)
    return {
        "config": last["config"],
        "createdAt": moment(made.created_at),
        "createdBy": made.body["versions"][0]["createdBy"],
        "description": last["description"],
        "direction": last["direction"],
        "global": made.body["global"],
        "id": made.id,
        "name": made.name,
        "packageId": None,
        "projectId": made.project_id,
        "published": made.body["published"],
        "source": "internal",
        "updatedAt": moment(made.updated_at),
        "vendored": False,
        "versionMeta": version_meta(last),
    }


def _built_in(scanner: BuiltIn) -> dict[str, Any]:
    meta = built_in_version(scanner)
    return {
        "config": {"type": "custom", "input": scanner.description, "scanContext": "directional"},
        "createdAt": BUILT,
        "createdBy": "system",
        "description": scanner.description,
        "direction": scanner.direction,
        "global": True,
        "id": scanner.id,
        "name": scanner.name,
        "packageId": _package_id(scanner),
        "projectId": None,
        "published": True,
        "source": "vendor",
        "updatedAt": BUILT,
        "vendored": True,
        "versionMeta": meta,
    }


def _package_id(scanner: BuiltIn) -> str | None:
    found = package_of(scanner.id)
    return found.id if found else None


def _package(made: Package) -> dict[str, Any]:
    return {
        "createdAt": BUILT,
        "createdBy": "system",
        "description": made.description,
        "id": made.id,
        "name": made.name,
        "scanners": [{"id": scanner.id, "name": scanner.name} for scanner in made.scanners],
        "source": "vendor",
    }


def _happened(exchange: Exchange, event: str, scanner_id: str) -> None:
    exchange.event = event
    exchange.metadata["scanner_id"] = scanner_id
