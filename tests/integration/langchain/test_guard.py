"""`chain | guard` with the real langchain-core and its fake models: every type, every way to call, nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from pydantic import BaseModel

from guardrails_plugin import ConfigError, Engine, GuardBlocked, Keyring
from guardrails_plugin.langchain import Guard
from tests.integration.langchain.fakes import says
from tests.strategies import NO_MODEL

BLOCK = {**NO_MODEL, "pii": {"sensitive": "block"}}
RAW = "536-90-4399"
SAID = f"My SSN is {RAW}, thanks."
CLEAN = "My SSN is <US_SSN>, thanks."


def guard(stage: str = "response", **fields: Any) -> Guard:
    return Guard(stage, **{"overrides": NO_MODEL, **fields})


class Person(BaseModel):
    name: str
    ssn: str
    age: int = 3


@dataclasses.dataclass
class Note:
    text: str


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SAID, CLEAN),
        ([SAID, 1, None], [CLEAN, 1, None]),
        ((SAID,), (CLEAN,)),
        ({"a": {"b": [SAID]}}, {"a": {"b": [CLEAN]}}),
        (HumanMessage(SAID, id="7"), HumanMessage(CLEAN, id="7")),
        (AIMessage([{"type": "text", "text": SAID}]), AIMessage([{"type": "text", "text": CLEAN}])),
        ({"messages": [("user", SAID)]}, {"messages": [("user", CLEAN)]}),
        ({"messages": [{"role": "user", "content": SAID}]}, {"messages": [{"role": "user", "content": CLEAN}]}),
        (
            Document(page_content=SAID, metadata={"ssn": RAW, "page": 3}, id="d"),
            Document(page_content=CLEAN, metadata={"ssn": "<US_SSN>", "page": 3}, id="d"),
        ),
        (Person(name="A", ssn=RAW), Person(name="A", ssn="<US_SSN>")),
        (Note(SAID), Note(CLEAN)),
        (
            ToolMessage(SAID, tool_call_id="t", artifact={"x": [SAID]}),
            ToolMessage(CLEAN, tool_call_id="t", artifact={"x": [CLEAN]}),
        ),
        ("", ""),
        (None, None),
    ],
)
class TestEveryType:
    def test_comes_out_guarded_as_the_same_type_and_is_not_changed_in_place(self, value: Any, expected: Any) -> None:
        before = copy.deepcopy(value)
        output = guard().invoke(value)
        assert output == expected
        assert type(output) is type(value)
        assert value == before

    def test_by_every_way_of_calling(self, value: Any, expected: Any) -> None:
        own = guard()

        async def everything() -> list[Any]:
            one = await own.ainvoke(value)
            many = await own.abatch([value, value])
            return [one, *many, *[item async for item in own.astream(value)]]

        assert own.batch([value, value]) == [expected, expected]
        assert list(own.stream(value)) == [expected]
        assert asyncio.run(everything()) == [expected] * 4


def test_prompt_values_keep_who_said_what() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{q}")])
    value = (prompt | guard("llm_prompt")).invoke({"q": SAID})
    assert [message.content for message in value.to_messages()] == ["Be brief.", CLEAN]
    assert isinstance(value.to_messages()[0], SystemMessage)


def test_tool_calls_are_guarded_everywhere_but_at_the_response_stage() -> None:
    call = {"name": "send", "args": {"ssn": RAW}, "id": "1", "type": "tool_call"}
    message = AIMessage("", tool_calls=[call])
    assert guard("llm_prompt").invoke(message).tool_calls[0]["args"] == {"ssn": "<US_SSN>"}
    assert guard("response").invoke(message).tool_calls[0]["args"] == {"ssn": RAW}


def test_a_rewritten_tool_call_leaves_no_raw_chunk_behind() -> None:
    chunk: Any = {"name": "send", "args": f'{{"ssn": "{RAW}"}}', "id": "1", "index": 0, "type": "tool_call_chunk"}
    output = guard("llm_prompt").invoke(AIMessageChunk(content="", tool_call_chunks=[chunk]))
    assert RAW not in repr(output)
    assert output.tool_calls[0]["args"] == {"ssn": "<US_SSN>"}


def chain(reply: str, **fields: Any) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages([("user", "{q}")])
    return prompt | guard("llm_prompt") | FakeListChatModel(responses=[reply]) | guard("response", **fields)


class TestStreaming:
    REPLY = (
        f"Let me see. {SAID} " + "And the story goes on for a good while, so that there is something to stream. " * 4
    )

    def test_streams_many_chunks_that_add_up_to_the_whole_answer(self) -> None:
        whole = chain(self.REPLY).invoke({"q": "hi"}).content
        chunks = list(chain(self.REPLY).stream({"q": "hi"}))
        assert len(chunks) > 5
        assert "".join(chunk.content for chunk in chunks) == whole == self.REPLY.replace(RAW, "<US_SSN>")

    def test_async_streams_are_the_same(self) -> None:
        async def run() -> list[str]:
            return [chunk.content async for chunk in chain(self.REPLY).astream({"q": "hi"})]

        assert "".join(asyncio.run(run())) == self.REPLY.replace(RAW, "<US_SSN>")

    def test_strings_stream_too_and_keep_message_ids(self) -> None:
        chunks = list((chain(self.REPLY) | StrOutputParser()).stream({"q": "hi"}))
        assert "".join(chunks) == self.REPLY.replace(RAW, "<US_SSN>")
        ids = {chunk.id for chunk in chain(self.REPLY).stream({"q": "hi"})}
        assert len(ids) == 1

    def test_a_block_ends_the_stream_before_the_value(self) -> None:
        seen: list[str] = []
        with pytest.raises(GuardBlocked, match="US_SSN"):
            seen.extend(chunk.content for chunk in chain(self.REPLY, overrides=BLOCK).stream({"q": "hi"}))
        assert RAW[:3] not in "".join(seen)

    def test_a_refusal_takes_the_place_of_the_rest(self) -> None:
        refused = chain(self.REPLY, overrides=BLOCK, on_block="refuse", refusal="No.")
        assert "".join(chunk.content for chunk in refused.stream({"q": "hi"})).endswith("No.")

    def test_only_as_much_is_taken_from_upstream_as_the_consumer_wants(self) -> None:
        taken, closed = [], []

        def upstream(_: Iterator[Any]) -> Iterator[str]:
            try:
                for number in range(1000):
                    taken.append(number)
                    yield f"This is sentence number {number}, nothing in it. "
            finally:
                closed.append(True)

        stream = (RunnableGenerator(upstream) | guard()).stream("go")
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert len(taken) < 50
        assert closed == [True]

    def test_chunks_without_text_pass_at_once_with_their_usage(self) -> None:
        usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}

        def upstream(_: Iterator[Any]) -> Iterator[AIMessageChunk]:
            yield AIMessageChunk(content="Fine, thanks.")
            yield AIMessageChunk(content="", usage_metadata=usage)

        chunks = list((RunnableGenerator(upstream) | guard()).stream("go"))
        assert sum((chunk.usage_metadata or {}).get("total_tokens", 0) for chunk in chunks) == 3
        assert "".join(chunk.content for chunk in chunks) == "Fine, thanks."

    def test_objects_are_guarded_whole(self) -> None:
        def upstream(_: Iterator[Any]) -> Iterator[dict[str, str]]:
            yield {"a": "My"}
            yield {"a": SAID}

        assert list((RunnableGenerator(upstream) | guard()).stream("go")) == [{"a": CLEAN}]

    def test_async_upstreams_are_closed_too(self) -> None:
        closed = []

        async def upstream(_: AsyncIterator[Any]) -> AsyncIterator[str]:
            try:
                for number in range(1000):
                    yield f"This is sentence number {number}, nothing in it. "
            finally:
                closed.append(True)

        async def run() -> None:
            stream = (RunnableGenerator(upstream) | guard()).astream("go")
            async for _ in stream:
                break
            await stream.aclose()  # type: ignore[attr-defined]

        asyncio.run(run())
        assert closed == [True]


class TestBlocks:
    def test_raise_is_the_default_and_is_not_retried_text(self) -> None:
        with pytest.raises(GuardBlocked) as raised:
            guard(overrides=BLOCK).invoke(SAID)
        assert raised.value.stage == "response"
        assert RAW not in repr(raised.value) + str(raised.value)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (SAID, "No."),
            (HumanMessage(SAID, id="7", name="ann"), HumanMessage("No.", id="7", name="ann")),
            (SystemMessage(SAID), SystemMessage("No.")),
            (ChatMessage(content=SAID, role="judge"), ChatMessage(content="No.", role="judge")),
            (AIMessage(SAID, tool_calls=[{"name": "send", "args": {}, "id": "1"}]), AIMessage("No.")),
            (AIMessageChunk(content=SAID), AIMessageChunk(content="No.")),
            (
                ToolMessage(SAID, tool_call_id="t", name="find", artifact=[SAID]),
                ToolMessage("No.", tool_call_id="t", name="find", status="error"),
            ),
            (FunctionMessage(content=SAID, name="find"), FunctionMessage(content="No.", name="find")),
            (StringPromptValue(text=SAID), StringPromptValue(text="No.")),
            (
                ChatPromptValue(messages=[SystemMessage("Be brief."), HumanMessage(SAID)]),
                ChatPromptValue(messages=[HumanMessage("No.")]),
            ),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_refuse_keeps_the_type_and_the_place_in_the_conversation(self, value: Any, expected: Any) -> None:
        own = guard(overrides=BLOCK, on_block="refuse", refusal="No.")
        for output in (own.invoke(value), *own.stream(value)):
            assert type(output) is type(value)
            messages = output.to_messages() if isinstance(output, ChatPromptValue) else [output]
            marks = [one.response_metadata.pop("guard", {}) for one in messages if isinstance(one, BaseMessage)]
            assert {mark["verdict"] for mark in marks if mark} <= {"block"}
            assert output == expected

    def test_a_refusal_tells_of_the_guard_before_it_and_keeps_its_tokens(self) -> None:
        first = guard("prompt", overrides=BLOCK, on_block="refuse", refusal=SAID).invoke(HumanMessage(SAID))
        first.response_metadata["guard"]["fpe_context"] = "sealed"
        first.response_metadata["guard"]["encrypted"] = RAW
        second = guard("llm_prompt", overrides=BLOCK, on_block="refuse", refusal="No.").invoke(first)
        mark = second.response_metadata["guard"]
        assert (mark["stage"], mark["before"]["stage"], mark["fpe_context"]) == ("llm_prompt", "prompt", "sealed")
        assert RAW not in repr(second)

    def test_a_message_of_the_applications_own_class_is_refused_as_what_it_derives_from(self) -> None:
        class Own(HumanMessage):
            account: str

        output = guard(overrides=BLOCK, on_block="refuse", refusal="No.").invoke(Own(content=SAID, account=RAW))
        assert type(output) is HumanMessage
        assert RAW not in repr(output)

    @pytest.mark.parametrize("value", [SAID, HumanMessage(SAID), ChatPromptValue(messages=[HumanMessage(SAID)])])
    def test_a_refusal_does_not_end_a_chain_and_a_block_that_raises_does(self, value: Any) -> None:
        """The model is asked the refusal; `docs/langchain.md` says what to write instead."""
        own = guard("llm_prompt", overrides=BLOCK, on_block="refuse", refusal="No.")
        wrapped = [HumanMessage(SAID)] if isinstance(value, HumanMessage) else value
        as_messages = RunnableLambda(lambda given: [given] if isinstance(given, BaseMessage) else given)
        inner = says("ok")
        (own | as_messages | inner).invoke(value)
        assert [message.content for message in inner.seen[0]] == ["No."]
        with pytest.raises(GuardBlocked):
            (guard("llm_prompt", overrides=BLOCK) | inner).invoke(wrapped)
        assert len(inner.seen) == 1

    def test_refuse_cannot_make_up_structured_output(self) -> None:
        with pytest.raises(GuardBlocked):
            guard(overrides=BLOCK, on_block="refuse").invoke({"a": SAID})

    def test_drop_leaves_out_blocked_documents_only(self) -> None:
        documents = [Document(page_content="fine"), Document(page_content=SAID), Document(page_content="fine, too")]
        kept = guard("ingestion", overrides=BLOCK, on_block="drop").invoke(documents)
        assert [document.page_content for document in kept] == ["fine", "fine, too"]

    @pytest.mark.parametrize("at_once", [1, 2, None])
    def test_a_batch_has_a_config_for_each_and_keeps_its_order(self, at_once: int | None) -> None:
        told: list[Any] = []

        class Told(BaseCallbackHandler):
            def on_chain_start(self, serialized: Any, inputs: Any, *, tags: Any = None, **kwargs: Any) -> None:
                told.append(tags)

        values = [f"{number}: {SAID}" for number in range(5)]
        configs: Any = [
            {"tags": [f"tag-{number}"], "callbacks": [Told()], "max_concurrency": at_once} for number in range(5)
        ]
        expected = [f"{number}: {CLEAN}" for number in range(5)]
        assert guard().batch(values, configs) == expected
        assert asyncio.run(guard().abatch(values, configs)) == expected
        assert sorted(tag for tags in told for tag in tags) == sorted(f"tag-{number}" for number in (*range(5),) * 2)

    def test_one_block_in_a_batch_can_be_returned_instead_of_raised(self) -> None:
        fine, blocked = guard(overrides=BLOCK).batch(["fine", SAID], return_exceptions=True)
        assert fine == "fine"
        assert isinstance(blocked, GuardBlocked)

    def test_a_retry_repeats_blocks_unless_it_is_told_which_errors_to_repeat(self) -> None:
        tried: list[Any] = []

        def said(value: str) -> str:
            tried.append(value)
            return value

        chain = RunnableLambda(said) | guard(overrides=BLOCK)
        with pytest.raises(GuardBlocked):
            chain.with_retry(wait_exponential_jitter=False, stop_after_attempt=2).invoke(SAID)
        assert len(tried) == 2
        with pytest.raises(GuardBlocked):
            chain.with_retry(retry_if_exception_type=(ConnectionError,)).invoke(SAID)
        assert len(tried) == 3
        assert "retry_if_exception_type" in str(Guard.__doc__)

    def test_fallbacks_take_over(self) -> None:
        safe = guard(overrides=BLOCK).with_fallbacks(
            [RunnableLambda(lambda _: "safe")], exceptions_to_handle=(GuardBlocked,)
        )
        assert safe.invoke(SAID) == "safe"


class Recorder(BaseCallbackHandler):
    """Everything that callbacks are told about chains."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.seen.append(("start", kwargs.get("name"), inputs))

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.seen.append(("end", outputs))

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append(("error", repr(error)))


