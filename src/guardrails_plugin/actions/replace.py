"""Put the entity type in place of the value."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Replace"]


class Replace:
    """``<US_SSN>``, or ``<US_SSN_1>`` when numbered.

    Args:
        numbered: give every distinct value of a type its own number, so that a reader can tell them apart.
    """

    name: ClassVar[str] = "replace"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def __init__(self, *, numbered: bool = False) -> None:
        if not isinstance(numbered, bool):
            raise ConfigError(f"replace.numbered: expected true or false, got {type(numbered).__name__}")
        self._numbered = numbered

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The entity type in angle brackets."""
        number = f"_{call.ordinal(finding.entity_type, value)}" if self._numbered else ""
        return f"<{finding.entity_type}{number}>"
