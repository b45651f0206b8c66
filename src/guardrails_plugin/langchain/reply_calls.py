"""Tool calls in a model's reply: through the pre_tool gate before streams, events and checkpoints show them.

A blocked call keeps its name and id, has no arguments, and is marked in its message
(``response_metadata["guard"]["blocked_calls"]``), so that whoever runs tools refuses it, after a restart too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.encrypted import carry, tokens
from guardrails_plugin.langchain.tool_gate import ToolGate
from guardrails_plugin.tool_refusals import reasons_in

__all__ = ["RAW_CALLS", "Decided", "ReplyCalls", "blocked_call", "has_blocked_calls", "is_call_block"]

RAW_CALLS = frozenset({"tool_calls", "function_call"})
"""Where in ``additional_kwargs`` providers repeat the calls as they wrote them."""

Decided: TypeAlias = Callable[[ToolCall, "GuardBlocked | None"], None]
"""Is told a call as it leaves the model, and why it was blocked if it was."""

_MARK = "blocked_calls"
_CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call", "tool_call_chunk", "input_json_delta"})
_ARGUMENTS = ("input", "args", "arguments", "partial_json")
"""How content blocks of the providers name a call's arguments; some hold them as JSON text."""


class ReplyCalls:
    """The calls of one model's replies.

    Args:
        gate: what they pass through. One that raises raises for a blocked call.
        thread: the conversation that they are judged in; what the model was sent by default.
        decided: is told every call.
    """

    def __init__(
        self, gate: ToolGate, *, thread: Sequence[BaseMessage] | None = None, decided: Decided | None = None
    ) -> None:
        self._gate = gate
        self._thread = thread
        self._decided = decided

    def guarded(self, reply: AIMessage, sent: Sequence[BaseMessage], answers: frozenset[str]) -> AIMessage:
        """The reply with its calls guarded, wherever in it they are repeated.

        Args:
            reply: a message, or the chunks of one added up.
            sent: what the model was sent, with the tokens of what is encrypted in it.
            answers: names of calls that are none, but a structured answer.

        Raises:
            GuardBlocked: one was blocked, and blocks raise.
        """
        if not (reply.tool_calls or reply.invalid_tool_calls or RAW_CALLS & reply.additional_kwargs.keys()):
            return reply
        said = reply
        for token in tokens(sent):
            said = carry(said, token)
        judge = _Judge(self._gate, [*(sent if self._thread is None else self._thread), said])
        calls = [call if call["name"] in answers else judge.call(call) for call in reply.tool_calls]
        invalid = [call if call["name"] in answers else judge.invalid(call) for call in reply.invalid_tool_calls]
        for call in calls:
            if self._decided is not None:
                self._decided(call, judge.blocked.get(call["id"] or ""))
        changed = calls != reply.tool_calls or invalid != reply.invalid_tool_calls or judge.blocked
        if changed or not judge.admits_raw(reply):
            reply = _rewritten(reply, calls, invalid)
        for token in judge.tokens:
            reply = carry(reply, token)
        return _marked(reply, judge.blocked)


class _Judge:
    """What the gate says of the calls of one reply."""

    def __init__(self, gate: ToolGate, messages: Sequence[BaseMessage]) -> None:
        self._gate = gate
        self._messages = messages
        self.blocked: dict[str, GuardBlocked] = {}
        self.tokens: list[str] = []

    def call(self, call: ToolCall) -> ToolCall:
        """The call as it may be seen."""
        try:
            return self._admitted(call)
        except GuardBlocked as blocked:
            if self._gate.raises:
                raise
            self.blocked[call["id"] or ""] = blocked
            return {**call, "args": {}}

    def invalid(self, call: Any) -> Any:
        """A call whose arguments are no JSON: they and what is said about them, guarded. It is never run."""
        own = {"args": call["args"] or "", "error": call["error"] or ""}
        try:
            guarded = self._admitted({"name": call["name"] or "", "args": own, "id": call["id"]})["args"]
        except GuardBlocked:
            if self._gate.raises:
                raise
            guarded = {"args": "[removed by policy]", "error": "blocked by policy"}
        return {**call, **{name: guarded[name] if call[name] else call[name] for name in own}}

    def admits_raw(self, reply: AIMessage) -> bool:
        """Whether what stands in ``additional_kwargs`` may stay; calls that the message itself has are judged."""
        known = {call["id"] for call in (*reply.tool_calls, *reply.invalid_tool_calls)}
        raw = reply.additional_kwargs.get("tool_calls") or []
        single = reply.additional_kwargs.get("function_call")
        own = [one.get("function") for one in raw if one.get("id") not in known]
        own += [single] if single and not known else []
        for call in own:
            if not isinstance(call, Mapping):
                return False
            given: ToolCall = {"name": str(call.get("name")), "args": {"arguments": call.get("arguments")}, "id": None}
            if self.call(given) != given:
                return False
        return True

    def _admitted(self, call: ToolCall) -> ToolCall:
        checked = self._gate.judged(call, self._messages)
        if checked.result is not None and checked.result.fpe_context is not None:
            self.tokens.append(checked.result.fpe_context)
        return checked.call


