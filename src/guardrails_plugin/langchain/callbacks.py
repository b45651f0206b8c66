"""A callback handler that blocks and observes, for applications whose objects cannot be wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ContentError
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.types import Stage

__all__ = ["GuardCallbackHandler"]


class GuardCallbackHandler(BaseCallbackHandler):
    """Raises GuardBlocked out of the run when a stage refuses; everything else is only observed (audit records).

    What it CANNOT do, since LangChain's callbacks cannot: it changes no text, so nothing is redacted, replaced or
    defanged; it sees an answer when its tokens have been streamed already, and a tool's result when the tool has run;
    other handlers may be told of a refused content before it is refused. Use `Guard`, `guard_model`,
    `guard_tools` or `GuardMiddleware` wherever they fit. Its methods are sync on purpose: LangChain swallows what
    async handlers raise. In async runs they hold up the event loop while they check.

    Event streams of version v3 are stopped at the end of the content block that is refused, since LangChain swallows
    what is raised at the end of such an answer: each block is judged for itself, what only several together say is
    observed, and there are audit records of the blocks and of the answer.

    Args:
        engine: of the stages without a guard of their own.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        llm_prompt: guard for prompts; True for the stage's recipe, False for none. Likewise:
        response: for answers.
        pre_tool: for tool calls.
        post_tool: for what tools and retrievers return.
    """

    raise_error = True
    run_inline = True

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        llm_prompt: Option = True,
        response: Option = True,
        pre_tool: Option = True,
        post_tool: Option = True,
    ) -> None:
        policies = StagePolicies(engine, recipes, overrides)
        self._prompt = policies.at(llm_prompt, Stage.LLM_PROMPT)
        self._response = policies.at(response, Stage.RESPONSE)
        self._pre = policies.at(pre_tool, Stage.PRE_TOOL)
        self._post = policies.at(post_tool, Stage.POST_TOOL)

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **kwargs: Any) -> None:
        _judge(self._prompt, prompts)

    def on_chat_model_start(self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **kwargs: Any) -> None:
        _judge(self._prompt, messages)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        made = [one for several in response.generations for one in several]
        _judge(self._response, [one.message if isinstance(one, ChatGeneration) else one.text for one in made])

    def on_stream_event(self, event: Any, **kwargs: Any) -> None:
        if event["event"] == "content-block-finish":
            _judge(self._response, AIMessage([event["content"]]))

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> None:
        inputs = kwargs.get("inputs")
        name = (serialized or {}).get("name", "")
        _judge(self._pre, {"name": name, "args": inputs if inputs is not None else input_str}, input_str)

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        _judge(self._post, output, str(output))

    def on_retriever_end(self, documents: Sequence[Document], **kwargs: Any) -> None:
        _judge(self._post, list(documents))


def _judge(check: StageCheck | None, value: Any, otherwise: str | None = None) -> None:
    """Raise if the value is refused; one of a type that cannot be read is judged by the string it comes with."""
    if check is None:
        return
    try:
        check(value)
    except ContentError:
        if otherwise is None:
            raise
        check(otherwise)