def test_the_guards_own_run_holds_no_text() -> None:
    for overrides in (NO_MODEL, BLOCK):
        recorder = Recorder()
        config: Any = {"callbacks": [recorder]}
        own = guard(overrides=overrides)
        own.batch([SAID, SAID], config, return_exceptions=True)
        with contextlib.suppress(GuardBlocked):
            list(own.transform(iter([SAID]), config))
        assert len(recorder.seen) == 6
        assert RAW not in repr(recorder.seen)


def test_run_ids_and_user_ids_reach_the_audit_record() -> None:
    records: list[Any] = []

    class Sink:
        def write(self, record: Any) -> None:
            records.append(record)

    own = Guard("response", overrides=NO_MODEL, engine=Engine(sinks=[Sink()]))
    own.invoke("x", {"metadata": {"user_id": "u1"}, "configurable": {"thread_id": "t1"}})
    assert records[0]["metadata"] == {"user_id": "u1", "thread_id": "t1"}


class TestObject:
    def test_misspelt_options_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="on_blok"):
            Guard("prompt", on_blok="raise")

    def test_unknown_stages_are_refused_with_the_valid_ones(self) -> None:
        with pytest.raises(ConfigError, match="unknown stage 'promt'; valid: ingestion"):
            Guard("promt")

    def test_copies_share_the_engine_and_pickles_work(self) -> None:
        own = guard()
        assert copy.deepcopy(own).engine is own.engine
        assert own.model_copy().engine is own.engine
        assert pickle.loads(pickle.dumps(own)).invoke(SAID) == CLEAN

    def test_a_guard_with_keys_is_not_pickled(self) -> None:
        with pytest.raises(Exception, match="cannot be pickled"):
            pickle.dumps(Guard("prompt", engine=Engine(keyring=Keyring.generate())))

    def test_async_checks_leave_the_event_loop_free(self) -> None:
        ticks = []

        async def run() -> None:
            async def tick() -> None:
                while True:
                    ticks.append(1)
                    await asyncio.sleep(0.001)

            ticker = asyncio.create_task(tick())
            await guard().ainvoke(f"{SAID} " * 3000)
            ticker.cancel()

        asyncio.run(run())
        assert len(ticks) > 3
