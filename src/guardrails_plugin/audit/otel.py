"""Audit records as OpenTelemetry spans and metrics (extra: otel).

There is no released convention for guardrails. Spans follow the draft "GenAI security" of the semantic conventions
(status: development, read in 2026): one span ``run_guardrail {recipe}`` a check, one event a finding. All names stand
in this file, so that a change of the draft changes this file alone. Content is in none of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from guardrails_plugin.errors import ConfigError

__all__ = ["OtelSink"]

_EVENTS = 32
"""Findings of one check that become events; their number is an attribute in any case."""

_TARGETS = {
    "prompt": ("input", "llm"),
    "pre_plan": ("input", "llm"),
    "llm_prompt": ("input", "llm"),
    "pre_tool": ("input", "tool_call"),
    "post_tool": ("output", "tool_call"),
    "ingestion": ("input", "retrieval"),
    "response": ("output", "llm"),
}
_VERDICTS = {"allow": "allow", "report": "warn", "transform": "modify", "block": "deny"}
_ACTIONS = {"allow": "allow", "report": "allow", "transform": "modify", "block": "block"}


class OtelSink:
    """Reports checks to the providers that the application has set; without any it does next to nothing.

    A span's parent is the span that is current where the check runs.

    Args:
        tracer_provider: instead of the global one.
        meter_provider: instead of the global one.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None) -> None:
        try:
            from opentelemetry import metrics, trace
        except ModuleNotFoundError:
            raise ConfigError("the sink otel needs OpenTelemetry: pip install 'guardrails-plugin[otel]'") from None
        self._tracer = trace.get_tracer("guardrails_plugin", tracer_provider=tracer_provider)
        meter = metrics.get_meter("guardrails_plugin", meter_provider=meter_provider)
        self._checks = meter.create_counter("guardrails.checks", "{check}", "Checks by stage and verdict.")
        self._findings = meter.create_counter("guardrails.findings", "{finding}", "Findings by stage and detector.")
        self._failures = meter.create_counter("guardrails.failures", "{failure}", "Detectors that failed.")
        self._seconds = meter.create_histogram("guardrails.check.duration", "s", "Time of a check by stage.")

    @staticmethod
    def wanted() -> bool:
        """Whether OpenTelemetry is installed and the application, or its environment, has set a provider."""
        try:
            from opentelemetry import metrics, trace
        except ModuleNotFoundError:
            return False
        return any(
            "Proxy" not in type(provider).__name__ and "NoOp" not in type(provider).__name__
            for provider in (trace.get_tracer_provider(), metrics.get_meter_provider())
        )

    def write(self, record: Mapping[str, Any]) -> None:
        """See `protocols.Sink`."""
        self._measure(record)
        end = time.time_ns()
        span = self._tracer.start_span(
            f"run_guardrail {record['recipe']}", start_time=end - round(record["seconds"] * 1e9)
        )
        if span.is_recording():
            span.set_attributes(_attributes(record))
            for finding in record["findings"][:_EVENTS]:
                span.add_event("gen_ai.guardrail.security.finding", _finding(finding), end)
        span.end(end)

    def _measure(self, record: Mapping[str, Any]) -> None:
        # Of the attributes none is chosen by a client: recipes and entity types may be a tenant's own.
        stage = {"guardrails.stage": record["stage"]}
        self._checks.add(1, {**stage, "guardrails.verdict": record["verdict"]})
        self._seconds.record(record["seconds"], stage)
        for counter, items in ((self._findings, record["findings"]), (self._failures, record["failures"])):
            for detector, number in Counter(item["detector"] for item in items).items():
                counter.add(number, {**stage, "guardrails.detector": detector})


def _attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    target, subtype = _TARGETS.get(record["stage"], ("input", "llm"))
    verdict = record["verdict"]
    return {
        "gen_ai.operation.name": "run_guardrail",
        "gen_ai.guardrail.component.name": record["recipe"],
        "gen_ai.guardrail.target.type": target,
        "gen_ai.guardrail.target.subtype": subtype,
        "gen_ai.guardrail.verdict.type": _VERDICTS.get(verdict, verdict),
        "gen_ai.guardrail.action.type": _ACTIONS.get(verdict, verdict),
        "gen_ai.guardrail.security.policy.id": record["policy"],
        "gen_ai.guardrail.security.content.modified": verdict == "transform",
        "guardrails.id": record["id"],
        "guardrails.stage": record["stage"],
        "guardrails.recipe": record["recipe"],
        "guardrails.verdict": verdict,
        "guardrails.findings": len(record["findings"]),
        "guardrails.failures": len(record["failures"]),
    }


def _finding(finding: Mapping[str, Any]) -> dict[str, str | float]:
    return {
        "gen_ai.guardrail.security.rule.id": finding["detector"],
        "gen_ai.guardrail.security.risk.category": finding["type"],
        "gen_ai.guardrail.security.risk.score": finding["score"],
        "gen_ai.guardrail.action.type": finding["action"],
    }
