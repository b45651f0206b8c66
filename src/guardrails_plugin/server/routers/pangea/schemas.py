"""What Pangea's clients send. Unknown fields are refused: a misspelt override must not pass for protection."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "AIGuardBody",
    "ChatGuardBody",
    "FlatGuardBody",
    "IntelBody",
    "LogFields",
    "PartialMasking",
    "PromptGuardBody",
    "RedactBody",
    "RedactOptions",
    "RedactionMethod",
    "StructuredBody",
    "TextGuardBody",
    "UnredactBody",
]

_MOST_INDICATORS = 100
_LONGEST_LOGGED = 8192

_Logged = Annotated[str, Field(max_length=_LONGEST_LOGGED)]


def _short(given: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(given)) > _LONGEST_LOGGED:
        raise PydanticCustomError("string_too_long", "As JSON it should have at most 8192 characters")
    return given


_LoggedObject = Annotated[dict[str, Any], AfterValidator(_short)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    config_id: str | None = Field(default=None, max_length=256, description="accepted and recorded")


class LogFields(BaseModel):
    """For the activity log."""

    model_config = ConfigDict(extra="forbid")

    citations: _Logged | None = None
    extra_info: _Logged | None = None
    model: _Logged | None = None
    source: _Logged | None = None
    tools: _Logged | None = None


class _Checked(_Body):
    recipe: str | None = Field(default=None, max_length=128)
    debug: bool = False
    overrides: dict[str, Any] | None = Field(
        default=None, description="by detector: disabled, action, threshold, or an action per entity type"
    )


class TextGuardBody(_Checked):
    """Exactly one of ``text`` and ``messages``."""

    text: str | None = None
    messages: Any = Field(default=None, description="messages of a provider's schema, alone or in an object")
    log_fields: LogFields | None = None


class _Agent(_Checked):
    app_id: _Logged | None = None
    actor_id: _Logged | None = None
    llm_provider: _Logged | None = None
    model: _Logged | None = None
    model_version: _Logged | None = None
    request_token_count: int | None = None
    response_token_count: int | None = None
    source_ip: _Logged | None = None
    source_location: _Logged | None = None
    tenant_id: _Logged | None = None
    event_type: Literal["input", "output", "tool_input", "tool_output", "tool_listing"] | None = None
    collector_instance_id: _Logged | None = None
    extra_info: _LoggedObject | None = None
    count_tokens: bool = False


class AIGuardBody(_Agent):
    """The input or output of a model, as an object with ``messages``."""

    input: dict[str, Any]


class ChatGuardBody(_Agent):
    """The same, as AIDR calls it."""

    guard_input: dict[str, Any]


class PromptGuardBody(_Body):
    """Messages to judge."""

    messages: list[PromptMessage] = Field(min_length=1)
    analyzers: list[str] | None = None
    classify: bool = False


class PromptMessage(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="forbid")

    role: str = "user"
    content: str


class FlatGuardBody(BaseModel):
    """Of a client without service names in its URLs: ``input`` is for AI Guard, ``messages`` for Prompt Guard."""

    model_config = ConfigDict(extra="allow")


class PartialMasking(BaseModel):
    """How much of a value is covered."""

    model_config = ConfigDict(extra="forbid")

    masking_type: Literal["mask", "unmask"] = "mask"
    unmasked_from_left: Annotated[int, Field(ge=0)] = 0
    unmasked_from_right: Annotated[int, Field(ge=0)] = 0
    masked_from_left: Annotated[int, Field(ge=0)] = 0
    masked_from_right: Annotated[int, Field(ge=0)] = 0
    chars_to_ignore: list[Annotated[str, Field(min_length=1, max_length=1)]] = []
    masking_char: list[Annotated[str, Field(min_length=1, max_length=1)]] = ["*"]


class RedactionMethod(BaseModel):
    """What becomes of values."""

    model_config = ConfigDict(extra="forbid")

    redaction_type: Literal["mask", "partial_masking", "replacement", "detect_only", "hash", "fpe"]
    hash: dict[str, Any] | None = None
    fpe_alphabet: Literal["numeric", "alphanumericlower", "alphanumeric"] | None = None
    partial_masking: PartialMasking | None = None
    redaction_value: str | None = Field(default=None, max_length=1024)


class RedactOptions(_Body):
    """What both kinds of redaction take."""

    debug: bool = False
    rules: list[str] | None = None
    rulesets: list[str] | None = None
    return_result: bool = True
    redaction_method_overrides: RedactionMethod | None = None
    vault_parameters: dict[str, str] | None = None
    llm_request: bool = False


class RedactBody(RedactOptions):
    """A text to redact."""

    text: str


class StructuredBody(RedactOptions):
    """An object, or JSON in a string, to redact; all of it, or where ``jsonp`` points."""

    data: Any
    jsonp: list[str] | None = Field(default=None, max_length=100)
    format: Literal["json"] | None = None


class UnredactBody(_Body):
    """Encrypted values, alone or in any JSON, and the context that their encryption returned."""

    redacted_data: Any
    fpe_context: str


class IntelBody(_Body):
    """Indicators of one kind, one or many."""

    domain: str | None = None
    domains: list[str] | None = Field(default=None, max_length=_MOST_INDICATORS)
    url: str | None = None
    urls: list[str] | None = Field(default=None, max_length=_MOST_INDICATORS)
    ip: str | None = None
    ips: list[str] | None = Field(default=None, max_length=_MOST_INDICATORS)
    verbose: bool = False
    raw: bool = False
    provider: str | None = None
