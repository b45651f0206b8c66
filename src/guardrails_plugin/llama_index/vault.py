"""`Vault`: what turns a conversation's encrypted values back, for the tools that are trusted with them."""

from __future__ import annotations

from collections.abc import Container
from threading import Lock
from typing import Any

from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.crypto.fpe_context import FpeContext, open_
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.crypto.marks import Marks
from guardrails_plugin.llama_index.values import walker
from guardrails_plugin.types import GuardResult, Origin

__all__ = ["Vault"]

_LAYERS = 8
"""How often a value may have been encrypted: once here, and again by guards that do not share the vault."""


class Vault:
    """The tokens of one conversation. Guards that share it add what they encrypt; trusted tools get it back.

    Make one for each conversation, never one for all users: a value that one user's guard encrypted would be turned
    back for another.

    Args:
        keyring: the engine's own.
        tenant: the tenant of the guards' context.
    """

    def __init__(self, keyring: Keyring, *, tenant: str = "") -> None:
        self._keyring = keyring
        self._tenant = tenant
        self._opened: dict[str, FpeContext] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Vault({len(self._opened)} tokens)"

    def __deepcopy__(self, memo: dict[int, Any]) -> Vault:
        return self

    @property
    def tenant(self) -> str:
        """Whose values it turns back."""
        return self._tenant

    @property
    def is_empty(self) -> bool:
        """Whether nothing was encrypted yet."""
        return not self._opened

    def marks(self) -> Marks:
        """What keeps the encrypted values of the conversation out of a check's sight."""
        with self._lock:
            return Marks(list(self._opened.values()))

    def add(self, result: GuardResult) -> None:
        """Keep the token of a result, if it has one."""
        token = result.fpe_context
        if token is not None and token not in self._opened:
            opened = open_(token, self._keyring, self._tenant)
            with self._lock:
                self._opened[token] = opened

    def restore(self, content: Any, types: Container[str] | None = None) -> Any:
        """The content (a string, any JSON, messages) with encrypted values turned back.

        Args:
            content: what the model wrote.
            types: only values of these entity types; all by default.
        """
        with self._lock:
            opened = list(reversed(self._opened.values()))
        foreign = walker()
        found = segments(content, Origin.MODEL, foreign)
        return substitute(content, [_restored(segment.text, opened, types) for segment in found], foreign)


def _restored(text: str, opened: list[FpeContext], types: Container[str] | None) -> str:
    for _ in range(_LAYERS):
        before = text
        for context in opened:
            text = context.restore(text, types)
        if text == before:
            break
    return text
