"""Rampart: what the filter may be asked, and what a project has it do where a request does not say."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from typing_extensions import Self

from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.routers.rampart.wire import Body, TraceId
from guardrails_plugin.server.services import Services

__all__ = ["DEFAULTS", "FilterBody", "FilterName", "FilterOptions", "filter_defaults", "kept_defaults"]

DEFAULTS = "rampart.filter"
"""Kind of the document, one of a project."""

FilterName = Literal["pii", "toxicity", "prompt_injection", "secrets", "profanity", "bias", "sensitive_topics"]

_NAME_LENGTH = 64
_PATTERN_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9 _.-]{{0,{_NAME_LENGTH - 1}}}")


class FilterOptions(Body):
    """What to look for and what to do about it; null where something else decides."""

    filters: Annotated[list[FilterName], Field(max_length=10)] | None = None
    redact: bool | None = None
    toxicity_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    custom_pii_patterns: dict[str, Annotated[str, Field(max_length=1000)]] | None = Field(default=None, max_length=20)
    use_presidio_pii: bool | None = None

    @field_validator("custom_pii_patterns")
    @classmethod
    def _named(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        # The names are on the record and in the statistics: no place for contents.
        if given and not all(_PATTERN_NAME.fullmatch(name) for name in given):
            raise ValueError(
                f"names: expected 1 to {_NAME_LENGTH} letters, digits, spaces, '_', '-' or '.', a letter or digit first"
            )
        return given

    def over(self, defaults: FilterOptions | None) -> Self:
        """These, with what they leave open taken from the defaults; patterns of both."""
        if defaults is None:
            return self
        open_ = {name for name in FilterOptions.model_fields if getattr(self, name) is None}
        taken: dict[str, Any] = {name: getattr(defaults, name) for name in open_}
        if defaults.custom_pii_patterns and self.custom_pii_patterns:
            taken["custom_pii_patterns"] = {**defaults.custom_pii_patterns, **self.custom_pii_patterns}
        return self.model_copy(update=taken)


class FilterBody(FilterOptions):
    """A content and what to look for. What is left out is the key's pack's, else the project's, then the defaults."""

    content: str
    trace_id: TraceId | None = None


async def filter_defaults(exchange: Exchange, services: Services) -> FilterOptions:
    """The project's own, as far as it has any."""
    return await asyncio.to_thread(kept_defaults, exchange, services)


def kept_defaults(exchange: Exchange, services: Services) -> FilterOptions:
    """The same; blocks on the store."""
    found = services.store.objects.list(exchange.project_id, DEFAULTS, limit=1).items
    return FilterOptions.model_validate(found[0].body) if found else FilterOptions()
