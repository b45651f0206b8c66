"""Rampart's policies, audit log and statistics, in process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrails_plugin.server.auth import GUARD
from tests.integration.server.conftest import TOKEN, USER
from tests.integration.server.test_rampart import ATTACK, MAIL, V1, abuse, make_app, new_key, ok, post

__all__ = ["abuse"]

CARD = "Please charge Visa 4111-1111-1111-1111 CVV 456."
TEMPLATES = ["ccpa", "gdpr", "hipaa", "pci_dss", "soc2"]
PCI = [
    ("contains_cvv", "BLOCK", 10),
    ("unencrypted_pan", "BLOCK", 9),
    ("contains_card_data", "REDACT", 8),
    ("audit_log_required", "FLAG", 5),
]
CCPA = [("data_sale_opt_out", "FLAG", 9), ("right_to_delete", "FLAG", 8), ("contains_pii", "FLAG", 5)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One service for the module."""
    with TestClient(make_app(tmp_path_factory.mktemp("policies"))) as made:
        yield made


@pytest.fixture
def client(shared: TestClient) -> TestClient:
    """A user of a project of their own, so that no test sees another's policies and sums."""
    services = shared.app.state.services  # type: ignore[attr-defined]
    project = services.store.create_project("of a test")
    user = services.store.create_user(project.id, f"{project.id}@example.com", "x", scopes=(GUARD, "manage"))
    token, _ = services.authenticator.session(user=user)
    return TestClient(shared.app, headers={"Authorization": f"Bearer {token}"})


def rules_of(policy: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(rule["condition"], rule["action"], rule["priority"]) for rule in policy["rules"]]


def policy(**changes: Any) -> dict[str, Any]:
    rules = [{"condition": "contains_card_data", "action": "redact", "priority": 8}]
    return {
        "name": "Cards",
        "description": "d",
        "policy_type": "compliance",
        "rules": rules,
        "tags": ["pci"],
        **changes,
    }


def test_policies_are_made_read_changed_and_removed(client: TestClient) -> None:
    made = post(client, "/policies", policy())
    assert (made["name"], made["description"], made["policy_type"], made["tags"]) == (
        "Cards",
        "d",
        "compliance",
        ["pci"],
    )
    assert rules_of(made) == [("contains_card_data", "REDACT", 8)]
    assert made["enabled"] is True
    url = f"{V1}/policies/{made['id']}"
    assert ok(client.get(url)) == made
    assert ok(client.get(f"{V1}/policies")) == [made]
    changed = ok(client.put(url, json={"name": "Other", "enabled": False}))
    assert (changed["name"], changed["enabled"], changed["rules"]) == ("Other", False, made["rules"])
    assert post(client, f"/policies/{made['id']}/toggle", {})["enabled"] is True
    assert ok(client.delete(url))["policy_id"] == made["id"]
    for answer in (client.get(url), client.delete(url), client.put(url, json={}), client.post(f"{url}/toggle")):
        assert answer.status_code == 404


@pytest.mark.parametrize("action", ["BLOCK", "REDACT", "FLAG", "LOG", "block", "Flag"])
def test_actions_in_any_case(client: TestClient, action: str) -> None:
    rule = {"condition": "contains_pii", "action": action, "priority": 1}
    assert post(client, "/policies", policy(rules=[rule]))["rules"][0]["action"] == action.upper()


@pytest.mark.parametrize(
    "rule",
    [
        {"condition": "contains_pii", "action": "EXPLODE", "priority": 1},
        {"condition": "no_such_condition", "action": "BLOCK", "priority": 1},
        {"condition": "contains_pii", "action": "BLOCK", "priority": "high"},
    ],
)
def test_a_rule_that_could_never_work_is_refused(client: TestClient, rule: dict[str, Any]) -> None:
    answer = client.post(f"{V1}/policies", json=policy(rules=[rule]))
    assert answer.status_code == 400
    assert answer.json()["fields"]


def test_policies_are_the_users_own(client: TestClient, shared: TestClient) -> None:
    made = post(client, "/policies", policy())
    stranger = {"Authorization": f"Bearer {TOKEN}"}
    assert made["id"] not in shared.get(f"{V1}/policies", headers=stranger).text
    assert shared.get(f"{V1}/policies/{made['id']}", headers=stranger).status_code == 404
    assert shared.delete(f"{V1}/policies/{made['id']}", headers=stranger).status_code == 404


def test_policies_outlive_the_process(tmp_path: Path) -> None:
    login = {"email": USER[0], "password": USER[1]}
    seen: list[Any] = []
    for _ in range(2):
        with TestClient(make_app(tmp_path)) as client:
            client.headers["Authorization"] = f"Bearer {post(client, '/auth/login', login)['token']}"
            if not seen:
                seen.append(post(client, "/policies", policy()))
            else:
                assert ok(client.get(f"{V1}/policies")) == seen


def test_templates_are_listed(client: TestClient) -> None:
    templates = ok(client.get(f"{V1}/policies/templates"))
    assert sorted(template["id"] for template in templates) == TEMPLATES
    assert all(template["name"] and template["description"] for template in templates)


