"""Finds dangerous links: phishing, look-alikes, internal addresses, script and data URLs, data carried away.

How: one pattern per form a URL takes in text (plain, defanged, markdown image, HTML attribute, data:, javascript:);
each match is taken apart (`url_parts`) and judged by facts that need no network: its host (`url_hosts`), what it
carries (`url_exfiltration`), its scheme, path and user part, and the user's own lists and feeds (`feeds`). Facts
combine as independent evidence; facts that are all weak never reach .5 together.

Source: WHATWG URL; OWASP SSRF and LLM02:2025; APWG reports; see the modules above.
Limits: nothing is fetched or resolved, so a fresh, plainly named phishing domain is only found through a feed.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase
from guardrails_plugin.detectors.feeds import Feeds
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.detectors.url_exfiltration import Embed, exfiltration_facts
from guardrails_plugin.detectors.url_hosts import LURE_PATH, Brands, Fact, below, host_facts, ip_fact, listed
from guardrails_plugin.detectors.url_parts import Parts, address, normal_host, parse, refang
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding
from guardrails_plugin.unicode_tables import BIDI, FOLDED, SMUGGLING, ZERO_WIDTH

__all__ = ["MaliciousUrl"]

_TYPES = {
    "malicious": "MALICIOUS_URL",
    "exfiltration": "DATA_EXFILTRATION_URL",
    "suspicious": "SUSPICIOUS_URL",
}
_LEAST = 0.1
"""Below this a URL is an ordinary one."""

_WEAK = 0.3
_BEFORE = 400
"""Characters before a URL in which its tag or markdown may begin."""


@dataclass(frozen=True, config=SETTINGS)
class MaliciousUrl(PatternBase):
    """Dangerous links, without a network.

    Attributes:
        feeds: threat-intelligence files, see `feeds`; their hosts and addresses are found outside URLs too.
        allowed_domains: hosts that, with everything below them, are never reported.
        blocked_domains: hosts that, with everything below them, are always reported.
        brands: further names or domains that must not be imitated, such as your own.
    """

    feeds: tuple[Path, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()

    name: ClassVar[str] = "malicious_url"
    entity_types: ClassVar[frozenset[str]] = frozenset({*_TYPES.values(), "MALICIOUS_DOMAIN", "MALICIOUS_IP"})
    categories: ClassVar[Mapping[str, frozenset[str]]] = {
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

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        kind = match.pattern.extra["kind"]
        if kind in ("domain", "ip"):
            return self._bare(match, kind)
        if kind in ("data", "script", "handler"):
            if _inside_url(match):
                return None  # judged with the URL it stands in
            return self._finding(_shortened(match), list(_scheme_facts(kind, match.value, _head(match))))
        if kind == "image":
            inner = _IMAGE_URL.search(match.value)
            return self._finding(match, self._facts(match, inner[1] or inner[2], "image")) if inner else None
        if match.view.text.startswith("http", match.start) and _in_image(match):
            return None  # the image is one finding
        shorter = _shortened(match)
        if match.pattern.id != "url" and _inside_url(match):
            return None
        facts = self._facts(shorter, shorter.value, _embed(match))
        if match.pattern.id == "defanged" or refang(shorter.value) != shorter.value:
            facts.append(Fact("defanged", 0.2))
        return self._finding(shorter, facts)

    def _facts(self, match: Match, url: str, embed: Embed) -> list[Fact]:
        """Everything known about a URL; empty for allowed hosts."""
        read = parse(refang(url))
        written = _as_written(match, url)
        parts = (written and parse(refang(written))) or read
        if parts is None or (below(parts.host, self._allowed) and not parts.backslash):
            return []
        facts = list(self._listed(parts))
        if match.view.kind == "canonical" and not match.text.original.isascii() and written is not None:
            facts += _hidden_facts(match)
        facts += host_facts(parts, Brands.known(self.brands))
        facts += _part_facts(parts, Brands.known(self.brands))
        facts += exfiltration_facts(parts, embed, match.around)
        return facts

    def _listed(self, parts: Parts) -> Iterator[Fact]:
        index = self._feeds.index
        if below(parts.host, self._blocked):
            yield Fact("blocked_domain", 1.0, "malicious")
        if index.host(parts.host) or (parts.ip and index.ip(parts.ip)) or index.url(parts):
            yield Fact("feed", 0.97, "malicious")

    def _bare(self, match: Match, kind: str) -> Finding | None:
        """A host or an address outside a URL: only what lists say."""
        host = normal_host(refang(match.value))
        index = self._feeds.index
        if below(host, self._allowed):
            return None
        reason = ""
        if kind == "ip":
            try:
                reason = "feed" if index.ip(ip_address(host)) else ""
            except ValueError:
                return None
        elif index.host(host):
            reason = "feed"
        if below(host, self._blocked):
            reason = "blocked_domain"
        if not reason or _inside_url(match):
            return None
        return match.finding(self.name, score=0.95, evidence={"reason": reason})

    def _finding(self, match: Match, facts: Sequence[Fact]) -> Finding | None:
        if not facts:
            return None
        ordered = sorted(set(facts), key=lambda fact: (-fact.score, fact.reason))
        score = _combined([fact.score for fact in ordered])
        if score < _LEAST:
            return None
        reasons = ", ".join(dict.fromkeys(fact.reason for fact in ordered[:4]))
        group = ordered[0].group if score >= 0.5 or ordered[0].group != "malicious" else "suspicious"
        return match.finding(
            self.name, score=round(score, 3), entity_type=_TYPES[group], evidence={"reason": reasons}
        )


def _combined(scores: Sequence[float]) -> float:
    """Independent evidence together (noisy or); weak facts alone stay below .5."""
    rest = 1.0
    for score in scores:
        rest *= 1 - score
    return 1 - rest if scores[0] > _WEAK else min(1 - rest, 0.49)


# --- where a URL ends, and what it stands in ---

_IMAGE_URL = re.compile(r"\]\(\s*(?:<([^<>\n]*)>|([^\n]*?))(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)$")
_TAG = re.compile(
    r"<\s*(img|image|iframe|frame|script|video|audio|source|embed|object|link|input|body|table|td|svg|use|track|bgsound)\b"
    r"[^<>]*\b(?:src|srcset|href|data|poster|background|xlink:href)\s*=\s*\\?[\"']?$",
    re.IGNORECASE,
)
_STYLE = re.compile(r"(?:url\(\s*|@import\s+)\\?[\"']?$", re.IGNORECASE)
_CLICK = re.compile(r"(?:\]\(\s*<?|<\s*(?:a|area|form|button)\b[^<>]*\b(?:href|action|formaction)\s*=\s*\\?[\"']?)$", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(?:[nrt\"']|u0022|u0027|u003[ce])|&(?:quot|gt|lt|#39|#34);|\]\(|\)\[|\u3002(?![A-Za-z0-9-]+[/?#:]|[A-Za-z]{2,}$)")
_OPENERS = {"(": ")", "[": "]", "{": "}", "'": "'"}


def _head(match: Match) -> str:
    """What stands before a match."""
    return match.view.text[max(0, match.start - _BEFORE) : match.start]


def _in_image(match: Match) -> bool:
    head = _head(match)
    if not head.rstrip(" <").endswith("]("):
        return False
    return re.search(r"!\[(?:[^\[\]\n]|\n[^\[\]\n]|\[[^\[\]\n]*\])*\]\(\s*<?$", head) is not None and ")" in (
        match.view.text[match.start : match.end + 400].partition("\n")[0]
    )


def _embed(match: Match) -> Embed:
    text, start = match.view.text, match.start
    if text[start - 1 : start] not in ("(", "<", "=", '"', "'", " ", "\n"):
        return "bare"
    head = _head(match)
    if _TAG.search(head) or _STYLE.search(head):
        return "image"
    return "link" if _CLICK.search(head) else "bare"


_BEGUN = re.compile(r"(?::|:\]|:\))\]?\[?\\?[/\\]")


def _inside_url(match: Match) -> bool:
    """True when a match stands inside a longer URL."""
    head = _head(match)
    return _BEGUN.search(re.split(r"[\s<>\"'`]", head)[-1]) is not None


def _shortened(match: Match) -> Match:
    """The match without what follows the URL: closing brackets, punctuation, escaped quotes."""
    url = match.value
    if found := _ESCAPED.search(url):
        url = url[: found.start()]
    closer = _OPENERS.get(match.view.text[match.start - 1 : match.start] if match.start else "")
    if closer:
        url = url[: _closing(url, closer)]
    size = len(url)
    while size and (url[size - 1] in ".,;:!?'*_~|\\\u2026" or _unbalanced(url, size)):
        size -= 1
    return replace(match, end=match.start + size) if size != len(match.value) else match


def _closing(url: str, closer: str) -> int:
    """Where the bracket or quote that was open before the URL closes."""
    opener, depth = {")": "(", "]": "[", "}": "{"}.get(closer, ""), 0
    for index, char in enumerate(url):
        if char == opener:
            depth += 1
        elif char == closer:
            if depth == 0:
                return index
            depth -= 1
    return len(url)


def _unbalanced(url: str, size: int) -> bool:
    last = url[size - 1]
    opener = {")": "(", "]": "[", "}": "{"}.get(last)
    return opener is not None and url.count(last, 0, size) > url.count(opener, 0, size)


_INVISIBLE = ZERO_WIDTH | BIDI | SMUGGLING
_PLAIN = {**{ord(char): plain for char, plain in FOLDED.items()}, **dict.fromkeys(map(ord, _INVISIBLE))}


def _as_written(match: Match, url: str) -> str | None:
    """The URL with the author's own letters (the canonical view has look-alikes replaced); None where that is no use."""
    if match.view.kind != "canonical" or match.text.original.isascii():
        return None
    offset = match.value.find(url)
    span = match.view.span(match.start + offset, match.start + offset + len(url))
    return match.text.original[span.start : span.end].translate(_PLAIN)


