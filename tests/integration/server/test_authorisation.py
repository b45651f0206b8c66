"""Every route of every product is closed, except those on one list."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.route_table import flat
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.database import Database
from tests.integration.server.conftest import TOKEN

pytestmark = pytest.mark.integration

PUBLIC = {
    "/healthz",
    "/readyz",
    "/docs",
    "/openapi.json",
    # Rampart: signing in, liveness, and the demonstration that the operator may switch off
    "/api/v1/auth/login",
    "/api/v1/health",
    "/api/v1/health/live",
    "/api/v1/health/ready",
    "/api/v1/filter/demo",
    # HiddenLayer: where a client id and secret become a token
    "/oauth2/token",
}
"""What anybody may call. A route that is public and not here fails the test."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    url = f"sqlite:///{tmp_path_factory.mktemp('authorisation') / 'guardrails.db'}"
    keyring = Keyring({"t1": bytes(range(32))})
    made = create_app(
        Settings(keyring=keyring, database_url=url, bootstrap_token=TOKEN, provider="echo", per_minute=0, per_hour=0)
    )
    # Without its limit on wrong credentials, which this many tries would meet.
    made.state.services.limiter.hit = _never
    return made


async def _never(*_: object, **__: object) -> None:
    return None


def _routes(app: FastAPI) -> list[tuple[str, str]]:
    routes = [
        (method, route.path)
        for product in app.state.products
        for route in flat(product.router)
        for method in sorted(route.methods or ())
    ]
    assert len(routes) > 10
    documented = set(app.openapi()["paths"])
    assert documented <= {path for _, path in routes}
    return routes


def _path(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "some-id", template)


def test_the_public_list_is_no_longer_than_allowed(app: FastAPI) -> None:
    assert app.state.public <= PUBLIC


@pytest.mark.parametrize(
    "header",
    [None, "Bearer wrong", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a.b.c", "bearer\tx", "Bearer " + "x" * 5000],
    ids=["none", "wrong", "empty", "basic", "jwt", "tab", "long"],
)
def test_every_other_route_asks_for_credentials(app: FastAPI, header: str | None) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:
        for method, template in _routes(app):
            if template in app.state.public:
                continue
            headers = {} if header is None else {"Authorization": header}
            answer = client.request(method, _path(template), headers=headers)
            assert answer.status_code in (401, 403), (method, template, answer.status_code)


def test_no_spelling_of_a_path_passes(app: FastAPI) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in (
            "/healthz/../guardrails/v1/recipes",
            "//guardrails/v1/recipes",
            "/guardrails/v1/recipes/",
            "/guardrails/v1/%72ecipes",
            "/GUARDRAILS/v1/recipes",
            "/docs/x",
            "/healthz/",
        ):
            assert client.get(path, follow_redirects=True).status_code in (401, 404), path


def test_a_slash_at_the_end_is_another_path(app: FastAPI) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "elsewhere.example"}
    with TestClient(app, headers=headers, follow_redirects=False) as client:
        for path in ("/healthz", "/guardrails/v1/check", "/api/v1/filter", "/backend/v1/scans", "/v1/text/guard"):
            answer = client.post(f"{path}/", json={})
            assert (answer.status_code, answer.headers.get("location")) == (404, None), path
            assert answer.json(), path


