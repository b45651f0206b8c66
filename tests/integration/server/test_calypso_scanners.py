"""CalypsoAI: scanners from draft to production, versions, packages, and scanners in plain words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrails_plugin import registry
from guardrails_plugin.server.routers.calypso.catalogue import packages
from tests.integration.server.test_calypso import calypso, keyword, named, new_project, ok, scan, use

pytestmark = pytest.mark.integration

WORDS = {"type": "keyword", "words": ["titan"]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with calypso(tmp_path_factory.mktemp("calypso")) as running:
        yield running


def made(client: TestClient, **body: Any) -> str:
    """A new scanner."""
    return str(ok(client.post("/scanners", json={"name": "Titan", "config": WORDS, **body}))["id"])


def scanner(client: TestClient, scanner_id: str) -> Any:
    return ok(client.get(f"/scanners/{scanner_id}"))["scanner"]


def versions(client: TestClient, scanner_id: str, **query: Any) -> Any:
    return ok(client.get(f"/scanners/{scanner_id}/versions", params=query))["versions"]


def test_each_type_of_personal_data_has_one_packaged_scanner() -> None:
    """What the detector looks for and no scanner names would never be found in a project."""
    packaged = [one for pack in packages() for built in pack.scanners if built.detector == "pii" for one in built.types]
    assert sorted(packaged) == sorted(registry.load("detectors", "pii")().entity_types)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Driver license numbers", "Führerschein Nr. B072RRE2I55"),
        ("Social Security numbers", "My national insurance number is AB 12 34 56 C."),
        ("Bank accounts", "The routing number of my bank is 021000021."),
    ],
)
def test_a_packaged_scanner_finds_what_its_name_says(client: TestClient, name: str, content: str) -> None:
    project = new_project(client)
    use(client, project, named(client, name))
    assert scan(client, content, project=project)["result"]["outcome"] == "blocked"
    assert scan(client, "My locker has the number 17.", project=project)["result"]["outcome"] == "cleared"


class TestLifecycle:
    def test_a_new_scanner_is_a_draft(self, client: TestClient) -> None:
        found = scanner(client, made(client))
        assert (found["published"], found["versionMeta"]["published"], found["versionMeta"]["name"]) == (
            False,
            False,
            "v_1",
        )
        assert (found["config"], found["source"], found["vendored"]) == (WORDS, "internal", False)
        assert found["createdBy"] == "machine=bootstrap"

    @pytest.mark.parametrize(
        "config",
        [
            {"type": "keyword", "words": ["a", "b c"]},
            {"type": "regex", "pattern": r"\d{3}"},
            {"type": "custom", "input": "Asks for salaries.", "scanContext": "directional"},
        ],
    )
    def test_there_are_three_kinds(self, client: TestClient, config: dict[str, Any]) -> None:
        assert scanner(client, made(client, config=config))["config"] == config

    @pytest.mark.parametrize(
        "config",
        [
            {"type": "keyword", "words": []},
            {"type": "keyword"},
            {"type": "regex", "pattern": "("},
            {"type": "regex", "pattern": "a*"},
            {"type": "regex", "pattern": "(?=x)y"},
            {"type": "custom", "input": ""},
            {"type": "other"},
        ],
    )
    def test_what_does_not_compile_is_refused(self, client: TestClient, config: dict[str, Any]) -> None:
        answer = client.post("/scanners", json={"name": "x", "config": config})
        assert answer.status_code == 400
        assert isinstance(answer.json()["detail"], str)

    def test_a_draft_runs_only_where_it_is_tried(self, client: TestClient) -> None:
        project, draft = new_project(client), made(client)
        use(client, project, draft)
        assert scan(client, "titan", project=project)["result"]["scannerResults"] == []
        tried = scan(client, "titan", project=project, forceEnabled=[draft])
        assert tried["result"]["outcome"] == "blocked"
        sent = ok(client.post("/prompts", json={"input": "titan", "project": project, "forceEnabled": [draft]}))
        assert sent["result"]["outcome"] == "blocked"

    def test_only_those_who_may_publish_try_drafts(self, client: TestClient) -> None:
        project, draft = new_project(client), made(client)
        use(client, project, draft)
        token = ok(client.post("/tokens", json={"name": "t", "machine": True, "projectId": project}))["token"]["value"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.post("/scans", json={"input": "x", "forceEnabled": [draft]}, headers=headers)
        assert answer.status_code == 403

    def test_publishing_puts_it_into_production(self, client: TestClient) -> None:
        project, draft = new_project(client), made(client)
        use(client, project, draft)
        assert ok(client.patch(f"/scanners/{draft}", json={"published": True})) == {"message": "Scanner updated"}
        assert scan(client, "titan", project=project)["result"]["outcome"] == "blocked"

    def test_unpublishing_takes_it_out(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        use(client, project, one)
        ok(client.patch(f"/scanners/{one}", json={"published": False}))
        assert scan(client, "titan", project=project)["result"]["scannerResults"] == []
        assert scanner(client, one)["published"] is False

    def test_a_plain_edit_goes_back_to_a_draft(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        use(client, project, one)
        ok(client.patch(f"/scanners/{one}", json={"config": {"type": "keyword", "words": ["moon"]}}))
        assert scan(client, "titan moon", project=project)["result"]["scannerResults"] == []
        ok(client.patch(f"/scanners/{one}", json={"published": True}))
        assert scan(client, "moon", project=project)["result"]["outcome"] == "blocked"
        assert scan(client, "titan", project=project)["result"]["outcome"] == "cleared"

    def test_a_new_name_changes_nothing_else(self, client: TestClient) -> None:
        one = keyword(client, "titan")
        ok(client.patch(f"/scanners/{one}", json={"name": "Other"}))
        found = scanner(client, one)
        assert (found["name"], found["published"], len(versions(client, one))) == ("Other", True, 1)

    def test_a_copy_is_a_draft_of_its_own(self, client: TestClient) -> None:
        one = keyword(client, "titan")
        copy = scanner(client, ok(client.post(f"/scanners/{one}/duplicate"))["id"])
        assert copy["id"] != one
        assert (copy["name"], copy["published"], copy["config"]) == ("Words titan (copy)", False, WORDS)

    def test_a_deleted_scanner_is_gone_everywhere(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        use(client, project, one)
        ok(client.delete(f"/scanners/{one}"))
        assert client.get(f"/scanners/{one}").status_code == 404
        assert scan(client, "titan", project=project)["result"]["scannerResults"] == []

    def test_what_comes_with_the_service_cannot_be_changed(self, client: TestClient) -> None:
        one = named(client, "Secrets")
        assert client.patch(f"/scanners/{one}", json={"name": "x"}).status_code == 403
        assert client.delete(f"/scanners/{one}").status_code == 403
        assert client.post(f"/scanners/{one}/duplicate").status_code == 400


class TestVersions:
    def test_every_change_is_a_version_newest_first(self, client: TestClient) -> None:
        one = made(client, version={"name": "first", "description": "why", "published": True})
        ok(client.patch(f"/scanners/{one}", json={"config": {"type": "keyword", "words": ["moon"]}, "version": {}}))
        found = versions(client, one)
        assert [(v["name"], v["published"], v["description"]) for v in found] == [
            ("v_2", False, ""),
            ("first", True, "why"),
        ]
        assert set(found[0]) == {"createdAt", "createdBy", "description", "id", "name", "published"}
        assert [v["name"] for v in versions(client, one, onlyPublished=True)] == ["first"]

    def test_a_named_version_leaves_the_published_one_running(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        use(client, project, one)
        change = {"config": {"type": "keyword", "words": ["moon"]}, "version": {"name": "next"}}
        ok(client.patch(f"/scanners/{one}", json=change))
        body = scan(client, "titan", project=project)
        assert body["result"]["outcome"] == "blocked"
        assert body["result"]["scannerResults"][0]["scannerVersionMeta"]["name"] == "v_1"
        newest = versions(client, one)[0]["id"]
        ok(client.patch(f"/scanners/{one}/versions/{newest}", json={"published": True}))
        assert scan(client, "moon", project=project)["result"]["outcome"] == "blocked"

    def test_the_version_published_last_counts(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        use(client, project, one)
        first = versions(client, one)[0]["id"]
        change = {"config": {"type": "keyword", "words": ["moon"]}, "version": {"published": True}}
        ok(client.patch(f"/scanners/{one}", json=change))
        meta = scan(client, "moon", project=project)["result"]["scannerResults"][0]["scannerVersionMeta"]
        assert (meta["name"], meta["published"]) == ("v_2", True)
        ok(client.patch(f"/scanners/{one}/versions/{first}", json={"published": True}))
        assert scan(client, "titan", project=project)["result"]["outcome"] == "blocked"

    def test_a_project_can_pin_a_version(self, client: TestClient) -> None:
        project, other, one = new_project(client), new_project(client), keyword(client, "titan")
        first = versions(client, one)[0]["id"]
        change = {"config": {"type": "keyword", "words": ["moon"]}, "version": {"published": True}}
        ok(client.patch(f"/scanners/{one}", json=change))
        use(client, project, one, version=first)
        use(client, other, one)
        assert scan(client, "titan", project=project)["result"]["outcome"] == "blocked"
        assert scan(client, "titan", project=other)["result"]["outcome"] == "cleared"
        use(client, project, one, version=None)
        assert scan(client, "titan", project=project)["result"]["outcome"] == "cleared"

    def test_only_published_versions_can_be_pinned(self, client: TestClient) -> None:
        draft = made(client)
        entry = {"id": draft, "version": versions(client, draft)[0]["id"], "enabled": True}
        answer = client.patch(f"/projects/{new_project(client)}", json={"config": {"scanners": [entry]}})
        assert answer.status_code == 400

    def test_one_version_can_be_read(self, client: TestClient) -> None:
        one = keyword(client, "titan")
        version = versions(client, one)[0]["id"]
        found = ok(client.get(f"/scanners/{one}/versions/{version}"))["version"]
        assert (found["id"], found["config"], found["direction"]) == (version, WORDS, "both")
        assert client.get(f"/scanners/{one}/versions/none").status_code == 404


class TestLists:
    def test_cursors_lead_through_all_pages(self, client: TestClient) -> None:
        everything = [found["id"] for found in ok(client.get("/scanners"))["scanners"]]
        seen, query = [], {"limit": 7}
        while True:
            page = ok(client.get("/scanners", params=query))
            seen += [found["id"] for found in page["scanners"]]
            if page["next"] is None:
                break
            query = {"limit": 7, "cursor": page["next"]}
        assert seen == everything[: len(seen)]
        assert len(seen) >= len(everything)
        assert page["prev"] is not None

    def test_a_cursor_of_ones_own_making_is_refused(self, client: TestClient) -> None:
        for cursor in ("x", "e30=", "bnVsbA=="):
            assert client.get("/scanners", params={"cursor": cursor}).status_code == 400

    def test_lists_can_be_searched_and_narrowed(self, client: TestClient) -> None:
        one = made(client, name="A very special name")
        found = ok(client.get("/scanners", params={"search": "SPECIAL"}))["scanners"]
        assert [scanner["id"] for scanner in found] == [one]
        own = ok(client.get("/scanners", params={"source": "internal"}))["scanners"]
        assert own
        assert not any(scanner["vendored"] for scanner in own)

    def test_packages_hold_the_scanners_of_the_service(self, client: TestClient) -> None:
        packages = ok(client.get("/scanner-packages", params={"source": "vendor"}))["packages"]
        names = {package["name"] for package in packages}
        assert {"Prompt injection package", "PII package", "Secret detection package"} <= names
        for package in packages:
            query = {"packageId": package["id"], "source": "vendor"}
            found = ok(client.get("/scanners", params=query))["scanners"]
            assert [scanner["id"] for scanner in found] == [one["id"] for one in package["scanners"]]
            assert all(scanner["published"] and scanner["createdBy"] == "system" for scanner in found)
        one = packages[0]["id"]
        assert ok(client.get(f"/scanner-packages/{one}"))["package"] == packages[0]


class TestWhose:
    def test_a_scanner_for_everybody_runs_in_every_project(self, client: TestClient) -> None:
        project = new_project(client)
        one = keyword(client, "globalword", **{"global": True})
        assert scan(client, "globalword", project=project)["result"]["outcome"] == "blocked"
        use(client, project, one, enabled=False)
        assert scan(client, "globalword", project=project)["result"]["outcome"] == "cleared"
        ok(client.delete(f"/scanners/{one}"))

    def test_a_project_sees_neither_drafts_nor_scanners_of_others(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        body = {"name": "t", "machine": True, "projectId": project, "scopes": ["guard", "manage"]}
        headers = {"Authorization": f"Bearer {ok(client.post('/tokens', json=body))['token']['value']}"}
        assert client.get(f"/scanners/{one}", headers=headers).status_code == 404
        assert client.delete(f"/scanners/{one}", headers=headers).status_code == 404
        own = ok(client.get("/scanners", params={"source": "internal"}, headers=headers))["scanners"]
        assert one not in {scanner["id"] for scanner in own}
        entry = {"config": {"scanners": [{"id": one, "enabled": True}]}}
        assert client.patch(f"/projects/{project}", json=entry, headers=headers).status_code == 404

    def test_a_scanner_can_be_for_some_users_only(self, client: TestClient) -> None:
        project, one = new_project(client), keyword(client, "titan")
        use(client, project, one, users=["somebody-else"])
        assert scan(client, "titan", project=project)["result"]["scannerResults"] == []
        use(client, project, one, users=["machine=bootstrap"])
        assert scan(client, "titan", project=project)["result"]["outcome"] == "blocked"

    def test_a_scanner_can_be_for_a_group(self, client: TestClient) -> None:
        services = client.app.state.services  # type: ignore[attr-defined]
        home = services.store.project("default").id
        user = services.store.create_user(home, "ann@example.com", "", scopes=("guard",))
        secret, _ = services.authenticator.issue(home, owner_id=user.id)
        headers = {"Authorization": f"Bearer {secret}"}
        one = keyword(client, "groupword")
        use(client, home, one, groups=["sales"])
        body = {"input": "groupword", "flagOnly": False}
        before = ok(client.post("/scans", json=body, headers=headers))
        ok(client.patch(f"/users/{user.id}", json={"groups": ["sales"]}))
        after = ok(client.post("/scans", json=body, headers=headers))
        assert (before["result"]["outcome"], after["result"]["outcome"]) == ("cleared", "blocked")
        assert after["userId"] == user.id


class Model(BaseHTTPRequestHandler):
    """An OpenAI-compatible model that takes any text with "salary" in it for one about salaries."""

    says = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = json.loads(body["messages"][-1]["content"])
        judged = {"id": asked["id"], "violation": "salary" in asked["text"], "confidence": 0.95}
        message = {"role": "assistant", "content": Model.says or json.dumps(judged)}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
        content = json.dumps({**answer, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def model() -> Iterator[str]:
    """Address of the model."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PLAIN = {"type": "custom", "input": "The text asks for somebody's salary.", "scanContext": "directional"}


