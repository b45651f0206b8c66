"""What tools return, guarded: content, raw output and exception all say the same."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from llama_index.core.tools import ToolOutput
from pydantic import ValidationError

from guardrails_plugin.errors import ContentError, GuardError
from guardrails_plugin.invalid_arguments import explained, without_values
from guardrails_plugin.llama_index.guarding import Guarding
from guardrails_plugin.tool_refusals import tool_refusal
from guardrails_plugin.types import GuardResult, Stage

__all__ = ["ToolFailedError", "failure", "guarded_output", "guarded_value", "must_pass", "refused_output", "told"]


class ToolFailedError(Exception):
    """A tool failed; the message is the tool's own, guarded. Holds nothing else of the original exception."""


def must_pass(error: BaseException) -> bool:
    """True for exceptions that are part of the control flow (waiting for an event), or ours."""
    return (
        not isinstance(error, Exception) or type(error).__name__ == "WaitingForEvent" or isinstance(error, GuardError)
    )


def failure(guarding: Guarding, error: BaseException, fields: Container[str] = ()) -> ToolFailedError:
    """What may be said about a failure: agents show ``str(error)`` to the model and keep the exception.

    Args:
        guarding: the policy.
        error: of the tool; of arguments that do not fit, no value is told.
        fields: names of the arguments.
    """
    said = explained(without_values(error, fields)) if isinstance(error, ValidationError) else str(error)
    checked = guarding.check(Stage.POST_TOOL, said or type(error).__name__)
    return ToolFailedError(told(guarding, checked.result) if checked.result.blocked else checked.value)


def guarded_output(guarding: Guarding, output: ToolOutput, raw_input: dict[str, Any]) -> ToolOutput:
    """The output as a model may see it; the refusal when it was blocked.

    Args:
        guarding: the policy.
        output: of the tool; not changed.
        raw_input: what the output may say it was made from.
    """
    raw, whole = _raw(guarding, output)
    checked = guarding.check(Stage.POST_TOOL, [output.blocks, raw])
    if checked.result.blocked:
        return refused_output(output.tool_name, told(guarding, checked.result))
    blocks, raw = checked.value
    guarded = ToolOutput(
        tool_name=output.tool_name,
        blocks=blocks,
        raw_input=raw_input,
        is_error=output.is_error,
        exception=None if output.exception is None else failure(guarding, output.exception),
    )
    guarded.raw_output = raw if whole else guarded.content
    return guarded


def told(guarding: Guarding, result: GuardResult) -> str:
    """What is said in place of a refused call or result: the policy's own words, or which of the two it was and why."""
    return guarding.refusal or tool_refusal(result.stage.value, result.reasons)


def refused_output(name: str, refusal: str) -> ToolOutput:
    """An output that says no more than the refusal; an error, so that it is never an agent's final answer."""
    return ToolOutput(tool_name=name, content=refusal, raw_input={}, raw_output=refusal, is_error=True)


def guarded_value(guarding: Guarding, value: Any) -> Any:
    """What a function returned, for callers that call it themselves; the refusal when it was blocked.

    Raises:
        ContentError: it is of a kind that cannot be guarded.
    """
    checked = guarding.check(Stage.POST_TOOL, value)
    return told(guarding, checked.result) if checked.result.blocked else checked.value


def _raw(guarding: Guarding, output: ToolOutput) -> tuple[Any, bool]:
    """The raw output when it is something else than the content and can be guarded; else nothing."""
    raw = output.raw_output
    if isinstance(raw, str) and raw == output.content:
        return None, False
    try:
        guarding.segments(Stage.POST_TOOL, raw)
    except ContentError:
        return None, False
    return raw, True