def test_no_route_fails_on_an_empty_request_of_somebody_known(app: FastAPI) -> None:
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        for method, template in _routes(app):
            answer = client.request(method, _path(template))
            assert answer.status_code < 500, (method, template, answer.text)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ' * 300 + b"1" + b"}" * 300,
        b'{"model": "\\ud800"}',
        b'{"a": "\\\\ud83d\\ude00"}',
        b'{"a": "\xed\xa0\x80"}',
    ],
    ids=["deep", "half", "half after two backslashes", "half in UTF-8"],
)
def test_json_that_could_not_be_repeated_is_refused_everywhere(app: FastAPI, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    documented = app.openapi()["paths"]
    reading = [
        (method, template)
        for method, template in _routes(app)
        if "application/json"
        in documented.get(template, {}).get(method.lower(), {}).get("requestBody", {}).get("content", {})
    ]
    assert len(reading) > 40
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        for method, template in reading:
            answer = client.request(method, _path(template), content=body)
            assert answer.status_code == 400, (method, template, answer.text)


def test_scopes_are_kept(app: FastAPI) -> None:
    services = app.state.services
    project = services.store.project("default").id
    secret, _ = services.authenticator.issue(project, scopes=(GUARD,))
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        assert client.get("/guardrails/v1/recipes").status_code == 200
        assert client.post("/guardrails/v1/projects", json={"name": "x"}).status_code == 403
        assert client.post("/guardrails/v1/tokens", json={}).status_code == 403
        assert client.get("/guardrails/v1/audit").status_code == 403
        body = {"rules": [{"detector": "pii"}]}
        assert client.put("/guardrails/v1/recipes/mine", json=body).status_code == 403


def test_answers_never_show_a_stack_or_a_cause(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("canary-inside")

    monkeypatch.setattr(app.state.services.guard, "recipes", fail)
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        answer = client.get("/guardrails/v1/recipes")
    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert answer.json()["trace_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/guardrails/v1/projects", "trace_id"),
        ("/openai/echo/chat/completions", "error"),
        ("/api/v1/keys", "trace_id"),
        ("/backend/v1/projects", "detail"),
        ("/ai-guard/v1/text/guard", "request_id"),
        ("/detection/v1/interactions", "detail"),
    ],
)
def test_a_database_that_does_not_answer_is_told_by_every_product(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str, key: str
) -> None:
    def away(_: object) -> None:
        raise OperationalError("", {}, Exception("canary-inside"))

    app.state.services.authenticator.forget()
    monkeypatch.setattr(Database, "read", away)
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        answer = client.get(path)
    assert answer.status_code == 503
    assert key in answer.json()
    assert "canary" not in answer.text


def test_what_cannot_be_recorded_is_not_answered(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        monkeypatch.setattr(app.state.services.audit, "append", fail)
        answer = client.post("/guardrails/v1/check", json={"content": "hello canary", "stage": "prompt"})
        assert answer.status_code == 503
        assert "canary" not in answer.text


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/api/v1/health", "/api/v1/health/ready", "/api/v1/health/live"]
)
def test_probes_may_ask_for_the_head_of_an_answer_only(app: FastAPI, path: str) -> None:
    with TestClient(app) as client:
        assert client.head(path).status_code == client.get(path).status_code in (200, 503)
        assert client.head("/guardrails/v1/recipes").status_code == 401


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("POST", "/guardrails/v1/tokens", "expires_at", 422),
        ("POST", "/backend/v1/tokens", "expiresAt", 422),
        ("GET", "/api/v1/audit-logs", "start_date", 400),
        ("GET", "/api/v1/audit-logs", "end_date", 400),
    ],
)
def test_a_time_outside_of_the_calendar_is_refused(
    app: FastAPI, method: str, path: str, name: str, status: int, *, when: str
) -> None:
    def asked(client: TestClient, when: str) -> int:
        if method == "GET":
            return client.get(path, params={name: when}).status_code
        return client.post(path, json={"name": "x", name: when}).status_code

    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        assert asked(client, when) == status
        assert asked(client, f"{when[:19]}Z") in (200, 201)
        assert client.get("/guardrails/v1/tokens").status_code == 200


def test_pages_of_other_origins_are_told_nothing(app: FastAPI) -> None:
    origin = {"Origin": "https://elsewhere.example", "Authorization": f"Bearer {TOKEN}"}
    asking = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with TestClient(app) as client:
        for path in ("/healthz", "/guardrails/v1/recipes", "/api/v1/filter/demo", "/backend/v1/scans"):
            for answer in (client.get(path, headers=origin), client.options(path, headers=asking)):
                assert not [name for name in answer.headers if name.startswith("access-control-")], path
            assert not answer.is_success, path


def test_lists_of_tokens_hold_no_secret(app: FastAPI) -> None:
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        made = client.post("/guardrails/v1/tokens", json={"name": "listed"}).json()
        listed = client.get("/guardrails/v1/tokens")
    secret = made["secret"]
    assert made["id"] in [token["id"] for token in listed.json()["tokens"]]
    # What stands behind prefix and identifier; its last four characters are the preview's.
    assert secret.split("_", 2)[2] not in listed.text
    assert TOKEN not in listed.text
    token = app.state.services.store.token_by_id(made["id"])
    assert token.digest not in listed.text
