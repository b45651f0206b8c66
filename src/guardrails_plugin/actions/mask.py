"""Cover every character."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict
from guardrails_plugin.unicode_tables import DROPPED

__all__ = ["Mask", "mask_char"]


class Mask:
    """As many mask characters as the value shows; separators are covered too, since they tell the format.

    Invisible characters go: a mask in their place would make what they stood in visible.

    Args:
        char: the mask character.
    """

    name: ClassVar[str] = "mask"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def __init__(self, *, char: str = "*") -> None:
        self._char = mask_char(char, self.name)

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The mask, of the length that could be seen."""
        del finding, call
        return self._char * sum(char not in DROPPED for char in value)


def mask_char(char: object, action: str) -> str:
    """The character, when it can hide others: one, printable, neither letter nor digit nor space."""
    if isinstance(char, str) and len(char) == 1 and char.isprintable() and not char.isalnum() and not char.isspace():
        return char
    given = repr(char)[:20] if isinstance(char, str) else type(char).__name__
    raise ConfigError(f"{action}.char: expected one printable character that is no letter, digit or space, got {given}")
