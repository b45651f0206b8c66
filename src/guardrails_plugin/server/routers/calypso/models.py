"""Providers: the models a project may use, and asking one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from guardrails_plugin.server.connections import Connection
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.llm import ChatRequest, Completion
from guardrails_plugin.server.problems import ApiError, not_found
from guardrails_plugin.server.routers.calypso.catalogue import BUILT, stable_id
from guardrails_plugin.server.routers.calypso.settings import Setup
from guardrails_plugin.server.services import Services
from guardrails_plugin.server.store.objects import Object
from guardrails_plugin.server.store.store import DEFAULT_PROJECT

__all__ = [
    "PROVIDER",
    "SYSTEM",
    "Provider",
    "ask",
    "default_provider",
    "known_providers",
    "named_provider",
    "provider_of",
    "request_to",
    "usable_providers",
]

PROVIDER = "calypso.provider"
"""Kind of the documents."""

SYSTEM: Mapping[str, str] = {
    "openai-chat": "openai",
    "anthropic-messages": "anthropic",
    "mistral-chat": "mistralai",
    "google-gemini": "google_genai",
    "ollama": "ollama",
}
"""Kinds of provider by their names here -> as langchain's `init_chat_model` calls them."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A connection to a model.

    Attributes:
        project_id: whose; its keys are used. "" for the service's own.
        type: as `init_chat_model` calls it.
        key_id: of its key; "" for none.
    """

    id: str
    name: str
    type: str
    model: str
    project_id: str = ""
    system_id: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    key_id: str = ""
    created: str = BUILT

    def on_the_wire(self) -> dict[str, Any]:
        """As clients see it; a key is never shown."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "inputs": {"model": self.model, **self.inputs},
            "secrets": {"apiKey": None} if self.key_id else {},
            "template": {"outputs": {"content": "{{ content }}", "statusCode": "{{ statusCode }}"}},
            "availability": "available",
            "systemProviderId": self.system_id,
            "createdAt": self.created,
        }


def provider_of(made: Object) -> Provider:
    """A stored provider."""
    body = made.body
    return Provider(
        id=made.id,
        name=made.name,
        type=body["type"],
        model=body["model"],
        project_id=made.project_id,
        system_id=body["systemProviderId"],
        inputs=body["inputs"],
        key_id=body["keyId"],
        created=made.created_at.isoformat(),
    )


def known_providers(services: Services, project_id: str) -> list[Provider]:
    """The service's own provider, the organisation's, and the project's own."""
    name, model = services.llm.default
    found = [Provider(stable_id("provider", name), name, name, model)] if name else []
    home = services.store.project(DEFAULT_PROJECT)
    for owner in dict.fromkeys([home.id if home else "", project_id]):
        found += [provider_of(made) for made in services.store.objects.all(owner, PROVIDER)] if owner else []
    return found


def usable_providers(services: Services, project_id: str, setup: Setup) -> list[Provider]:
    """Those a project may use: its own and the service's; when its configuration names some, only these."""
    known = known_providers(services, project_id)
    if setup.providers:
        return [one for one in known if setup.providers.get(one.id, (False, False))[0]]
    return [one for one in known if one.project_id in ("", project_id)]


def named_provider(services: Services, project_id: str, setup: Setup, name: str) -> Provider:
    """A provider by id or name.

    Raises:
        ApiError: 404, the project has none such.
    """
    usable = usable_providers(services, project_id, setup)
    found = next((one for one in usable if name in (one.id, one.name)), None)
    if found is None:
        raise not_found("Provider")
    return found


def default_provider(services: Services, project_id: str, setup: Setup) -> Provider:
    """What answers when no provider is named.

    Raises:
        ApiError: 404, there is none.
    """
    usable = usable_providers(services, project_id, setup)
    chosen = next((one for one in usable if setup.providers.get(one.id, (False, False))[1]), None)
    first = chosen or next(iter(usable), None)
    if first is None:
        raise ApiError(404, "The project has no provider.", code="MODEL_NOT_AVAILABLE")
    return first


async def ask(
    services: Services,
    exchange: Exchange,
    provider: Provider,
    messages: Sequence[Mapping[str, Any]],
    **options: Any,
) -> Completion:
    """Ask a provider's model: at its own address, with its own key, which is the project's that it belongs to.

    Args:
        services: the service.
        exchange: the request.
        provider: which.
        messages: as OpenAI has them.
        options: see `ChatRequest`.

    Raises:
        ApiError: 404 when the model is not available, 502 when the provider fails.
    """
    return await services.llm.complete(exchange, request_to(provider, messages, **options), messages)


def request_to(provider: Provider, messages: Sequence[Mapping[str, Any]], **options: Any) -> ChatRequest:
    """What the proxy is asked to do; see `ask`."""
    return ChatRequest(messages, provider.type, provider.model, connection=_connection(provider), **options)


def _connection(provider: Provider) -> Connection | Literal["operator"]:
    if not provider.project_id:
        return "operator"
    base_url = "" if provider.key_id else str(provider.inputs.get("baseUrl", ""))
    return Connection(provider.key_id, base_url, provider.project_id)