def _hidden_facts(match: Match) -> Iterator[Fact]:
    span = match.view.span(match.start, match.end)
    if any(char in _INVISIBLE for char in match.text.original[span.start : span.end]):
        yield Fact("invisible_characters", 0.6)


# --- scheme, user part, path ---

_EXECUTABLE = re.compile(r"\.(exe|scr|msi|bat|cmd|com|pif|hta|vbs|vbe|jse|wsf|ps1|lnk|dll|jar|apk|iso|img|cpl|reg|xll)$", re.IGNORECASE)
_RARE_EXECUTABLE = frozenset("scr pif hta vbs vbe jse wsf lnk cpl xll".split())
_DOUBLE = re.compile(r"\.(?:pdf|docx?|xlsx?|pptx?|jpe?g|png|txt|zip|html?)\.(?:exe|scr|msi|bat|cmd|com|pif|hta|vbs|js|lnk|iso|jar)$", re.IGNORECASE)
_DOMAIN_LIKE = re.compile(
    r"(?:^|[/:.@])(?:www\.|[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|gov|edu|io|co|bank|app|dev|info|biz|uk|de|fr|ru|cn|us|eu))(?:$|[/:%])",
    re.IGNORECASE,
)
_NESTED = re.compile(r"(?:^|[=&/])((?:https?|ftp|file|gopher|dict|javascript|data):[^&]*)", re.IGNORECASE)
_SENSITIVE_FILE = re.compile(
    r"/etc/(?:passwd|shadow|hosts|sudoers)|/\.(?:ssh|aws|kube|docker|netrc|env)\b|/proc/(?:self|\d+)/|id_rsa|win\.ini|/windows/system32"
    r"|/var/run/secrets|boot\.ini|\.git/config|/root/", re.IGNORECASE
)  # fmt: skip
_RELAYS = frozenset({"gopher", "dict", "ldap", "ldaps", "tftp", "netdoc", "phar", "expect", "jar"})


