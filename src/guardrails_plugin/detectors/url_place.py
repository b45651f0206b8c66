"""Where a URL in a text ends, and what it stands in: an image, a link, plain words, another URL.

Source: CommonMark 0.31 (links, images), WHATWG HTML (elements that load what they name).
Limits: nesting of brackets in an image's description goes one level deep; a tag that begins more than `BEFORE`
characters before its URL is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from guardrails_plugin.detectors.url_exfiltration import Embed
from guardrails_plugin.detectors.url_hosts import Fact
from guardrails_plugin.matching import Match
from guardrails_plugin.unicode_tables import BIDI, FOLDED, SMUGGLING, ZERO_WIDTH

__all__ = [
    "as_written",
    "clickable",
    "embed",
    "hidden_facts",
    "image_url",
    "in_image",
    "inside_url",
    "linked",
    "shortened",
]

BEFORE = 256
"""Characters before a URL in which its tag or markdown may begin."""

_IMAGE_URL = re.compile(r"\]\(\s*(?:<([^<>\n]*)>|([^\n]*?))(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)$")
_IMAGE_HEAD = re.compile(r"!\[(?:[^\[\]\n]|\n[^\[\]\n]|\[[^\[\]\n]*\])*\]\(\s*<?$")
_LOADING_TAG = re.compile(
    r"<\s*(?:img|image|iframe|frame|script|video|audio|source|embed|object|link|input|body|table|td|svg|use|track|bgsound)"
    r"\b[^<>]*\b(?:src|srcset|href|data|poster|background)\s*=\s*\\?[\"']?$",
    re.IGNORECASE,
)
_STYLE = re.compile(r"(?:url\(\s*|@import\s+)\\?[\"']?$", re.IGNORECASE)
_LINK = re.compile(
    r"(?:\]\(\s*<?|<\s*(?:a|area|form|button)\b[^<>]*\b(?:href|action|formaction)\s*=\s*\\?[\"']?)$", re.IGNORECASE
)
_DEFINITION = re.compile(r"(?:^|\n)[ ]{0,3}\[([^\[\]\n]{1,60})\]:[ \t]{0,4}<?$")
_REFERENCE_WITHIN = 20_000
"""Characters before and after a definition in which a picture may refer to it."""

_TARGET = re.compile(r"\]\(<?(?=[A-Za-z]{2,6}:[/\\])")
_BEGUN = re.compile(r"(?::|:\]|:\))\]?\[?\\?[/\\]")
_DELIMITER = re.compile(r"[\s<>\"'`]")
# What JSON or HTML writes for a quote or a line end; a link's own end; a full stop that is no dot of a host.
_ESCAPED = re.compile(
    r"\\(?:[nrt\"']|u0022|u0027|u003[ce])|&(?:quot|gt|lt|#39|#34);|\]\(|\)\[|[\u0085\u2028\u2029]"
    r"|[\u3002\uff0e](?![A-Za-z0-9-]+[/?#:.\u3002\uff0e]|[A-Za-z]{2,}$)"
)
# Text in a script without spaces goes on where the URL ends: after punctuation, or right behind a host.
_EAST_ASIAN = re.compile(r"[,;:!?](?=[\u2e80-\ud7ff])")
_HOST_END = re.compile(r"[A-Za-z]+:[/\\]+[!-.0-9:-~]*?\.[A-Za-z]{2,18}(?=[\u2e80-\ud7ff])")
_CLOSERS = {"(": ")", "[": "]", "{": "}", "'": "'"}
_OPENERS = {")": "(", "]": "[", "}": "{"}
_LONGEST_IMAGE = 8192


def _head(match: Match) -> str:
    return match.view.text[max(0, match.start - BEFORE) : match.start]


def image_url(image: str) -> str:
    """The URL of a markdown image, "" when it has none."""
    found = _IMAGE_URL.search(image)
    return found[1] or found[2] if found else ""


def in_image(match: Match) -> bool:
    """True for the URL of a markdown image, which is found as a whole."""
    head = _head(match)
    if not head.rstrip(" <").endswith("](") or not _IMAGE_HEAD.search(head[head.rfind("![") :]):
        return False
    text = match.view.text
    line_end = text.find("\n", match.start, match.start + _LONGEST_IMAGE)
    return text.find(")", match.start, line_end if line_end >= 0 else match.start + _LONGEST_IMAGE) >= 0


def embed(match: Match) -> Embed:
    """Whether showing the text fetches the URL, a click does, or neither."""
    if match.view.text[match.start - 1 : match.start] not in ("(", "<", "=", '"', "'", " ", "\n"):
        return "bare"
    head = _head(match)
    if found := _DEFINITION.search(head):
        return "image" if _shown(match, found[1]) else "link"
    if _LOADING_TAG.search(head) or _STYLE.search(head):
        return "image"
    return "link" if _LINK.search(head) else "bare"


def _shown(match: Match, label: str) -> bool:
    """True when a picture refers to the definition that a URL stands in: ``![chart][1]``."""
    text = match.view.text[max(0, match.start - _REFERENCE_WITHIN) : match.end + _REFERENCE_WITHIN]
    name = re.escape(label)
    picture = rf"!\[[^\[\]\n]{{0,200}}\]\[{name}\]|!\[{name}\](?:\[\]|(?![\[(]))"
    return re.search(picture, text, re.IGNORECASE) is not None


def clickable(match: Match) -> bool:
    """True in an attribute or a markdown link."""
    return embed(match) != "bare"


def inside_url(match: Match) -> bool:
    """True when a match stands inside a longer URL."""
    return _BEGUN.search(_DELIMITER.split(_head(match))[-1]) is not None


def linked(match: Match) -> Iterator[Match]:
    """The match, and the target of the markdown link whose text it is: ``https://a.example](https://b.example``."""
    yield match
    if found := _TARGET.search(match.value):
        yield replace(match, start=match.start + found.end())


