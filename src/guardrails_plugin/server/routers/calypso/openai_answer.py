"""Answers in the form of OpenAI's chat completions: whole, in chunks, refused."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from guardrails_plugin.server.llm import Completion
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.routers.calypso.models import Provider
from guardrails_plugin.server.routers.calypso.scanning import Scanned

__all__ = ["Chunks", "model_card", "refusal", "whole"]

DONE = "data: [DONE]\n\n"


def refusal(found: Scanned, what: str) -> dict[str, Any]:
    """An error that says which scanners found something, those first: their own messages, or else their names.

    Args:
        found: what the scanners did.
        what: prompt or response.
    """
    told = next((message for message in found.messages if message), "")
    results = sorted((_snake(result, found.names, what) for result in found.results), key=_has_passed)
    failed = [result["scanner_name"] for result in results if not _has_passed(result)]
    error = {
        "message": told or f"Guardrails blocked the {what}: {', '.join(failed)}.",
        "type": "invalid_request_error",
        "param": None,
        "code": "content_blocked",
        "cai_error": {"outcome": found.outcome, "scanner_results": results},
    }
    return {"error": error}


def model_card(provider: Provider) -> dict[str, Any]:
    """A provider's model as OpenAI's clients list them."""
    created = int(datetime.fromisoformat(provider.created.replace("Z", "+00:00")).timestamp())
    return {"id": provider.model, "object": "model", "created": created, "owned_by": provider.name}


def whole(request_id: str, completion: Completion, text: str) -> dict[str, Any]:
    """A completion.

    Args:
        request_id: of our request.
        completion: the provider's.
        text: what of it may be seen.
    """
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "logprobs": None,
        "finish_reason": completion.finish_reason,
    }
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": int(completion.received_at.timestamp()),
        "model": completion.model,
        "choices": [choice],
        "usage": _usage(completion),
    }


class Chunks:
    """The events of one stream.

    Args:
        request_id: of our request.
        model: what answers.
        usage: whether the last chunk tells the tokens.
    """

    def __init__(self, request_id: str, model: str, *, usage: bool) -> None:
        self._head = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._usage = usage

    def begin(self) -> str:
        """The chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> str:
        """A piece of the answer."""
        return self._chunk({"content": text})

    def end(self, completion: Completion) -> str:
        """The reason why it ended, and the tokens."""
        end = self._chunk({}, completion.finish_reason)
        if self._usage:
            end += _line({**self._head, "choices": [], "usage": _usage(completion)})
        return end + DONE

    def refused(self, found: Scanned) -> str:
        """An error in place of the rest: the status has been sent."""
        return self._chunk({}, "content_filter") + _line(refusal(found, "response")) + DONE

    def failed(self, error: ApiError) -> str:
        """Likewise, when the provider stopped."""
        told = {"message": error.detail, "type": "server_error", "param": None, "code": error.code}
        return _line({"error": told}) + DONE

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> str:
        return _line({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _line(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"


def _usage(completion: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": completion.input_tokens,
        "completion_tokens": completion.output_tokens,
        "total_tokens": completion.tokens,
    }


def _has_passed(result: dict[str, Any]) -> bool:
    return bool(result["outcome"] == "passed")


def _snake(result: dict[str, Any], names: Mapping[str, str], what: str) -> dict[str, Any]:
    meta, name = result["scannerVersionMeta"], names.get(result["scannerId"], "")
    told = None if _has_passed(result) else f"{name}: found in the {what}."
    return {
        "scanner_id": result["scannerId"],
        "scanner_name": name,
        "scanner_version_meta": {"id": meta["id"], "name": meta["name"], "published": meta["published"]},
        "outcome": result["outcome"],
        "scan_direction": result["scanDirection"],
        "started_date": result["startedDate"],
        "completed_date": result["completedDate"],
        "custom_config": result["customConfig"],
        "data": {"type": result["data"]["type"]},
        "message": result["message"] or told,
    }