@pytest.mark.parametrize(("template", "rules"), [("pci_dss", PCI), ("ccpa", CCPA)])
def test_a_template_becomes_a_policy(client: TestClient, template: str, rules: list[tuple[str, str, int]]) -> None:
    made = post(client, f"/policies/templates/{template}", {})
    assert rules_of(made) == rules
    assert made["enabled"] is True
    assert ok(client.get(f"{V1}/policies")) == [made]
    assert client.post(f"{V1}/policies/templates/none").status_code == 404


def test_card_data_by_the_template(client: TestClient) -> None:
    made = post(client, "/policies/templates/pci_dss", {})
    found = post(client, "/policies/evaluate", {"content": CARD})
    assert (found["policy_id"], found["triggered"], found["action"]) == (made["id"], True, "BLOCK")
    assert [(rule["condition"], rule["action"], rule["priority"]) for rule in found["matched_rules"]] == PCI
    assert found["processing_time_ms"] > 0
    assert found["allowed"] is False
    assert found["violations"][0]["policy_name"] == made["name"]
    assert found["actions_taken"] == ["BLOCK", "REDACT", "FLAG"]
    assert "4111" not in found["modified_content"]
    assert "456" not in found["modified_content"]


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("Please do not sell my personal information.", ["data_sale_opt_out"]),
        ("I want you to delete all my data.", ["right_to_delete"]),
        (MAIL, ["contains_pii"]),
        ("What time does the library open?", []),
    ],
)
def test_privacy_requests_by_the_template(client: TestClient, text: str, conditions: list[str]) -> None:
    post(client, "/policies/templates/ccpa", {})
    found = post(client, "/policies/evaluate", {"content": text})
    assert [rule["condition"] for rule in found["matched_rules"]] == conditions
    assert found["triggered"] is bool(conditions)
    assert found["action"] == ("FLAG" if conditions else "ALLOW")
    assert found["allowed"] is True


def test_credentials_by_the_template(client: TestClient) -> None:
    post(client, "/policies/templates/soc2", {})
    text = "token = 'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'"
    found = post(client, "/policies/evaluate", {"content": text})
    assert found["action"] == "BLOCK"
    assert [rule["condition"] for rule in found["matched_rules"]] == ["encryption_required"]


def test_evaluation_uses_all_enabled_policies(client: TestClient) -> None:
    flag = post(client, "/policies", policy(rules=[{"condition": "contains_email", "action": "FLAG", "priority": 9}]))
    redact = post(client, "/policies", policy(rules=[{"condition": "contains_pii", "action": "REDACT", "priority": 3}]))
    off = {"condition": "contains_email", "action": "BLOCK", "priority": 10}
    post(client, "/policies", policy(rules=[off], enabled=False))
    found = post(client, "/policies/evaluate", {"content": MAIL})
    assert (found["policy_id"], found["action"], found["allowed"]) == (flag["id"], "FLAG", True)
    assert [rule["policy_id"] for rule in found["matched_rules"]] == [flag["id"], redact["id"]]
    assert found["modified_content"] == "My email is [EMAIL_REDACTED], thanks."


def test_a_condition_that_no_text_shows_is_the_applications_to_say(client: TestClient) -> None:
    post(client, "/policies/templates/gdpr", {})
    body = {"content": "hello"}
    assert post(client, "/policies/evaluate", body)["triggered"] is False
    found = post(client, "/policies/evaluate", {**body, "conditions": ["data_retention_exceeded"]})
    assert found["action"] == "BLOCK"


def test_every_request_is_in_the_audit_log(client: TestClient) -> None:
    made, header = new_key(client)
    post(client, "/filter", {"content": MAIL, "filters": ["pii"]}, **header)
    page = ok(client.get(f"{V1}/audit-logs"))
    assert (page["limit"], page["offset"], page["total"]) == (50, 0, 2)
    newest, oldest = page["logs"]
    assert newest["endpoint"] == f"{V1}/filter"
    assert newest["http_method"] == "POST"
    assert newest["status_code"] == 200
    assert newest["event_type"] == "api_request"
    assert newest["ip_address"]
    assert newest["processing_time_ms"] > 0
    assert newest["timestamp"].endswith("Z")
    assert newest["api_key_preview"] == made["key_preview"]
    assert newest["user_id"] == oldest["user_id"]
    assert newest["metadata"]["findings"] == {"pii": {"EMAIL_ADDRESS": 1}}
    assert oldest["event_type"] == "key_created"
    assert "john@example.com" not in str(page)


def test_refused_requests_are_in_the_audit_log_too(client: TestClient) -> None:
    _, header = new_key(client)
    assert client.get(f"{V1}/policies/nothing").status_code == 404
    assert client.post(f"{V1}/policies", json=policy(), headers=header).status_code == 403
    newest, older, _ = ok(client.get(f"{V1}/audit-logs"))["logs"]
    assert (newest["endpoint"], newest["http_method"], newest["status_code"]) == (f"{V1}/policies", "POST", 403)
    assert (older["http_method"], older["status_code"]) == ("GET", 404)
    assert older["endpoint"].startswith(f"{V1}/policies/")
    assert newest["user_id"] == older["user_id"]


