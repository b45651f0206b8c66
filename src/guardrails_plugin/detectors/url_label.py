"""Whether a link shows one address and leads to another: ``[https://bank.example](https://other.example)``.

Source: OWASP LLM05:2025 (improper output handling) and the APWG's phishing reports: the text of a link is what a reader
trusts. CommonMark 0.31 (links), WHATWG HTML (``a``).
Limits: a text without a scheme or ``www.`` counts only as the domain of a known brand, since "node.js" and "asp.net"
are names. Relays that hold the shown host in their own URL (safe links, archives) are taken at their word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from guardrails_plugin.detectors.url_hosts import Brands, Fact, below, owner
from guardrails_plugin.detectors.url_parts import Parts, parse, registrable
from guardrails_plugin.matching import CONTEXT_CHARS, Match

__all__ = ["label_facts"]

_BEFORE = 320
"""Characters before a target in which its link's text may stand; behind it, no more than a stream waits for."""

_MARKDOWN = re.compile(r"\[([^\[\]\n]{4,300})\]\(\s{0,4}<?$")
_ANCHOR = re.compile(r"<\s*a\b[^<>]*\bhref\s*=\s*\\?[\"']?$", re.IGNORECASE)
_ANCHORED = re.compile(r"[^<>]*>(?:\s|<[^<>]*>)*([^<>]{4,})(<)?")
_SHOWN = re.compile(
    r"[\W_]*((?:https?:)?//|www\.)?((?:[\w-]{1,63}\.){1,8}[a-z]{2,24})(?:[/:?#]\S*)?[\W_]*", re.IGNORECASE
)


def label_facts(match: Match, target: Parts, brands: Brands) -> Iterator[Fact]:
    """What the text of the link round a target says against it."""
    shown = _SHOWN.fullmatch(_label(match))
    if shown is None:
        return
    written, host = shown.groups()
    label = parse(f"https://{host.lower()}")
    if label is None or _of_one_owner(label.host, target):
        return
    if below(label.host, brands.owned):
        known = below(target.host, brands.owned)
        yield Fact("label_shows_other_host", 0.5) if known else Fact("label_shows_other_host", 0.85, "malicious")
    elif written:
        yield Fact("label_shows_other_host", 0.5)


def _label(match: Match) -> str:
    """The text of the link that a URL is the target of, "" when there is none."""
    text = match.view.text
    head = text[max(0, match.start - _BEFORE) : match.start]
    if found := _MARKDOWN.search(head):
        return found[1].strip()
    if _ANCHOR.search(head) and (found := _ANCHORED.match(text[match.end : match.end + CONTEXT_CHARS])):
        return (found[1] if found[2] else found[1].rpartition("/")[0]).strip()
    return ""


def _of_one_owner(shown: str, target: Parts) -> bool:
    """True for hosts with one registered name, of one brand, and for a relay that names the shown host."""
    names = registrable(shown.removeprefix("www."))[1], registrable(target.host)[1]
    if names[0] == names[1] or (owner(shown) and owner(shown) == owner(target.host)):
        return True
    return shown.removeprefix("www.") in unquote(f"{target.path}?{target.query}").lower()
