"""Prompts made from templates: the template is the developer's, what is filled in is not.

LlamaIndex sends its own templates as messages of the user ("Given the context information and not prior knowledge,
answer the query"), with retrieved text inside. Judged as a whole they look like injected instructions. So what is
filled in is guarded by where it comes from, and the whole as what the developer wrote, whose instructions are trusted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole
from llama_index.core.chat_engine.condense_plus_context import DEFAULT_CONDENSE_PROMPT_TEMPLATE
from llama_index.core.prompts import BasePromptTemplate, SelectorPromptTemplate

from guardrails_plugin.llama_index.answers import ChatStream, CompletionStream, aguarded, guarded
from guardrails_plugin.llama_index.failures import Asked
from guardrails_plugin.llama_index.guarding import Checked, Guarding
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.types import Origin, Segment, Stage

__all__ = ["Predicting"]

_EXTERNAL = frozenset({"context_str", "context_msg", "context", "text", "context_list", "sql_response_str", "docs"})
"""Variables of LlamaIndex's templates that hold retrieved text."""

_TURN = re.compile(rf"^((?:{'|'.join(role.value for role in MessageRole)}): )", re.MULTILINE)
"""Where a turn begins in LlamaIndex's transcript of a chat: as one text it would look as if a user made up roles."""

_CONDENSING = re.compile(
    re.escape(DEFAULT_CONDENSE_PROMPT_TEMPLATE)
    .replace(r"\{chat_history\}", "(?P<chat_history>.*)")
    .replace(r"\{question\}", "(?P<question>.*)"),
    re.DOTALL,
)
"""What the condense_plus_context chat engine has a model complete: its template, filled in before any model sees it."""