def shortened(match: Match) -> Match:
    """The match without what follows the URL: closing brackets, punctuation, escaped quotes."""
    url = match.value
    if found := _ESCAPED.search(url):
        url = url[: found.start()]
    if not url.isascii():
        url = url[: _western(url)]
    before = match.view.text[match.start - 1 : match.start] if match.start else ""
    if before in _CLOSERS:
        url = url[: _closing(url, before, _CLOSERS[before])]
    size = _trimmed(url)
    return replace(match, end=match.start + size) if size != len(match.value) else match


def _western(url: str) -> int:
    """Length without East Asian text that follows the URL."""
    if found := _HOST_END.match(url):
        return found.end()
    found = _EAST_ASIAN.search(url)
    return found.start() if found else len(url)


def _closing(url: str, opener: str, closer: str) -> int:
    """Where the bracket or quote that was open before the URL closes."""
    depth = 0
    for found in re.finditer(f"[{re.escape(opener + closer)}]", url):
        if found.group() == opener != closer:
            depth += 1
        elif depth == 0:
            return found.start()
        else:
            depth -= 1
    return len(url)


def _trimmed(url: str) -> int:
    """Length without trailing punctuation and without closing brackets that were not opened in the URL."""
    surplus = {closer: url.count(closer) - url.count(opener) for closer, opener in _OPENERS.items()}
    size = len(url)
    while size:
        last = url[size - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in ".,;:!?'*_~|\\\u2026":
            break
        size -= 1
    return size


_INVISIBLE = ZERO_WIDTH | BIDI | SMUGGLING
_PLAIN = {**{ord(char): plain for char, plain in FOLDED.items()}, **dict.fromkeys(map(ord, _INVISIBLE))}


def as_written(match: Match, url: str) -> str:
    """The URL with its author's own letters, which the canonical view may have replaced; "" where they are the same."""
    if match.view.kind != "canonical" or match.text.original.isascii():
        return ""
    start = match.start + match.value.find(url)
    span = match.view.span(start, start + len(url))
    written = match.text.original[span.start : span.end]
    return "" if written.isascii() else written.translate(_PLAIN)


def hidden_facts(match: Match) -> Iterator[Fact]:
    """Invisible characters inside a URL have no honest use."""
    if match.view.kind == "canonical" and not match.text.original.isascii():
        span = match.view.span(match.start, match.end)
        if not _INVISIBLE.isdisjoint(match.text.original[span.start : span.end]):
            yield Fact("invisible_characters", 0.6)
