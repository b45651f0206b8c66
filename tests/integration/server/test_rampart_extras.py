"""Rampart's routes beside the documented ones: single filters, results, incidents, defaults, traces and spans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.server.conftest import TOKEN
from tests.integration.server.test_rampart import ABUSE, ATTACK, MAIL, V1, abuse, make_app, new_key, ok, post

__all__ = ["abuse"]

pytestmark = pytest.mark.integration

DEFAULTS = f"{V1}/policies/defaults/content-filter"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """For the operator; provider echo."""
    with TestClient(make_app(tmp_path_factory.mktemp("extras")), headers={"Authorization": f"Bearer {TOKEN}"}) as made:
        yield made


@pytest.fixture
def key(client: TestClient) -> dict[str, str]:
    """The header of an application's key, which may guard and see what is its own."""
    services = client.app.state.services  # type: ignore[attr-defined]
    secret, _ = services.authenticator.issue(services.store.project("default").id, scopes=("guard",))
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("query", [False, True], ids=["body", "query"])
def test_one_filter_by_itself(client: TestClient, query: bool) -> None:
    def asked(path: str, content: str) -> Any:
        given: Any = {"params": {"content": content}} if query else {"json": {"content": content}}
        return ok(client.post(f"{V1}{path}", **given))

    (mail,) = asked("/pii/detect", MAIL)
    assert (mail["type"], mail["value"], MAIL[mail["start"] : mail["end"]]) == ("email", *["john@example.com"] * 2)
    assert asked("/pii/detect", "nothing here") == []
    changed = asked("/pii/redact", MAIL)
    assert changed == {"original": MAIL, "redacted": "My email is [EMAIL_REDACTED], thanks.", "entities_found": 1}
    assert asked("/pii/redact", "nothing here")["redacted"] == "nothing here"
    assert asked("/toxicity/analyze", ABUSE)["label"] == "toxic"
    assert asked("/toxicity/analyze", "Good morning.")["is_toxic"] is False


def test_one_filter_wants_a_content(client: TestClient) -> None:
    for path in ("/pii/detect", "/pii/redact", "/toxicity/analyze"):
        answer = client.post(f"{V1}{path}")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("I want to kill myself tonight, I have the pills here.", ["self_harm"]),
        ("My neighbours are Catholics and gay.", ["religion", "sexual_orientation"]),
        ("When does the museum open?", []),
    ],
)
def test_sensitive_topics(client: TestClient, text: str, topics: list[str]) -> None:
    found = post(client, "/filter", {"content": text, "filters": ["sensitive_topics"]})
    assert (found["sensitive_topics"], found["is_safe"]) == (topics, not topics)
    assert (found["toxicity_scores"], found["filters_applied"]) == (None, ["sensitive_topics"])
    assert post(client, "/filter", {"content": text, "filters": ["pii"]})["sensitive_topics"] is None


def test_a_result_is_found_afterwards_without_its_content(client: TestClient, key: dict[str, str]) -> None:
    body = {"content": f"{MAIL} {ATTACK}", "filters": ["pii", "prompt_injection"], "redact": True, "trace_id": "t-1"}
    made = post(client, "/filter", body, **key)
    answer = client.get(f"{V1}/filter/results/{made['id']}", headers=key)
    found = ok(answer)
    gone = {"original_content": None, "filtered_content": None, "pii_count": 1}
    assert found == {**made, **gone, "pii_detected": [{**made["pii_detected"][0], "value": None}]}
    assert "john" not in answer.text
    assert ok(client.get(f"{V1}/filter/results/{made['id']}")) == found  # who manages the project sees it too
    other = post(client, "/filter", {"content": "hello", "filters": ["pii"]})["id"]
    listed = client.get(f"{V1}/template-packs").headers["X-Request-ID"]
    for missing in (other, listed, "none"):
        assert client.get(f"{V1}/filter/results/{missing}", headers=key).status_code == 404
    demo = post(client, "/filter/demo", {"content": "hello", "filters": ["pii"]}, Authorization="")["id"]
    assert client.get(f"{V1}/filter/results/{demo}").status_code == 404


def test_of_many_entities_the_first_are_kept(client: TestClient) -> None:
    content = " ".join(f"user{number}@example.com" for number in range(250))
    made = post(client, "/filter", {"content": content, "filters": ["pii"]})
    found = ok(client.get(f"{V1}/filter/results/{made['id']}"))
    assert (len(found["pii_detected"]), found["pii_count"]) == (200, 250)


