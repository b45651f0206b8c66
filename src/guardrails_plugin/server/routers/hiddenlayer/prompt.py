"""HiddenLayer's prompt analyzer: the same analyses in another shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.routers.hiddenlayer.analysis import Side, analyze
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Decision, Stage, Verdict

__all__ = ["analyzed"]

_PII = "personally_identifiable_information"
_FRAMEWORKS = ("mitre", "owasp", "owasp:2025")


async def analyzed(
    services: Services, exchange: Exchange, prompt: str, output: str | None, model: str | None
) -> dict[str, Any]:
    """The whole answer."""
    before = await analyze(services, exchange, _said("user", prompt), Stage.PROMPT)
    after = None if output is None else await analyze(services, exchange, _said("assistant", output), Stage.RESPONSE)
    sides = [side for side in (before, after) if side is not None]
    for result in (result for side in sides for result in side.results):
        complete(result)
    named = {} if model is None else {"model": model}
    response = {
        **named,
        "prompt": _text(before),
        "unmodified_prompt": prompt,
        **({} if after is None else {"output": _text(after), "unmodified_output": output}),
    }
    return {
        **named,
        "verdict": any(side.decisions for side in sides),
        "elapsed_ms": round(1000 * exchange.seconds, 3),
        "upstream_elapsed_ms": 0.0,
        "categories": _categories(before, after),
        "frameworks": _frameworks(sides),
        "policy": _policy(before, after),
        "response": response,
        "results": {**_input(before), **({} if after is None else _output(after))},
    }


def _said(role: str, text: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text}]}


def _text(side: Side) -> str:
    text: str = side.modified["messages"][0]["content"]
    return text


def _categories(before: Side, after: Side | None) -> dict[str, bool]:
    return {
        "unsafe_input": before.verdict >= Verdict.TRANSFORM,
        "unsafe_output": after is not None and after.verdict >= Verdict.TRANSFORM,
        "prompt_injection": bool(before.of("prompt_injection")),
        "guardrail": after is not None and bool(after.of("guardrails")),
        "input_pii": bool(before.of(_PII)),
        "output_pii": after is not None and bool(after.of(_PII)),
        "input_code": bool(before.of("code")),
        "output_code": after is not None and bool(after.of("code")),
        "input_dos": bool(before.of("denial_of_service")),
        "input_language": bool(before.of("language")),
    }


def _frameworks(sides: Sequence[Side]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {name: {} for name in _FRAMEWORKS}
    for side in sides:
        for name in side.names:
            placed: Mapping[str, Sequence[dict[str, str]]] = side.findings(name, side.of(name))["frameworks"]
            for framework, items in placed.items():
                found[framework] |= {item["label"]: item for item in items}
    return {framework: list(items.values()) for framework, items in found.items()}


def _policy(before: Side, after: Side | None) -> dict[str, Any]:
    """The project's rules as this interface has them; those of the output when there was one."""
    personal = before.configuration(_PII)
    policy: dict[str, Any] = {
        "block_prompt_injection": _blocks(before, "prompt_injection"),
        "block_input_code_detection": _blocks(before, "code"),
        "block_input_dos_detection": _blocks(before, "denial_of_service"),
        "block_input_pii": _blocks(before, _PII),
        "block_unsafe_input": any(_blocks(before, name) for name in before.names),
        "skip_prompt_injection_detection": not before.rules("prompt_injection"),
        "skip_input_code_detection": not before.rules("code"),
        "skip_input_dos_detection": not before.rules("denial_of_service"),
        "skip_input_pii_detection": not before.rules(_PII),
        "skip_input_url_detection": not before.rules("url"),
        "redact_input_pii": personal["redact"],
        "redact_type": personal["redact_type"],
        "entity_type": "all",
        "prompt_injection_scan_type": before.configuration("prompt_injection")["scan_type"],
        "input_dos_detection_threshold": before.configuration("denial_of_service")["token_threshold"],
    }
    if after is not None:
        policy |= {
            "block_guardrail_detection": _blocks(after, "guardrails"),
            "block_output_code_detection": _blocks(after, "code"),
            "block_output_pii": _blocks(after, _PII),
            "block_unsafe_output": any(_blocks(after, name) for name in after.names),
            "skip_guardrail_detection": not after.rules("guardrails"),
            "skip_output_code_detection": not after.rules("code"),
            "skip_output_pii_detection": not after.rules(_PII),
            "skip_output_url_detection": not after.rules("url"),
            "redact_output_pii": after.configuration(_PII)["redact"],
        }
    policy["block_unsafe"] = policy["block_unsafe_input"] or policy.get("block_unsafe_output", False)
    return policy


def _blocks(side: Side, name: str) -> bool:
    return any("block" in (rule.action, *rule.actions.values()) for rule in side.rules(name))


def _result(side: Side, name: str, *, verdict: bool = True) -> dict[str, Any]:
    """Verdict, time, and the findings of this interface."""
    decisions: Sequence[Decision] = side.of(name)
    found = side.findings(name, decisions)
    kept: dict[str, Any] = {
        key: found[key] for key in ("matches", "entities", "urls", "embeddings_length") if key in found
    }
    judged = {"verdict": bool(decisions)} if verdict else {}
    return {**judged, "elapsed_ms": round(1000 * side.seconds(name), 3), **kept}


def _input(side: Side) -> dict[str, Any]:
    injection = side.configuration("prompt_injection")
    probabilities = side.findings("prompt_injection", side.of("prompt_injection"))["probabilities"]
    spoken = (str(d.finding.evidence["language"]) for d in side.of("language") if "language" in d.finding.evidence)
    language = next(spoken, None)
    return {
        "prompt_injection_classifier_results": [
            {
                **_result(side, "prompt_injection"),
                "probabilities": probabilities,
                "version": 5,
                "allow_overrides": injection["allow_overrides"],
                "block_overrides": injection["block_overrides"],
            }
        ],
        "input_block_list_results": _result(side, "block_list"),
        "input_code_results": _result(side, "code"),
        "input_dos_results": _result(side, "denial_of_service"),
        "input_language_results": {**_result(side, "language"), **({"language": language} if language else {})},
        "input_pii_results": _result(side, _PII),
        "input_url_results": _result(side, "url", verdict=False),
    }


def _output(side: Side) -> dict[str, Any]:
    refusal = _result(side, "guardrails")
    probabilities = side.findings("guardrails", side.of("guardrails"))["probabilities"]
    return {
        "guardrail_results": {
            **refusal,
            "refusal_classifier_results": {**refusal, "probabilities": probabilities, "version": 1},
        },
        "output_code_results": _result(side, "code"),
        "output_pii_results": _result(side, _PII),
        "output_url_results": _result(side, "url", verdict=False),
    }
