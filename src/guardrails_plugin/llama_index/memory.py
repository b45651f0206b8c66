"""`guard_memory`: a memory that holds guarded messages only, for chat engines and agents."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from types import NoneType
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.storage.chat_store import SimpleChatStore
from pydantic import PrivateAttr
from workflows.context.serializers import JsonSerializer, _active_serializer  # pyright: ignore[reportPrivateUsage]

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.call_gate import acted
from guardrails_plugin.llama_index.guarding import REFUSAL, Checked, Guarding, OnBlock, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.tool_calls import with_calls
from guardrails_plugin.llama_index.travel import read, written
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.types import Context, Stage

__all__ = ["GuardedMemory", "guard_memory"]

_STAGES = {
    MessageRole.USER: Stage.PROMPT,
    MessageRole.TOOL: Stage.POST_TOOL,
    MessageRole.FUNCTION: Stage.POST_TOOL,
}
"""By who speaks; the developer's messages are guarded with every prompt, everything else is a response."""


def guard_memory(
    memory: BaseMemory | None = None,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
) -> GuardedMemory:
    """The memory behind guards: users' messages at the prompt stage, tools' at post_tool, models' at response.

    The tool calls in them are guarded at pre_tool; of a refused one nothing but its name is remembered.

    Chat engines remember what a user says before any model is asked, and read the prompt back from there: with this
    memory neither it nor the prompt holds more than the guard let pass. Give the engine a `guard_llm` as well: it
    guards answers while they stream.

    Args:
        memory: any; a ChatMemoryBuffer by default. One that was read from storage, where its engine or vault is not:
            it gets these.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``prompt``, ``pre_tool``, ``post_tool``, ``response``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every message.
        vault: where tokens of encrypted values go.
        on_block: ``raise`` GuardBlocked out of the engine's call; ``refuse`` remembers `refusal` in its place.
        refusal: what is remembered in place of a refused message.
    """
    require("memory", memory, (BaseMemory, NoneType), "a LlamaIndex memory")
    policy = guarding(
        engine, recipes=recipes, overrides=overrides, context=context, vault=vault, on_block=on_block, refusal=refusal
    )
    if isinstance(memory, GuardedMemory) and memory.is_lost:
        memory = memory.inner
    return GuardedMemory.around(memory or ChatMemoryBuffer.from_defaults(), policy)


