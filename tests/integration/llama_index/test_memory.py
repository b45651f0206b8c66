"""`guard_memory`: who says what decides how it is guarded, whichever way it comes in."""

from __future__ import annotations

import asyncio
import json
import pickle
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import Context as WorkflowContext
from workflows.context.serializers import JsonSerializer, PickleSerializer

from guardrails_plugin import ConfigError, Context, Engine, GuardBlocked, Keyring
from guardrails_plugin.llama_index import Vault, guard_agent, guard_llm, guard_memory
from tests.integration.llama_index.scripted import AGENTS_WARN, QUIET, SSN, PlainLLM, Script, blocking, said

pytestmark = [*AGENTS_WARN]

TEXT = f"My SSN is {SSN}."
CLEAN = "My SSN is <US_SSN>."


def contents(memory: Any) -> list[str]:
    return [str(message.content) for message in memory.get_all()]


@pytest.mark.parametrize("role", [MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL, MessageRole.FUNCTION])
@pytest.mark.parametrize("way", ["put", "aput", "put_messages", "aput_messages", "set", "aset"])
def test_every_way_in_is_guarded(role: MessageRole, way: str) -> None:
    inner = ChatMemoryBuffer.from_defaults()
    memory = guard_memory(inner, overrides=QUIET)
    message = ChatMessage(role=role, content=TEXT)
    method = getattr(memory, way)
    given: Any = message if way.endswith("put") else [message]
    _ = asyncio.run(method(given)) if way.startswith("a") else method(given)
    assert contents(inner) == contents(memory) == [CLEAN]
    assert message.content == TEXT


def test_the_developers_own_messages_stay() -> None:
    memory = guard_memory(overrides=QUIET)
    memory.put(ChatMessage(role=MessageRole.SYSTEM, content=TEXT))
    assert contents(memory) == [TEXT]


def test_a_refused_message_raises_or_leaves_the_refusal() -> None:
    message = ChatMessage(role=MessageRole.USER, content=TEXT)
    with pytest.raises(GuardBlocked):
        guard_memory(overrides=blocking("prompt")).put(message)
    memory = guard_memory(overrides=blocking("prompt"), on_block="refuse", refusal="Not kept.")
    memory.put(message)
    assert [(m.role, m.content) for m in memory.get_all()] == [(MessageRole.USER, "Not kept.")]
    memory.reset()
    assert asyncio.run(memory.aget_all()) == memory.get() == []


def test_a_chat_engines_model_is_asked_what_the_memory_holds() -> None:
    script = Script("Hello.")
    engine = SimpleChatEngine.from_defaults(llm=script.model(), memory=guard_memory(overrides=QUIET))
    engine.chat(TEXT)
    assert [str(m.content) for m in script.prompts[0]] == [CLEAN]


class TestPickle:
    @pytest.mark.parametrize("inner", [PlainLLM.saying("x"), Script(TEXT).model()])
    def test_a_guarded_model_arrives_with_its_model_and_its_policy(self, inner: Any) -> None:
        guarded = guard_llm(inner, overrides=blocking("llm_prompt"), on_block="refuse", refusal="No.")
        again = pickle.loads(pickle.dumps(guarded))
        assert type(again) is type(guarded)
        assert again.metadata == guarded.metadata
        assert again.complete(TEXT).text == "No."

    @pytest.mark.parametrize("serializer", [JsonSerializer(), PickleSerializer()])
    @pytest.mark.parametrize("options", [{}, {"engine": Engine(detectors={})}])
    def test_a_guarded_memory_goes_on_guarding_in_a_run_that_is_taken_up_again(
        self, serializer: Any, options: Any
    ) -> None:
        agent = guard_agent(FunctionAgent(llm=Script("ok").model()), overrides=QUIET)

        async def run() -> Any:
            handler = agent.run(user_msg=TEXT, memory=guard_memory(overrides=QUIET, **options))
            await handler
            again = WorkflowContext.from_dict(agent, handler.ctx.to_dict(serializer=serializer), serializer=serializer)
            await agent.run(user_msg="Again.", ctx=again)
            return await again.store.get("memory")

        memory = asyncio.run(run())
        memory.put(said(TEXT))
        assert contents(memory) == [CLEAN, "ok", "Again.", "ok", CLEAN]

    @pytest.mark.parametrize(
        "again",
        [lambda memory: pickle.loads(pickle.dumps(memory)), lambda memory: type(memory).from_dict(memory.to_dict())],
    )
    def test_a_copy_of_a_guarded_memory_refuses_alike(self, again: Any) -> None:
        memory = again(guard_memory(overrides=blocking("prompt"), on_block="refuse", refusal="Not kept."))
        memory.put(ChatMessage(content=TEXT))
        assert contents(memory) == ["Not kept."]

    def test_a_memory_whose_engine_stayed_elsewhere_takes_no_more_until_it_gets_one(self) -> None:
        memory = guard_memory(overrides=QUIET)
        memory.put(ChatMessage(content=TEXT))
        stored = json.loads(json.dumps(memory.to_dict()))
        stored["policy"]["engine"] = "another process's"
        lost = type(memory).from_dict(stored)
        with pytest.raises(ConfigError, match="guard_memory"):
            lost.put(ChatMessage(content=TEXT))
        found = guard_memory(lost, overrides=QUIET)
        found.put(ChatMessage(content=TEXT))
        assert contents(found) == [CLEAN, CLEAN]

    def test_keys_do_not_travel(self) -> None:
        engine = Engine(keyring=Keyring.generate())
        with pytest.raises(ConfigError, match="cannot be pickled"):
            pickle.dumps(guard_llm(PlainLLM.saying("x"), engine=engine))


class TestTenants:
    def test_a_vault_of_another_tenant_is_refused(self) -> None:
        keyring = Keyring.generate()
        with pytest.raises(ConfigError, match=r"tenant ''.*'acme'"):
            guard_llm(PlainLLM.saying("x"), context=Context(tenant="acme"), vault=Vault(keyring))

    @pytest.mark.parametrize("restores", [True, False])
    def test_the_answer_is_turned_back_for_its_reader_only(self, restores: bool) -> None:
        keyring = Keyring.generate()
        encrypting: Any = {stage: {**own, "pii": {"sensitive": "encrypt"}} for stage, own in QUIET.items()}
        vault = Vault(keyring, tenant="acme")
        prompts: list[Any] = []

        def answer(messages: Any, **kwargs: Any) -> ChatMessage:
            prompts.append(list(messages))
            return said(f"You said: {messages[-1].content}")

        agent = guard_agent(
            FunctionAgent(llm=MockFunctionCallingLLM(response_generator=answer, is_chat_model=True)),
            engine=Engine(keyring=keyring),
            overrides=encrypting,
            context=Context(tenant="acme"),
            vault=vault,
            restore_answer=restores,
        )

        async def run() -> tuple[str, list[str]]:
            handler = agent.run(user_msg=TEXT)
            events = [repr(event) async for event in handler.stream_events()]
            result: Any = await handler
            return str(result.response.content), events

        text, events = asyncio.run(run())
        assert (SSN in text) is restores
        assert SSN not in repr(prompts)
        assert SSN not in "".join(events)
