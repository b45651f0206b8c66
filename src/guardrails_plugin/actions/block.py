"""Refuse the whole content."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Block"]


class Block:
    """The content does not go on."""

    name: ClassVar[str] = "block"
    verdict: ClassVar[Verdict] = Verdict.BLOCK

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """Nothing: never called by the engine, and should anyone call it, the value does not get through."""
        del value, finding, call
        return ""