class GuardedMemory(BaseMemory):
    """What `guard_memory` makes. Stored and read again (`Context.to_dict`, pickle) it guards as before.

    Keys are not stored. Read in another process, where its own engine or vault is not, it shows what it holds and takes
    no more until `guard_memory` gives it an engine.
    """

    _inner: BaseMemory = PrivateAttr(default_factory=ChatMemoryBuffer.from_defaults)
    _policy: Guarding | None = PrivateAttr(default=None)

    @classmethod
    def around(cls, inner: BaseMemory, policy: Guarding | None) -> GuardedMemory:
        """A memory with this one inside."""
        made: Any = cls()
        made._inner, made._policy = inner, policy  # noqa: SLF001 - made here
        return cast("GuardedMemory", made)

    def __reduce__(self) -> tuple[Any, ...]:
        # LlamaIndex leaves out what it cannot pickle: a wrapper without its memory, or without its policy.
        return type(self).around, (self._inner, self._policy)

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """The memory and how it is guarded, as JSON."""
        policy = None if self._policy is None else written(self._policy)
        return {"class_name": self.class_name(), "memory": _stored(self._inner), "policy": policy}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **_kwargs: Any) -> GuardedMemory:
        """What `to_dict` gave."""
        policy = None if data["policy"] is None else read(data["policy"])
        return cls.around(_restored(data["memory"]), policy)

    @property
    def inner(self) -> BaseMemory:
        """The memory inside, which holds what was guarded."""
        return self._inner

    @property
    def is_lost(self) -> bool:
        """Whether its engine or vault stayed in another process."""
        return self._policy is None

    @property
    def _guarding(self) -> Guarding:
        if self._policy is None:
            raise ConfigError(
                "memory: the engine or vault that guarded it stayed in another process (keys are not stored); give it "
                "one: await ctx.store.set('memory', guard_memory(memory, engine=...))"
            )
        return self._policy

    @classmethod
    def class_name(cls) -> str:
        return "GuardedMemory"

    @classmethod
    def from_defaults(cls, **kwargs: Any) -> GuardedMemory:
        """`guard_memory`."""
        return guard_memory(**kwargs)

    def get(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:  # noqa: A002 - LlamaIndex's name
        return self._inner.get(input=input, **kwargs)

    async def aget(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:  # noqa: A002
        return await self._inner.aget(input=input, **kwargs)

    def get_all(self) -> list[ChatMessage]:
        return self._inner.get_all()

    async def aget_all(self) -> list[ChatMessage]:
        return await self._inner.aget_all()

    def put(self, message: ChatMessage) -> None:
        self._inner.put(self._guarded(message))

    async def aput(self, message: ChatMessage) -> None:
        await self._inner.aput(await asyncio.to_thread(self._guarded, message))

    def put_messages(self, messages: list[ChatMessage]) -> None:
        self._inner.put_messages(self._all(messages))

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        await self._inner.aput_messages(await asyncio.to_thread(self._all, messages))

    def set(self, messages: list[ChatMessage]) -> None:
        self._inner.set(self._all(messages))

    async def aset(self, messages: list[ChatMessage]) -> None:
        await self._inner.aset(await asyncio.to_thread(self._all, messages))

    def reset(self) -> None:
        self._inner.reset()

    async def areset(self) -> None:
        await self._inner.areset()

    def _guarded(self, message: ChatMessage) -> ChatMessage:
        return self._all([message])[0]

    def _all(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The guarded messages, in order; one pass of the engine for each stage."""
        guarded = dict(enumerate(messages))
        by_stage: dict[Stage, list[int]] = defaultdict(list)
        for place, message in guarded.items():
            if message.role not in {MessageRole.SYSTEM, MessageRole.DEVELOPER}:
                by_stage[_STAGES.get(message.role, Stage.RESPONSE)].append(place)
        for stage, places in by_stage.items():
            checks = self._guarding.each(stage, [messages[place] for place in places])
            guarded |= {place: self._passed(messages[place], own) for place, own in zip(places, checks, strict=True)}
        return list(guarded.values())

    def _passed(self, message: ChatMessage, checked: Checked) -> ChatMessage:
        if not checked.result.blocked:
            value: ChatMessage = checked.value
            return with_calls(value, self._called)
        if not self._guarding.refuses:
            checked.result.raise_for_block()
        return ChatMessage(role=message.role, blocks=[TextBlock(text=self._guarding.refusal)])

    def _called(self, name: str, arguments: Any) -> tuple[str, Any]:
        # By itself: in the conversation the call stands already, and would count as repeated.
        return name, acted(self._guarding, name, arguments)


def _stored(memory: BaseMemory) -> dict[str, Any]:
    """A memory as JSON. A buffer as its messages: LlamaIndex's own form of it fails as soon as it holds one."""
    if type(memory) is ChatMemoryBuffer and isinstance(memory.chat_store, SimpleChatStore):
        messages = [message.model_dump(mode="json") for message in memory.get_all()]
        return {"token_limit": memory.token_limit, "chat_store_key": memory.chat_store_key, "messages": messages}
    return cast("dict[str, Any]", _serializer().serialize_value(memory))


def _restored(data: dict[str, Any]) -> BaseMemory:
    if "messages" not in data:
        return cast("BaseMemory", _serializer().deserialize_value(data))
    history = [ChatMessage.model_validate(message) for message in data["messages"]]
    return ChatMemoryBuffer.from_defaults(
        chat_history=history, token_limit=data["token_limit"], chat_store_key=data["chat_store_key"]
    )


def _serializer() -> JsonSerializer:
    """That which is at work, with the classes it allows; one of its own else."""
    return _active_serializer.get() or JsonSerializer()