def test_an_attack_is_an_incident(client: TestClient, key: dict[str, str]) -> None:
    before = len(ok(client.get(f"{V1}/security/incidents")))
    post(client, "/security/analyze", {"content": ATTACK, "trace_id": "t-2"}, **key)
    post(client, "/security/batch", {"requests": [{"content": ATTACK}, {"content": "hello"}]}, **key)
    post(client, "/filter", {"content": ATTACK, "filters": ["prompt_injection"]}, **key)
    post(client, "/security/analyze", {"content": "What is the weather?"}, **key)
    post(client, "/security/analyze", {"content": ATTACK})
    answer = client.get(f"{V1}/security/incidents", headers=key)
    newest, *_, first = found = ok(answer)
    assert len(found) == 3
    assert "previous" not in answer.text
    assert (first["threat_type"], first["status"], first["trace_id"]) == ("prompt_injection", "open", "t-2")
    assert first["severity"] in ("high", "critical")
    assert first["content_preview"] is None
    assert newest["metadata"]["confidence"] >= 0.7
    assert len(ok(client.get(f"{V1}/security/incidents"))) == before + 4
    path = f"{V1}/security/incidents/{first['id']}"
    assert client.patch(f"{path}/status", json={"status": "resolved"}, headers=key).status_code == 403
    assert ok(client.patch(f"{path}/status", params={"status": "resolved"}))["status"] == "resolved"
    assert ok(client.get(path, headers=key)) == {**first, "status": "resolved"}
    still = ok(client.get(f"{V1}/security/incidents", params={"status": "open"}, headers=key))
    assert [one["id"] for one in still] == [one["id"] for one in found[:2]]
    assert ok(client.get(f"{V1}/security/incidents", params={"severity": "low"})) == []
    assert len(ok(client.get(f"{V1}/security/incidents", params={"limit": 2}))) == 2
    for wrong in ({"params": {"status": "gone"}}, {}):
        assert client.patch(f"{path}/status", **wrong).status_code == 400  # type: ignore[arg-type]


def test_a_projects_defaults_hold_where_a_request_says_nothing(client: TestClient) -> None:
    built_in = ok(client.get(DEFAULTS))
    assert built_in == {
        "filters": ["pii", "toxicity", "prompt_injection"],
        "redact": False,
        "toxicity_threshold": 0.7,
        "custom_pii_patterns": {},
        "use_presidio_pii": False,
    }
    own = {"filters": ["pii"], "redact": True, "custom_pii_patterns": {"badge": r"EMP-\d{5}"}}
    try:
        assert ok(client.put(DEFAULTS, json=own)) == ok(client.get(DEFAULTS)) == {**built_in, **own}
        found = post(client, "/filter", {"content": "badge EMP-12345"})
        assert found["filtered_content"] == "badge [BADGE_REDACTED]"
        assert found["filters_applied"] == ["pii"]
        more = {"content": "EMP-12345 in room R77", "custom_pii_patterns": {"room": r"R\d\d"}}
        assert post(client, "/filter", more)["filtered_content"] == "[BADGE_REDACTED] in room [ROOM_REDACTED]"
        assert post(client, "/filter", {"content": "EMP-12345", "redact": False})["filtered_content"] is None
        _, header = new_key(client, template_pack="creative_writing")
        assert post(client, "/filter", {"content": MAIL}, **header)["filters_applied"] == [
            "toxicity",
            "prompt_injection",
        ]
        refused = client.put(DEFAULTS, json={"custom_pii_patterns": {"mail: a@b": "x"}})
        assert refused.status_code == 400
    finally:
        assert ok(client.put(DEFAULTS, json={})) == built_in


