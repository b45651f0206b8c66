"""Finds dangerous links: phishing, look-alikes, internal addresses, script and data URLs, data carried away.

How: one pattern per form a URL takes in text (plain, defanged, markdown image, HTML attribute, data:, javascript:);
each match is taken apart (`url_parts`) and judged by facts that need no network: its host (`url_hosts`), what it
carries (`url_exfiltration`), its scheme, user part and path (`url_schemes`), and the user's own lists and feeds
(`feeds`). Facts combine as independent evidence; facts that are all weak never reach .5 together.

Source: WHATWG URL; OWASP SSRF cheat sheet and LLM02:2025; the modules above name theirs.
Limits: nothing is fetched or resolved, so a fresh, plainly named phishing domain is only found through a feed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase
from guardrails_plugin.detectors.feeds import Feeds
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.detectors.url_exfiltration import Embed, exfiltration_facts
from guardrails_plugin.detectors.url_hosts import Brands, Fact, below, host_facts, listed
from guardrails_plugin.detectors.url_label import label_facts
from guardrails_plugin.detectors.url_parts import Parts, inner_urls, normal_host, parse, refang
from guardrails_plugin.detectors.url_place import (
    as_written,
    clickable,
    embed,
    hidden_facts,
    image_url,
    in_image,
    inside_url,
    linked,
    shortened,
)
from guardrails_plugin.detectors.url_schemes import part_facts, self_contained_facts
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding

__all__ = ["MaliciousUrl"]

_TYPES = {"malicious": "MALICIOUS_URL", "exfiltration": "DATA_EXFILTRATION_URL", "suspicious": "SUSPICIOUS_URL"}

_LEAST = 0.1
"""Below this a URL is an ordinary one."""

_LEAST_BARE = 0.5
"""The same for what has no scheme."""

_JOINED = tuple("/@\\.-_=:%&")
"""What stands before a part of something longer."""

_LIKELY = 0.5
_WEAK = 0.3
_WEAK_TOGETHER = 0.49
"""Facts of at most `_WEAK` each do not come to more than this."""


@dataclass(frozen=True, config=SETTINGS)
class MaliciousUrl(PatternBase):
    """Dangerous links, without a network.

    Attributes:
        feeds: threat-intelligence files, see `feed_lines`; their hosts and addresses are found outside URLs too.
        allowed_domains: hosts that, with everything below them, are never reported, unless for a listed or blocked host
            in the path or the query (a redirect, an archive).
        blocked_domains: hosts that, with everything below them, are always reported.
        shorteners: report links of known shorteners, whose target nobody sees.
        brands: further names or domains that must not be imitated, such as your own.
    """

    feeds: tuple[Path, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    shorteners: bool = True

    name: ClassVar[str] = "malicious_url"
    entity_types: ClassVar[frozenset[str]] = frozenset(  # type: ignore[misc]
        {*_TYPES.values(), "MALICIOUS_DOMAIN", "MALICIOUS_IP"}
    )
    categories: ClassVar[Mapping[str, frozenset[str]]] = {  # type: ignore[misc]
        "malicious": frozenset({"MALICIOUS_URL", "MALICIOUS_DOMAIN", "MALICIOUS_IP"}),
        "exfiltration": frozenset({"DATA_EXFILTRATION_URL"}),
        "suspicious": frozenset({"SUSPICIOUS_URL"}),
    }

    def __post_init__(self) -> None:
        _ = self._feeds  # a missing file is an error now, not at the first text

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """Rows for URLs; with feeds or blocked domains also those for bare hosts and addresses."""
        bare = bool(self.feeds or self.blocked_domains)
        return tuple(row for row in load_table("malicious_url") if bare or not row.extra.get("feeds"))

    @cached_property
    def _feeds(self) -> Feeds:
        return Feeds(self.feeds)

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(map(normal_host, self.allowed_domains))

    @cached_property
    def _blocked(self) -> frozenset[str]:
        return frozenset(map(normal_host, self.blocked_domains))

    @cached_property
    def _brands(self) -> Brands:
        return Brands.known(self.brands)

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        kind = match.pattern.extra["kind"]
        if kind in ("domain", "ip"):
            return self._bare(match, kind)
        if kind == "image":
            return self._finding(match, self._facts(match, image_url(match.value), "image"))
        if kind == "bare":
            return self._schemeless(match)
        if kind == "url":
            return max(filter(None, map(self._link, linked(match))), key=lambda finding: finding.score, default=None)
        if in_image(match) or inside_url(match):
            return None  # the image is one finding; an inner URL is judged with the outer one
        shorter = shortened(match)
        return self._finding(shorter, list(self_contained_facts(kind, shorter.value, clickable=clickable(match))))

    def _link(self, match: Match) -> Finding | None:
        if in_image(match) or (match.pattern.id != "url" and inside_url(match)):
            return None
        shorter = shortened(match)
        return self._finding(shorter, self._facts(shorter, shorter.value, embed(match)))

    def _schemeless(self, match: Match) -> Finding | None:
        """A host with a path but no scheme, which may be the name of a file: only what says that it deceives."""
        before = match.view.text[match.start - 1 : match.start] if match.start else ""
        if before in _JOINED or in_image(match) or inside_url(match):
            return None
        shorter = shortened(match)
        parts = parse(shorter.value)
        if parts is None or below(parts.host, self._allowed) or below(parts.host, self._blocked):
            return None
        facts = [fact for fact in host_facts(parts, self._brands) if fact.score >= _LEAST_BARE]
        if self.shorteners and below(parts.host, listed("shorteners")) and parts.path.strip("/"):
            facts.append(Fact("shortener", 0.5))
        return self._finding(shorter, facts)

    def _facts(self, match: Match, url: str, how: Embed) -> list[Fact]:
        """Everything known about a URL; for allowed hosts only what lists say of URLs inside it."""
        plain = refang(url)
        written = as_written(match, url)
        parts = (parse(refang(written)) if written else None) or parse(plain)
        if not url or parts is None:
            return []
        inner = [fact for target in inner_urls(parts) for fact in self._listed(target)]
        if below(parts.host, self._allowed) and not parts.backslash:
            return inner
        facts = [*inner, *self._listed(parts), *host_facts(parts, self._brands), *part_facts(parts, self._brands)]
        facts += exfiltration_facts(parts, how, lambda: match.around)
        facts += hidden_facts(match)
        facts += label_facts(match, parts, self._brands)
        if below(parts.host, listed("shorteners")) and parts.path.strip("/"):
            facts.append(Fact("shortener", 0.5 if self.shorteners else 0.15))
        if plain.lower() != url.replace("\\/", "/").lower():
            facts.append(Fact("defanged", 0.2))
        return facts

    def _listed(self, parts: Parts) -> Iterator[Fact]:
        """What the user's lists say of a host that is not allowed."""
        index = self._feeds.index
        if below(parts.host, self._allowed):
            return
        if below(parts.host, self._blocked):
            yield Fact("blocked_domain", 1.0, "malicious")
        if index.host(parts.host) or (parts.ip and index.ip(parts.ip)) or index.url(parts):
            yield Fact("feed", 0.97, "malicious")

    def _bare(self, match: Match, kind: str) -> Finding | None:
        """A host or an address outside a URL: only what lists say."""
        host = normal_host(refang(match.value))
        if kind == "ip":
            try:
                listed = self._feeds.index.ip(ip_address(host))
            except ValueError:
                return None
        else:
            listed = self._feeds.index.host(host)
        blocked = below(host, self._blocked)
        if not (listed or blocked) or below(host, self._allowed) or inside_url(match):
            return None
        return match.finding(
            self.name, score=1.0 if blocked else 0.95, evidence={"reason": "blocked_domain" if blocked else "feed"}
        )

    def _finding(self, match: Match, facts: Sequence[Fact]) -> Finding | None:
        ordered = sorted(set(facts), key=lambda fact: (-fact.score, fact.reason))
        score = _combined([fact.score for fact in ordered]) if ordered else 0.0
        if score < _LEAST:
            return None
        reasons = ", ".join(dict.fromkeys(fact.reason for fact in ordered[:4]))
        likely = {fact.group for fact in ordered if fact.score >= _LIKELY}
        # The worst that one fact alone makes likely, else the likeliest; a single hint of malice is a suspicion.
        group = next((group for group in _TYPES if group in likely), ordered[0].group)
        group = "suspicious" if score < _LIKELY and group == "malicious" else group
        bare = match.pattern.id == "defanged" and group == "malicious" and "/" not in match.value
        entity_type = "MALICIOUS_DOMAIN" if bare else _TYPES[group]
        return match.finding(self.name, score=round(score, 3), entity_type=entity_type, evidence={"reason": reasons})


def _combined(scores: Sequence[float]) -> float:
    """Independent evidence together (noisy or), strongest first."""
    rest = 1.0
    for score in scores:
        rest *= 1 - score
    return 1 - rest if scores[0] > _WEAK else min(1 - rest, _WEAK_TOGETHER)
