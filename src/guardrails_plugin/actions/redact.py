"""Delete the value."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Redact"]


class Redact:
    """Leaves nothing of the value.

    An action sees only the value, so `rewrite` puts the ellipsis where a deletion would join two words.
    """

    name: ClassVar[str] = "redact"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The empty text."""
        del value, finding, call
        return ""
