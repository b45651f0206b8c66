"""What each route asks of its caller: one table for all products. A route that is not in it fails the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.engine import Engine
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.auth import ADMIN, GUARD, MANAGE
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.types import GuardResult, Stage, Verdict
from tests.integration.server.conftest import CLIENT, TOKEN, USER
from tests.integration.server.test_authorisation import PUBLIC, _routes

pytestmark = pytest.mark.integration

ANY = "any"
"""Whatever the scope, as long as there is one."""

TEXT = "What is your name?"
SAID = [{"role": "user", "content": TEXT}]
CHECK = {"content": TEXT, "stage": "prompt"}
ASKED = {"metadata": {"model": "m", "provider": "p", "requester_id": "r"}}
KEYWORD = {"name": "x", "config": {"type": "keyword", "words": ["titan"]}}
PROVIDER = {"name": "x", "systemProvider": "openai-chat", "inputs": {"model": "m"}, "secrets": {"k": "sk-0123456789"}}
POLICY = {"name": "x", "rules": []}
INCIDENT = {
    "threat_type": "jailbreak",
    "severity": "high",
    "confidence": 0.8,
    "trace_id": None,
    "request_id": "x",
    "status": "open",
}
REDACT = {"text": TEXT}
STRUCTURED = {"data": {"a": TEXT}}
SEALED = {"redacted_data": TEXT, "fpe_context": "x"}
IP, URL, DOMAIN = {"ip": "203.0.113.7"}, {"url": "https://example.com/"}, {"domain": "example.com"}

LEAST: Mapping[str, tuple[str, Any]] = {
    # Our own
    "GET /metrics": (ADMIN, None),
    "POST /guardrails/v1/check": (GUARD, CHECK),
    "POST /guardrails/v1/check/batch": (GUARD, {"contents": [TEXT], "stage": "prompt"}),
    "POST /guardrails/v1/stream": (GUARD, {"chunks": [TEXT]}),
    "POST /guardrails/v1/unredact": (GUARD, {"content": TEXT, "fpe_context": "x"}),
    "POST /guardrails/v1/score": (GUARD, {"texts": [TEXT]}),
    "GET /guardrails/v1/recipes": (ANY, None),
    "PUT /guardrails/v1/recipes/{name}": (MANAGE, {"rules": []}),
    "DELETE /guardrails/v1/recipes/{name}": (MANAGE, None),
    "POST /guardrails/v1/projects": (ADMIN, {"name": "x"}),
    "GET /guardrails/v1/projects": (ANY, None),
    "POST /guardrails/v1/tokens": (MANAGE, {}),
    "GET /guardrails/v1/tokens": (MANAGE, None),
    "DELETE /guardrails/v1/tokens/{token_id}": (MANAGE, None),
    "POST /guardrails/v1/users": (MANAGE, {"email": "x@example.com", "password": "correct horse battery"}),
    "GET /guardrails/v1/users": (MANAGE, None),
    "GET /guardrails/v1/users/{user_id}": (MANAGE, None),
    "PATCH /guardrails/v1/users/{user_id}": (MANAGE, {"name": "x"}),
    "DELETE /guardrails/v1/users/{user_id}": (MANAGE, None),
    "GET /guardrails/v1/audit": (MANAGE, None),
    "GET /guardrails/v1/usage": (ANY, None),
    # Pangea
    "POST /v1/text/guard": (GUARD, {"text": TEXT}),
    "POST /ai-guard/v1/text/guard": (GUARD, {"text": TEXT}),
    "POST /ai-guard/v1/guard": (GUARD, {"input": {"messages": SAID}}),
    "POST /v1/guard_chat_completions": (GUARD, {"guard_input": {"messages": SAID}}),
    "POST /aiguard/v1/guard_chat_completions": (GUARD, {"guard_input": {"messages": SAID}}),
    "POST /prompt-guard/v1/guard": (GUARD, {"messages": SAID}),
    "POST /v1/guard": (GUARD, {"messages": SAID}),
    "POST /v1/redact": (GUARD, REDACT),
    "POST /redact/v1/redact": (GUARD, REDACT),
    "POST /v1/redact_structured": (GUARD, STRUCTURED),
    "POST /redact/v1/redact_structured": (GUARD, STRUCTURED),
    "POST /v1/unredact": (GUARD, SEALED),
    "POST /aiguard/v1/unredact": (GUARD, SEALED),
    "POST /redact/v1/unredact": (GUARD, SEALED),
    "POST /v2/reputation": (GUARD, IP),
    "POST /v1/reputation": (GUARD, IP),
    "POST /ip-intel/v2/reputation": (GUARD, IP),
    "POST /url-intel/v2/reputation": (GUARD, URL),
    "POST /domain-intel/v2/reputation": (GUARD, DOMAIN),
    "POST /ip-intel/v1/reputation": (GUARD, IP),
    "POST /url-intel/v1/reputation": (GUARD, URL),
    "POST /domain-intel/v1/reputation": (GUARD, DOMAIN),
    "GET /request/{request_id}": (ANY, None),
    "GET /{service}/request/{request_id}": (ANY, None),
    # HiddenLayer
    "POST /detection/v1/interactions": (GUARD, {**ASKED, "input": {"messages": SAID}}),
    "POST /api/v1/submit/prompt-analyzer": (GUARD, {"prompt": TEXT}),
    "POST /detection/v2/interaction-evaluations": (GUARD, {**ASKED, "interaction": {"messages": SAID}}),
    "POST /detection/v2/request-evaluations": (GUARD, {"messages": SAID}),
    "POST /detection/v2/response-evaluations": (GUARD, {"messages": SAID}),
    # CalypsoAI
    "POST /backend/v1/scans": (GUARD, {"input": TEXT}),
    "POST /backend/v1/prompts": (GUARD, {"input": TEXT}),
    "GET /backend/v1/scanners": (ANY, None),
    "POST /backend/v1/scanners": (MANAGE, KEYWORD),
    "GET /backend/v1/scanners/{scanner_id}": (ANY, None),
    "PATCH /backend/v1/scanners/{scanner_id}": (MANAGE, {"published": True}),
    "DELETE /backend/v1/scanners/{scanner_id}": (MANAGE, None),
    "POST /backend/v1/scanners/{scanner_id}/duplicate": (MANAGE, None),
    "GET /backend/v1/scanners/{scanner_id}/versions": (ANY, None),
    "GET /backend/v1/scanners/{scanner_id}/versions/{version_id}": (ANY, None),
    "PATCH /backend/v1/scanners/{scanner_id}/versions/{version_id}": (MANAGE, {"published": True}),
    "GET /backend/v1/scanner-packages": (ANY, None),
    "GET /backend/v1/scanner-packages/{package_id}": (ANY, None),
    "POST /backend/v1/projects": (ADMIN, {"name": "x"}),
    "GET /backend/v1/projects": (ANY, None),
    "GET /backend/v1/project": (ANY, None),
    "GET /backend/v1/projects/{project_id}": (ANY, None),
    "PATCH /backend/v1/projects/{project_id}": (MANAGE, {"name": "x"}),
    "DELETE /backend/v1/projects/{project_id}": (ADMIN, None),
    "POST /backend/v1/projects/{project_id}/scanner-packages/{package_id}": (MANAGE, None),
    "DELETE /backend/v1/projects/{project_id}/scanner-packages/{package_id}": (MANAGE, None),
    "POST /backend/v1/projects/{project_id}/scanners/{scanner_id}": (MANAGE, None),
    "DELETE /backend/v1/projects/{project_id}/scanners/{scanner_id}": (MANAGE, None),
    "POST /backend/v1/projects/{project_id}/providers/{provider_id}": (MANAGE, None),
    "DELETE /backend/v1/projects/{project_id}/providers/{provider_id}": (MANAGE, None),
    "GET /backend/v1/providers": (ANY, None),
    "GET /backend/v1/providers/system": (ANY, None),
    "GET /backend/v1/providers/{provider}": (ANY, None),
    "POST /backend/v1/providers": (MANAGE, PROVIDER),
    "DELETE /backend/v1/providers/{provider}": (MANAGE, None),
    "GET /backend/v1/users/me": (ANY, None),
    "GET /backend/v1/users": (MANAGE, None),
    "PATCH /backend/v1/users/{user_id}": (MANAGE, {"groups": []}),
    "POST /backend/v1/tokens": (MANAGE, {"name": "x"}),
    "GET /backend/v1/tokens": (MANAGE, None),
    "DELETE /backend/v1/tokens/{token_id}": (MANAGE, None),
    "POST /backend/v1/openai/{provider}/chat/completions": (GUARD, {"messages": SAID}),
    "POST /openai/{provider}/chat/completions": (GUARD, {"messages": SAID}),
    "GET /backend/v1/openai/{provider}/models": (ANY, None),
    "GET /openai/{provider}/models": (ANY, None),
    "GET /backend/v1/openai/{provider}/models/{model}": (ANY, None),
    "GET /openai/{provider}/models/{model}": (ANY, None),
    # Rampart
    "GET /api/v1/auth/me": (ANY, None),
    "POST /api/v1/security/analyze": (GUARD, {"content": TEXT}),
    "POST /api/v1/security/batch": (GUARD, {"requests": [{"content": TEXT}]}),
    "GET /api/v1/template-packs": (ANY, None),
    "GET /api/v1/template-packs/{pack_id}": (ANY, None),
    "GET /api/v1/rampart-keys": (ANY, None),
    "POST /api/v1/rampart-keys": (MANAGE, {"name": "x"}),
    "PUT /api/v1/rampart-keys/{key_id}/template-pack": (MANAGE, {"template_pack": None}),
    "DELETE /api/v1/rampart-keys/{key_id}": (MANAGE, None),
    "GET /api/v1/filter/stats": (ANY, None),
    "GET /api/v1/stats": (ANY, None),
    "GET /api/v1/analytics/summary": (ANY, None),
    "POST /api/v1/filter": (GUARD, {"content": TEXT, "filters": ["pii"]}),
    "GET /api/v1/policies/templates": (ANY, None),
    "POST /api/v1/policies/templates/{template_id}": (MANAGE, None),
    "POST /api/v1/policies/evaluate": (GUARD, {"content": TEXT}),
    "GET /api/v1/policies": (ANY, None),
    "POST /api/v1/policies": (MANAGE, POLICY),
    "GET /api/v1/policies/{policy_id}": (ANY, None),
    "PUT /api/v1/policies/{policy_id}": (MANAGE, {"name": "x"}),
    "POST /api/v1/policies/{policy_id}/toggle": (MANAGE, None),
    "DELETE /api/v1/policies/{policy_id}": (MANAGE, None),
    "GET /api/v1/audit-logs": (ANY, None),
    "POST /api/v1/llm/chat": (GUARD, {"messages": SAID}),
    "POST /api/v1/llm/chat/stream": (GUARD, {"messages": SAID}),
    "GET /api/v1/keys": (ANY, None),
    "POST /api/v1/keys": (MANAGE, {"provider": "mistralai", "api_key": "sk-0123456789"}),
    "DELETE /api/v1/keys/{key_id}": (MANAGE, None),
    "POST /api/v1/keys/test": (MANAGE, {"provider": "mistralai", "api_key": "sk-0123456789"}),
    "GET /api/v1/settings": (ANY, None),
    "PUT /api/v1/settings": (MANAGE, {"security": {"block_threshold": 0.9}}),
    "GET /api/v1/test/scenarios": (ANY, None),
    "GET /api/v1/test/categories": (ANY, None),
    "POST /api/v1/test/run": (GUARD, {"category": "data_exfiltration"}),
    "GET /api/v1/status": (ANY, None),
    "POST /api/v1/pii/detect": (GUARD, {"content": TEXT}),
    "POST /api/v1/pii/redact": (GUARD, {"content": TEXT}),
    "POST /api/v1/toxicity/analyze": (GUARD, {"content": TEXT}),
    "GET /api/v1/filter/results/{result_id}": (ANY, None),
    "GET /api/v1/security/incidents": (ANY, None),
    "GET /api/v1/security/incidents/{incident_id}": (ANY, None),
    "PATCH /api/v1/security/incidents/{incident_id}/status": (MANAGE, {"status": "resolved"}),
    "GET /api/v1/policies/defaults/content-filter": (ANY, None),
    "PUT /api/v1/policies/defaults/content-filter": (MANAGE, {"redact": True}),
    "PATCH /api/v1/policies/{policy_id}/toggle": (MANAGE, None),
    "POST /api/v1/traces": (GUARD, {"name": "x"}),
    "GET /api/v1/traces": (ANY, None),
    "GET /api/v1/traces/{trace_id}": (ANY, None),
    "GET /api/v1/traces/{trace_id}/spans": (ANY, None),
    "POST /api/v1/spans": (GUARD, {"trace_id": "x", "name": "x", "span_type": "tool"}),
    "GET /api/v1/spans/{span_id}": (ANY, None),
    "PATCH /api/v1/spans/{span_id}": (GUARD, {"status": "success"}),
}
"""Route -> the least scope, and a body of the right form: a wrong one would be refused before the scope is asked."""

UNGUARDED: Mapping[str, Any] = {
    "/api/v1/llm/chat": {"messages": SAID, "security_checks": False},
    "/api/v1/llm/chat/stream": {"messages": SAID, "security_checks": False},
    "/backend/v1/prompts": {"input": TEXT, "skipScanning": True},
}
"""Calls that go round the guards: for those who manage the project."""


@dataclass(frozen=True)
class Tenant:
    """A project with something of every kind that others must not see or change; ``ids`` by name in paths."""

    project: str
    secrets: Mapping[str, str]
    ids: Mapping[str, str]

    def headers(self, scope: str) -> dict[str, str]:
        """Credentials with one scope, or with none of them."""
        return {"Authorization": f"Bearer {self.secrets[scope]}"}


@pytest.fixture(scope="module", autouse=True)
def unread() -> Iterator[None]:
    """Contents pass unread: what is asked of the caller comes before, and recipes take long to compile."""

    def check(_: Engine, content: Any, *, stage: Stage, recipe: str | None = None, **__: Any) -> GuardResult:
        return GuardResult("1", Stage(stage), recipe or "", Verdict.ALLOW, content)

    def check_batch(engine: Engine, contents: Sequence[Any], **options: Any) -> list[GuardResult]:
        return [check(engine, content, **options) for content in contents]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "check", check)
        patch.setattr(Engine, "check_batch", check_batch)
        yield


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """All products."""
    url = f"sqlite:///{tmp_path_factory.mktemp('scopes') / 'guardrails.db'}"
    keyring = Keyring({"t1": bytes(range(32))})
    return create_app(
        Settings(
            keyring=keyring,
            database_url=url,
            bootstrap_token=TOKEN,
            bootstrap_user=USER,
            bootstrap_client=CLIENT,
            provider="echo",
            per_minute=0,
            per_hour=0,
        )
    )


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    """Without credentials."""
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def tenant(app: FastAPI, client: TestClient) -> Tenant:
    """The one whose things they are."""
    made = _tenant(app, "tenant")
    manage = made.headers(MANAGE)

    def post(path: str, body: Any, scope: str = MANAGE) -> Any:
        answer = client.post(path, json=body, headers=made.headers(scope))
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    trace = post("/api/v1/traces", {"name": "theirs"}, GUARD)["id"]
    scanner = post("/backend/v1/scanners", KEYWORD)["id"]
    versions = client.get(f"/backend/v1/scanners/{scanner}/versions", headers=manage).json()["versions"]
    store = app.state.services.store
    ids = {
        "token_id": post("/guardrails/v1/tokens", {})["id"],
        "scanner_id": scanner,
        "version_id": versions[0]["id"],
        "project_id": made.project,
        "provider": post("/backend/v1/providers", {**PROVIDER, "name": "theirs"})["id"],
        "model": "m",
        "user_id": store.create_user(made.project, "tenant@example.com", "", scopes=(GUARD,)).id,
        "policy_id": post("/api/v1/policies", POLICY)["id"],
        "key_id": post("/api/v1/rampart-keys", {"name": "theirs"})["id"],
        "trace_id": trace,
        "span_id": post("/api/v1/spans", {"trace_id": trace, "name": "theirs", "span_type": "tool"}, "both")["id"],
        "result_id": post("/api/v1/filter", {"content": TEXT, "filters": ["pii"]}, GUARD)["id"],
        "incident_id": store.objects.create(made.project, "rampart.incident", INCIDENT).id,
        "package_id": client.get("/backend/v1/scanner-packages", headers=manage).json()["packages"][0]["id"],
    }
    return Tenant(made.project, made.secrets, {**ids, "provider_id": ids["provider"]})


@pytest.fixture(scope="module")
def other(app: FastAPI) -> Tenant:
    """Another one, who may do everything at home."""
    return _tenant(app, "other")


def _tenant(app: FastAPI, name: str) -> Tenant:
    services = app.state.services
    project = services.store.create_project(name).id
    wanted = {"none": (), GUARD: (GUARD,), MANAGE: (MANAGE,), "both": (GUARD, MANAGE)}
    secrets = {named: services.authenticator.issue(project, scopes=scopes)[0] for named, scopes in wanted.items()}
    return Tenant(project, secrets, {})


def _called(client: TestClient, route: str, headers: Mapping[str, str], ids: Mapping[str, str]) -> int:
    """The status of a route's answer; parts of its path that are not among the ids name nothing."""
    method, _, template = route.partition(" ")
    path = re.sub(r"\{([^}]*)\}", lambda found: ids.get(found[1], "some-id"), template)
    status: int = client.request(method, path, json=LEAST[route][1], headers=dict(headers)).status_code
    return status


