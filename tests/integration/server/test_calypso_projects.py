"""CalypsoAI: projects, providers, tokens, users."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrails_plugin.server.settings import Settings
from tests.integration.server.test_calypso import calypso, keyword, named, new_project, ok, scan, use

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with calypso(tmp_path_factory.mktemp("calypso")) as running:
        yield running


def project(client: TestClient, project_id: str) -> Any:
    return ok(client.get(f"/projects/{project_id}"))["project"]


def token(client: TestClient, project_id: str | None = None, **more: Any) -> dict[str, str]:
    """Headers with a new token."""
    body = {"name": "t", "machine": True, "projectId": project_id, **more}
    return {"Authorization": f"Bearer {ok(client.post('/tokens', json=body))['token']['value']}"}


def package(client: TestClient, name: str) -> Any:
    return ok(client.get("/scanner-packages", params={"search": name}))["packages"][0]


class TestProjects:
    def test_a_project_has_every_documented_key(self, client: TestClient) -> None:
        me = ok(client.get("/users/me"))["user"]["id"]
        provider = ok(client.get("/providers/echo"))["provider"]["id"]
        scanner = keyword(client, "titan")
        body = {
            "name": "Chat of sales",
            "projectType": "chat",
            "admins": [me],
            "members": ["ann", "bob"],
            "providers": [provider],
            "scanners": [scanner],
            "friendlyId": "sales-chat",
        }
        made = ok(client.post("/projects", json=body))
        assert set(made) == {"id"}
        found = project(client, made["id"])
        assert set(found) >= {
            "adminCount",
            "adminRoleId",
            "chatbotId",
            "config",
            "createdAt",
            "friendlyId",
            "id",
            "memberCount",
            "memberRoleId",
            "name",
            "orgId",
            "type",
        }
        assert (found["name"], found["type"], found["friendlyId"]) == ("Chat of sales", "chat", "sales-chat")
        assert (found["adminCount"], found["memberCount"], found["chatbotId"]) == (1, 2, None)
        for key in ("id", "adminRoleId", "memberRoleId", "orgId"):
            assert str(uuid.UUID(found[key])) == found[key]
        assert found["createdAt"].endswith("Z")
        config = found["config"]
        assert set(config) == {"packages", "providerRouting", "providers", "scanners"}
        assert config["providerRouting"] is None
        assert config["providers"] == [
            {"default": True, "enabled": True, "id": provider, "name": "echo", "type": "echo"}
        ]
        entry = next(one for one in config["scanners"] if one["id"] == scanner)
        assert set(entry) >= {"blocking", "enabled", "flagMessage", "force", "id", "version"}
        assert (entry["blocking"], entry["enabled"], entry["flagMessage"], entry["force"]) == (True, True, None, False)
        assert len(config["packages"]) == 3

    @pytest.mark.parametrize("kind", ["app", "chat", "bot"])
    def test_there_are_three_types(self, client: TestClient, kind: str) -> None:
        assert project(client, new_project(client, type=kind))["type"] == kind

    def test_a_wrong_type_is_refused(self, client: TestClient) -> None:
        assert client.post("/projects", json={"name": "x", "type": "zoo"}).status_code == 422

    def test_a_friendly_id_is_as_good_as_the_id(self, client: TestClient) -> None:
        made = new_project(client, friendlyId="friendly-one")
        assert project(client, "friendly-one")["id"] == made
        assert scan(client, "x", project="friendly-one")["projectId"] == made
        taken = client.post("/projects", json={"name": "x", "friendlyId": "friendly-one"})
        assert (taken.status_code, set(taken.json())) == (409, {"detail"})

    def test_projects_are_listed_and_searched(self, client: TestClient) -> None:
        made = new_project(client, name="A needle in the hay")
        found = ok(client.get("/projects", params={"search": "NEEDLE"}))["projects"]
        assert [one["id"] for one in found] == [made]
        page = ok(client.get("/projects", params={"limit": 1}))
        assert len(page["projects"]) == 1
        assert page["next"]

    def test_an_update_shows_the_added_scanner(self, client: TestClient) -> None:
        made, scanner = new_project(client), keyword(client, "titan")
        config = {"scanners": [{"id": scanner, "enabled": True, "flagMessage": "No."}]}
        answer = client.patch(f"/projects/{made}", json={"config": config, "deploymentStatus": "live"})
        assert ok(answer) == {"message": "Project updated"}
        entries = project(client, made)["config"]["scanners"]
        assert [(e["id"], e["enabled"], e["flagMessage"]) for e in entries] == [(scanner, True, "No.")]

    def test_an_update_leaves_the_rest(self, client: TestClient) -> None:
        made, one, two = new_project(client), keyword(client, "titan"), keyword(client, "moon")
        use(client, made, one, flagMessage="No.", mode="audit")
        use(client, made, two)
        use(client, made, one, enabled=False)
        ok(client.patch(f"/projects/{made}", json={"name": "Renamed"}))
        found = project(client, made)
        first = found["config"]["scanners"][0]
        assert (found["name"], len(found["config"]["scanners"])) == ("Renamed", 2)
        assert (first["enabled"], first["mode"], first["flagMessage"]) == (False, "audit", "No.")

    def test_a_scanner_is_added_and_then_switched_on(self, client: TestClient) -> None:
        made, scanner = new_project(client), keyword(client, "titan")
        ok(client.post(f"/projects/{made}/scanners/{scanner}"))
        assert scan(client, "titan", project=made)["result"]["scannerResults"] == []
        use(client, made, scanner)
        ok(client.post(f"/projects/{made}/scanners/{scanner}"))
        assert scan(client, "titan", project=made)["result"]["outcome"] == "blocked"
        ok(client.delete(f"/projects/{made}/scanners/{scanner}"))
        assert project(client, made)["config"]["scanners"] == []
        assert client.delete(f"/projects/{made}/scanners/{scanner}").status_code == 404

    def test_an_unknown_scanner_changes_nothing(self, client: TestClient) -> None:
        made = new_project(client)
        config = {"scanners": [{"id": "none", "enabled": True}]}
        assert client.patch(f"/projects/{made}", json={"name": "y", "config": config}).status_code == 404
        assert project(client, made)["name"] == "Test"
        before = len(ok(client.get("/projects"))["projects"])
        assert client.post("/projects", json={"name": "x", "scanners": ["none"]}).status_code == 404
        assert len(ok(client.get("/projects"))["projects"]) == before

    def test_packages_come_and_go_with_their_scanners(self, client: TestClient) -> None:
        made, pii = new_project(client), package(client, "PII")
        ok(client.post(f"/projects/{made}/scanner-packages/{pii['id']}"))
        found = project(client, made)["config"]
        assert found["packages"] == [{"enabled": True, "id": pii["id"], "name": "PII package"}]
        assert [entry["id"] for entry in found["scanners"]] == [scanner["id"] for scanner in pii["scanners"]]
        off = [entry["id"] for entry in found["scanners"] if not entry["enabled"]]
        assert named(client, "Postal codes") in off
        assert named(client, "Credit card numbers") not in off
        config = {"packages": [{"id": pii["id"], "enabled": False}]}
        ok(client.patch(f"/projects/{made}", json={"config": config}))
        assert not any(entry["enabled"] for entry in project(client, made)["config"]["scanners"])
        ok(client.delete(f"/projects/{made}/scanner-packages/{pii['id']}"))
        assert project(client, made)["config"]["scanners"] == []
        assert client.post(f"/projects/{made}/scanner-packages/none").status_code == 404

    def test_a_new_project_has_the_packages_that_are_on_by_default(self, client: TestClient) -> None:
        made = ok(client.post("/projects", json={"name": "x"}))["id"]
        entries = {entry["id"]: entry["enabled"] for entry in project(client, made)["config"]["scanners"]}
        for name in ("Prompt injection and jailbreak", "Credit card numbers", "Secrets"):
            assert entries[named(client, name)]
        use(client, made, named(client, "Secrets"), enabled=False)
        entries = {entry["id"]: entry["enabled"] for entry in project(client, made)["config"]["scanners"]}
        assert not entries[named(client, "Secrets")]

    def test_a_deleted_project_is_gone_with_its_tokens(self, client: TestClient) -> None:
        made = new_project(client)
        headers = token(client, made)
        ok(client.post("/scans", json={"input": "x"}, headers=headers))
        ok(client.delete(f"/projects/{made}"))
        assert client.get(f"/projects/{made}").status_code == 404
        assert client.post("/scans", json={"input": "x"}, headers=headers).status_code == 401

    def test_the_global_project_stays(self, client: TestClient) -> None:
        home = ok(client.get("/project"))["project"]
        assert (home["type"], home["orgId"]) == ("global", home["id"])
        assert client.delete(f"/projects/{home['id']}").status_code == 403


class TestTokens:
    def test_a_token_of_a_project_sees_that_project_only(self, client: TestClient) -> None:
        mine, other = new_project(client), new_project(client)
        use(client, mine, keyword(client, "titan"))
        headers = token(client, mine)
        body = ok(client.post("/scans", json={"input": "titan"}, headers=headers))
        assert (body["projectId"], body["result"]["outcome"]) == (mine, "flagged")
        assert body["userId"].startswith("machine=")
        for path in (f"/projects/{other}", "/projects/default"):
            assert client.get(path, headers=headers).status_code == 404
        assert client.post("/scans", json={"input": "x", "project": other}, headers=headers).status_code == 404
        assert [one["id"] for one in ok(client.get("/projects", headers=headers))["projects"]] == [mine]

    def test_a_machine_may_scan_and_not_manage(self, client: TestClient) -> None:
        made = new_project(client)
        headers = token(client, made)
        for method, path in (
            ("POST", "/scanners"),
            ("PATCH", f"/projects/{made}"),
            ("POST", "/tokens"),
            ("POST", "/providers"),
        ):
            body = {"name": "x", "config": {"type": "keyword", "words": ["x"]}, "systemProvider": "ollama"}
            body = body if method == "POST" and path != f"/projects/{made}" else {"name": "x"}
            assert client.request(method, path, json=body, headers=headers).status_code == 403, path
        assert client.post("/projects", json={"name": "x"}, headers=headers).status_code == 403

    def test_values_are_shown_once(self, client: TestClient) -> None:
        made = new_project(client)
        body = {"name": "ci", "expiresAt": "2099-01-01T00:00:00Z", "machine": True, "projectId": made}
        new = ok(client.post("/tokens", json=body))["token"]
        assert (new["name"], new["machine"], new["projectId"]) == ("ci", True, made)
        listed = ok(client.get("/tokens", params={"projectId": made, "machine": True}))["tokens"]
        assert [one["id"] for one in listed] == [new["id"]]
        assert "value" not in listed[0]
        ok(client.delete(f"/tokens/{new['id']}"))
        assert client.get("/users/me", headers={"Authorization": f"Bearer {new['value']}"}).status_code == 401

    def test_members_of_a_project_may_use_it(self, client: TestClient) -> None:
        services = client.app.state.services  # type: ignore[attr-defined]
        home = services.store.project("default").id
        user = services.store.create_user(home, "member@example.com", "", scopes=("guard", "manage"))
        secret, _ = services.authenticator.issue(home, owner_id=user.id, scopes=("guard", "manage"))
        headers = {"Authorization": f"Bearer {secret}"}
        me = ok(client.get("/users/me", headers=headers))["user"]
        assert (me["id"], me["email"]) == (user.id, "member@example.com")
        made = new_project(client, members=[user.id])
        body = {"input": "hello", "project": made}
        assert ok(client.post("/prompts", json=body, headers=headers))["projectId"] == made
        assert client.patch(f"/projects/{made}", json={"name": "y"}, headers=headers).status_code == 403
        ok(client.patch(f"/projects/{made}", json={"members": [], "admins": [user.id]}))
        ok(client.patch(f"/projects/{made}", json={"name": "y"}, headers=headers))
        ok(client.patch(f"/projects/{made}", json={"admins": []}))
        assert client.post("/prompts", json=body, headers=headers).status_code == 404

    def test_a_token_stays_in_its_project_whatever_its_owner_is_elsewhere(self, client: TestClient) -> None:
        services = client.app.state.services  # type: ignore[attr-defined]
        home = new_project(client)
        user = services.store.create_user(home, "owner@example.com", "", scopes=("guard", "manage"))
        secret, _ = services.authenticator.issue(home, owner_id=user.id, scopes=("guard",))
        headers = {"Authorization": f"Bearer {secret}"}
        other = new_project(client, admins=[user.id])
        body = {"name": "t", "projectId": other, "scopes": ["manage"]}
        assert client.post("/tokens", json=body, headers=headers).status_code == 404
        assert client.post("/scans", json={"input": "x", "project": other}, headers=headers).status_code == 404
        session, _ = services.authenticator.session(user=user)
        ok(client.post("/tokens", json=body, headers={"Authorization": f"Bearer {session}"}))

    def test_who_is_no_longer_in_a_project_has_no_credentials_for_it(self, client: TestClient) -> None:
        services = client.app.state.services  # type: ignore[attr-defined]
        user = services.store.create_user(new_project(client), "guest@example.com", "", scopes=("guard", "manage"))
        session, _ = services.authenticator.session(user=user)
        other = new_project(client, admins=[user.id])
        body = {"name": "t", "projectId": other}
        made = ok(client.post("/tokens", json=body, headers={"Authorization": f"Bearer {session}"}))["token"]
        headers = {"Authorization": f"Bearer {made['value']}"}
        assert made["scopes"] == ["guard", "manage"]
        ok(client.get("/tokens", headers=headers))
        ok(client.patch(f"/projects/{other}", json={"admins": [], "members": [user.id]}))
        assert client.get("/tokens", headers=headers).status_code == 403
        ok(client.post("/scans", json={"input": "x"}, headers=headers))
        ok(client.patch(f"/projects/{other}", json={"members": []}))
        assert client.post("/scans", json={"input": "x"}, headers=headers).status_code == 401

    def test_nobody_may_do_more_in_a_project_than_at_home(self, client: TestClient) -> None:
        services = client.app.state.services  # type: ignore[attr-defined]
        home = services.store.project("default").id
        user = services.store.create_user(home, "guard@example.com", "", scopes=("guard",))
        session, _ = services.authenticator.session(user=user)
        token_of_home, _ = services.authenticator.issue(home, owner_id=user.id, scopes=("guard",))
        other = new_project(client, admins=[user.id])
        for secret in (session, token_of_home):
            headers = {"Authorization": f"Bearer {secret}"}
            ok(client.post("/scans", json={"input": "x", "project": other}, headers=headers))
            assert client.patch(f"/projects/{other}", json={"name": "y"}, headers=headers).status_code == 403

    def test_a_machine_is_its_token(self, client: TestClient) -> None:
        assert ok(client.get("/users/me"))["user"]["id"] == "machine=bootstrap"


class TestProviders:
    def test_providers_are_found_by_name_and_id(self, client: TestClient) -> None:
        page = ok(client.get("/providers"))
        assert page["next"] is None
        first = page["providers"][0]
        keys = {"id", "name", "type", "inputs", "secrets", "template", "availability", "systemProviderId"}
        assert set(first) >= keys
        for name in (first["id"], first["name"]):
            assert ok(client.get(f"/providers/{name}")) == {"provider": first}
        assert client.get("/providers/none").status_code == 404

    def test_only_an_administrator_gives_a_project_the_organisations_provider(self, client: TestClient) -> None:
        body = {"name": "house", "systemProvider": "openai-chat", "inputs": {"model": "m"}, "secrets": {"k": "sk-1"}}
        shared = ok(client.post("/providers", json=body))["id"]
        mine = new_project(client)
        manager = token(client, mine, scopes=["manage"])
        own = ok(client.post("/providers", json={**body, "name": "own"}, headers=manager))["id"]
        path = f"/projects/{mine}/providers"
        ok(client.post(f"{path}/{own}", headers=manager))
        assert client.post(f"{path}/{shared}", headers=manager).status_code == 404
        change = {"config": {"providers": [{"id": shared, "enabled": True}]}}
        assert client.patch(f"/projects/{mine}", json=change, headers=manager).status_code == 404
        ok(client.post(f"{path}/{shared}"))
        ok(client.patch(f"/projects/{mine}", json=change, headers=manager))
        ok(client.delete(f"/providers/{shared}"))

    def test_system_providers_are_what_one_can_make(self, client: TestClient) -> None:
        found = ok(client.get("/providers/system"))["providers"]
        assert {"openai-chat", "anthropic-messages"} <= {one["name"] for one in found}

    def test_a_key_is_sealed_and_never_shown(self, client: TestClient) -> None:
        body = {
            "name": "mine",
            "systemProvider": "openai-chat",
            "inputs": {"model": "m"},
            "secrets": {"apiKey": "sk-canary-0123456789"},
        }
        made = ok(client.post("/providers", json=body))["id"]
        shown = client.get(f"/providers/{made}").text + client.get("/providers").text
        assert "canary" not in shown
        assert client.post("/providers", json=body).status_code == 409
        ok(client.delete(f"/providers/{made}"))
        services = client.app.state.services  # type: ignore[attr-defined]
        assert services.store.provider_keys(services.store.project("default").id) == []

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "x", "systemProvider": "none", "inputs": {"model": "m"}},
            {"name": "x", "systemProvider": "openai-chat"},
            {
                "name": "x",
                "systemProvider": "openai-chat",
                "inputs": {"model": "m", "baseUrl": "http://127.0.0.1/v1"},
                "secrets": {"apiKey": "k"},
            },
        ],
    )
    def test_what_cannot_work_is_refused(self, client: TestClient, body: dict[str, Any]) -> None:
        assert client.post("/providers", json=body).status_code == 400


def test_the_whole_way_on_each_database(settings: Settings) -> None:
    from guardrails_plugin.server.app import create_app
    from tests.integration.server.conftest import TOKEN
    from tests.integration.server.test_calypso import PRODUCTS

    headers = {"Authorization": f"Bearer {TOKEN}"}
    app = create_app(settings, products=PRODUCTS)
    with TestClient(app, base_url="http://testserver/backend/v1", headers=headers) as client:
        made, scanner = new_project(client), keyword(client, "titan")
        use(client, made, scanner, mode="redact", flagMessage="No.")
        assert scan(client, "a titan", project=made)["redactedInput"] == "a *****"
        assert project(client, made)["config"]["scanners"][0]["flagMessage"] == "No."
        assert client.post("/projects", json={"name": "\x00"}).status_code == 422
        ok(client.delete(f"/scanners/{scanner}"))
        ok(client.delete(f"/projects/{made}"))
