"""With which key, and at which address, a model provider is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import httpx

from guardrails_plugin.server.auth import Principal
from guardrails_plugin.server.outbound import provider_failed, public_client, trusted
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.providers import ProviderKeys
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.records import ProviderKey

__all__ = ["KEYLESS", "Connection", "Connections", "unavailable"]

KEYLESS = frozenset({"ollama", "openai"})
"""Providers of which one may run a server of one's own that asks for no key."""

_NO_KEY = "none"
"""What OpenAI's client sends to such a server: without a key it would take that of the service's environment."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection of a project.

    Attributes:
        key_id: of the provider key to use, with the address that was kept with it; "" for none.
        base_url: the address of a server that asks for no key.
        project_id: whose key it is; "": the asking project's.
    """

    key_id: str = ""
    base_url: str = ""
    project_id: str = ""


class Connections:
    """Finds keys and checks addresses."""

    def __init__(self, settings: Settings, keys: ProviderKeys) -> None:
        self._settings = settings
        self._keys = keys
        self._client: httpx.AsyncClient | None = None

    def options(
        self, user: Principal, provider: str, connection: Connection | Literal["operator"] | None
    ) -> dict[str, Any]:
        """What `init_chat_model` takes to reach a provider. Blocks on the store.

        Args:
            user: who asks, for which project.
            provider: as `init_chat_model` calls it.
            connection: just this one; or the operator's; or (None) by the newest key of the user's, else of the
                project's, else the operator's.

        Raises:
            ApiError: 404, there is no key, or the address may not be called.
        """
        if isinstance(connection, Connection):
            return self._connected(connection.project_id or user.project_id, provider, connection)
        key = self._keys.find(user.project_id, user.user_id, provider) if connection is None else None
        return self._operators(provider) if key is None else self._keyed(key)

    async def close(self) -> None:
        """Give connections back."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _connected(self, project_id: str, provider: str, connection: Connection) -> dict[str, Any]:
        if connection.key_id:
            key = self._keys.get(project_id, connection.key_id)
            if key is None or key.provider != provider:
                raise _no_key(provider)
            return self._keyed(key)
        if provider not in KEYLESS or not connection.base_url:
            raise _no_key(provider)
        no_key = {"api_key": _NO_KEY} if provider == "openai" else {}
        return {**no_key, **self._address(provider, connection.base_url)}

    def _keyed(self, key: ProviderKey) -> dict[str, Any]:
        base_url = str(key.settings.get("base_url", ""))
        return {
            "api_key": self._keys.secret(key),
            **(self._address(key.provider, base_url) if base_url else {}),
        }

    def _operators(self, provider: str) -> dict[str, Any]:
        settings = self._settings
        if provider != settings.provider.partition(":")[0] or not settings.provider_key:
            raise _no_key(provider)
        address = {"base_url": settings.provider_url} if settings.provider_url else {}
        return {"api_key": settings.provider_key, **address}

    def _address(self, provider: str, base_url: str) -> dict[str, Any]:
        """A tenant's own address, reached through a client that refuses private networks."""
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as error:  # kept by a version that took it
            raise provider_failed(error) from None
        if provider != "openai":
            if trusted(url, self._settings.provider_hosts):
                return {"base_url": base_url}
            raise unavailable("An address of one's own is supported for OpenAI-compatible providers.")
        if self._client is None:
            self._client = public_client(self._settings.provider_hosts)
        return {"base_url": base_url, "http_async_client": self._client}


def unavailable(detail: str) -> ApiError:
    """404 for a model that cannot be asked."""
    return ApiError(404, detail, code="MODEL_NOT_AVAILABLE")


def _no_key(provider: str) -> ApiError:
    return unavailable(f"There is no key for provider {provider[:40]!r}.")
