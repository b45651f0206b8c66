"""Reputation of domains, URLs and addresses: what the ``malicious_url`` rule of the prompt recipe says about them.

Nothing is looked up over the network. Known are the operator's feeds and lists, and what a name or URL shows itself
(look-alike brands, disguised hosts, tunnels and the like); of all else the verdict is ``unknown``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.server.routers.pangea.recipes import choose
from guardrails_plugin.server.routers.pangea.result import intelligence
from guardrails_plugin.server.routers.pangea.schemas import IntelBody
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Stage

__all__ = ["reputation"]

_RULE = Rule(detector="malicious_url")


async def reputation(services: Services, exchange: Exchange, body: IntelBody) -> tuple[str, dict[str, Any]]:
    """Summary and result: one verdict, or one by indicator."""
    field, indicators = _indicators(body)
    texts = [text for indicator in indicators for text in _readings(field, indicator)]
    chosen = await choose(services.guard, exchange, "pangea_prompt_guard")
    rule = next((rule for rule in chosen.recipe.rules if rule.detector == _RULE.detector), _RULE)
    recipe = Recipe(name="reputation", stage=Stage.PROMPT, rules=[rule])
    results = iter(await services.guard.check_batch(exchange, texts, stage=Stage.PROMPT, recipe=recipe, debug=True))
    data: dict[str, Any] = {}
    for indicator in indicators:
        found = [finding for _ in _readings(field, indicator) for finding in complete(next(results)).raw or ()]
        data[indicator] = intelligence(found)
    result: dict[str, Any] = {"data": data if field.endswith("s") else data[indicators[0]]}
    if body.verbose:
        result["parameters"] = {field: list(indicators) if field.endswith("s") else indicators[0]}
    if body.raw:
        result["raw_data"] = {}
    bad = sum(one["verdict"] in ("malicious", "suspicious") for one in data.values())
    return f"{len(data)} checked, {bad} found malicious or suspicious.", result


def _indicators(body: IntelBody) -> tuple[str, Sequence[str]]:
    given = {name: getattr(body, name) for name in ("domain", "domains", "url", "urls", "ip", "ips")}
    named = {name: value for name, value in given.items() if value is not None}
    if not named:
        raise faulty("/", "Give domains, urls or ips.", "MustProvideOne")
    if len(named) > 1:
        raise faulty(f"/{max(named)}", f"Give one of {', '.join(named)}.", "MutuallyExclusive")
    field, value = named.popitem()
    if field in ("ip", "ips"):
        for address in [value] if isinstance(value, str) else value:
            _valid_address(address, field)
    return field, [value] if isinstance(value, str) else list(dict.fromkeys(value))


def _valid_address(address: str, field: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise faulty(f"/{field}", "Expected IP addresses.", "BadFormat") from None


def _readings(field: str, indicator: str) -> Sequence[str]:
    """A domain by itself, for lists, and as the URL it would have, for how it is made."""
    return (indicator, f"https://{indicator}/") if field.startswith("domain") else (indicator,)