def test_the_audit_log_is_searched(client: TestClient) -> None:
    made = post(client, "/policies", policy())
    ok(client.put(f"{V1}/policies/{made['id']}", json={"name": "Other"}))
    ok(client.delete(f"{V1}/policies/{made['id']}"))
    ok(client.get(f"{V1}/policies"))
    for event in ("policy_created", "policy_updated", "policy_deleted"):
        (log,) = ok(client.get(f"{V1}/audit-logs", params={"event_type": event}))["logs"]
        assert log["metadata"]["policy_id"] == made["id"]
    logs = ok(client.get(f"{V1}/audit-logs", params={"limit": 500}))["logs"]
    page = ok(client.get(f"{V1}/audit-logs", params={"limit": 2, "offset": len(logs) - 1}))
    assert [log["event_type"] for log in page["logs"]] == ["policy_updated", "policy_created"]
    first, second = logs[-1]["timestamp"], logs[-2]["timestamp"]
    since = ok(client.get(f"{V1}/audit-logs", params={"start_date": first, "limit": 500}))
    assert first in [log["timestamp"] for log in since["logs"]]
    before = ok(client.get(f"{V1}/audit-logs", params={"end_date": first}))
    assert before["total"] == 0
    until = ok(client.get(f"{V1}/audit-logs", params={"end_date": second}))
    assert second not in [log["timestamp"] for log in until["logs"]]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 501},
        {"offset": -1},
        {"start_date": "yesterday"},
        {"start_date": "0001-01-01T00:00:00+14:00"},
        {"end_date": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_the_audit_log_refuses_bad_questions(client: TestClient, params: dict[str, Any]) -> None:
    assert client.get(f"{V1}/audit-logs", params=params).status_code == 400


def test_one_who_does_not_manage_sees_only_their_own(client: TestClient) -> None:
    post(client, "/policies", policy())
    services = client.app.state.services  # type: ignore[attr-defined]
    project = services.store.projects()[-1].id
    secret, _ = services.authenticator.issue(project, scopes=(GUARD,))
    header = {"Authorization": f"Bearer {secret}"}
    assert ok(client.get(f"{V1}/audit-logs", headers=header))["total"] == 0
    assert ok(client.get(f"{V1}/audit-logs", headers=header))["total"] == 1


def test_filter_statistics(client: TestClient) -> None:
    empty = ok(client.get(f"{V1}/filter/stats"))
    assert (empty["total_requests"], empty["average_processing_time_ms"]) == (0, 0.0)
    _, header = new_key(client)
    text = MAIL + " 536-90-4399 is my ssn, you stupid idiot, go to hell, you worthless piece of shit."
    post(client, "/filter", {"content": text, "filters": ["pii", "toxicity"], "redact": True}, **header)
    post(client, "/filter", {"content": MAIL, "filters": ["pii"]})
    found = ok(client.get(f"{V1}/filter/stats"))
    assert found["total_requests"] == 2
    assert found["pii_detections"] == {"email": 2, "ssn": 1}
    assert found["toxicity_detections"] == 1
    assert found["average_processing_time_ms"] > 0
    assert found["last_24h"] == {"requests": 2, "pii_detected": 3}


def test_security_statistics_and_the_summary(client: TestClient) -> None:
    post(client, "/security/analyze", {"content": ATTACK})
    post(client, "/security/analyze", {"content": "What time does the library open?"})
    post(client, "/filter", {"content": MAIL, "filters": ["pii"], "redact": True})
    post(client, "/llm/chat", {"messages": [{"role": "user", "content": "Hello there"}], "security_checks": False})
    stats = ok(client.get(f"{V1}/stats"))
    assert stats["total_analyses"] == 2
    assert stats["threats_detected"] == {"prompt_injection": 1}
    assert stats["blocked_requests"] == 1
    assert 0 < stats["average_risk_score"] < 1
    assert stats["last_24h"] == {"analyses": 2, "threats": 1, "blocked": 1}
    found = ok(client.get(f"{V1}/analytics/summary"))
    assert found["security"] == {
        "total_requests": 3,
        "blocked_requests": 1,
        "block_rate": 0.3333,
        "top_threats": ["prompt_injection"],
    }
    assert found["content_filter"] == {"total_filtered": 1, "pii_redacted": 1, "toxicity_blocked": 0}
    usage = found["llm_usage"]
    assert (usage["total_calls"], usage["total_tokens"], usage["top_models"]) == (1, 4, ["echo"])
    assert usage["total_cost"] == pytest.approx(6e-6)
    assert all(value > 0 for value in found["performance"].values())
    assert set(found["performance"]) == {"avg_security_latency_ms", "avg_filter_latency_ms", "avg_llm_latency_ms"}
