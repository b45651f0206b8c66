"""What the functions of this package are handed, checked before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.tools import BaseTool
from pydantic import BaseModel

from guardrails_plugin.errors import ConfigError

__all__ = ["require", "require_nodes", "require_tools"]


def require(name: str, given: object, kind: type | tuple[type, ...], valid: str) -> None:
    """Nothing, when the argument is of that kind.

    Raises:
        ConfigError: it is of another; the message says which, and what is valid.
    """
    if not isinstance(given, kind):
        raise ConfigError(f"{name}: expected {valid}, got {_kind(given)}")


def require_tools(tools: object) -> list[Any]:
    """The tools as a list.

    Raises:
        ConfigError: something else than a list of tools and functions.
    """
    if isinstance(tools, (str, bytes, Mapping, type)) or not isinstance(tools, Iterable):
        raise ConfigError(f"tools: expected a list of tools or functions ([my_tool]), got {_kind(tools)}")
    listed = list(tools)
    for place, tool in enumerate(listed):
        if not isinstance(tool, BaseTool) and not callable(tool):
            raise ConfigError(f"tools[{place}]: expected a LlamaIndex tool or a function, got {_kind(tool)}")
    return listed


def require_nodes(name: str, given: object, valid: str, kind: type = BaseNode) -> None:
    """Nothing, when it is a list of those.

    Raises:
        ConfigError: it is something else, or holds something else.
    """
    # A pydantic object is iterable, too: over its fields.
    if isinstance(given, (str, bytes, Mapping, BaseModel)) or not isinstance(given, Iterable):
        raise ConfigError(f"{name}: expected a list of {name}, got {_kind(given)}")
    for place, one in enumerate(given):
        require(f"{name}[{place}]", one, kind, valid)


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
