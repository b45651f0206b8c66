"""Cover all but the end."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.actions.mask import mask_char
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["PartialMask"]


class PartialMask:
    """Keeps the last letters and digits, as receipts do with cards (PCI DSS 4.0, 3.4.1 allows the last four).

    A value with fewer than twice as many letters and digits keeps at most a quarter of them.

    Args:
        visible: how many letters and digits stay.
        char: the mask character.
        symbols: whether all characters are counted, not only letters and digits.
    """

    name: ClassVar[str] = "partial_mask"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def __init__(self, *, visible: int = 4, char: str = "*", symbols: bool = False) -> None:
        if isinstance(visible, bool) or not isinstance(visible, int) or visible < 0:
            given = visible if isinstance(visible, int) else type(visible).__name__
            raise ConfigError(f"partial_mask.visible: expected a whole number from 0 on, got {given}")
        self._visible = visible
        self._char = mask_char(char, self.name)
        self._symbols = symbols

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The value with its beginning covered, of the same length."""
        del finding, call
        places = [index for index, char in enumerate(value) if self._symbols or char.isalnum()]
        shown = self._visible if len(places) >= 2 * self._visible else len(places) // 4
        end = places[-shown] if shown else len(value)
        tail = value[end : places[-1] + 1] if shown else ""
        return self._char * end + tail + self._char * (len(value) - end - len(tail))
