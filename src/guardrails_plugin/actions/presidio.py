"""Do what one of Presidio's operators does (extra ``presidio``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Presidio"]


class Presidio:
    """An operator of presidio-anonymizer as an action: ``Engine(actions={"mask_five": Presidio("mask", {...})})``.

    What the operator does is Presidio's business: its ``hash`` is salted at random unless given a salt, its ``encrypt``
    is AES-CBC with the key you give, and neither can be turned back by `Engine.unredact`.

    Args:
        operator: ``replace``, ``redact``, ``mask``, ``hash``, ``encrypt`` or ``custom``.
        params: what the operator takes, such as ``{"masking_char": "*", "chars_to_mask": 5, "from_end": False}``.
        name: what recipes call the action.

    Raises:
        ConfigError: the extra is missing, there is no such operator, or it refuses the parameters.
    """

    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def __init__(
        self, operator: str = "replace", params: Mapping[str, Any] | None = None, *, name: str = "presidio"
    ) -> None:
        self.name = name
        self._params = dict(params or {})
        self._operator = _operator(operator)
        try:
            self._operator.validate({**self._params, "entity_type": "X"})
        except Exception as error:  # noqa: BLE001 - operators raise what they like
            # Not its message: it may hold a key.
            given = ", ".join(sorted(self._params)) or "none"
            raise ConfigError(
                f"presidio: operator {operator!r} refuses its parameters ({type(error).__name__}); given: {given}"
            ) from None

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """What the operator makes of the value."""
        del call
        return str(self._operator.operate(value, {**self._params, "entity_type": finding.entity_type}))


_REFUSED = frozenset({"keep", "surrogate_ahds"})
"""``keep`` hides nothing (``report`` says so), the other asks a service over the network."""


def _operator(name: str) -> Any:
    # Deferred: an extra.
    try:
        from presidio_anonymizer.operators import OperatorsFactory, OperatorType
    except ImportError:
        raise ConfigError('presidio needs the extra "presidio": pip install "guardrails-plugin[presidio]"') from None
    factory: Any = OperatorsFactory
    factory = factory()
    valid = factory.get_anonymizers().keys() - _REFUSED
    if name not in valid:
        raise unknown_name("operator", name, valid, "presidio")
    return factory.create_operator_class(name, OperatorType.Anonymize)
