"""Values that the ``encrypt`` action put into messages: kept out of later checks, turned back where that is wanted.

The token that turns values back travels with the message they were encrypted in, as
``response_metadata["guard"]["fpe_context"]``: sealed, bound to the tenant, sent to no provider.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage

from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.crypto import fpe_context
from guardrails_plugin.crypto.marks import Marks
from guardrails_plugin.engine import Engine
from guardrails_plugin.langchain.values import walker
from guardrails_plugin.types import Origin

__all__ = ["Encrypted", "carry", "tokens"]

_Message = TypeVar("_Message", bound=BaseMessage)


class Encrypted:
    """The encrypted values of a conversation.

    `hide` puts marks in their places, so that no stage takes them for the real thing and changes them; `show` puts
    them back as they were.

    Args:
        engine: the one that encrypted; without its keyring nothing is found.
        tokens: of the conversation's messages, oldest first.
        tenant: whose values they are.
    """

    def __init__(self, engine: Engine, tokens: Iterable[str], tenant: str = "") -> None:
        keyring = engine.keyring
        self._engine = engine
        self._tenant = tenant
        self._tokens = list(dict.fromkeys(tokens)) if keyring is not None else []
        self._opened = (
            [fpe_context.open_(token, keyring, tenant) for token in self._tokens] if keyring is not None else []
        )
        self._marks = Marks(self._opened)

    def __bool__(self) -> bool:
        return bool(self._opened)

    def hide(self, value: Any) -> Any:
        """The value with a mark in every encrypted value's place."""
        return self._rewritten(value, self._marks.hide)

    def show(self, value: Any) -> Any:
        """The value with encrypted values in place of the marks."""
        return self._rewritten(value, self._marks.show)

    def restore(self, value: Any, types: Container[str] | None = None) -> Any:
        """The value (a string or any JSON) with originals in place of encrypted values.

        Args:
            value: arguments of a trusted tool, or an answer.
            types: entity types to turn back; all by default.
        """
        for token in reversed(self._tokens):
            value = self._engine.unredact(value, token, tenant=self._tenant, types=types)
        return value

    def _rewritten(self, value: Any, change: Callable[[list[str]], list[str]]) -> Any:
        if not self._opened:
            return value
        foreign = walker(tool_calls=True)
        return substitute(value, change([part.text for part in segments(value, Origin.MODEL, foreign)]), foreign)


def tokens(messages: Iterable[BaseMessage]) -> list[str]:
    """The tokens that messages carry, oldest first."""
    return [token for message in messages for token in _carried(message)]


def carry(message: _Message, token: str | None) -> _Message:
    """The message with a token on it, beside those it has."""
    known = _carried(message)
    if token is None or token in known:
        return message
    mark = {**message.response_metadata.get("guard", {}), "fpe_context": [*known, token] if known else token}
    return message.model_copy(update={"response_metadata": {**message.response_metadata, "guard": mark}})


def _carried(message: BaseMessage) -> list[str]:
    found = message.response_metadata.get("guard", {}).get("fpe_context", [])
    return [found] if isinstance(found, str) else [token for token in found if isinstance(token, str)]
