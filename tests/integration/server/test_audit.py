"""The audit chain: append-only, tamper-evident, right under concurrency, and nothing acknowledged is ever lost."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from guardrails_plugin import Keyring
from guardrails_plugin.audit.chain import GENESIS, canonical, link
from guardrails_plugin.audit.ocsf import ocsf_event
from guardrails_plugin.audit.sql import Broken, Head, SqlAudit, records_table
from guardrails_plugin.cli import main
from guardrails_plugin.server.store import Database
from guardrails_plugin.server.store.migrate import migrate, migrate_to
from tests.integration.server.conftest import KEY, Running, serving

pytestmark = pytest.mark.integration


def _record(number: int, tenant: str = "p") -> dict[str, object]:
    return {
        "id": f"r{number}",
        "time": f"2026-01-01T00:00:{number % 60:02d}.000+00:00",
        "tenant": tenant,
        "subject": "u",
        "event": "api_request",
        "trace": "odd" if number % 2 else "",
        "method": "POST",
        "route": "/x",
        "address": "127.0.0.1",
        "status": 200,
        "seconds": 0.01,
        "verdict": "",
        "findings": {},
        "metadata": {},
    }


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def audit(keyring: Keyring) -> SqlAudit:
    return SqlAudit(keyring)


def _append(database: Database, audit: SqlAudit, *numbers: int) -> Head:
    with database.write() as connection:
        return audit.append(connection, [_record(number) for number in numbers])


def _verify(database: Database, audit: SqlAudit, expected: Head | None = None) -> Head:
    with database.read() as connection:
        return audit.verify(connection, expected=expected)


def test_records_come_back_in_order(database: Database, audit: SqlAudit) -> None:
    _append(database, audit, 1, 2)
    head = _append(database, audit, 3)
    assert _verify(database, audit) == head
    with database.read() as connection:
        total, found = audit.search(connection, "p", limit=2)
        assert audit.search(connection, "other") == (0, [])
    assert total == 3
    assert [record["id"] for record in found] == ["r3", "r2"]


def test_records_are_found_by_id_and_by_trace(database: Database, audit: SqlAudit) -> None:
    _append(database, audit, 1, 2, 3)
    with database.write() as connection:
        old = {key: value for key, value in _record(4).items() if key != "trace"}  # as earlier versions wrote them
        other = {**_record(5), "trace": "other", "subject": "v"}
        audit.append(connection, [old, other, {**_record(6), "tenant": "q", "trace": "theirs"}])
    with database.read() as connection:
        assert (audit.find(connection, "p", "r2") or {})["id"] == "r2"
        assert audit.find(connection, "q", "r2") is None
        assert audit.find(connection, "p", "r2", subject="v") is None
        assert audit.traces(connection, "p") == ["other", "odd"]
        assert audit.traces(connection, "p", subject="u") == ["odd"]
        assert audit.traces(connection, "p", limit=1, offset=1) == ["odd"]
        found = audit.traced(connection, "p", ["odd", "theirs"])
        assert [record["id"] for record in found] == ["r1", "r3"]
        assert [record["id"] for record in audit.traced(connection, "p", ["odd"], limit=1)] == ["r3"]
        assert audit.traced(connection, "p", ["odd"], subject="v") == []
    assert _verify(database, audit).number == 6


def test_records_of_the_first_version_stay_as_they_are(database_url: str, keyring: Keyring) -> None:
    made = Database(database_url)
    audit = SqlAudit(keyring)
    columns = [column for column in records_table.columns if column.name not in ("id", "trace")]
    with made.write() as connection:
        migrate_to(connection, "0001")
        body = canonical({"id": "r1", "time": "t", "tenant": "p", "subject": "u", "event": "e"})
        mac = link(keyring, "t1", GENESIS, 1, body)
        values = {"number": 1, "time": "t", "tenant": "p", "subject": "u", "event": "e", "key_id": "t1"}
        first = sa.table("audit_records", *[sa.column(column.name) for column in columns])
        connection.execute(first.insert().values({**values, "body": body, "mac": mac}))
        connection.execute(sa.text("UPDATE audit_head SET number = 1, mac = :mac"), {"mac": mac})
    migrate(made)
    _append(made, audit, 2)
    assert _verify(made, audit).number == 2
    made.close()


def test_records_cannot_be_changed_through_the_database(database: Database, audit: SqlAudit) -> None:
    _append(database, audit, 1, 2)
    for statement in (records_table.update().values(event="x"), records_table.delete()):
        with pytest.raises(DBAPIError, match="append-only"), database.write() as connection:
            connection.execute(statement)


def _without_triggers(database: Database, *statements: str) -> None:
    """What somebody who owns the database can do."""
    with database.write() as connection:
        if database.kind == "sqlite":
            for verb in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER audit_records_no_{verb}"))
        else:
            connection.execute(sa.text("DROP TRIGGER audit_records_append_only ON audit_records"))
        for statement in statements:
            connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("statements", "number"),
    [
        (["UPDATE audit_records SET body = REPLACE(body, 'POST', 'GET') WHERE number = 2"], 2),
        (["UPDATE audit_records SET event = 'other' WHERE number = 3"], 3),
        (["UPDATE audit_records SET trace = 'other' WHERE number = 3"], 3),
        (["UPDATE audit_records SET trace = NULL WHERE number = 3"], 3),
        (["UPDATE audit_records SET id = NULL WHERE number = 1"], 1),
        (["DELETE FROM audit_records WHERE number = 2"], 2),
        (["DELETE FROM audit_records WHERE number = 4"], 4),
        ([f"UPDATE audit_records SET number = {new} WHERE number = {old}" for old, new in ((1, 9), (2, 1), (9, 2))], 1),
    ],
)
def test_tampering_is_found_at_its_place(
    database: Database, audit: SqlAudit, statements: list[str], number: int
) -> None:
    _append(database, audit, 1, 2, 3, 4)
    _without_triggers(database, *statements)
    with pytest.raises(Broken) as broken:
        _verify(database, audit)
    assert broken.value.number == number


def test_a_cut_end_is_found_with_a_head_noted_earlier(database: Database, audit: SqlAudit) -> None:
    kept = _append(database, audit, 1, 2)
    noted = _append(database, audit, 3)
    _without_triggers(
        database,
        "DELETE FROM audit_records WHERE number = 3",
        f"UPDATE audit_head SET number = 2, mac = '{kept.mac}'",
    )
    assert _verify(database, audit) == kept  # the log alone cannot know
    with pytest.raises(Broken, match="noted earlier"):
        _verify(database, audit, noted)


def test_another_key_does_not_verify(database: Database, audit: SqlAudit) -> None:
    _append(database, audit, 1)
    with pytest.raises(Broken, match="was changed"):
        _verify(database, SqlAudit(Keyring({"t1": bytes(32)})))
    with pytest.raises(Broken, match="does not hold"):
        _verify(database, SqlAudit(Keyring({"t2": bytes(32)})))


def test_a_new_key_continues_the_chain(database: Database, audit: SqlAudit) -> None:
    _append(database, audit, 1)
    rotated = SqlAudit(Keyring({"t1": bytes(range(32)), "t2": bytes(32)}, primary="t2"))
    head = _append(database, rotated, 2)
    assert _verify(database, rotated) == head


def test_threads_and_connections_make_one_chain(database_url: str, database: Database, audit: SqlAudit) -> None:
    others = [database, Database(database_url)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: _append(others[n % 2], audit, n, n + 1000), range(40)))
    others[1].close()
    assert _verify(database, audit).number == 80


def test_requests_are_recorded_without_content(each_server: Running) -> None:
    with each_server.client() as client:
        client.post("/guardrails/v1/check", json={"content": "My SSN is 536-90-4399", "stage": "response"})
        page = client.get("/guardrails/v1/audit", params={"limit": 1}).json()
        exported = each_server.command("audit", "export")
    newest = page["records"][0]
    assert (newest["route"], newest["verdict"]) == ("/guardrails/v1/check", "transform")
    assert newest["findings"] == {"pii": {"US_SSN": 1}}
    assert "536-90-4399" not in exported.stdout
    assert newest["id"] in {json.loads(line)["id"] for line in exported.stdout.splitlines()}


def test_the_log_verifies_from_the_command_line(server: Running) -> None:
    done = server.command("audit", "verify", "--json")
    head = json.loads(done.stdout)["head"]
    assert done.returncode == 0
    assert server.command("audit", "verify", "--expect", head).returncode == 0
    assert server.command("audit", "verify", "--expect", f"1:{'0' * 64}").returncode == 1


@pytest.fixture
def configured(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The database that the environment names."""
    monkeypatch.setenv("GUARDRAILS_DATABASE_URL", database_url)
    monkeypatch.setenv("GUARDRAILS_KEYRING", f"t1:{KEY}")
    return database