def _part_facts(parts: Parts, brands: Brands) -> Iterator[Fact]:
    if parts.backslash:
        yield Fact("backslash_in_authority", 0.75 if "@" in parts.path else 0.3)
    if parts.userinfo:
        yield _user_fact(parts, brands)
    yield from _path_facts(parts)
    if parts.scheme == "file":
        if _SENSITIVE_FILE.search(unquote(parts.host + parts.path)) or _SENSITIVE_FILE.search("/" + parts.host + parts.path):
            yield Fact("sensitive_file", 0.86, "malicious")
        elif "." in parts.host or parts.ip:
            yield Fact("file_on_other_host", 0.5)
    elif parts.scheme in _RELAYS:
        yield Fact("relay_scheme", 0.8 if parts.scheme not in ("ldap", "ldaps", "tftp") else 0.3, "malicious")
    elif parts.scheme == "php":
        yield Fact("stream_wrapper", 0.8, "malicious")
    target = unquote(f"{parts.query}&{parts.path}")[:4096]
    if nested := _NESTED.search(target):
        yield _nested_fact(nested[1])


def _user_fact(parts: Parts, brands: Brands) -> Fact:
    user = unquote(parts.userinfo)
    name = user.partition(":")[0]
    if _DOMAIN_LIKE.search(name) or any(map(brands.named, re.split(r"[.:/-]", name.lower()))):
        own = below(parts.host, brands.owned) and "@" not in name
        return Fact("user_part_hides_host", 0.3 if own else 0.9, "malicious")
    if "@" in name or len(user) > 120:
        return Fact("odd_user_part", 0.45)
    return Fact("credentials_in_url", 0.15)


