"""What one product's routes bring with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardrails_plugin.server.problems import Problem, problem_response

__all__ = ["Product"]


@dataclass(frozen=True, slots=True)
class Product:
    """A set of routes with one way to word errors.

    Attributes:
        router: the routes, with their whole paths.
        prefixes: paths below which errors are worded by ``envelope``; the longest prefix that fits wins.
        envelope: an error in the product's own form.
        public: exact paths that need no credentials.
        unrecorded: exact paths that leave no audit record and are not limited (health).
    """

    router: APIRouter
    prefixes: tuple[str, ...] = ()
    envelope: Callable[[Request, Problem], Response] = problem_response
    public: frozenset[str] = frozenset()
    unrecorded: frozenset[str] = frozenset()
