"""Provider payloads as HiddenLayer's second version takes them: OpenAI Chat, OpenAI Responses, Anthropic Messages.

`canonical` gives their messages in the provider-independent form; `refused` a provider's response that says no.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.types import Origin

__all__ = ["canonical", "guarded", "is_response", "refused"]

_REFUSAL = "This content was blocked by the security policy."

_KNOWN = ("messages", "system", "instructions", "input", "tools", "tools_available", "choices", "content", "output")
"""Fields in which the providers, and the canonical form, hold what somebody said."""

_PARAMETERS = frozenset(
    "model id object type role status created created_at completed_at usage n seed temperature top_p top_k max_tokens "
    "max_completion_tokens max_output_tokens stream stream_options presence_penalty frequency_penalty logprobs "
    "top_logprobs logit_bias service_tier store parallel_tool_calls tool_choice truncation include reasoning_effort "
    "stop_reason stop_sequence system_fingerprint anthropic_version previous_response_id prompt_cache_key user "
    "safety_identifier".split()
)
"""Fields that say how a model is to answer, and ids: a policy has nothing to say about them."""


def guarded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a payload that somebody may have said: all but ids, model names and parameters.

    >>> guarded({"model": "m", "input": "hello"})
    {'input': 'hello'}
    >>> guarded({"messages": [], "prompt": "hello"})
    {'messages': [], 'prompt': 'hello'}
    """
    return {field: value for field, value in payload.items() if field not in _PARAMETERS}


def is_response(payload: Mapping[str, Any]) -> bool:
    """Whether a model said it."""
    return "choices" in payload or "output" in payload or (payload.get("role") == "assistant" and "content" in payload)


def refused(payload: Mapping[str, Any], evaluation_id: str) -> dict[str, Any]:
    """A response of the payload's provider, with a refusal for an answer."""
    model = str(payload.get("model") or "unknown")
    short = evaluation_id.replace("-", "")
    if "input" in payload or "output" in payload:
        part = {"type": "output_text", "text": _REFUSAL, "annotations": []}
        message = {"id": f"msg_{short}", "type": "message", "role": "assistant", "status": "completed"}
        return {
            "id": f"resp_{short}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "completed",
            "model": model,
            "output": [{**message, "content": [part]}],
        }
    if _is_anthropic(payload):
        return {
            "id": f"msg_{short}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": _REFUSAL}],
            "stop_reason": "refusal",
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
    message = {"role": "assistant", "content": _REFUSAL}
    return {
        "id": f"chatcmpl-{short}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "content_filter"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _is_anthropic(payload: Mapping[str, Any]) -> bool:
    """Its messages look like OpenAI's; what tells them is around and inside them."""
    if payload.get("type") == "message" or "system" in payload or "anthropic_version" in payload:
        return True
    if str(payload.get("model", "")).startswith("claude"):
        return True
    parts = (part for message in _list(payload.get("messages")) for part in _list(_get(message, "content")))
    return any(_get(part, "type") in ("tool_use", "tool_result") for part in parts)


def canonical(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A payload's messages: ``role`` and content parts of types text, tool_use and tool_result."""
    return [message for message in _messages(payload) if message["content"]]


def _messages(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    other = {field: value for field, value in guarded(payload).items() if field not in _KNOWN}
    yield _message("user", [segment.text for segment in conversation.segments(other, Origin.USER)])
    for field in ("system", "instructions"):
        if field in payload:
            yield _message("system", payload[field])
    if isinstance(payload.get("input"), str):
        yield _message("user", payload["input"])
    for item in (*_list(payload.get("messages")), *_list(payload.get("input")), *_list(payload.get("output"))):
        yield _item(item)
    for choice in _list(payload.get("choices")):
        yield _item(_get(choice, "message"))
    if "content" in payload:
        yield _message(str(payload.get("role") or "assistant"), payload["content"])


def _item(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return _message("user", item)
    if item.get("type") == "function_call":
        return {"role": "assistant", "content": [_use(item.get("call_id"), item.get("name"), item.get("arguments"))]}
    if item.get("type") == "function_call_output":
        return {"role": "tool", "content": [_result(item.get("call_id"), item.get("output"))]}
    role = str(item.get("role") or "user")
    if item.get("tool_call_id") is not None:
        return {"role": role, "content": [_result(item["tool_call_id"], item.get("content"))]}
    message = _message(role, item.get("content"))
    for call in _list(item.get("tool_calls")):
        function = _get(call, "function") or {}
        message["content"].append(_use(_get(call, "id"), _get(function, "name"), _get(function, "arguments")))
    if isinstance(item.get("timestamp"), Mapping):
        message["timestamp"] = item["timestamp"]
    return message


def _message(role: str, content: Any) -> dict[str, Any]:
    parts = content if isinstance(content, list) else [content]
    return {"role": role, "content": [_part(part) for part in parts if part not in (None, "")]}


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = _get(part, "type")
    if kind == "tool_use":
        return _use(
            part.get("id"), part.get("tool_name") or part.get("name"), part.get("tool_input", part.get("input"))
        )
    if kind == "tool_result":
        found = part.get("result", part.get("content"))
        made = _result(part.get("id") or part.get("tool_use_id"), found)
        return {**made, "success": part["success"]} if isinstance(part.get("success"), bool) else made
    text = _get(part, "text")
    return {"type": "text", "text": text if isinstance(text, str) else json.dumps(part, ensure_ascii=False)}


def _use(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = {"arguments": arguments}
    given = arguments if isinstance(arguments, Mapping) else {}
    return {"type": "tool_use", "id": str(call_id or ""), "tool_name": str(name or ""), "tool_input": dict(given)}


def _result(call_id: Any, result: Any) -> dict[str, Any]:
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    return {"type": "tool_result", "id": str(call_id or ""), "result": text}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
