"""``guardrails-plugin serve`` as a process: for development, and with several workers."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from guardrails_plugin.cli import main
from tests.integration.server.conftest import TOKEN, USER, Running, serving
from tests.processes import ended, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_development_is_called_as_printed_and_touches_nothing_real(tmp_path: Path) -> None:
    port, real, printed, temporary = free_port(), tmp_path / "real.db", tmp_path / "printed", tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")},
        "GUARDRAILS_DATABASE_URL": f"sqlite:///{real}",
        "GUARDRAILS_BOOTSTRAP_TOKEN": TOKEN,
        "GUARDRAILS_BOOTSTRAP_USER": ":".join(USER),
        "GUARDRAILS_PROVIDER": "openai:some-model",
        "TMPDIR": str(temporary),
    }
    command = [sys.executable, "-m", "guardrails_plugin.cli", "serve", "--dev", "--port", str(port)]
    with printed.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        with ended(process):
            url = f"http://127.0.0.1:{port}"
            _wait(url, process, printed)
            told = printed.read_text()
            assert url in told
            assert f"{url}/openai/echo" in told
            assert TOKEN not in told
            assert USER[0] not in told
            call = shlex.split(told[told.index("curl ") :])
            headers = dict(call[at + 1].split(": ", 1) for at, part in enumerate(call) if part == "-H")
            answer = httpx.post(call[2], headers=headers, content=call[call.index("-d") + 1], timeout=120)
            assert answer.json()["output"] == "My SSN is <US_SSN>."
            refused = httpx.get(f"{url}/guardrails/v1/recipes", headers={"Authorization": f"Bearer {TOKEN}"})
            assert refused.status_code == 401
    assert not real.exists()
    assert not list(temporary.glob("guardrails-*"))


def _wait(url: str, process: subprocess.Popen[bytes], printed: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{printed.read_text()[-4000:]}")


def test_there_is_no_service_without_a_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GUARDRAILS_KEYRING", raising=False)
    monkeypatch.setenv("GUARDRAILS_DATABASE_URL", f"sqlite:///{tmp_path / 'guardrails.db'}")
    assert main(["serve", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert "GUARDRAILS_KEYRING" in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_development_is_for_this_machine_only() -> None:
    command = [sys.executable, "-m", "guardrails_plugin.cli", "serve", "--dev", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def _asked(metrics: str, route: str) -> float:
    """Requests of a route, of whatever status."""
    lines = (line for line in metrics.splitlines() if line.startswith("guardrails_requests_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'route="{route}"' in line)


def test_metrics_count_requests_verdicts_and_time(server: Running) -> None:
    route = "/guardrails/v1/check"
    with server.client() as client:
        before = client.get("/metrics")
        assert before.headers["Content-Type"].startswith("text/plain")
        body = {"stage": "response", "content": "My SSN is 536-90-4399."}
        assert client.post(route, json=body).status_code == 200
        after = client.get("/metrics").text
    assert _asked(after, route) >= _asked(before.text, route) + 1
    assert 'guardrails_verdicts_total{verdict="transform"}' in after
    assert f'guardrails_request_seconds_bucket{{le="60.0",route="{route}"}}' in after
    assert "536-90-4399" not in after
    with server.client("") as stranger:
        assert stranger.get("/metrics").status_code == 401


def test_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    route = "/guardrails/v1/recipes"
    with serving(f"sqlite:///{tmp_path / 'guardrails.db'}", workers=2) as running:
        for _ in range(20):
            with running.client() as client:  # a connection each, so that both workers get some
                assert client.get(route).status_code == 200
        for _ in range(4):
            with running.client() as client:
                assert _asked(client.get("/metrics").text, route) == 20