def test_the_command_line_tells_where_a_log_was_changed(
    configured: Database, audit: SqlAudit, capsys: pytest.CaptureFixture[str]
) -> None:
    head = _append(configured, audit, 1, 2, 3)
    assert main(["audit", "verify"]) == 0
    assert head.mac in capsys.readouterr().out
    _without_triggers(configured, "UPDATE audit_records SET body = REPLACE(body, 'POST', 'GET') WHERE number = 2")
    assert main(["audit", "verify"]) == 1
    assert "2" in "".join(capsys.readouterr())


def test_a_log_is_exported_as_events_of_the_open_schema(server: Running) -> None:
    with server.client() as client:
        body = {"content": "My SSN is 536-90-4399", "stage": "response"}
        asked = client.post("/guardrails/v1/check", json=body).headers["x-request-id"]
    done = server.command("audit", "export", "--format", "ocsf")
    assert done.returncode == 0, done.stderr
    assert "536-90-4399" not in done.stdout
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["class_uid"] for event in events} <= {2004, 6003}
    found = next(event for event in events if event["metadata"]["uid"] == asked)
    assert (found["class_uid"], found["finding_info"]["types"]) == (2004, ["US_SSN"])


def test_events_of_the_open_schema() -> None:
    finding = ocsf_event({**_record(1), "verdict": "block", "findings": {"pii": {"US_SSN": 2}}}, "1.0")
    assert (finding["class_uid"], finding["type_uid"], finding["disposition_id"]) == (2004, 200401, 2)
    assert finding["finding_info"]["types"] == ["US_SSN"]
    activity = ocsf_event({**_record(1), "status": 403}, "1.0")
    assert (activity["class_uid"], activity["type_uid"], activity["status_id"]) == (6003, 600301, 2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2])
def test_nothing_acknowledged_is_lost_when_the_service_is_killed(database_url: str, workers: int) -> None:
    acknowledged: set[str] = set()
    enough = Event()

    def ask(_: int) -> None:
        body = {"content": "My SSN is 536-90-4399", "stage": "response"}
        with running.client() as client:
            for _ in range(2000):
                try:
                    answer = client.post("/guardrails/v1/check", json=body)
                except httpx.TransportError:
                    return
                acknowledged.add(answer.headers["x-request-id"])
                if len(acknowledged) > 100:
                    enough.set()

    with serving(database_url, workers=workers) as running, ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, n) for n in range(8)]
        assert enough.wait(60)
        for process in (*_children(running.process.pid), running.process.pid):
            os.kill(process, signal.SIGKILL)
        for task in asking:
            task.result()
        exported = running.command("audit", "export")
        assert exported.returncode == 0, exported.stderr
    assert acknowledged <= {json.loads(line)["id"] for line in exported.stdout.splitlines()}


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
