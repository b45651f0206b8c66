"""What the event loop does itself: checks of short texts under rules alone, once their policy is ready."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from guardrails_plugin import Context, Engine
from guardrails_plugin.server import llm
from guardrails_plugin.server.auth import Principal
from guardrails_plugin.server.connections import Connections
from guardrails_plugin.server.echo import EchoChatModel
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.llm import ChatRequest, LlmProxy
from guardrails_plugin.server.settings import Settings

RULES: dict[str, Any] = {"prompt_injection": {"disabled": True}}
TEXT = "Hello, my SSN is 536-90-4399."


@pytest.mark.parametrize(
    ("request_", "itself"),
    [
        ({"content": TEXT, "overrides": RULES}, True),
        ({"content": TEXT}, False),
        ({"content": "word " * 400, "overrides": RULES}, False),
        ({"content": [TEXT], "overrides": RULES}, False),
        ({"content": TEXT, "overrides": RULES, "context": Context(system="You sell tickets.")}, False),
    ],
    ids=["short", "classifier", "long", "not a text", "system prompt"],
)
def test_where_a_check_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any], itself: bool
) -> None:
    threads = []
    check = Engine.check

    def noted(self: Engine, *args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread())
        return check(self, *args, **kwargs)

    async def twice() -> list[bool]:
        monkeypatch.setattr(Engine, "check", noted)
        store: Any = None  # nobody asks, so no project's recipes are read
        guarding = Guarding(settings, store)
        for _ in range(2):
            await guarding.check(Exchange(), stage="response", **request_)
        return [thread is threading.current_thread() for thread in threads]

    assert asyncio.run(twice()) == [False, itself]


@pytest.mark.parametrize(("provider", "maker"), [("echo", "_echo"), ("openai", "_made")])
def test_a_models_client_is_made_and_imported_elsewhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, provider: str, maker: str
) -> None:
    threads = []

    def noted(*_: object) -> EchoChatModel:
        threads.append(threading.current_thread())
        return EchoChatModel(model="m")

    monkeypatch.setattr(llm, maker, noted)
    monkeypatch.setattr(Connections, "options", lambda *_: {})
    nobody: Any = None  # neither guards nor keys are needed
    proxy = LlmProxy(settings, nobody, nobody)
    request = ChatRequest([{"role": "user", "content": "hello"}], provider=provider, model="m")
    exchange = Exchange(principal=Principal("p", frozenset(), "s"))
    assert asyncio.run(proxy.complete(exchange, request, request.messages)).text
    assert threading.current_thread() not in threads
    assert len(threads) == 1
