"""What the functions of this package are handed, checked before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.tools import BaseTool

from guardrails_plugin.errors import ConfigError

__all__ = ["require", "require_tools"]


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


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
