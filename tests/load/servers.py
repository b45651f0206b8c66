"""Server processes to be measured: the service, and the bare route it is compared with."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.processes import ended, free_port

HERE = Path(__file__).parent
RECIPE = HERE / "recipe.toml"

_START_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: without path.
        path: of the route that checks.
        token: bearer token that it takes.
        pid: of the process that was started; workers are its children.
    """

    url: str
    path: str
    token: str
    pid: int

    def cpu(self) -> float:
        """Seconds of processor time that its processes have taken so far."""
        return sum(map(_cpu, _family(self.pid)))

    def memory(self) -> int:
        """Bytes of main memory that its processes hold (RSS; what they share counts once for each)."""
        return sum(map(_resident, _family(self.pid)))


@contextmanager
def service(workers: int = 1, database_url: str = "", **variables: str) -> Iterator[Server]:
    """`guardrails-plugin serve` without rate limits, on SQLite in a temporary folder unless told otherwise."""
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "GUARDRAILS_DATABASE_URL": database_url or f"sqlite:///{folder}/guardrails.db",
            "GUARDRAILS_BOOTSTRAP_TOKEN": token,
            "GUARDRAILS_RECIPES": str(RECIPE),
            "GUARDRAILS_RATE_LIMIT_PER_MINUTE": "0",
            "GUARDRAILS_RATE_LIMIT_PER_HOUR": "0",
            **variables,
        }
        command = ["-m", "guardrails_plugin.cli", "serve", "--workers", str(workers), "--port"]
        with _started(command, environment) as (url, pid):
            yield Server(url, "/guardrails/v1/check", token, pid)


@contextmanager
def bare(workers: int = 1) -> Iterator[Server]:
    """The route of `bare.py` under the same server."""
    options = [
        "--app-dir",
        str(HERE.parents[1]),
        "--no-access-log",
        "--log-level",
        "warning",
        "--workers",
        str(workers),
    ]
    with _started(["-m", "uvicorn", "--factory", "tests.load.bare:create_app", *options, "--port"], {}) as (url, pid):
        yield Server(url, "/check", "none", pid)


@contextmanager
def _started(command: Sequence[str], extra: dict[str, str]) -> Iterator[tuple[str, int]]:
    port = free_port()
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")}
    environment = {**kept, "GUARDRAILS_KEYRING": f"k1:{key}", **extra}
    process = subprocess.Popen([sys.executable, *command, str(port)], env=environment)
    with ended(process):
        url = f"http://127.0.0.1:{port}"
        _await_ready(url, process)
        yield url, process.pid


def _await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode} before it was ready")
        try:
            with urlopen(f"{url}/readyz", timeout=30):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"the server was not ready after {_START_SECONDS} s")


def _family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
