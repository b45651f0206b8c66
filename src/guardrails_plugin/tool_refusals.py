"""What a model is told in place of a tool's call or result that was refused, by the doors of all adapters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from guardrails_plugin.types import Stage

__all__ = ["reasons_in", "tool_refusal"]

_REASON = re.compile(r"[\w.-]{1,60}: [A-Z0-9_]{1,60}")


def tool_refusal(stage: str, reasons: Iterable[str]) -> str:
    """Which of the two was refused, and why: names of detectors and types.

    Args:
        stage: where: a call at pre_tool, a result anywhere else. After a result the tool has run.
        reasons: of the result or exception; there may be none.
    """
    what = "call" if stage == Stage.PRE_TOOL.value else "result"
    why = ", ".join(reasons)
    return f"The tool {what} was blocked by policy ({why})." if why else f"The tool {what} was blocked by policy."


def reasons_in(mark: object) -> tuple[str, ...]:
    """The reasons in a mark that a refused call carries. It may come from anywhere: nothing else in it is told."""
    found = mark if isinstance(mark, (list, tuple)) else ()
    return tuple(reason for reason in found if isinstance(reason, str) and _REASON.fullmatch(reason))
