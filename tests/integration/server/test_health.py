"""Health and readiness tell the truth: a detector that fails is no service that works, nor a disk that is full."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.detectors.prompt_injection import PromptInjection
from guardrails_plugin.detectors.system_prompt_leak import SystemPromptLeak
from guardrails_plugin.server import guarding, health
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.health import Trial
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import TOKEN

PRODUCTS = [f"guardrails_plugin.server.routers.{name}" for name in ("system", "rampart.product")]
WAIT_SECONDS = 120


def _settings(folder: Path, **changes: object) -> Settings:
    return Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{folder / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        per_minute=0,
        per_hour=0,
        **changes,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service, warm."""
    app = create_app(_settings(tmp_path_factory.mktemp("health")), products=PRODUCTS)
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as made:
        assert becomes_warm(app.state.services.guard)
        yield made


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is answered anew."""
    monkeypatch.setattr(health, "_REMEMBERED_SECONDS", 0.0)


def becomes_warm(guard: Guarding, seconds: float = WAIT_SECONDS) -> bool:
    until = time.monotonic() + seconds
    while not guard.is_warm and time.monotonic() < until:
        time.sleep(0.05)
    return guard.is_warm


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError


def test_a_service_that_works_says_so(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    assert client.get("/api/v1/health").json()["services"]["ml_models"] == "operational"


@pytest.mark.parametrize("detector", [PromptInjection, SystemPromptLeak])
def test_one_broken_detector_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch, detector: type) -> None:
    monkeypatch.setattr(detector, "judge" if detector is PromptInjection else "detect", _fail)
    ready, found = client.get("/readyz"), client.get("/api/v1/health")
    assert (ready.status_code, ready.json()["engine"]) == (503, False)
    assert (found.status_code, found.json()["services"]["ml_models"]) == (503, "down")
    assert client.get("/api/v1/status").json()["security_models"]["prompt_injection"] == "failed"


def test_a_detector_that_finds_nothing_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptInjection, "judge", lambda _self, texts, *_, **__: [[] for _ in texts])
    assert client.get("/readyz").json()["engine"] is False


def test_a_database_that_another_process_has_locked_is_told(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.1)
    file = client.app.state.services.database.engine.url.database  # type: ignore[attr-defined]
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        ready, found = client.get("/readyz"), client.get("/api/v1/health")
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert (ready.status_code, ready.json()["database"]) == (503, False)
    assert (found.status_code, found.json()["services"]["database"]) == (503, "down")
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 20.0)
    assert client.get("/readyz").status_code == 200


def test_records_that_could_not_be_written_are_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]

    def away(*_: object) -> None:
        raise OperationalError("", {}, Exception())

    with monkeypatch.context() as patch:
        patch.setattr(services.audit, "append", away)
        assert client.get("/api/v1/template-packs").status_code == 503
    assert client.get("/readyz").json()["database"] is False
    assert client.get("/api/v1/template-packs").status_code == 200
    assert client.get("/readyz").json()["database"] is True


def test_recipes_that_never_ran_are_not_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "_AGAIN_SECONDS", 0.05)
    guard = create_app(_settings(tmp_path), products=PRODUCTS).state.services.guard
    with monkeypatch.context() as patch:
        patch.setattr(PromptInjection, "judge", _fail)
        guard.warm()
        assert not becomes_warm(guard, 3.0)
    assert becomes_warm(guard)
    guard.close()


def test_a_stage_with_an_operators_own_rules_works(tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.toml"
    recipes.write_text('name = "prompt"\nstage = "prompt"\nrules = [{ detector = "secrets" }]\n')
    guard = create_app(_settings(tmp_path, recipes=recipes), products=PRODUCTS).state.services.guard
    assert asyncio.run(guard.works())


def test_many_who_ask_share_one_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_REMEMBERED_SECONDS", 60.0)
    tried: list[int] = []

    async def attempt() -> bool:
        tried.append(1)
        await asyncio.sleep(0.01)
        return len(tried) == 1

    async def asked() -> list[bool]:
        trial = Trial(attempt)
        return [*await asyncio.gather(*(trial() for _ in range(16))), await trial()]

    assert asyncio.run(asked()) == [True] * 17
    assert len(tried) == 1


def test_a_trial_that_takes_too_long_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.01)
    tried: list[int] = []
    may_end = asyncio.Event()

    async def attempt() -> bool:
        tried.append(1)
        return await may_end.wait()

    async def asked() -> list[bool]:
        trial = Trial(attempt)
        early = [await trial(), await trial()]
        may_end.set()
        return [*early, await trial()]

    assert asyncio.run(asked()) == [False, False, True]
    assert len(tried) == 1
