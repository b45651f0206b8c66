"""What credentials may do."""

from __future__ import annotations

from guardrails_plugin.server.store.records import Project

__all__ = ["ADMIN", "CALYPSO", "GUARD", "MANAGE", "lent"]

GUARD = "guard"
"""May have contents checked."""
MANAGE = "manage"
"""May change its own project: scanners, policies, keys."""
ADMIN = "admin"
"""May manage every project."""

CALYPSO = "calypso"
"""Where a project's configuration keeps what CalypsoAI's routes set: its people, too."""


def lent(project: Project, who: str) -> frozenset[str]:
    """The scopes of someone of another project in this one: none, unless it has them among its people."""
    people = project.config.get(CALYPSO, {})
    if who in people.get("admins", ()):
        return frozenset({GUARD, MANAGE})
    return frozenset({GUARD}) if who in people.get("members", ()) else frozenset()
