"""CalypsoAI's providers, each a server that speaks OpenAI's protocol: which one is asked, and with which key."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrails_plugin.server import llm
from guardrails_plugin.server.echo import EchoChatModel
from tests.integration.server.test_calypso import calypso, new_project, ok
from tests.integration.server.test_calypso_projects import token
from tests.integration.server.test_llm import Provider

pytestmark = pytest.mark.integration

OPERATORS_KEY = "sk-operators-0123456789"


@dataclass(frozen=True)
class Model:
    """A provider's server."""

    server: Any

    @property
    def host(self) -> str:
        """Its address, as the operator lists it."""
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        """Its address, as providers name it."""
        return f"http://{self.host}/v1"

    @property
    def keys(self) -> Sequence[str]:
        """With which it was asked."""
        return [request["key"] for request in self.server.seen]


@contextmanager
def _model() -> Iterator[Model]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.says = "Fine."
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Model(server)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def running() -> Iterator[Sequence[Model]]:
    """The operator's server and two others."""
    with ExitStack() as stack:
        yield [stack.enter_context(_model()) for _ in range(3)]


@pytest.fixture
def models(running: Sequence[Model]) -> Sequence[Model]:
    """The same, not asked yet."""
    for model in running:
        model.server.seen = []
    return running


@pytest.fixture(scope="module")
def client(running: Sequence[Model], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service with a provider of its own."""
    settings = {
        "provider": "openai:house-model",
        "provider_key": OPERATORS_KEY,
        "provider_url": running[0].url,
        "provider_hosts": frozenset(model.host for model in running),
    }
    with calypso(tmp_path_factory.mktemp("providers"), **settings) as made:
        yield made


def _made(client: TestClient, project: str, name: str, model: Model, key: str = "", **more: str) -> str:
    body = {
        "name": name,
        "systemProvider": "openai-chat",
        "projectId": project,
        "inputs": {"model": f"{name}-model", "baseUrl": model.url},
        "secrets": {"apiKey": key} if key else {},
        **more,
    }
    return str(ok(client.post("/providers", json=body))["id"])


def _asked(client: TestClient, headers: Mapping[str, str], **more: str) -> Any:
    return ok(client.post("/prompts", json={"input": "hello", **more}, headers=dict(headers)))


def test_each_provider_of_a_type_has_its_own_key_and_address(client: TestClient, models: Sequence[Model]) -> None:
    project = new_project(client)
    _made(client, project, "first", models[1], "sk-first-0123456789")
    _made(client, project, "second", models[2], "sk-second-0123456789")
    headers = token(client, project)
    for name in ("first", "second", "first"):
        assert _asked(client, headers, provider=name)["provider"] == name
    keys = [model.keys for model in models]
    assert keys == [[], ["Bearer sk-first-0123456789"] * 2, ["Bearer sk-second-0123456789"]]
    assert models[2].server.seen[0]["model"] == "second-model"


def test_the_token_decides_the_default_provider(client: TestClient, models: Sequence[Model]) -> None:
    mine, plain = new_project(client), new_project(client)
    provider = _made(client, mine, "own", models[1], "sk-own-0123456789")
    ok(client.post(f"/projects/{mine}/providers/{provider}"))
    headers = token(client, mine)
    assert [one["name"] for one in ok(client.get("/providers", headers=headers))["providers"]] == ["own"]
    assert _asked(client, headers)["provider"] == "own"
    assert _asked(client, token(client, plain))["provider"] == "openai"
    assert [model.keys for model in models] == [[f"Bearer {OPERATORS_KEY}"], ["Bearer sk-own-0123456789"], []]


def test_the_services_own_provider_is_called_with_its_own_key(client: TestClient, models: Sequence[Model]) -> None:
    project = new_project(client)
    _made(client, project, "theirs", models[1], "sk-theirs-0123456789")
    assert _asked(client, token(client, project), provider="openai")["provider"] == "openai"
    assert [model.keys for model in models] == [[f"Bearer {OPERATORS_KEY}"], [], []]


def test_a_server_that_asks_for_no_key_is_given_none(
    client: TestClient, models: Sequence[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPERATORS_KEY)
    project = new_project(client)
    _made(client, project, "keyless", models[2])
    assert _asked(client, token(client, project), provider="keyless")["provider"] == "keyless"
    assert [model.keys for model in models] == [[], [], ["Bearer none"]]


def test_ollama_is_called_where_it_is(
    client: TestClient, models: Sequence[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def made(name: str, provider: str, options: Mapping[str, Any]) -> EchoChatModel:
        seen.append((name, provider, dict(options)))
        return EchoChatModel(model=name)

    monkeypatch.setattr(llm, "_made", made)
    project = new_project(client)
    _made(client, project, "local", models[1], systemProvider="ollama")
    assert _asked(client, token(client, project), provider="local")["provider"] == "local"
    assert seen == [("local-model", "ollama", {"base_url": models[1].url})]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("ollama", {}),
        ("ollama", {"baseUrl": "http://127.0.0.1:1"}),
        ("openai-chat", {"baseUrl": "https://169.254.169.254/v1"}),
        ("anthropic-messages", {"baseUrl": "https://example.com"}),
    ],
)
def test_without_a_key_an_address_is_needed_that_may_be_called(
    client: TestClient, kind: str, inputs: dict[str, str]
) -> None:
    body = {"name": "x", "systemProvider": kind, "inputs": {"model": "m", **inputs}}
    assert client.post("/providers", json=body).status_code == 400


def test_a_provider_whose_key_is_gone_is_not_asked_with_another(client: TestClient, models: Sequence[Model]) -> None:
    project = new_project(client)
    _made(client, project, "kept", models[1], "sk-kept-0123456789")
    _made(client, project, "lost", models[2], "sk-lost-0123456789")
    store = client.app.state.services.store  # type: ignore[attr-defined]
    key = next(key for key in store.provider_keys(project) if key.name == "lost")
    store.delete_provider_key(project, key.id)
    answer = client.post("/prompts", json={"input": "hello", "provider": "lost"}, headers=token(client, project))
    assert answer.status_code == 404
    assert [model.keys for model in models] == [[], [], []]
