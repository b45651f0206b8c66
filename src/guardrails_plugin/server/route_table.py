"""Which route a request is for: asked where one is refused before routing, and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.types import Scope

__all__ = ["RouteTable", "flat"]


class RouteTable:
    """The templates of all paths (``/api/v1/policies/{policy_id}``), which are what records and metrics name.

    Args:
        routers: in the order in which routing tries them.
    """

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._routers = tuple(routers)

    def template(self, scope: Scope) -> str:
        """The template a request fits, that of its method before others; "" where no route has such a path.

        Never the path itself: what a caller made up may hold anything.
        """
        chosen = getattr(scope.get("route"), "path", "")
        if chosen:
            return str(chosen)
        fitting = [route for route in self._routes if route.path_regex.match(scope["path"])]
        allowed = [route for route in fitting if scope["method"] in (route.methods or ())]
        return next((route.path for route in (*allowed, *fitting)), "")

    @cached_property
    def _routes(self) -> list[APIRoute]:
        return [route for router in self._routers for route in flat(router)]


def flat(router: APIRouter) -> Iterator[APIRoute]:
    """The routes of a router and of those it includes, which newer releases of FastAPI keep apart.

    Paths are whole: the routers of this service have their prefixes themselves, and are included without one.
    """
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(inner := getattr(route, "original_router", None), APIRouter):
            yield from flat(inner)
