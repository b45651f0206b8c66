"""What the names of tools and arguments say: whether a call acts on the world, and what an argument holds.

Lists: ``data/tool_use.toml``. Limits: English names; a tool that acts under a reading name needs to be listed by the
user (``consequential`` of the detectors that use this).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["acts", "holds", "matches", "neutral", "tool_table", "verb", "words"]

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


@cache
def tool_table() -> Mapping[str, Mapping[str, Any]]:
    """The parsed ``data/tool_use.toml``."""
    text = (files("guardrails_plugin.detectors") / "data" / "tool_use.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def _listed(section: str, name: str) -> frozenset[str]:
    return frozenset(tool_table()[section][name].split())


@cache
def _kinds() -> Mapping[str, str]:
    return {word: kind for kind, listed in tool_table()["arguments"].items() for word in listed.split()}


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The lower-case words of a name in any convention.

    >>> words("gmail__sendEmail-to")
    ('gmail', 'send', 'email', 'to')
    """
    return tuple(part.lower() for part in _HUMP.split(name[:256]) if part)


def acts(tool: str) -> bool:
    """True when a tool changes something or sends something out, by the first verb of its name.

    >>> [acts("send_email"), acts("get_message"), acts("calculator")]
    [True, False, False]
    """
    return verb(tool) in _listed("tools", "acting")


def verb(tool: str) -> str:
    """The first word of a tool's name that says whether it acts or reads; "" when none does."""
    acting, reading = _listed("tools", "acting"), _listed("tools", "reading")
    return next((word for word in words(tool) if word in acting or word in reading), "")


def neutral(tool: str) -> bool:
    """True for an acting tool that agents use to answer questions, too: one that runs, opens or calls something."""
    return verb(tool) in _listed("tools", "neutral")


def holds(argument: str) -> str:
    """The kind of value an argument is for, by the last telling word of its last field; "" when its name says nothing.

    >>> [holds("payment.recipientIban"), holds("to"), holds("body"), holds("x")]
    ['account', 'recipient', 'content', '']
    """
    kinds = _kinds()
    for field in reversed(argument.split(".")):
        if known := [kinds[word] for word in words(field) if word in kinds]:
            return known[-1]
    return ""


def matches(name: str, globs: Iterable[str]) -> bool:
    """True when a name, case ignored, is one of the names or fits one of the globs (``*``, ``?``, ``[...]``)."""
    folded = name.casefold()
    return any(fnmatchcase(folded, glob.casefold()) for glob in globs)