def blocked_call(call: ToolCall, messages: Sequence[BaseMessage]) -> GuardBlocked | None:
    """Why a call was blocked before it left the model; None if it was not, or somebody gave it arguments since."""
    if call["args"]:
        return None
    for message in reversed(messages):
        if isinstance(message, AIMessage) and any(own["id"] == call["id"] for own in message.tool_calls):
            marks = message.response_metadata.get("guard", {}).get(_MARK, {})
            mark = marks.get(call["id"] or "") if isinstance(marks, Mapping) else None
            return _read(mark) if isinstance(mark, Mapping) else None
    return None


def has_blocked_calls(message: BaseMessage) -> bool:
    """Whether one of a message's calls was blocked."""
    return bool(message.response_metadata.get("guard", {}).get(_MARK))


def is_call_block(block: Any) -> bool:
    """Whether a content block says a call again, or a piece of one."""
    return isinstance(block, Mapping) and block.get("type") in _CALL_BLOCKS | {"invalid_tool_call"}


def _read(mark: Mapping[str, Any]) -> GuardBlocked:
    """A mark may come from anywhere; a model is told nothing of it but names of detectors and types."""
    return GuardBlocked("pre_tool", reasons_in(mark.get("reasons")), str(mark.get("result_id", "")))


def _marked(reply: AIMessage, blocked: Mapping[str, GuardBlocked]) -> AIMessage:
    if not blocked:
        return reply
    marks = {id_: {"reasons": list(why.reasons), "result_id": why.result_id} for id_, why in blocked.items()}
    mark = {**reply.response_metadata.get("guard", {}), _MARK: marks}
    return reply.model_copy(update={"response_metadata": {**reply.response_metadata, "guard": mark}})


def _rewritten(reply: AIMessage, calls: list[ToolCall], invalid: list[Any]) -> AIMessage:
    """The reply with these calls. They are the ones that count: the provider's own writing of them is left out."""
    update: dict[str, Any] = {
        "tool_calls": calls,
        "invalid_tool_calls": invalid,
        "additional_kwargs": {k: v for k, v in reply.additional_kwargs.items() if k not in RAW_CALLS},
        # They would spell what was taken out.
        "response_metadata": {k: v for k, v in reply.response_metadata.items() if k != "logprobs"},
    }
    if isinstance(reply.content, list):
        update["content"] = [_block(block, [*calls, *invalid]) for block in reply.content]
    if isinstance(reply, AIMessageChunk):
        written = [(call, json.dumps(call["args"])) for call in calls] + [(call, call["args"]) for call in invalid]
        update["tool_call_chunks"] = [
            {"type": "tool_call_chunk", "name": call["name"], "args": args, "id": call["id"], "index": place}
            for place, (call, args) in enumerate(written)
        ]
    return reply.model_copy(update=update)


def _block(block: Any, calls: Sequence[Any]) -> Any:
    """A content block that says a call again, with the call's own arguments."""
    if not is_call_block(block):
        return block
    ids = {block.get("id"), block.get("call_id")} - {None}
    found = [call for call in calls if call["id"] in ids] or [c for c in calls if c["name"] == block.get("name")]
    args: Any = found[0]["args"] if found else {}
    text = args if isinstance(args, str) else json.dumps(args)
    own = {name: text if isinstance(block[name], str) else args for name in _ARGUMENTS if name in block}
    error = {"error": found[0].get("error") if found else None} if "error" in block else {}
    return {**block, **own, **error}
