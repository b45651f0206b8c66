"""Audit records of requests: which leave one, and the thread that writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.audit.sql import SqlAudit
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.recorder import Recorder
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store import Database
from guardrails_plugin.server.store.migrate import migrate
from tests.integration.server.conftest import CORE, TOKEN

pytestmark = pytest.mark.integration


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Empty, of each kind."""
    made = Database(database_url)
    migrate(made)
    yield made
    made.close()


def _record(name: str, **facts: object) -> Mapping[str, Any]:
    copied = {"time": "2026-01-01T00:00:00.000+00:00", "tenant": "p", "subject": "u", "event": "api_request"}
    return {"id": name, **copied, **facts}


async def _recorded(database: Database, audit: SqlAudit, *records: Mapping[str, Any]) -> list[Any]:
    """What becomes of them: the first by itself, the others in one batch, since the log is locked meanwhile."""
    recorder = Recorder(database, audit)
    with database.write() as connection:
        audit.head(connection, lock=True)
        waiting = [asyncio.create_task(recorder.record(record)) for record in (_record("first"), *records)]
        await asyncio.sleep(0.3)
    try:
        return (await asyncio.gather(*waiting, return_exceptions=True))[1:]
    finally:
        await asyncio.to_thread(recorder.stop)


@pytest.mark.parametrize(
    "bad",
    [
        _record("bad", metadata=float("inf")),
        _record("bad", metadata=object()),
        _record("bad", tenant="p" * 65),
        _record("bad", subject="a\0b"),
        _record("bad", subject="\ud800"),
    ],
    ids=["number", "object", "length", "nul", "surrogate"],
)
def test_a_record_that_cannot_be_written_fails_alone(
    database: Database, keyring: Keyring, bad: Mapping[str, Any]
) -> None:
    audit = SqlAudit(keyring)
    one, failed, other = asyncio.run(_recorded(database, audit, _record("one"), bad, _record("other")))
    assert (one, other) == (None, None)
    with database.read() as connection:
        audit.verify(connection)
        kept = [record["id"] for record in audit.search(connection, "p")[1]]
    # SQLite takes text of any length, and NUL.
    assert isinstance(failed, Exception) or (database.kind == "sqlite" and failed is None)
    assert [name for name in reversed(kept) if name != "bad"] == ["first", "one", "other"]


def test_a_database_that_is_away_is_asked_once_for_a_batch(
    database: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = SqlAudit(keyring)
    asked: list[Sequence[object]] = []

    def away(_connection: object, records: Sequence[object]) -> None:
        asked.append(records)
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(audit, "append", away)
    answers = asyncio.run(_recorded(database, audit, _record("one"), _record("other")))
    assert [type(answer) for answer in answers] == [OperationalError, OperationalError]
    assert sum(map(len, asked)) == 3


def test_a_database_takes_a_change_or_says_that_it_does_not(database: Database, tmp_path: Path) -> None:
    assert database.commits()
    away = tmp_path / "missing" / "x.db" if database.kind == "sqlite" else "postgresql://127.0.0.1:1/x"
    gone = Database(f"sqlite:///{away}" if isinstance(away, Path) else away)
    assert not gone.commits()
    gone.close()


def test_who_is_refused_before_routing_is_on_the_record_with_the_route(tmp_path: Path, keyring: Keyring) -> None:
    url = f"sqlite:///{tmp_path / 'guardrails.db'}"
    settings = Settings(keyring=keyring, database_url=url, bootstrap_token=TOKEN, body_limit=2000)
    app = create_app(settings, products=CORE)
    services = app.state.services
    project = services.store.project("default").id
    nothing = services.authenticator.issue(project, scopes=())[0]
    rare = services.authenticator.issue(project, scopes=("guard",), per_minute=1)[0]
    asked = [
        ("PUT", "/guardrails/v1/recipes/some-id", "wrong", b""),
        ("DELETE", "/guardrails/v1/recipes/some-id", nothing, b""),
        ("POST", "/guardrails/v1/check", TOKEN, b"x" * 3000),
        ("POST", "/guardrails/v1/check/batch", TOKEN, b"{}"),
        ("GET", "/guardrails/v1/usage", rare, b""),
        ("GET", "/guardrails/v1/usage", rare, b""),
        ("PUT", "/guardrails/v1/usage", TOKEN, b""),
        ("GET", "/my-secret-path", TOKEN, b""),
        ("GET", "/metrics", "wrong", b""),
        ("GET", "/metrics", TOKEN, b""),
        ("GET", "/docs", "", b""),
        ("GET", "/openapi.json", "", b""),
        ("GET", "/healthz", "", b""),
    ]
    with TestClient(app) as client:
        for method, path, token, body in asked:
            client.request(method, path, content=body, headers={"Authorization": f"Bearer {token}"} if token else {})
        with services.database.read() as connection:
            records = [record for _, record in services.audit.records(connection)]
    assert [(record["route"], record["status"]) for record in records] == [
        ("/guardrails/v1/recipes/{name}", 401),
        ("/guardrails/v1/recipes/{name}", 403),
        ("/guardrails/v1/check", 413),
        ("/guardrails/v1/check/batch", 422),
        ("/guardrails/v1/usage", 200),
        ("/guardrails/v1/usage", 429),
        ("/guardrails/v1/usage", 405),
        ("", 404),
        ("/metrics", 401),
        ("/metrics", 200),
        ("/docs", 200),
        ("/openapi.json", 200),
    ]
