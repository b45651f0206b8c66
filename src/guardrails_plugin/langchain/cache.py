"""LangChain's caches of model replies, behind guards: what they hold of a guarded model is guarded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import AIMessage, message_chunk_to_message
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from guardrails_plugin.langchain.encrypted import tokens
from guardrails_plugin.langchain.reply_calls import has_blocked_calls

__all__ = ["Caching"]


class Caching:
    """One call of a model whose cache, its own or the global one, must not get the reply as the model gave it.

    A reply from a cache passes the guards like any other.

    Args:
        model: a model, or a Runnable made of models (with options bound, retries, fallbacks). One that makes its model
            when it runs (``init_chat_model`` without a model) is not looked into: give it ``cache=False``.
        policy: identifies the reply's guard: what was guarded by another one is not taken.

    Attributes:
        model: what to call in its place: the same one unless there is a cache.
    """

    def __init__(self, model: Any, policy: str) -> None:
        self._policy = policy
        self._views: list[_View] = []
        self.model = self._behind(model)

    def keep(self, reply: AIMessage) -> None:
        """Write the guarded reply. What is encrypted or blocked in one is its own conversation's only."""
        for view in self._views if _for_all(reply) else ():
            view.keep(reply)

    async def akeep(self, reply: AIMessage) -> None:
        """`keep` without blocking the event loop."""
        for view in self._views if _for_all(reply) else ():
            await view.akeep(reply)

    def _behind(self, value: Any) -> Any:
        if isinstance(value, BaseLanguageModel):
            return self._model(value)
        if isinstance(value, Runnable) and isinstance(value, BaseModel):
            parts = {name: getattr(value, name) for name in type(value).model_fields}
            changed = {name: own for name, part in parts.items() if (own := self._behind(part)) is not part}
            return value.model_copy(update=changed) if changed else value
        if isinstance(value, dict):
            return _same(value, {name: self._behind(part) for name, part in value.items()})
        return _same(value, [self._behind(part) for part in value]) if isinstance(value, (list, tuple)) else value

    def _model(self, model: Any) -> Any:
        cache = model.cache if isinstance(model.cache, BaseCache) else get_llm_cache()
        if model.cache is False or cache is None:
            return model
        view = _View(cache, self._policy)
        self._views.append(view)
        return model.model_copy(update={"cache": view})


class _View(BaseCache):
    """A cache that does not write what it is told to, but remembers where it belongs."""

    def __init__(self, cache: BaseCache, policy: str) -> None:
        self._cache = cache
        self._policy = policy
        self._place: tuple[str, str] | None = None

    def lookup(self, prompt: str, llm_string: str) -> Any:
        return self._cache.lookup(*self._at(prompt, llm_string))

    async def alookup(self, prompt: str, llm_string: str) -> Any:
        return await self._cache.alookup(*self._at(prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        self._place = self._at(prompt, llm_string)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Any) -> None:
        self.update(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        self._cache.clear(**kwargs)

    def keep(self, reply: AIMessage) -> None:
        if self._place is not None:
            self._cache.update(*self._place, _generations(reply))

    async def akeep(self, reply: AIMessage) -> None:
        if self._place is not None:
            await self._cache.aupdate(*self._place, _generations(reply))

    def _at(self, prompt: str, llm_string: str) -> tuple[str, str]:
        return prompt, f"{llm_string}, guarded: {self._policy}"


def _for_all(reply: AIMessage) -> bool:
    return not tokens([reply]) and not has_blocked_calls(reply)


def _same(value: Any, made: Any) -> Any:
    """The value itself when nothing in it was changed."""
    kept: Sequence[Any] = list(value.values()) if isinstance(value, Mapping) else value
    own: Sequence[Any] = list(made.values()) if isinstance(made, Mapping) else made
    return value if all(one is other for one, other in zip(kept, own, strict=True)) else made


def _generations(reply: AIMessage) -> list[ChatGeneration]:
    # A copy: LangChain writes the run's id into the message that it gives out.
    return [ChatGeneration(message=message_chunk_to_message(reply).model_copy())]
