"""Scanners in a database of either kind: seen by every process at once, whole, and refused with a reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from guardrails_plugin import ConfigError
from guardrails_plugin.scanners import Keywords, Scanners, Scope, SqlStore, Store


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    made = SqlStore(database_url)
    yield made
    made.close()


def test_a_scanner_lives_through_its_whole_life_in_it(store: SqlStore, database_url: str) -> None:
    assert isinstance(store, Store)
    scanners = Scanners(store=store)
    made = scanners.create("No Falcon", Keywords(terms=("project falcon", "sch\u00f6n")), message="No.")
    assert scanners.test(made.id, {"About project falcon": True, "About birds": False}).passed
    scanners.publish(made.id)

    other = SqlStore(database_url)
    assert other.all() == store.all()
    assert [scanner.id for scanner, _ in Scanners(store=other).active(Scope())] == [made.id]
    scanners.delete(made.id)
    assert other.all() == {}
    other.remove("unknown")
    other.close()


def test_stores_that_start_and_write_together_lose_nothing(database_url: str) -> None:
    def write(number: int) -> None:
        store = SqlStore(database_url)
        Scanners(store=store).create(f"Number {number}", Keywords(terms=(f"word{number}",)))
        store.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    store = SqlStore(database_url)
    assert set(store.all()) == {f"number-{number}" for number in range(8)}
    store.close()


def test_a_row_that_is_no_scanner_is_named(store: SqlStore, database_url: str) -> None:
    url = sa.make_url(database_url)
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO guardrails_scanners (id, content) VALUES ('odd', '{}')"))
    engine.dispose()
    with pytest.raises(ConfigError, match="guardrails_scanners: 'odd': name: Field required"):
        store.all()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "expected sqlite:///file.db or postgresql://"),
        ("mysql://h/x", "'mysql' is not supported; expected sqlite or postgresql"),
        ("sqlite:////no/such/folder/x.db", "cannot be used: OperationalError"),
    ],
)
def test_what_is_no_database_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SqlStore(url)


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigError, match=r"needs sqlalchemy: pip install 'guardrails-plugin\[server\]'"):
        SqlStore("sqlite://")