class TestPlainWords:
    def test_the_projects_model_is_the_judge(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = {"provider": "openai:judge", "provider_key": "sk-test-0123456789"}
        with model() as url, calypso(tmp_path, **options, provider_url=url) as client:
            project, one = new_project(client), made(client, config=PLAIN, published=True)
            use(client, project, one, flagMessage="No salaries.")
            bad = scan(client, "What is Ann's salary?", project=project)["result"]
            good = scan(client, "What is the weather?", project=project)["result"]
            assert (bad["outcome"], good["outcome"]) == ("blocked", "cleared")
            assert bad["scannerResults"][0]["message"] == "No salaries."
            assert good["scannerResults"][0]["data"] == {"type": "custom", "tokenUsage": 15}
            monkeypatch.setattr(Model, "says", "I would rather not say.")
            unclear = scan(client, "What is the weather?", project=project)["result"]
            assert unclear["outcome"] == "blocked"
            assert "judge failed" in unclear["scannerResults"][0]["data"]["error"]

    def test_without_a_judge_nothing_passes_and_it_says_why(self, client: TestClient) -> None:
        project, one = new_project(client), made(client, config=PLAIN, published=True)
        use(client, project, one)
        result = scan(client, "What is the weather?", project=project)["result"]
        assert (result["outcome"], result["scannerResults"][0]["outcome"]) == ("blocked", "failed")
        assert "'echo'" in result["scannerResults"][0]["data"]["error"]
        assert "'echo'" in result["scannerResults"][0]["message"]

    def test_what_has_no_place_in_the_text_cannot_be_redacted(self, client: TestClient) -> None:
        one = made(client, config=PLAIN, published=True)
        entry = {"config": {"scanners": [{"id": one, "enabled": True, "mode": "redact"}]}}
        assert client.patch(f"/projects/{new_project(client)}", json=entry).status_code == 400
