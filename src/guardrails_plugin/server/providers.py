"""API keys of model providers, sealed at rest.

AES-256-GCM (NIST SP 800-38D) under a key that only this purpose of this project has; the row's id is bound in, so
that a sealed key moved to another row or project does not open.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.server.identity import new_id, now
from guardrails_plugin.server.outbound import check_url
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.records import ProviderKey
from guardrails_plugin.server.store.store import Store

__all__ = ["ProviderKeys"]

_PURPOSE = "provider keys"
_NONCE = 12

_PRODUCT = "product"
"""Where a key's settings say by whose routes it was added."""


class ProviderKeys:
    """Adds and opens keys; listing and deleting are the store's."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._keyring: Keyring = settings.keyring
        self._hosts = settings.provider_hosts

    def add(
        self,
        project_id: str,
        owner_id: str,
        provider: str,
        api_key: str,
        *,
        name: str = "",
        base_url: str = "",
        product: str = "",
    ) -> ProviderKey:
        """Keep a key.

        Args:
            project_id: whose.
            owner_id: the user's alone; "" for the whole project's.
            provider: as `init_chat_model` calls it.
            api_key: the key.
            name: for people.
            base_url: where it is good, when not at the provider's own address.
            product: whose routes may replace it; see `made_by`.

        Raises:
            ApiError: 400, the address is not public.
        """
        if base_url:
            check_url(base_url, self._hosts)
        moment, key_id = now(), new_id()
        given = {"base_url": base_url, _PRODUCT: product}
        settings: dict[str, Any] = {key: value for key, value in given.items() if value}
        sealed = self._seal(api_key, project_id, key_id)
        preview = f"{api_key[:3]}...{api_key[-4:]}" if len(api_key) >= 20 else "..."
        made = ProviderKey(key_id, project_id, owner_id, provider, name, sealed, preview, settings, moment, moment)
        self._store.add_provider_key(made)
        return made

    def find(self, project_id: str, owner_id: str, provider: str) -> ProviderKey | None:
        """The newest key for a provider: the user's own before the project's."""
        keys = [key for key in self._store.provider_keys(project_id) if key.provider == provider]
        own = [key for key in keys if key.owner_id == owner_id]
        shared = [key for key in keys if not key.owner_id]
        best = own or shared
        return best[-1] if best else None

    def made_by(self, product: str, project_id: str, owner_id: str, provider: str) -> list[ProviderKey]:
        """An owner's keys of a provider that a product's routes added; keys of other products are not theirs."""
        keys = self._store.provider_keys(project_id, owner_id=owner_id)
        return [key for key in keys if key.provider == provider and key.settings.get(_PRODUCT) == product]

    def get(self, project_id: str, key_id: str) -> ProviderKey | None:
        """One key of a project."""
        return self._store.provider_key(project_id, key_id)

    def secret(self, key: ProviderKey) -> str:
        """The key itself.

        Raises:
            ConfigError: it was changed, or sealed with a key the keyring does not hold.
        """
        raw = base64.b64decode(key.sealed.partition(":")[2])
        master = key.sealed.partition(":")[0]
        cipher = AESGCM(self._keyring.subkey(_PURPOSE, tenant=key.project_id, key_id=master))
        try:
            return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], key.id.encode()).decode()
        except InvalidTag:
            raise ConfigError(f"provider key {key.id}: cannot be opened; it was changed") from None

    def _seal(self, api_key: str, project_id: str, row_id: str) -> str:
        master = self._keyring.primary
        nonce = os.urandom(_NONCE)
        cipher = AESGCM(self._keyring.subkey(_PURPOSE, tenant=project_id, key_id=master))
        sealed = nonce + cipher.encrypt(nonce, api_key.encode(), row_id.encode())
        return f"{master}:{base64.b64encode(sealed).decode()}"
