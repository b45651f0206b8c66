"""Which project a request is for, and which scanners that project may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from guardrails_plugin.server.auth import Principal
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.problems import not_found
from guardrails_plugin.server.routers.calypso.scanner_store import SCANNER
from guardrails_plugin.server.routers.calypso.settings import Setup
from guardrails_plugin.server.scopes import lent
from guardrails_plugin.server.services import Services
from guardrails_plugin.server.store.objects import Object
from guardrails_plugin.server.store.records import Project
from guardrails_plugin.server.store.store import DEFAULT_PROJECT

__all__ = ["Library", "enter", "library", "organisation"]


@dataclass(frozen=True, slots=True)
class Library:
    """The custom scanners a project may use.

    Attributes:
        own: made in the project.
        shared: of the organisation (the first project): those made for everybody, and those that an administrator
            has put into this project's configuration.
    """

    own: Mapping[str, Object]
    shared: Mapping[str, Object]

    def get(self, scanner_id: str) -> Object | None:
        """The scanner with this id."""
        return self.own.get(scanner_id) or self.shared.get(scanner_id)

    def all(self) -> list[Object]:
        """The project's own, then the organisation's, each in the order they were made."""
        return [*self.own.values(), *self.shared.values()]


def organisation(services: Services) -> Project:
    """The first project: what is made there can be given to all others."""
    found = services.store.project(DEFAULT_PROJECT)
    if found is None:
        raise not_found("Project")
    return found


def enter(services: Services, exchange: Exchange, project: str | None = None) -> Project:
    """The project a request names (by id or friendly id; its credentials' own by default), for the rest of it.

    Raises:
        ApiError: 404, there is none such, or it is none of theirs.
    """
    user = exchange.user
    found = services.store.project(project or user.project_id)
    principal = None if found is None else (user.within(found.id) or _member(services, user, found))
    if found is None or principal is None:
        raise not_found("Project")
    exchange.principal = principal
    return found


def library(services: Services, project: Project, setup: Setup, *, everything: bool = False) -> Library:
    """The scanners of a project.

    Args:
        services: the service.
        project: which.
        setup: its configuration.
        everything: also what the organisation has not given it: for administrators who are about to.
    """
    own = _scanners(services, project.id)
    home = organisation(services)
    if home.id == project.id:
        return Library(own, {})
    theirs = _scanners(services, home.id)
    shared = {
        key: found for key, found in theirs.items() if everything or found.body["global"] or key in setup.scanners
    }
    return Library(own, shared)


def _scanners(services: Services, project_id: str) -> dict[str, Object]:
    return {found.id: found for found in services.store.objects.all(project_id, SCANNER)}


def _member(services: Services, user: Principal, project: Project) -> Principal | None:
    """Someone of another project who was made a member or an administrator of this one.

    Credentials that were made for another project stay there, but for those of the global project; and nobody may do
    more here than with the same credentials at home.
    """
    if user.token_id and user.project_id != organisation(services).id:
        return None
    given = lent(project, user.user_id or user.subject)
    return replace(user, project_id=project.id, scopes=user.scopes & given) if given else None
