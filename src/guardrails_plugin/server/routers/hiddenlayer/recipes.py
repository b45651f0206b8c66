"""A project's HiddenLayer rules: a recipe for what goes into a model and one for what comes out.

A project's own recipe named ``hiddenlayer`` (for stage ``prompt`` or ``response``) comes first; what the analyzers'
``configuration`` shows is read from its rules:

- ``keywords``: the block list; a rule of that detector named ``block_overrides`` blocks as an injection
- ``prompt_injection``: ``allow`` are its allow overrides; ``classifier = false`` is the quick scan
- ``pii``, ``named_entities``: entities, allow list, redaction; ``regex``: its custom recognizers
- ``code``, ``malicious_url``, ``denial_of_service`` (``token_threshold``), ``language`` (``allowed``), ``refusal``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guardrails_plugin.detectors.pii_national import NATIONAL_IDS
from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.types import Stage

__all__ = ["ENTITIES", "NAME", "entity", "recipe_for"]

NAME = "hiddenlayer"

_PLAIN = (
    "CREDIT_CARD PHONE_NUMBER IP_ADDRESS IBAN_CODE US_BANK_NUMBER UK_NATIONAL_INSURANCE_NUMBER UK_PASSPORT US_PASSPORT "
    "US_SSN US_ITIN US_ABA_ROUTING_TRANSIT_NUMBER US_HEALTHCARE_NPI"
).split()
ENTITIES = (*_PLAIN, *NATIONAL_IDS)
"""Our types behind fourteen of the fifteen documented ones; DOMAIN_NAME is a pattern, ORGANIZATION needs a model."""

_DOMAIN = (
    r"\b(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"(?:com|org|net|edu|gov|mil|int|info|biz|io|ai|app|dev|co|me|tv|cc|xyz|online|site|shop|cloud|tech|eu|uk|de|fr|es|"
    r"it|nl|be|ch|at|pl|se|no|dk|fi|ie|pt|cz|gr|hu|ro|ru|ua|tr|il|in|cn|jp|kr|tw|hk|sg|au|nz|ca|us|mx|br|ar|cl|za)\b"
)
"""A name under a common top-level domain, so that file names are none."""

_SENSITIVE = tuple(kind for kind in ENTITIES if kind not in ("PHONE_NUMBER", "IP_ADDRESS"))


def _pii() -> Iterator[Rule]:
    redacted = dict.fromkeys(_SENSITIVE, "replace")
    yield Rule(detector="pii", action="report", actions=redacted, settings={"entities": ENTITIES})
    yield Rule(detector="regex", name="domains", action="report", settings={"patterns": {"DOMAIN_NAME": _DOMAIN}})


_URLS: Mapping[str, Any] = {"shorteners": False}
"""A shortened link is no finding of HiddenLayer's: every finding of a URL is one of a malicious one there."""


def _input() -> Recipe:
    injection: Mapping[str, Any] = {"action": "block", "threshold": "balanced", "trusted": ["system"]}
    rules = [
        Rule(detector="prompt_injection", **injection),
        *_pii(),
        Rule(detector="code"),
        Rule(detector="malicious_url", settings=_URLS),
        Rule(detector="denial_of_service"),
        Rule(detector="language"),
    ]
    return Recipe(name=NAME, stage=Stage.PROMPT, rules=rules)


def _output() -> Recipe:
    rules = [
        *_pii(),
        Rule(detector="refusal"),
        Rule(detector="code"),
        Rule(detector="malicious_url", action="defang", settings=_URLS),
    ]
    return Recipe(name=NAME, stage=Stage.RESPONSE, rules=rules)


_DEFAULTS: dict[Stage, Recipe] = {}


async def recipe_for(guard: Guarding, exchange: Exchange, stage: Stage) -> tuple[Recipe, str | Recipe]:
    """The recipe of a side of the model, and what `Guarding.check` takes for it."""
    for recipe in await guard.recipes(exchange):
        if recipe.name == NAME and recipe.stage in (stage, None):
            return recipe, recipe.name
    if not _DEFAULTS:
        _DEFAULTS.update({Stage.PROMPT: _input(), Stage.RESPONSE: _output()})
    return _DEFAULTS[stage], _DEFAULTS[stage]


def entity(kind: str) -> str:
    """HiddenLayer's name of an entity type."""
    return NATIONAL_IDS.get(kind, kind)
