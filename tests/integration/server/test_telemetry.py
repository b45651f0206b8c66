"""The service under OpenTelemetry: a request is a span, its checks are spans below it, and no content is in any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SERVICE = """
import sys
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
records = LoggerProvider(shutdown_on_exit=False)
records.add_log_record_processor(SimpleLogRecordProcessor(logs))
_logs.set_logger_provider(records)

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.settings import Settings

settings = Settings(keyring=Keyring({"t1": bytes(32)}), database_url=sys.argv[1], bootstrap_token="0123456789abcdef")
app = create_app(settings, products=["guardrails_plugin.server.routers.native"])
client = TestClient(app, headers={"Authorization": "Bearer 0123456789abcdef"})  # no warm-up: its checks are spans too
off = {"prompt_injection": {"disabled": True}}
for body in ({"stage": "response", "content": "My SSN is 536-90-4399.", "overrides": off}, {"stage": "536-90-4399"}):
    print(client.post("/guardrails/v1/check", json=body).status_code)
done = {span.name: span for span in spans.get_finished_spans()}
check, request = done["run_guardrail response"], next(span for span in spans.get_finished_spans() if not span.parent)
print(check.parent.span_id == request.context.span_id, request.name)
shown = "".join(span.to_json() for span in done.values())
shown += "".join(log.to_json() for log in logs.get_finished_logs())
print("536-90-4399" in shown)
"""
"""In a process of its own: providers are set once in a process's life."""


@pytest.mark.slow
def test_checks_are_spans_below_the_request(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVICE, f"sqlite:///{tmp_path / 'guardrails.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["200", "422", "True POST /guardrails/v1/check", "False"]
