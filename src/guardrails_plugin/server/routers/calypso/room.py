"""Which scanners run for a request: the project's configuration, the scanners it may use, what the call says."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrails_plugin.scanners import Scope
from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.problems import not_found
from guardrails_plugin.server.routers.calypso.access import enter, library
from guardrails_plugin.server.routers.calypso.catalogue import BUILT, BuiltIn, built_in, stable_id
from guardrails_plugin.server.routers.calypso.scanner_store import active_version, checked_config, version_meta
from guardrails_plugin.server.routers.calypso.settings import Entry, Setup, allowed, setup_of
from guardrails_plugin.server.services import Services
from guardrails_plugin.server.store.objects import Object
from guardrails_plugin.server.store.records import Project

__all__ = ["Active", "Asked", "Room", "built_in_version", "room_for"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call says about scanners, beyond the project's configuration.

    Attributes:
        disabled: not to run, unless the project forces them.
        forced: to run although the project has them switched off; drafts too, for those who may publish them.
        configs: settings for this call, by scanner; of one that the project forces only for those who may manage it.
    """

    disabled: frozenset[str] = frozenset()
    forced: frozenset[str] = frozenset()
    configs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Active:
    """A scanner that runs.

    Attributes:
        config: of a custom scanner; None for a built-in one.
        custom: its settings are this project's or this call's own.
    """

    id: str
    name: str
    direction: str
    meta: Mapping[str, Any]
    entry: Entry
    config: Mapping[str, Any] | None
    built_in: BuiltIn | None
    custom: bool

    @property
    def type(self) -> str:
        """keyword, regex or custom."""
        return str(self.config["type"]) if self.config else "custom"

    @property
    def mode(self) -> str:
        """What a finding means; what has no place in the text cannot be covered, so it blocks."""
        covers = self.built_in.covers if self.built_in else self.type != "custom"
        return "block" if self.entry.mode == "redact" and not covers else self.entry.mode

    @property
    def label(self) -> str:
        """Entity type of a custom scanner's findings: its id as a number, since letters would be split into words."""
        return f"SCANNER_{uuid.UUID(self.id).int}"

    @property
    def threshold(self) -> float | str:
        """Least score that counts."""
        own = (self.entry.config or {}).get("threshold")
        if self.built_in is None:
            return 0.5
        return self.built_in.threshold if own is None else float(own)  # type: ignore[arg-type]

    def looks_at(self, direction: str) -> bool:
        """Whether it scans prompts, or answers."""
        return self.direction in (direction, "both")


@dataclass(frozen=True, slots=True)
class Room:
    """A project made ready for one request."""

    project: Project
    setup: Setup
    scanners: tuple[Active, ...]


def room_for(services: Services, exchange: Exchange, project: str | None, asked: Asked) -> Room:
    """The project of a request and the scanners that run in it. Blocks on the store.

    Raises:
        ApiError: 404, the project, or a scanner that is forced on, is not there; 403, a draft is forced on, or one
            that the project forces is given other settings, by those who may not manage it.
    """
    found = enter(services, exchange, project)
    setup = setup_of(found)
    custom = library(services, found, setup)
    entries = setup.entries()
    for shared in custom.all():
        if shared.body["global"] and shared.body["published"]:
            entries.setdefault(shared.id, Entry(id=shared.id))
    for scanner_id in asked.forced:
        if built_in(scanner_id) is None and custom.get(scanner_id) is None:
            raise not_found("Scanner")
        entries.setdefault(scanner_id, Entry(id=scanner_id, enabled=False))
    caller = _caller(services, exchange, entries.values())
    ready = []
    for entry in entries.values():
        forced = entry.id in asked.forced
        off = entry.id in asked.disabled and not entry.force
        if forced or (entry.enabled and not off and Scope(groups=entry.groups, users=entry.users).covers(caller)):
            made = _active(entry, custom.get(entry.id), asked, exchange, forced=forced)
            ready += [made] if made else []
    return Room(found, setup, tuple(ready))


def built_in_version(scanner: BuiltIn) -> dict[str, Any]:
    """The one version of a built-in scanner."""
    return {
        "createdAt": BUILT,
        "createdBy": "system",
        "description": scanner.description,
        "id": stable_id("version", scanner.name, "1"),
        "name": "v_1",
        "published": True,
    }


def _active(entry: Entry, made: Object | None, asked: Asked, exchange: Exchange, *, forced: bool) -> Active | None:
    own = asked.configs.get(entry.id)
    if own is not None and entry.force:
        # With settings of its own a call could switch off what the project forces on it.
        exchange.user.require(MANAGE)
    custom = own is not None or entry.config is not None
    standard = built_in(entry.id)
    if standard is not None:
        entry = entry if own is None else allowed(entry.model_copy(update={"config": own}), standard)
        meta = built_in_version(standard)
        return Active(entry.id, standard.name, standard.direction, meta, entry, None, standard, custom)
    if made is None:
        return None
    version = active_version(made.body, entry.version, draft=forced)
    if version is None:
        return None
    if not version["published"]:
        exchange.user.require(MANAGE)
    config = checked_config(own or entry.config) if custom else version["config"]
    return Active(made.id, made.name, version["direction"], version_meta(version), entry, config, None, custom)


def _caller(services: Services, exchange: Exchange, entries: Iterable[Entry]) -> Scope:
    """Who asks, as entries for some users or groups want to know it."""
    user = exchange.user
    users = frozenset({user.user_id or user.subject})
    if not user.user_id or not any(entry.groups for entry in entries):
        return Scope(users=users)
    known = services.store.user(user.user_id)
    return Scope(users=users, groups=frozenset(known.settings.get("groups", ()) if known else ()))
