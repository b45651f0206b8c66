"""``guardrails-plugin serve``: settings checked, tables made, then uvicorn."""

from __future__ import annotations

import base64
import ipaddress
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.server.app import prepare
from guardrails_plugin.server.settings import Settings

__all__ = ["serve"]

_APPLICATION = "guardrails_plugin.server.app:from_environment"

_PROTOCOL = "guardrails_plugin.server.patience:PatientProtocol"

_START_SECONDS = 120
"""After which a worker that gives no sign of life is replaced; on a busy machine a start takes a while."""


def serve(host: str, port: int, *, workers: int = 1, dev: bool = False) -> None:
    """Serve until interrupted.

    Args:
        host: address to listen on.
        port: likewise.
        workers: processes.
        dev: a loopback service with random credentials, a temporary database and an echo model, whatever the
            environment says; recipes, limits and prices are the environment's.

    Raises:
        ConfigError: a setting is wrong, or ``dev`` on an address that others can reach.
    """
    with _ended_by_exceptions(), _folder("guardrails-") as folder:
        if dev:
            _require_loopback(host)
            _isolate(os.environ, folder)
            sys.stdout.write(_how_to_call(host, port))
            sys.stdout.flush()
        # Before any worker starts, so that mistakes are told once and workers find the tables made.
        prepare(Settings.from_environment())
        if workers > 1:
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(folder))
        uvicorn.run(
            _APPLICATION,
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http=_PROTOCOL,
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=10,
            timeout_worker_healthcheck=_START_SECONDS,
        )


@contextmanager
def _ended_by_exceptions() -> Iterator[None]:
    """SIGTERM leaves by an exception, so that the folder is removed: uvicorn raises it again when it has shut down."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _require_loopback(host: str) -> None:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise ConfigError(f"--dev serves this machine only; expected --host 127.0.0.1, got {host!r}")


def _isolate(environment: MutableMapping[str, str], folder: Path) -> None:
    """Random credentials and a database of its own, whatever is set: what is tried out touches nothing real."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    values = {
        "GUARDRAILS_KEYRING": f"dev:{key}",
        "GUARDRAILS_DATABASE_URL": f"sqlite:///{folder / 'guardrails.db'}",
        "GUARDRAILS_REDIS_URL": "",
        "GUARDRAILS_BOOTSTRAP_TOKEN": f"dev_{secrets.token_urlsafe(24)}",
        "GUARDRAILS_BOOTSTRAP_USER": f"dev@example.com:{secrets.token_urlsafe(12)}",
        "GUARDRAILS_BOOTSTRAP_OAUTH_CLIENT": f"dev:{secrets.token_urlsafe(24)}",
        "GUARDRAILS_PROVIDER": "echo",
    }
    environment.update(values)


def _how_to_call(host: str, port: int) -> str:
    token, provider = os.environ["GUARDRAILS_BOOTSTRAP_TOKEN"], os.environ["GUARDRAILS_PROVIDER"]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return f"""\
guardrails-plugin for development at {address} (routes: {address}/docs)
  bearer token   {token}
  user           {os.environ["GUARDRAILS_BOOTSTRAP_USER"]}
  OAuth client   {os.environ["GUARDRAILS_BOOTSTRAP_OAUTH_CLIENT"]}
  provider       {provider} (a model that repeats what it is asked; for OpenAI clients {address}/openai/{provider})
  curl -s {address}/guardrails/v1/check -H 'Authorization: Bearer {token}' \\
    -H 'Content-Type: application/json' -d '{{"stage": "response", "content": "My SSN is 536-90-4399."}}'
"""
