"""What a model call costs, counted while it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from guardrails_plugin.server.exchange import Exchange

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

__all__ = ["Meter"]

_CHARACTERS_A_TOKEN = 4
"""OpenAI's rule of thumb for English."""


class Meter:
    """Tokens and dollars of one call, which are in the statistics from the first chunk on.

    A stream that is cut short, by a guard or by a client that leaves, never comes to the chunk in which the provider
    tells what it used: until it does, tokens are guessed from the number of characters.

    Args:
        exchange: whose statistics.
        named: provider and model.
        price: dollars per million input and output tokens; None when the model is on no list.
        asked: what the model is sent.
    """

    def __init__(
        self,
        exchange: Exchange,
        named: tuple[str, str],
        price: tuple[float, float] | None,
        asked: Sequence[Mapping[str, Any]],
    ) -> None:
        self._exchange = exchange
        self._named = "/".join(named)
        self._price = price
        self._asked = sum(len(str(message.get("content") or "")) for message in asked)
        self._told = (0, 0)
        self._answered = 0
        self._counted: tuple[int, float] | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Into the model and out of it."""
        if any(self._told):
            return self._told
        return -(-self._asked // _CHARACTERS_A_TOKEN), -(-self._answered // _CHARACTERS_A_TOKEN)

    @property
    def cost(self) -> float | None:
        """US dollars; None when the model has no price."""
        if self._price is None:
            return None
        into, out = self.tokens
        return (into * self._price[0] + out * self._price[1]) / 1e6

    def add(self, message: BaseMessage) -> None:
        """Count a reply, or a chunk of one."""
        used = getattr(message, "usage_metadata", None) or {}
        into, out = self._told
        self._told = into + int(used.get("input_tokens", 0)), out + int(used.get("output_tokens", 0))
        self._answered += len(message.text)
        self._count()

    def _count(self) -> None:
        if self._counted is None:
            self._exchange.count("llm.calls")
            self._exchange.count(f"llm.models.{self._named}"[:128])
        tokens, cost = self._counted or (0, 0.0)
        self._counted = sum(self.tokens), self.cost or 0.0
        self._exchange.count("llm.tokens", self._counted[0] - tokens)
        self._exchange.count("llm.cost", self._counted[1] - cost)
