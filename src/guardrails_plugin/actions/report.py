"""Say it, change nothing."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Report"]


class Report:
    """The finding stands in the result; the text stays as it is."""

    name: ClassVar[str] = "report"
    verdict: ClassVar[Verdict] = Verdict.REPORT

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The value itself."""
        del finding, call
        return value
