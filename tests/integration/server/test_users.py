"""Users over HTTP: who makes and changes whom, and what a change ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.auth import GUARD, MANAGE
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import CORE, TOKEN

pytestmark = pytest.mark.integration

USERS = "/guardrails/v1/users"
PASSWORD = "a long enough password"
WHERE = [
    *CORE,
    "guardrails_plugin.server.routers.users",
    "guardrails_plugin.server.routers.calypso.product",
    "guardrails_plugin.server.routers.rampart.product",
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder: Path = tmp_path_factory.mktemp("users")
    settings = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{folder / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        bootstrap_user=("admin@example.com", PASSWORD),
        provider="echo",
        per_minute=0,
        per_hour=0,
    )
    return create_app(settings, products=WHERE)


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    """Without credentials."""
    with TestClient(app) as made:
        yield made


@pytest.fixture(scope="module")
def projects(app: FastAPI) -> dict[str, dict[str, str]]:
    """Headers of those who manage a project each, and of the administrator."""
    services = app.state.services
    headers = {"admin": {"Authorization": f"Bearer {TOKEN}"}}
    for name in ("one", "two"):
        project = services.store.create_project(name, friendly_id=name)
        secret, _ = services.authenticator.issue(project.id, scopes=(GUARD, MANAGE))
        headers[name] = {"Authorization": f"Bearer {secret}"}
    return headers


def make(client: TestClient, headers: dict[str, str], email: str, **more: Any) -> Any:
    answer = client.post(USERS, json={"email": email, "password": PASSWORD, **more}, headers=headers)
    assert answer.status_code == 201, answer.text
    assert PASSWORD not in answer.text
    assert "argon2" not in answer.text
    return answer.json()


def sign_in(client: TestClient, email: str, password: str = PASSWORD) -> dict[str, str] | None:
    answer = client.post("/api/v1/auth/login", json={"email": email, "password": password})
    return {"Authorization": f"Bearer {answer.json()['token']}"} if answer.status_code == 200 else None


def recognised(client: TestClient, headers: dict[str, str] | None) -> bool:
    return headers is not None and client.get("/guardrails/v1/recipes", headers=headers).status_code == 200


def test_a_user_is_made_read_changed_and_removed(
    app: FastAPI, client: TestClient, projects: dict[str, dict[str, str]]
) -> None:
    manager = projects["one"]
    made = make(client, manager, "Ann@Example.com", name="Ann", groups=["desk", "desk"])
    assert (made["email"], made["name"], made["groups"]) == ("ann@example.com", "Ann", ["desk"])
    assert (made["scopes"], made["is_active"]) == ([GUARD], True)
    assert app.state.services.store.user(made["id"]).password_hash.startswith("$argon2id$")
    at = f"{USERS}/{made['id']}"
    assert client.get(at, headers=manager).json() == made
    assert made in client.get(USERS, headers=manager).json()["users"]
    changed = client.patch(at, json={"name": "Ann B.", "scopes": [GUARD, MANAGE]}, headers=manager).json()
    assert changed == {**made, "name": "Ann B.", "scopes": [GUARD, MANAGE]}
    signed_in = sign_in(client, "ann@example.com")
    assert signed_in is not None
    assert client.get(USERS, headers=signed_in).status_code == 200
    key = client.post("/api/v1/rampart-keys", json={"name": "x"}, headers=signed_in).json()["key"]
    assert client.delete(at, headers=manager).json() == {"deleted": made["id"]}
    assert client.get(at, headers=manager).status_code == 404
    assert not recognised(client, signed_in)
    assert not recognised(client, {"Authorization": f"Bearer {key}"})
    assert app.state.services.store.tokens(made["project_id"], owner_id=made["id"]) == []


def test_deactivating_stops_sessions_and_keys_at_once(client: TestClient, projects: dict[str, dict[str, str]]) -> None:
    manager = projects["one"]
    made = make(client, manager, "bob@example.com", scopes=[GUARD, MANAGE])
    session = sign_in(client, "bob@example.com")
    assert session is not None
    key = {
        "Authorization": "Bearer "
        + client.post("/api/v1/rampart-keys", json={"name": "x"}, headers=session).json()["key"]
    }
    assert recognised(client, session)
    assert recognised(client, key)
    at = f"{USERS}/{made['id']}"
    assert client.patch(at, json={"is_active": False}, headers=manager).json()["is_active"] is False
    assert not recognised(client, session)
    assert not recognised(client, key)
    assert sign_in(client, "bob@example.com") is None
    client.patch(at, json={"is_active": True}, headers=manager)
    assert recognised(client, key)


def test_another_password_ends_the_sessions(client: TestClient, projects: dict[str, dict[str, str]]) -> None:
    manager = projects["one"]
    made = make(client, manager, "cleo@example.com")
    session = sign_in(client, "cleo@example.com")
    other = "another long password"
    answer = client.patch(f"{USERS}/{made['id']}", json={"password": other}, headers=manager)
    assert answer.status_code == 200
    assert not recognised(client, session)
    assert sign_in(client, "cleo@example.com") is None
    assert recognised(client, sign_in(client, "cleo@example.com", other))


def test_a_scope_taken_from_a_user_is_taken_from_their_keys(
    client: TestClient, projects: dict[str, dict[str, str]]
) -> None:
    manager = projects["one"]
    made = make(client, manager, "dora@example.com", scopes=[GUARD, MANAGE])
    session = sign_in(client, "dora@example.com")
    body = {"name": "own", "scopes": [GUARD, MANAGE]}
    value = client.post("/backend/v1/tokens", json=body, headers=session).json()["token"]["value"]
    key = {"Authorization": f"Bearer {value}"}
    assert client.get(USERS, headers=key).status_code == 200
    client.patch(f"{USERS}/{made['id']}", json={"scopes": [GUARD]}, headers=manager)
    assert client.get(USERS, headers=key).status_code == 403
    assert recognised(client, key)


def test_users_of_another_project_do_not_exist(client: TestClient, projects: dict[str, dict[str, str]]) -> None:
    made = make(client, projects["one"], "eve@example.com")
    at, stranger = f"{USERS}/{made['id']}", projects["two"]
    before = client.get(at, headers=projects["one"]).json()
    assert client.get(at, headers=stranger).status_code == 404
    assert client.patch(at, json={"is_active": False}, headers=stranger).status_code == 404
    assert client.delete(at, headers=stranger).status_code == 404
    assert client.get(f"{USERS}?project=one", headers=stranger).status_code == 404
    assert made["id"] not in client.get(USERS, headers=stranger).text
    body = {"email": "spy@example.com", "password": PASSWORD, "project": "one"}
    assert client.post(USERS, json=body, headers=stranger).status_code == 404
    assert client.get(at, headers=projects["one"]).json() == before


def test_an_administrator_manages_users_of_every_project(
    client: TestClient, projects: dict[str, dict[str, str]]
) -> None:
    admin = projects["admin"]
    made = make(client, admin, "finn@example.com", project="two")
    at = f"{USERS}/{made['id']}"
    assert client.get(at, headers=projects["two"]).json() == made
    assert made in client.get(f"{USERS}?project=two", headers=admin).json()["users"]
    assert client.patch(at, json={"groups": ["desk"]}, headers=admin).json()["groups"] == ["desk"]
    assert client.delete(at, headers=admin).status_code == 200


def test_only_administrators_make_and_change_administrators(
    app: FastAPI, client: TestClient, projects: dict[str, dict[str, str]]
) -> None:
    manager, admin = projects["one"], projects["admin"]
    body = {"email": "gus@example.com", "password": PASSWORD, "scopes": ["admin"]}
    assert client.post(USERS, json=body, headers=manager).status_code == 403
    plain = make(client, manager, "gus@example.com")
    assert client.patch(f"{USERS}/{plain['id']}", json={"scopes": ["admin"]}, headers=manager).status_code == 403
    chief = make(client, admin, "hana@example.com", project="one", scopes=[GUARD, "admin"])
    at = f"{USERS}/{chief['id']}"
    assert client.patch(at, json={"password": PASSWORD}, headers=manager).status_code == 403
    assert client.delete(at, headers=manager).status_code == 403


def test_nobody_locks_themselves_out(client: TestClient, projects: dict[str, dict[str, str]]) -> None:
    made = make(client, projects["one"], "ivo@example.com", scopes=[MANAGE])
    at, own = f"{USERS}/{made['id']}", sign_in(client, "ivo@example.com")
    for change in ({"is_active": False}, {"scopes": [GUARD]}):
        assert client.patch(at, json=change, headers=own).status_code == 409
    assert client.delete(at, headers=own).status_code == 409
    assert client.patch(at, json={"name": "Ivo"}, headers=own).status_code == 200


def test_guards_credentials_may_not(client: TestClient, projects: dict[str, dict[str, str]]) -> None:
    make(client, projects["one"], "jo@example.com")
    own = sign_in(client, "jo@example.com")
    body = {"email": "k@example.com", "password": PASSWORD}
    assert client.get(USERS, headers=own).status_code == 403
    assert client.post(USERS, json=body, headers=own).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "ADMIN@example.com", "password": PASSWORD}, 409),
        ({"email": "nobody", "password": PASSWORD}, 422),
        ({"email": "x@example.com", "password": "tiny-word"}, 422),
        ({"email": "x@example.com"}, 422),
        ({"email": "x@example.com", "password": PASSWORD, "scopes": []}, 422),
        ({"email": "x@example.com", "password": PASSWORD, "scopes": ["root"]}, 422),
    ],
)
def test_what_is_wrong_is_told_without_the_password(
    client: TestClient, projects: dict[str, dict[str, str]], body: dict[str, Any], status: int
) -> None:
    answer = client.post(USERS, json=body, headers=projects["one"])
    assert answer.status_code == status
    assert str(body.get("password")) not in answer.text


def test_changes_are_on_the_record(client: TestClient, projects: dict[str, dict[str, str]]) -> None:
    made = make(client, projects["two"], "lee@example.com")
    client.patch(f"{USERS}/{made['id']}", json={"name": "Lee"}, headers=projects["two"])
    client.delete(f"{USERS}/{made['id']}", headers=projects["two"])
    for event in ("user_created", "user_changed", "user_deleted"):
        records = client.get(f"/guardrails/v1/audit?event={event}", headers=projects["two"]).json()["records"]
        assert records[0]["metadata"]["id"] == made["id"]
        assert PASSWORD not in str(records)
