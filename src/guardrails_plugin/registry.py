"""Names to classes: explicit tables of import strings, then entry points. Nothing is imported before it is used.

>>> load("actions", "report").__name__
'Report'
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from guardrails_plugin.errors import ConfigError, unknown_name

__all__ = ["KINDS", "load", "names"]

_HERE = "guardrails_plugin"

KINDS: dict[str, dict[str, str]] = {
    "detectors": {
        "call_limits": f"{_HERE}.detectors.call_limits:CallLimits",
        "code": f"{_HERE}.detectors.code:Code",
        "competitors": f"{_HERE}.detectors.competitors:Competitors",
        "data_exfiltration": f"{_HERE}.detectors.data_exfiltration:DataExfiltration",
        "demographic": f"{_HERE}.detectors.demographic:Demographic",
        "denial_of_service": f"{_HERE}.detectors.denial_of_service:DenialOfService",
        "gibberish": f"{_HERE}.detectors.gibberish:Gibberish",
        "hidden_text": f"{_HERE}.detectors.hidden_text:HiddenText",
        "invisible_text": f"{_HERE}.detectors.invisible_text:InvisibleText",
        "keywords": f"{_HERE}.detectors.keywords:Keywords",
        "language": f"{_HERE}.detectors.language:Language",
        "legal": f"{_HERE}.detectors.legal:Legal",
        "malicious_url": f"{_HERE}.detectors.malicious_url:MaliciousUrl",
        "named_entities": f"{_HERE}.detectors.named_entities:NamedEntities",
        "packages": f"{_HERE}.detectors.packages:Packages",
        "pii": f"{_HERE}.detectors.pii:Pii",
        "plan_check": f"{_HERE}.detectors.plan_check:PlanCheck",
        "prompt_injection": f"{_HERE}.detectors.prompt_injection:PromptInjection",
        "provenance": f"{_HERE}.detectors.provenance:Provenance",
        "refusal": f"{_HERE}.detectors.refusal:Refusal",
        "regex": f"{_HERE}.detectors.regex:Regex",
        "role_play": f"{_HERE}.detectors.role_play:RolePlay",
        "secrets": f"{_HERE}.detectors.secrets:Secrets",
        "self_harm": f"{_HERE}.detectors.self_harm:SelfHarm",
        "sentiment": f"{_HERE}.detectors.sentiment:Sentiment",
        "similarity": f"{_HERE}.detectors.similarity:Similarity",
        "street_addresses": f"{_HERE}.detectors.street_addresses:StreetAddresses",
        "system_prompt_leak": f"{_HERE}.detectors.system_prompt_leak:SystemPromptLeak",
        "tool_definitions": f"{_HERE}.detectors.tool_definitions:ToolDefinitions",
        "topics": f"{_HERE}.detectors.topics:Topics",
        "toxicity": f"{_HERE}.detectors.toxicity:Toxicity",
    },
    "actions": {
        "block": f"{_HERE}.actions.block:Block",
        "defang": f"{_HERE}.actions.defang:Defang",
        "encrypt": f"{_HERE}.actions.encrypt:Encrypt",
        "hash": f"{_HERE}.actions.hash:Hash",
        "mask": f"{_HERE}.actions.mask:Mask",
        "partial_mask": f"{_HERE}.actions.partial_mask:PartialMask",
        "presidio": f"{_HERE}.actions.presidio:Presidio",
        "redact": f"{_HERE}.actions.redact:Redact",
        "replace": f"{_HERE}.actions.replace:Replace",
        "report": f"{_HERE}.actions.report:Report",
    },
    "sinks": {
        "jsonl": f"{_HERE}.audit.jsonl:JsonlSink",
        "log": f"{_HERE}.audit.log:LogSink",
        "otel": f"{_HERE}.audit.otel:OtelSink",
    },
}
"""What ships with the package. Others join through the entry-point group ``guardrails_plugin.<kind>``."""


@cache
def _table(kind: str) -> dict[str, str]:
    # Deferred: it costs more to import than the rest of the package together.
    from importlib.metadata import entry_points

    found = {point.name: point.value for point in entry_points(group=f"{_HERE}.{kind}")}
    return {**found, **KINDS[kind]}


def names(kind: str) -> tuple[str, ...]:
    """Every registered name of a kind (``detectors``, ``actions``, ``sinks``), sorted."""
    return tuple(sorted(_table(kind)))


def load(kind: str, name: str) -> Any:
    """The class registered under ``name``.

    Raises:
        ConfigError: there is no such name (the message lists the valid ones), or its module cannot be imported.
    """
    target = KINDS[kind].get(name) or _table(kind).get(name)
    if target is None:
        raise unknown_name(kind.removesuffix("s"), name, names(kind))
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        message = f"{kind.removesuffix('s')} {name!r} is registered as {target!r}, which cannot be loaded: {error}"
        raise ConfigError(message) from error