def _path_facts(parts: Parts) -> Iterator[Fact]:
    if _DOUBLE.search(parts.path):
        yield Fact("double_extension", 0.86, "malicious")
    elif found := _EXECUTABLE.search(parts.path):
        public = parts.ip is not None and not (parts.ip.is_private or parts.ip.is_loopback)
        rare = found[1].lower() in _RARE_EXECUTABLE
        if public:
            yield Fact("executable_from_address", 0.8, "malicious")
        elif "." in parts.path.rpartition("/")[2][1:]:
            yield Fact("executable", 0.42 if rare else 0.3 if parts.scheme == "http" else 0.15)
    host_risky = parts.ip is not None or parts.host.rpartition(".")[2] in listed("risky_tlds")
    if host_risky and LURE_PATH.search(parts.path):
        yield Fact("lure_in_path", 0.32)


def _nested_fact(url: str) -> Fact:
    scheme = url.partition(":")[0].lower()
    if scheme == "javascript":
        return Fact("nested_script", 0.7, "malicious")
    if scheme in ("file", "gopher", "dict"):
        sensitive = scheme != "file" or _SENSITIVE_FILE.search(url)
        return Fact("nested_local_access", 0.8 if sensitive else 0.4, "malicious")
    parts = parse(refang(url)) if scheme != "data" else None
    if parts is not None and parts.ip is not None:
        fact = ip_fact(parts.ip, plain=parts.plain_ip)
        return Fact(f"nested_{fact.reason}", 0.88 if fact.group == "malicious" else fact.score / 2, fact.group)
    if parts is not None and parts.host.startswith("metadata.google"):
        return Fact("nested_cloud_metadata", 0.88, "malicious")
    return Fact("nested_url", 0.12)


_CALL = re.compile(
    r"document\.|window\.location|location\s*=|\.cookie|localStorage|fetch\s*\(|eval\s*\(|XMLHttp|sendBeacon|atob\s*\(|import\s*\("
    r"|Function\s*\(|new\s+Image|\.src\s*=|String\.fromCharCode|wscript|execscript|createobject|open\s*\(\s*['\"]?(?:https?:)?//",
    re.IGNORECASE,
)
_ANY_CALL = re.compile(r"(?:alert|prompt|confirm|console\.log|msgbox|print)\s*[(`]", re.IGNORECASE)
_HARMLESS = re.compile(
    r"javascript:\s*(?:void\s*\(?\s*0?\s*\)?|;|//|#|history\.(?:back|go|forward)\([-\d]*\)|window\.(?:print|close)\(\)|self\.close\(\)|return\s+\w+)?;?$",
    re.IGNORECASE,
)
_ACTIVE = re.compile(r"<script|\bon[a-z]{3,20}\s*=|javascript:|<iframe|<object|<embed|<form|http-equiv|fetch\s*\(|document\.", re.IGNORECASE)
_DATA = re.compile(r"data:([^;,]*)((?:;[^,]*)?),", re.IGNORECASE)


def _scheme_facts(kind: str, url: str, head: str) -> Iterator[Fact]:
    """Facts of URLs that are code or content themselves."""
    if kind == "handler":
        yield Fact("handler_exploit", 0.9 if not url.startswith("search") else 0.6, "malicious")
    elif kind == "data":
        yield from _data_facts(url)
    else:
        plain = re.sub(r"[\t\r\n]", "", unquote(url))
        if _HARMLESS.match(plain):
            return
        clicked = bool(_CLICK.search(head) or _TAG.search(head)) or plain != unquote(url)
        if _CALL.search(plain):
            yield Fact("script_url", 0.9 if clicked else 0.82, "malicious")
        elif _ANY_CALL.search(plain):
            yield Fact("script_url", 0.8 if clicked else 0.6, "malicious")
        elif re.search(r"\w\s*\(", plain):
            yield Fact("script_url", 0.4 if clicked else 0.25)


def _data_facts(url: str) -> Iterator[Fact]:
    found = _DATA.match(url)
    if found is None:
        return
    media, body = found[1].lower(), url[found.end() : found.end() + 20_000]
    if not ("html" in media or "xml" in media or "svg" in media or "javascript" in media or "x-ms" in media or "hta" in media):
        return
    content = unquote(body)
    if "base64" in found[2].lower():
        run = re.sub(r"[^A-Za-z0-9+/]", "", content.translate({45: 43, 95: 47}))
        try:
            content = base64.b64decode(run + "=" * (-len(run) % 4)).decode("utf-8", "replace")
        except binascii.Error:
            content = ""
    if _ACTIVE.search(content) or "x-ms" in media or "hta" in media:
        yield Fact("active_content", 0.88, "malicious")
    elif "javascript" in media:
        yield Fact("script_content", 0.5)
    elif "html" in media:
        yield Fact("page_in_url", 0.5)
