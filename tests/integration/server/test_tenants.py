"""One project can neither read, list, change nor unredact what is another's. On both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.auth import GUARD, MANAGE
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import CORE

pytestmark = pytest.mark.integration

SSN = "My SSN is 536-90-4399."


@pytest.fixture
def tenants(settings: Settings) -> Iterator[tuple[TestClient, TestClient]]:
    """Two projects' clients of one service."""
    app = create_app(settings, products=CORE)
    services = app.state.services
    clients: list[TestClient] = []
    with ExitStack() as stack:
        for name in ("one", "two"):
            project = services.store.create_project(name, friendly_id=name)
            secret, _ = services.authenticator.issue(project.id, scopes=(GUARD, MANAGE))
            client = TestClient(app, headers={"Authorization": f"Bearer {secret}"})
            clients.append(stack.enter_context(client) if not clients else client)
        yield clients[0], clients[1]


def _sealed(client: TestClient) -> dict[str, str]:
    body = {"content": SSN, "stage": "response", "overrides": {"pii": {"us_ssn": "encrypt"}}}
    answer = client.post("/guardrails/v1/check", json=body).json()
    return {"content": answer["output"], "fpe_context": answer["fpe_context"]}


def test_nobody_else_can_unredact(tenants: tuple[TestClient, TestClient]) -> None:
    one, two = tenants
    sealed = _sealed(one)
    assert one.post("/guardrails/v1/unredact", json=sealed).json() == {"content": SSN}
    refused = two.post("/guardrails/v1/unredact", json=sealed)
    assert refused.status_code == 400
    assert "536-90-4399" not in refused.text


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_changed_token_is_refused(tenants: tuple[TestClient, TestClient], place: int) -> None:
    one, _ = tenants
    sealed = _sealed(one)
    letters = list(sealed["fpe_context"])
    letters[place] = "A" if letters[place] != "A" else "B"
    refused = one.post("/guardrails/v1/unredact", json={**sealed, "fpe_context": "".join(letters)})
    # The last letter of base64 has bits that mean nothing, and yet only one spelling of a token counts.
    assert refused.status_code == 400


def test_credentials_and_projects_of_others_do_not_exist(tenants: tuple[TestClient, TestClient]) -> None:
    one, two = tenants
    token = one.post("/guardrails/v1/tokens", json={"name": "mine"}).json()
    assert token["id"] not in {found["id"] for found in two.get("/guardrails/v1/tokens").json()["tokens"]}
    assert two.delete(f"/guardrails/v1/tokens/{token['id']}").status_code == 404
    assert two.post("/guardrails/v1/tokens", json={"project": "one"}).status_code == 404
    assert [found["friendly_id"] for found in two.get("/guardrails/v1/projects").json()["projects"]] == ["two"]


def test_recipes_are_the_projects_own(tenants: tuple[TestClient, TestClient]) -> None:
    one, two = tenants
    rules = [{"detector": "pii", "action": "block"}]
    assert one.put("/guardrails/v1/recipes/response", json={"stage": "response", "rules": rules}).status_code == 200
    check = {"content": SSN, "stage": "response"}
    assert one.post("/guardrails/v1/check", json=check).json()["verdict"] == "block"
    assert two.post("/guardrails/v1/check", json=check).json()["verdict"] == "transform"
    assert two.delete("/guardrails/v1/recipes/response").status_code == 404
    assert one.delete("/guardrails/v1/recipes/response").status_code == 200
    assert one.post("/guardrails/v1/check", json=check).json()["verdict"] == "transform"


def test_records_and_sums_are_the_projects_own(tenants: tuple[TestClient, TestClient]) -> None:
    one, two = tenants
    one.post("/guardrails/v1/check", json={"content": SSN, "stage": "response"})
    assert one.get("/guardrails/v1/usage").json()["totals"]["findings.pii.US_SSN"] == 1
    assert "findings.pii.US_SSN" not in two.get("/guardrails/v1/usage").json()["totals"]
    routes = {record["route"] for record in two.get("/guardrails/v1/audit").json()["records"]}
    assert "/guardrails/v1/check" not in routes


def test_a_revoked_credential_is_refused_at_once(tenants: tuple[TestClient, TestClient]) -> None:
    one, _ = tenants
    made = one.post("/guardrails/v1/tokens", json={"name": "short"}).json()
    header = {"Authorization": f"Bearer {made['secret']}"}
    assert one.get("/guardrails/v1/recipes", headers=header).status_code == 200
    assert one.delete(f"/guardrails/v1/tokens/{made['id']}").status_code == 200
    assert one.get("/guardrails/v1/recipes", headers=header).status_code == 401


@pytest.mark.parametrize(
    "rule",
    [
        {"detector": "prompt_injection", "settings": {"model": "/etc"}},
        {"detector": "keywords", "settings": {"path": "/etc/passwd"}},
        {"detector": "malicious_url", "settings": {"feeds": ["/etc/passwd"]}},
        {"detector": "nothing"},
        {"detector": "pii", "action": "nothing"},
    ],
)
def test_a_project_cannot_reach_out_of_the_text(
    tenants: tuple[TestClient, TestClient], rule: dict[str, object]
) -> None:
    refused = tenants[0].put("/guardrails/v1/recipes/mine", json={"rules": [rule]})
    assert refused.status_code == 400, refused.text


def test_expired_credentials_are_refused(tenants: tuple[TestClient, TestClient]) -> None:
    one, _ = tenants
    made = one.post("/guardrails/v1/tokens", json={"expires_at": "2020-01-01T00:00:00Z"}).json()
    header = {"Authorization": f"Bearer {made['secret']}"}
    assert one.get("/guardrails/v1/recipes", headers=header).status_code == 401
