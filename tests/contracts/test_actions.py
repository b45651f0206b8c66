"""Every registered action keeps the contract of `protocols.Action`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import Keyring, Verdict, registry
from guardrails_plugin.protocols import Action, Call
from guardrails_plugin.types import Finding

CALL = Call(lambda kind, value: 1, Keyring.generate(), "", b"12345678")


@pytest.mark.parametrize("name", registry.names("actions"))
class TestEveryAction:
    def test_satisfies_the_protocol(self, name: str) -> None:
        action = registry.load("actions", name)()
        assert isinstance(action, Action)
        assert action.name == name
        assert action.verdict in set(Verdict)

    @given(value=st.text(min_size=1, max_size=40))
    def test_is_pure(self, name: str, value: str) -> None:
        action = registry.load("actions", name)()
        finding = Finding("d", "US_SSN", 1.0, 0, len(value))
        if action.verdict is Verdict.TRANSFORM:
            assert action.apply(value, finding, CALL) == action.apply(value, finding, CALL)