def test_requests_that_name_a_trace_are_its_spans(client: TestClient, key: dict[str, str]) -> None:
    post(client, "/filter", {"content": MAIL, "filters": ["pii"], "trace_id": "order-7"}, **key)
    chat = {"messages": [{"role": "user", "content": "one two"}], "trace_id": "order-7"}
    told = post(client, "/llm/chat", chat, **key)
    post(client, "/llm/chat", {**chat, "messages": [{"role": "user", "content": ATTACK}]}, **key)
    client.post(f"{V1}/llm/chat", json={**chat, "provider": "nosuch"}, headers=key)
    answer = client.get(f"{V1}/traces/order-7/spans", headers=key)
    spans = ok(answer)
    assert [(span["name"], span["span_type"], span["status"]) for span in spans] == [
        ("/filter", "guardrail", "success"),
        ("/llm/chat", "llm", "success"),
        ("/llm/chat", "llm", "blocked"),
        ("/llm/chat", "llm", "error"),
    ]
    assert spans[0]["metadata"]["findings"]["pii"] == {"EMAIL_ADDRESS": 1}
    assert spans[1]["tokens_used"] == told["tokens_used"] > 0
    assert "john" not in answer.text
    assert ok(client.get(f"{V1}/spans/{spans[0]['id']}", headers=key)) == spans[0]
    trace = ok(client.get(f"{V1}/traces/order-7", headers=key))
    assert (trace["status"], trace["total_tokens"]) == ("error", told["tokens_used"])
    assert trace["total_latency_ms"] == pytest.approx(sum(span["latency_ms"] for span in spans))
    assert trace["total_cost"] > 0
    assert ok(client.get(f"{V1}/traces", headers=key)) == [trace]
    services = client.app.state.services  # type: ignore[attr-defined]
    secret, _ = services.authenticator.issue(services.store.project("default").id, scopes=("guard",))
    stranger = {"Authorization": f"Bearer {secret}"}
    assert ok(client.get(f"{V1}/traces", headers=stranger)) == []
    for path in ("/traces/order-7", "/traces/order-7/spans", f"/spans/{spans[0]['id']}"):
        assert client.get(f"{V1}{path}", headers=stranger).status_code == 404


def test_a_clients_own_traces_and_spans(client: TestClient, key: dict[str, str]) -> None:
    body = {"name": "checkout", "session_id": "s-1", "user_id": "u-1", "metadata": {"shop": "north"}}
    made = client.post(f"{V1}/traces", json=body, headers=key)
    trace = made.json()
    assert made.status_code == 201
    assert {name: trace[name] for name in body} == body
    assert (trace["status"], trace["total_tokens"]) == ("active", 0)
    secret = {"question": "canary-in"}
    asked = {"trace_id": trace["id"], "name": "look up", "span_type": "retrieval", "input_data": secret}
    answer = client.post(f"{V1}/spans", json={**asked, "metadata": {"index": "books"}}, headers=key)
    span = answer.json()
    assert (answer.status_code, span["status"], span["input_data"]) == (201, "active", None)
    inner = client.post(f"{V1}/spans", json={**asked, "parent_span_id": span["id"]}, headers=key).json()
    change = {"status": "success", "tokens_used": 7, "cost": 0.25, "latency_ms": 12.5, "metadata": {"hits": 3}}
    contents = {"output_data": {"answer": "canary-out"}, "error_message": "canary-error"}
    changed = ok(client.patch(f"{V1}/spans/{span['id']}", json={**change, **contents}, headers=key))
    assert changed == {**span, **change, "metadata": {"index": "books", "hits": 3}, "updated_at": changed["updated_at"]}
    assert ok(client.get(f"{V1}/spans/{span['id']}", headers=key)) == changed
    spans = ok(client.get(f"{V1}/traces/{trace['id']}/spans", headers=key))
    assert spans == [changed, inner]
    assert inner["parent_span_id"] == span["id"]
    found = ok(client.get(f"{V1}/traces", params={"session_id": "s-1", "user_id": "u-1"}, headers=key))
    assert [(one["id"], one["total_tokens"], one["total_cost"]) for one in found] == [(trace["id"], 7, 0.25)]
    assert ok(client.get(f"{V1}/traces", params={"session_id": "s-2"}, headers=key)) == []
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.read() as connection:
        assert "canary" not in json.dumps([record for _, record in services.audit.records(connection)])


def test_traces_that_are_not_there_and_fields_that_are_too_long(client: TestClient) -> None:
    step = {"name": "x", "span_type": "tool"}
    assert client.post(f"{V1}/spans", json={**step, "trace_id": "nowhere"}).status_code == 404
    assert client.get(f"{V1}/traces/nowhere").status_code == 404
    assert client.patch(f"{V1}/spans/nowhere", json={}).status_code == 404
    trace = client.post(f"{V1}/traces", json={"name": "x"}).json()["id"]
    assert client.get(f"{V1}/spans/{trace}").status_code == 404
    for wrong in ({"metadata": {"x": "y" * 5000}}, {"trace_id": "a\0b"}, {"trace_id": "x" * 129}, {"surprise": 1}):
        assert client.post(f"{V1}/spans", json={**step, "trace_id": trace, **wrong}).status_code == 400


def test_a_policy_is_switched_as_older_clients_do(client: TestClient) -> None:
    policy = post(client, "/policies", {"name": "x", "rules": []})
    assert ok(client.patch(f"{V1}/policies/{policy['id']}/toggle"))["enabled"] is False
