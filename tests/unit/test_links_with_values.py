"""A link that is made inert keeps all but the values that are replaced in it."""

from __future__ import annotations

import pytest

from guardrails_plugin import Engine
from tests.strategies import NO_MODEL

ALL = {**NO_MODEL, "pii": {"network": "replace"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x.com/u?ssn=536-90-4399&page=2", "hxxps://x[.]com/u?ssn=<US_SSN>&page=2"),
        ("http://1.2.3.4/payload.exe", "hxxp://<IP_ADDRESS>/payload[.]exe"),
    ],
)
def test_only_the_value_is_replaced(engine: Engine, text: str, expected: str) -> None:
    assert engine.check(text, stage="response", overrides=ALL).output == expected
    stream = engine.stream(stage="response", overrides=ALL)
    assert "".join([*(stream.feed(char) for char in text), stream.finish()]) == expected
