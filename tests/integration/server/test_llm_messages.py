"""Messages of clients, as the provider's client takes them."""

from __future__ import annotations

from typing import Any

import pytest

from guardrails_plugin.server.llm import _as_messages
from guardrails_plugin.server.problems import ApiError


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "21 degrees"},  # an answer to no call
        {"role": "nobody", "content": "hello"},
        {"content": "hello"},
    ],
)
def test_messages_that_are_none_are_the_callers_mistake(message: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        _as_messages([message])
    assert caught.value.status_code == 400
