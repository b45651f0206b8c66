"""Health and readiness tell the truth: a detector that fails is no service that works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.detectors.prompt_injection import PromptInjection
from guardrails_plugin.detectors.system_prompt_leak import SystemPromptLeak
from guardrails_plugin.server import guarding
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.guarding import Guarding
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
        assert _becomes_warm(app.state.services.guard)
        yield made


def _becomes_warm(guard: Guarding, seconds: float = WAIT_SECONDS) -> bool:
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
    ready, health = client.get("/readyz"), client.get("/api/v1/health")
    assert (ready.status_code, ready.json()["engine"]) == (503, False)
    assert (health.status_code, health.json()["services"]["ml_models"]) == (503, "down")
    assert client.get("/api/v1/status").json()["security_models"]["prompt_injection"] == "failed"


def test_a_detector_that_finds_nothing_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptInjection, "judge", lambda _self, texts, *_, **__: [[] for _ in texts])
    assert client.get("/readyz").json()["engine"] is False


def test_recipes_that_never_ran_are_not_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "_AGAIN_SECONDS", 0.05)
    guard = create_app(_settings(tmp_path), products=PRODUCTS).state.services.guard
    with monkeypatch.context() as patch:
        patch.setattr(PromptInjection, "judge", _fail)
        guard.warm()
        assert not _becomes_warm(guard, 3.0)
    assert _becomes_warm(guard)
    guard.close()


def test_a_stage_with_an_operators_own_rules_works(tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.toml"
    recipes.write_text('name = "prompt"\nstage = "prompt"\nrules = [{ detector = "secrets" }]\n')
    guard = create_app(_settings(tmp_path, recipes=recipes), products=PRODUCTS).state.services.guard
    assert asyncio.run(guard.works())
