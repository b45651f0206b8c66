"""What clients of OpenAI's chat completions send, and which of it the service passes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from guardrails_plugin.server.problems import invalid

__all__ = ["ChatBody"]

_ANYWHERE = frozenset({"top_p"})
"""Parameters that every provider's client takes by this name."""

_OPENAIS = frozenset({"frequency_penalty", "logit_bias", "presence_penalty", "response_format", "seed"})
"""... and those that OpenAI's does."""

_HARMLESS = frozenset(
    {
        "metadata",
        "parallel_tool_calls",  # there are no tools
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
"""Parameters that change nothing of the answer: they may be left out."""

_DEFAULTS: Mapping[str, Any] = {"n": 1, "response_format": {"type": "text"}, "tool_choice": "none"}
"""What may be given although it cannot be changed."""


class Message(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="allow")

    role: Annotated[str, Field(max_length=32)]
    content: str | list[dict[str, JsonValue]] | None = None


class StreamOptions(BaseModel):
    """What a stream tells."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatBody(BaseModel):
    """OpenAI's body. A parameter that the service cannot pass on to the provider is refused."""

    model_config = ConfigDict(extra="allow")

    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    model: Annotated[str, Field(max_length=200)] = ""
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=1000)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=1000)]], Field(max_length=16)]
        | None
    ) = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    def options(self, provider: str) -> dict[str, Any]:
        """What of it the proxy takes, besides the messages.

        Args:
            provider: as `init_chat_model` calls it.

        Raises:
            ApiError: 400, a parameter cannot be passed on.
        """
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "temperature": self.temperature,
            "stop": tuple(stop),
            "parameters": self._parameters(provider),
        }

    def _parameters(self, provider: str) -> dict[str, Any]:
        known = _ANYWHERE | _OPENAIS if provider == "openai" else _ANYWHERE
        passed: dict[str, Any] = {}
        for name, value in (self.model_extra or {}).items():
            if name in _HARMLESS or not value or (name in _DEFAULTS and value == _DEFAULTS[name]):
                continue
            if name not in known:
                valid = ", ".join(sorted(known | {"max_tokens", "max_completion_tokens", "temperature", "stop"}))
                raise invalid(f"{name[:40]}: not passed on to provider {provider!r}; what is: {valid}.")
            passed[name] = value
        if form := passed.pop("response_format", None):
            # As the body has it: given by name, LangChain parses the answer and fails where it was cut at its length.
            passed["extra_body"] = {"response_format": form}
        return passed
