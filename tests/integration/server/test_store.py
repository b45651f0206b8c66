"""The store on both databases: tables, isolation, sums."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from guardrails_plugin import ConfigError
from guardrails_plugin.audit import sql as audit
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.store import Database, Store
from guardrails_plugin.server.store.migrate import is_current, migrate
from guardrails_plugin.server.store.tables import metadata
from guardrails_plugin.server.store.usage import Counts, add

pytestmark = pytest.mark.integration


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    database = Database(database_url)
    migrate(database)
    yield Store(database)
    database.close()


def test_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    assert is_current(store.database)
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        for expected in (metadata, audit.metadata):
            known = set(metadata.tables) | set(audit.metadata.tables)
            differences = [change for change in compare_metadata(context, expected) if not _of_other(change, expected)]
            assert differences == []
        found = set(sa.inspect(connection).get_table_names())
    assert found == known | {"alembic_version"}


def _of_other(change: object, expected: sa.MetaData) -> bool:
    """A table that the other metadata names looks superfluous to this one."""
    match change:
        case ("remove_table", sa.Table() as table):
            return table.name not in expected.tables
        case ("remove_index", sa.Index() as index):
            return index.table is not None and index.table.name not in expected.tables
    return False


def test_processes_that_migrate_at_once_do_not_disturb_each_other(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, databases))
    assert is_current(databases[0])
    for database in databases:
        database.close()


def test_documents_are_their_projects_alone(store: Store) -> None:
    mine, theirs = (store.create_project(name).id for name in ("mine", "theirs"))
    made = store.objects.create(mine, "scanner", {"words": ["x"]}, name="Words")
    assert store.objects.get(mine, "scanner", made.id) == made
    assert store.objects.get(theirs, "scanner", made.id) is None
    assert store.objects.get(mine, "policy", made.id) is None
    assert store.objects.update(theirs, "scanner", made.id, {}) is None
    assert not store.objects.delete(theirs, "scanner", made.id)
    assert store.objects.list(theirs, "scanner").items == ()
    assert store.objects.list(mine, "scanner").items == (made,)


def test_documents_of_an_owner(store: Store) -> None:
    project = store.create_project("p").id
    made = store.objects.create(project, "policy", {}, owner_id="u1")
    assert store.objects.get(project, "policy", made.id, owner_id="u2") is None
    assert store.objects.list(project, "policy", owner_id="u1").items == (made,)
    assert not store.objects.delete(project, "policy", made.id, owner_id="u2")


def test_lists_come_in_pages(store: Store) -> None:
    project = store.create_project("p").id
    made = [store.objects.create(project, "k", {"n": n}, name=f"Item {n}").id for n in range(5)]
    first = store.objects.list(project, "k", limit=3)
    rest = store.objects.list(project, "k", limit=3, cursor=first.next)
    assert [item.id for item in (*first.items, *rest.items)] == sorted(made)
    assert rest.next is None
    newest = store.objects.list(project, "k", limit=2, newest_first=True)
    assert [item.id for item in newest.items] == sorted(made)[:2:-1]


def test_however_many_there_are_none_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrails_plugin.server.store.objects._PAGE", 2)
    project, other = store.create_project("p").id, store.create_project("q").id
    made = [store.objects.create(project, "k", {}, name=f"item-{n}") for n in range(5)]
    store.objects.create(other, "k", {}, name="theirs")
    # Ids tell the millisecond; what was made within one is in no order.
    assert list(store.objects.all(project, "k")) == sorted(made, key=lambda one: one.id)
    assert list(store.objects.all(project, "nothing")) == []
    assert store.objects.named(project, "k", "item-4") == made[4]
    assert store.objects.named(project, "k", "item") is None
    assert store.objects.named(project, "k", "theirs") is None


def test_children_go_with_their_parent(store: Store) -> None:
    project = store.create_project("p").id
    parent = store.objects.create(project, "scanner", {})
    child = store.objects.create(project, "version", {}, parent_id=parent.id)
    assert store.objects.delete(project, "scanner", parent.id)
    assert store.objects.get(project, "version", child.id) is None


def test_a_deleted_project_leaves_nothing(store: Store) -> None:
    project = store.create_project("p").id
    made = store.objects.create(project, "scanner", {})
    store.create_user(project, "A@Example.com", "hash", scopes=["guard"])
    assert store.user_by_email("a@example.COM") is not None
    assert store.delete_project(project)
    assert store.objects.get(project, "scanner", made.id) is None
    assert store.user_by_email("a@example.com") is None


def test_what_is_taken_is_refused(store: Store) -> None:
    store.create_project("p", friendly_id="same")
    with pytest.raises(ApiError, match="exists already") as refused:
        store.create_project("q", friendly_id="same")
    assert refused.value.status_code == 409


def test_the_last_moment_there_is_can_be_kept(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")  # read by PostgreSQL's client; there it is the year 10000 by then
    database = Database(database_url)
    migrate(database)
    store = Store(database)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    project = store.create_project("p").id
    store.create_token(project, "d" * 64, "gp...", kind="bearer", scopes=(), expires_at=last)
    assert [token.expires_at for token in store.tokens(project)] == [last]
    database.close()


def test_sums_grow_by_hour_and_name(store: Store) -> None:
    for amount in (1.0, 2.5):
        with store.database.write() as connection:
            add(connection, [Counts("p", "u", {"a": amount, "b_x": 1}), Counts("p", "v", {"a": 1})])
    assert store.usage.totals("p") == {"a": 5.5, "b_x": 2.0}
    assert store.usage.totals("p", subject="u", prefix="b_", hours=1) == {"b_x": 2.0}
    assert store.usage.totals("other") == {}


def test_names_of_sums_are_cut_to_what_the_column_takes(store: Store) -> None:
    amounts = {"findings.regex." + "X" * 300: 1, "findings.regex." + "X" * 301: 2, "a\0b": 1, "\ud800": 1}
    with store.database.write() as connection:
        add(connection, [Counts("p", "u", amounts)])
    assert store.usage.totals("p") == {("findings.regex." + "X" * 300)[:128]: 3.0, "ab": 1.0, "?": 1.0}


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "oracle://x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="database URL"):
        Database(url)


def test_writers_of_sqlite_wait_in_line(tmp_path: Path) -> None:
    """For the system's lock, which wakes the next one, before they ask SQLite, which would have them sleep."""
    fcntl = pytest.importorskip("fcntl")
    database = Database(f"sqlite:///{tmp_path / 'guardrails.db'}", shared=True)
    with database.write(), (tmp_path / "guardrails.db-turn").open() as turn, pytest.raises(BlockingIOError):
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(sa.exc.OperationalError), database.write() as connection:
        connection.execute(sa.text("nonsense"))
    with (tmp_path / "guardrails.db-turn").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    database.close()