@contextmanager
def _each(route: str) -> Iterator[None]:
    """Says which route it was."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{route}: {error}") from None


def test_every_route_is_in_the_table(app: FastAPI) -> None:
    routes = {f"{method} {path}" for method, path in _routes(app) if path not in PUBLIC}
    assert routes == set(LEAST)


def test_credentials_without_a_scope_open_nothing(client: TestClient, tenant: Tenant) -> None:
    for route in LEAST:
        with _each(route):
            assert _called(client, route, tenant.headers("none"), {}) == 403


@pytest.mark.parametrize("scope", [GUARD, MANAGE])
def test_a_scope_opens_its_routes_and_no_other(client: TestClient, tenant: Tenant, scope: str) -> None:
    here = {"project_id": tenant.project, "package_id": tenant.ids["package_id"], "template_id": "gdpr"}
    for route, (least, _) in LEAST.items():
        with _each(route):
            refused = _called(client, route, tenant.headers(scope), here) in (401, 403)
            assert refused is (least not in (ANY, scope))


def test_an_administrator_may_use_every_route(client: TestClient) -> None:
    for route in LEAST:
        with _each(route):
            status = _called(client, route, {"Authorization": f"Bearer {TOKEN}"}, {})
            assert status not in (401, 403)
            assert status < 500


def test_an_administrators_session_opens_every_route(client: TestClient) -> None:
    answer = client.post("/api/v1/auth/login", json={"email": USER[0], "password": USER[1]})
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    for route in LEAST:
        with _each(route):
            assert _called(client, route, headers, {}) not in (401, 403)


def test_a_clients_token_opens_every_route_of_its_scope(app: FastAPI, client: TestClient, tenant: Tenant) -> None:
    here = {
        "project_id": app.state.services.store.project("default").id,
        "package_id": tenant.ids["package_id"],
        "template_id": "gdpr",
    }
    answer = client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=CLIENT)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    for route, (least, _) in LEAST.items():
        # The metrics are open to credentials of the first project, which it is of.
        with _each(route):
            refused = _called(client, route, headers, here) in (401, 403)
            assert refused is (least in (MANAGE, ADMIN) and route != "GET /metrics")


def test_every_request_leaves_one_record_without_what_was_said(app: FastAPI, client: TestClient) -> None:
    services = app.state.services

    def records(after: int) -> list[Any]:
        with services.database.read() as connection:
            return [record for head, record in services.audit.records(connection) if head.number > after]

    before = len(records(0))
    for route in LEAST:
        _called(client, route, {"Authorization": f"Bearer {TOKEN}"}, {})
    left = records(before)
    assert [f"{record['method']} {record['route']}" for record in left] == list(LEAST)
    assert TEXT not in str(left)


def test_what_another_tenant_has_does_not_exist(client: TestClient, tenant: Tenant, other: Tenant) -> None:
    ours = (route for route in LEAST if any(f"{{{name}}}" in route for name in tenant.ids))
    routes = [route for route in ours if not route.startswith("GET /backend/v1/scanner-packages")]
    assert len(routes) > 25
    for route in routes:
        with _each(route):
            assert _called(client, route, other.headers("both"), tenant.ids) in (403, 404)
    for route in routes:
        if route.startswith("GET "):
            with _each(route):
                assert _called(client, route, tenant.headers(MANAGE), tenant.ids) == 200


NAMED: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("/guardrails/v1/tokens", {"project": "{}"}, {}),
    ("/backend/v1/tokens", {"name": "x", "projectId": "{}"}, {}),
    ("/backend/v1/providers", {**PROVIDER, "projectId": "{}"}, {}),
    ("/backend/v1/scans", {"input": TEXT, "project": "{}"}, {}),
    ("/backend/v1/prompts", {"input": TEXT, "project": "{}"}, {}),
    ("/api/v1/submit/prompt-analyzer", {"prompt": TEXT}, {"HL-Project-Id": "{}"}),
    ("/detection/v1/interactions", {**ASKED, "input": {"messages": SAID}}, {"HL-Project-Id": "{}"}),
    ("/detection/v2/interaction-evaluations", {**ASKED, "interaction": {}}, {"HL-Project-Id": "{}"}),
    ("/detection/v2/request-evaluations", {"messages": SAID}, {"HL-Project-Id": "{}"}),
    ("/detection/v2/response-evaluations", {"messages": SAID}, {"HL-Project-Id": "{}"}),
)
"""Path, body and headers of calls that name a project (``{}``)."""


@pytest.mark.parametrize("call", NAMED, ids=[call[0] for call in NAMED])
def test_nobody_acts_for_another_project(
    client: TestClient, tenant: Tenant, other: Tenant, call: tuple[str, dict[str, Any], dict[str, str]]
) -> None:
    path, body, headers = call
    body, headers = (
        {key: tenant.project if value == "{}" else value for key, value in given.items()} for given in (body, headers)
    )
    answer = client.post(path, json=body, headers={**other.headers("both"), **headers})
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("path", UNGUARDED)
def test_only_who_manages_a_project_may_go_round_its_guards(client: TestClient, tenant: Tenant, path: str) -> None:
    allowed = [
        client.post(path, json=UNGUARDED[path], headers=tenant.headers(scope)).status_code for scope in (GUARD, MANAGE)
    ]
    assert allowed == [403, 200]


def test_a_key_cannot_change_what_its_owner_set(app: FastAPI, client: TestClient, tenant: Tenant) -> None:
    services = app.state.services
    owner = services.store.create_user(tenant.project, "owner@example.com", "", scopes=(GUARD, MANAGE))
    session, _ = services.authenticator.session(user=owner)
    signed_in = {"Authorization": f"Bearer {session}"}
    key = client.post("/api/v1/rampart-keys", json={"name": "x"}, headers=signed_in).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    policy = client.post("/api/v1/policies", json=POLICY, headers=signed_in).json()["id"]
    path = f"/api/v1/policies/{policy}"
    assert client.get(path, headers=headers).status_code == 200
    change = {"security": {"block_threshold": 1.0}}
    assert client.put("/api/v1/settings", json=change, headers=headers).status_code == 403
    assert client.put(path, json={"enabled": False}, headers=headers).status_code == 403
    assert client.post(f"{path}/toggle", headers=headers).status_code == 403
    assert client.delete(path, headers=headers).status_code == 403
    assert client.get(path, headers=signed_in).json()["enabled"] is True


def test_a_token_has_a_scope(client: TestClient, tenant: Tenant) -> None:
    answer = client.post("/guardrails/v1/tokens", json={"scopes": []}, headers=tenant.headers(MANAGE))
    assert answer.status_code == 422


def test_metrics_are_for_administrators_and_the_first_project(app: FastAPI, client: TestClient) -> None:
    services = app.state.services
    secret, _ = services.authenticator.issue(services.store.project("default").id, scopes=(GUARD,))
    assert client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