class Predicting:
    """The methods of a model that take a template, guarded."""

    _inner: Any
    _guarding: Guarding

    @property
    def _model(self) -> Asked:
        """The model to ask: its exceptions are guarded, too."""
        return Asked(self._inner, self._guarding)

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        made = self._prompt(prompt, prompt_args)
        if made.result.blocked:
            return self._guarding.refusal
        if isinstance(made.value, str):
            answer = self._completion(self._model.complete(made.value, formatted=True)).text
        else:
            answer = self._answer(self._model.chat(made.value)).message.content or ""
        return str(self._inner._parse_output(answer))  # noqa: SLF001 - no public way

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        made = await asyncio.to_thread(self._prompt, prompt, prompt_args)
        if made.result.blocked:
            return self._guarding.refusal
        if isinstance(made.value, str):
            completed = await self._model.acomplete(made.value, formatted=True)
            answer = (await asyncio.to_thread(self._completion, completed)).text
        else:
            chatted = await self._model.achat(made.value)
            answer = (await asyncio.to_thread(self._answer, chatted)).message.content or ""
        return str(self._inner._parse_output(answer))  # noqa: SLF001 - no public way

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> Iterator[str]:
        self._check_streams(prompt)
        made = self._prompt(prompt, prompt_args)
        if made.result.blocked:
            return iter([self._guarding.refusal])
        if isinstance(made.value, str):
            completion = self._model.stream_complete(made.value, formatted=True)
            return _tokens(guarded(completion, CompletionStream(self._guarding)))
        return _tokens(guarded(self._model.stream_chat(made.value), self._chat_stream(self._guarding)))

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> AsyncGenerator[str, None]:
        self._check_streams(prompt)
        made = await asyncio.to_thread(self._prompt, prompt, prompt_args)
        if made.result.blocked:
            return _one(self._guarding.refusal)
        if isinstance(made.value, str):
            completion = await self._model.astream_complete(made.value, formatted=True)
            return _atokens(aguarded(completion, CompletionStream(self._guarding)))
        return _atokens(aguarded(await self._model.astream_chat(made.value), self._chat_stream(self._guarding)))

    def _prompt(self, prompt: BasePromptTemplate, prompt_args: dict[str, Any]) -> Checked:
        """The guarded prompt, messages or text as the model wants it."""
        if isinstance(prompt, SelectorPromptTemplate):
            prompt = prompt.select(self._inner)
        known = _used(prompt, {**prompt.kwargs, **prompt_args})
        filled = self._passed(self._guarding.check(Stage.LLM_PROMPT, [_argument(*item) for item in known.items()]))
        if filled.result.blocked:
            return filled
        given = dict(zip(known, filled.value, strict=True))
        for name in [name for name in known if _is_transcript(name, known[name])]:
            told = self._transcript(known[name])
            if told.result.blocked:
                return told
            given[name] = told.value
        bare = prompt.model_copy(update={"kwargs": {}})
        if not self._inner.metadata.is_chat_model:
            text = self._inner._get_prompt(bare, **given)  # noqa: SLF001 - no public way
            return self._passed(self._guarding.check(Stage.LLM_PROMPT, text, origin=Origin.SYSTEM))
        messages: list[ChatMessage] = self._inner._get_messages(bare, **given)  # noqa: SLF001 - no public way
        written = [message.model_copy(update={"role": MessageRole.SYSTEM}) for message in messages]
        whole = self._passed(self._guarding.check(Stage.LLM_PROMPT, written))
        if whole.result.blocked:
            return whole
        roles = [message.role for message in messages]
        return Checked(
            [m.model_copy(update={"role": role}) for m, role in zip(whole.value, roles, strict=True)], whole.result
        )

    def _transcript(self, text: str) -> Checked:
        """A chat history, every turn by itself and none trusted: anybody can write "system: " into a turn."""
        checked = self._guarding.check(Stage.LLM_PROMPT, "")
        turns: list[str] = []
        for part in _TURN.split(text):
            if part.strip() and not _TURN.fullmatch(part):
                checked = self._passed(self._guarding.check(Stage.LLM_PROMPT, part, origin=Origin.USER))
                if checked.result.blocked:
                    return checked
                turns.append(checked.value)
            else:
                turns.append(part)
        return Checked("".join(turns), checked.result)

    def _completed(self, prompt: str) -> Checked:
        """The guarded text to complete; LlamaIndex's own template in it is the developer's."""
        who = self._guarding.completions
        filled = None if who is Origin.SYSTEM else _CONDENSING.fullmatch(prompt)
        if filled is None:
            return self._passed(self._guarding.check(Stage.LLM_PROMPT, prompt, origin=who))
        told = self._transcript(filled["chat_history"])
        if told.result.blocked:
            return told
        asked = self._passed(self._guarding.check(Stage.LLM_PROMPT, filled["question"], origin=who))
        if asked.result.blocked:
            return asked
        text = DEFAULT_CONDENSE_PROMPT_TEMPLATE.format(chat_history=told.value, question=asked.value)
        return self._passed(self._guarding.check(Stage.LLM_PROMPT, text, origin=Origin.SYSTEM))

    def _passed(self, checked: Checked) -> Checked:
        if not self._guarding.refuses:
            checked.result.raise_for_block()
        return checked

    def _check_streams(self, prompt: BasePromptTemplate) -> None:
        if prompt.output_parser is not None or self._inner.output_parser is not None:
            raise NotImplementedError("Output parser is not supported for streaming.")

    def _answer(self, response: ChatResponse) -> ChatResponse:
        raise NotImplementedError

    def _chat_stream(self, policy: Guarding) -> ChatStream:
        raise NotImplementedError

    def _completion(self, response: CompletionResponse) -> CompletionResponse:
        raise NotImplementedError


def _used(prompt: BasePromptTemplate, known: dict[str, Any]) -> dict[str, Any]:
    """What ends up in the text; LlamaIndex hands in more than that, even the template itself."""
    if prompt.function_mappings:
        return known
    used = {*prompt.template_vars, *(prompt.template_var_mappings or {})}
    return {name: value for name, value in known.items() if name in used}


def _argument(name: str, value: Any) -> Any:
    """What is filled in for a variable, with who wrote it; what cannot be guarded as it is, as the text it becomes."""
    if _is_transcript(name, value):
        return None
    if not isinstance(value, str) and guardable({name: value}):
        return value
    return Segment(str(value), Origin.EXTERNAL if name in _EXTERNAL else Origin.USER)


def _is_transcript(name: str, value: Any) -> bool:
    return name == "chat_history" and isinstance(value, str)


def _tokens(chunks: Iterable[Any]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk.delta or ""


async def _atokens(chunks: AsyncIterable[Any]) -> AsyncGenerator[str, None]:
    async for chunk in chunks:
        yield chunk.delta or ""


async def _one(token: str) -> AsyncGenerator[str, None]:
    yield token
