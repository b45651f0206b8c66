"""CalypsoAI's OpenAI-compatible door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.server.test_calypso import calypso, keyword, new_project, ok, use

pytestmark = pytest.mark.integration

CHAT = "http://testserver/openai/echo/chat/completions"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with calypso(tmp_path_factory.mktemp("calypso")) as running:
        yield running


@pytest.fixture(scope="module")
def guest(client: TestClient) -> dict[str, str]:
    """Headers of a token of a project with a blocking, a redacting and an answer scanner."""
    project = new_project(client)
    use(client, project, keyword(client, "titan", direction="request"), flagMessage="No titans.")
    use(client, project, keyword(client, "moon", direction="both"), mode="redact")
    use(client, project, keyword(client, "mars", direction="response"))
    made = ok(client.post("/tokens", json={"name": "t", "machine": True, "projectId": project}))
    return {"Authorization": f"Bearer {made['token']['value']}", "x-cai-metadata-session-id": "session-7"}


def chat(client: TestClient, headers: dict[str, str], text: str, **more: Any) -> Any:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return client.post(CHAT, json={"model": "any", "messages": messages, **more}, headers=headers)


def test_an_answer_is_openais(client: TestClient, guest: dict[str, str]) -> None:
    body = ok(chat(client, guest, "hello there"))
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hello there"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


@pytest.mark.parametrize(("text", "direction"), [("a titan", "request"), ("on mars", "response")])
def test_a_block_is_an_error_with_the_outcome(
    client: TestClient, guest: dict[str, str], text: str, direction: str
) -> None:
    answer = chat(client, guest, text)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert error["cai_error"]["outcome"] == "blocked"
    failed = [one for one in error["cai_error"]["scanner_results"] if one["outcome"] == "failed"]
    assert [one["scan_direction"] for one in failed] == [direction]
    assert failed[0]["scanner_id"]


def test_the_scanners_message_is_the_errors(client: TestClient, guest: dict[str, str]) -> None:
    assert chat(client, guest, "a titan").json()["error"]["message"] == "No titans."


def test_redaction_works_within_messages(client: TestClient, guest: dict[str, str]) -> None:
    assert ok(chat(client, guest, "to the moon"))["choices"][0]["message"]["content"] == "to the ****"


def test_parts_of_a_message_are_scanned_too(client: TestClient, guest: dict[str, str]) -> None:
    parts = [{"type": "text", "text": "a titan"}]
    answer = client.post(CHAT, json={"messages": [{"role": "user", "content": parts}]}, headers=guest)
    assert answer.status_code == 400


def test_messages_without_a_text_are_passed_on(client: TestClient, guest: dict[str, str]) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "nothing there"},
    ]
    answer = client.post(CHAT, json={"messages": messages}, headers=guest)
    assert ok(answer)["choices"][0]["message"]["content"] == "nothing there"


def test_a_stream_comes_when_all_was_scanned(client: TestClient, guest: dict[str, str]) -> None:
    answer = chat(client, guest, "to the moon", stream=True)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line)["choices"][0] for line in lines[:-1]]
    assert "".join(chunk["delta"].get("content", "") for chunk in chunks) == "to the ****"
    assert chunks[-1]["finish_reason"] == "stop"
    assert chat(client, guest, "a titan", stream=True).status_code == 400


def test_the_session_is_on_the_record(client: TestClient, guest: dict[str, str]) -> None:
    ok(chat(client, guest, "hello there"))
    services = client.app.state.services  # type: ignore[attr-defined]
    project = ok(client.get("/project", headers=guest))["project"]["id"]
    with services.database.read() as connection:
        _, records = services.audit.search(connection, project, event="chat_completion")
    assert records[0]["metadata"]["session_id"] == "session-7"


@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        ("http://testserver/openai/none/chat/completions", {"messages": [{"role": "user", "content": "x"}]}, 404),
        (CHAT, {"messages": []}, 422),
        (CHAT, {}, 422),
    ],
)
def test_errors_have_openais_form(
    client: TestClient, guest: dict[str, str], url: str, body: dict[str, Any], status: int
) -> None:
    answer = client.post(url, json=body, headers=guest)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_the_same_door_below_the_api(client: TestClient, guest: dict[str, str]) -> None:
    messages = [{"role": "user", "content": "a titan"}]
    answer = client.post("/openai/echo/chat/completions", json={"messages": messages}, headers=guest)
    assert answer.json()["error"]["cai_error"]["outcome"] == "blocked"
