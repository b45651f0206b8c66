"""Put a reversible value of the same format in place of the value."""

from __future__ import annotations

from typing import ClassVar

from guardrails_plugin.crypto import format_preserving
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Encrypt"]


class Encrypt:
    """FF1 (NIST SP 800-38G): the result looks like the value, and ``Engine.unredact`` turns it back.

    Pure, like all actions; what is needed to turn it back is collected afterwards (`crypto.fpe_context.entry`).
    """

    name: ClassVar[str] = "encrypt"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM
    requires_keyring: ClassVar[bool] = True

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The ciphertext, or a surrogate such as ``<PERSON_1>`` for what is too short or not ASCII.

        Raises:
            ConfigError: the engine has no keyring.
        """
        if call.keyring is None:
            raise ConfigError("encrypt needs a keyring: Engine(keyring=Keyring.generate()) or Keyring.from_env(...)")
        kind = finding.entity_type
        hidden = format_preserving.encrypt(value, kind, call.keyring, tenant=call.tenant, tweak=call.tweak)
        return format_preserving.surrogate(kind, call.ordinal(kind, value)) if hidden is None else hidden
