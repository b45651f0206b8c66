"""Clients that take their time: what they send has a deadline, and a head has a size."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from guardrails_plugin import Keyring
from guardrails_plugin.server import body, patience
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.patience import PatientProtocol
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import CORE, TOKEN
from tests.processes import free_port

pytestmark = pytest.mark.integration

HEAD = f"POST /guardrails/v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A service with little patience, on a thread."""
    url = f"sqlite:///{tmp_path_factory.mktemp('slow') / 'guardrails.db'}"
    keyring = Keyring({"t1": bytes(range(32))})
    app = create_app(Settings(keyring=keyring, database_url=url, bootstrap_token=TOKEN), products=CORE)
    config = uvicorn.Config(app, port=free_port(), http=PatientProtocol, lifespan="off", log_level="error", ws="none")
    server = uvicorn.Server(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "HEAD_SECONDS", 0.4)
        patch.setattr(body, "SECONDS", 0.4)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield config.port
        server.should_exit = True
        thread.join()


async def _said(port: int, *parts: bytes, apart: float = 0.0) -> tuple[bytes, float]:
    """What the service says to these parts, up to where it closes, and the seconds until then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    answer = asyncio.create_task(_read(reader))
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(apart)
            if answer.done():
                break
        return await asyncio.wait_for(answer, 20), time.monotonic() - began
    finally:
        writer.transport.abort()  # what is still in its buffer nobody will read: closing would wait for it
        await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """All there is. Who closes before all is read resets the connection: that is an end, too."""
    read = b""
    try:
        while some := await reader.read(65_536):
            read += some
    except ConnectionResetError:
        pass
    return read


@pytest.mark.parametrize("parts", [[], [b"G"], [bytes([letter]) for letter in HEALTH]], ids=["none", "one", "each"])
def test_a_head_that_does_not_come_ends_the_connection(port: int, parts: list[bytes]) -> None:
    said, seconds = asyncio.run(_said(port, *parts, apart=0.05))
    assert said == b""
    assert 0.3 < seconds < 10


def test_the_second_request_of_a_connection_has_a_deadline_too(port: int) -> None:
    said, _ = asyncio.run(_said(port, HEALTH, b"GET /he", apart=0.2))
    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"HTTP/1.1") == 1


def test_a_head_without_end_is_not_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 60)
    said, seconds = asyncio.run(_said(port, b"GET / HTTP/1.1\r\nx: ", *[b"a" * 10_000] * 10))
    assert said == b""
    assert seconds < 20


def test_a_body_that_does_not_come_is_refused(port: int) -> None:
    head = f"{HEAD}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n".encode()
    said, seconds = asyncio.run(_said(port, head, *[b" "] * 40, apart=0.05))
    assert said.startswith(b"HTTP/1.1 408")
    assert b"REQUEST_TIMEOUT" in said
    assert b"\r\nconnection: close" in said.lower()
    assert 0.3 < seconds < 10


def test_who_is_in_time_is_served(port: int) -> None:
    last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    said, _ = asyncio.run(_said(port, HEALTH, last))
    assert said.count(b"HTTP/1.1 200") == 2
