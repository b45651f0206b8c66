"""Spans and metrics of checks, read back from the SDK's exporters in memory; no content is in any."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardrails_plugin import Context, Engine
from guardrails_plugin.audit.otel import OtelSink
from tests.strategies import NO_MODEL, VALUES

TEXT = " , ".join(VALUES)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracers(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


@pytest.fixture
def metrics() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def engine(tracers: TracerProvider, metrics: InMemoryMetricReader) -> Engine:
    return Engine(sinks=[OtelSink(tracers, MeterProvider([metrics], shutdown_on_exit=False))])


def test_a_check_is_a_span(engine: Engine, spans: InMemorySpanExporter, tracers: TracerProvider) -> None:
    with tracers.get_tracer("application").start_as_current_span("request") as parent:
        result = engine.check("My SSN is 536-90-4399.", stage="response", overrides=NO_MODEL)
    span = spans.get_finished_spans()[0]
    seen = dict(span.attributes or {})
    assert span.name == "run_guardrail response"
    assert span.parent == parent.get_span_context()
    assert seen["guardrails.id"] == result.id
    assert (seen["guardrails.stage"], seen["guardrails.recipe"], seen["guardrails.findings"]) == (
        "response",
        "response",
        1,
    )
    assert (seen["gen_ai.guardrail.verdict.type"], seen["gen_ai.guardrail.action.type"]) == ("modify", "modify")
    assert (seen["gen_ai.guardrail.target.type"], seen["gen_ai.guardrail.target.subtype"]) == ("output", "llm")
    (event,) = span.events
    assert dict(event.attributes or {})["gen_ai.guardrail.security.risk.category"] == "US_SSN"
    assert span.end_time is not None
    assert span.start_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(result.seconds, abs=1e-5)


def test_checks_are_counted_and_timed(engine: Engine, metrics: InMemoryMetricReader) -> None:
    for text in ("My SSN is 536-90-4399.", "Nothing here."):
        engine.check(text, stage="response", overrides=NO_MODEL)
    found = _points(metrics)
    assert found["guardrails.checks"] == {("response", "transform"): 1, ("response", "allow"): 1}
    assert found["guardrails.findings"] == {("pii", "response"): 1}
    assert found["guardrails.check.duration"] == {("response",): 2}


def test_no_content_is_in_a_span_or_a_metric(
    engine: Engine, spans: InMemorySpanExporter, metrics: InMemoryMetricReader
) -> None:
    context = Context(prompt=TEXT, untrusted=[TEXT], metadata={"user_id": TEXT, "note": TEXT}, tenant=TEXT)
    for stage in ("prompt", "response", "post_tool"):
        assert engine.check(TEXT, stage=stage, overrides=NO_MODEL, context=context).findings
    data = metrics.get_metrics_data()
    assert data is not None
    shown = "".join(span.to_json() for span in spans.get_finished_spans()) + data.to_json()
    assert [value for value in VALUES if value in shown] == []


def test_without_a_provider_nothing_is_wanted_and_nothing_happens() -> None:
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert not OtelSink.wanted()
    Engine(sinks=[OtelSink()]).check("My SSN is 536-90-4399.", stage="response", overrides=NO_MODEL)


def _points(reader: InMemoryMetricReader) -> dict[str, dict[tuple[str, ...], int]]:
    """Counts by name and sorted-by-key attribute values."""
    data = reader.get_metrics_data()
    assert data is not None
    made = (metric for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics)
    return {
        metric.name: {
            tuple(str(value) for _, value in sorted((point.attributes or {}).items())): getattr(
                point, "value", getattr(point, "count", 0)
            )
            for point in metric.data.data_points
        }
        for metric in made
    }
