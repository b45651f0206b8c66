"""What a rule leaves alone: single values, e-mail and web domains, values with wildcards.

A value has to be covered whole, so nothing that merely contains a listed one gets past. A domain covers e-mail
addresses at it and web addresses whose host it is; neither an address with a user name in it, nor one that holds a
second address (a redirect), is covered. Time is linear in the value.

>>> own = AllowList(["help@example.org", "@example.com", "*.example.com", "HD-*"])
>>> [own.covers(value) for value in ("ann@example.com", "https://shop.example.com/a", "HD-123")]
[True, True, True]
>>> [own.covers(value) for value in ("ann@example.com.evil.org", "https://evil.org/@example.com", "HD-1 2")]
[False, False, False]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import re2

__all__ = ["NOTHING", "AllowList"]

_DOMAIN = re.compile(r"[^\W_](?:[\w-]*)(?:\.[\w-]+)+")
_LABELS = re.compile(r"[^\W_][\w-]*(?:\.[\w-]+)*")
_MAIL = re.compile(r"[^\s@/\\?#:<>\"',;()\[\]]+@(?P<host>[^\s@/\\?#:]+)")
_WEB = re.compile(r"(?:(?:https?|ftps?|wss?)://)?(?P<host>[^\s/\\?#@:]+)(?::[0-9]{1,5})?(?:[/?#]\S*)?", re.IGNORECASE)
_SECOND = re.compile(r"//|\\|:/|%2f|%5c", re.IGNORECASE)
"""What a web address inside another one shows, percent-encoded or not."""

_LONGEST_HOST = 253

# Never white space, nor invisible characters, nor what divides an address into its parts.
_INNER = r"[^\s\pZ\pC@:/\\?#.]*"
_LOCAL_PART = r"[^\s\pZ\pC@:/\\?#]*"
_REST = r"[^\s\pZ\pC]*"
_SUBDOMAINS = r"(?:[^\s\pZ\pC@:/\\?#.]+\.)+"


class AllowList:
    r"""Entries, read once.

    Args:
        entries: ``help@example.com`` (that value, in any case); ``@example.com`` (that domain); ``*.example.com``
            (everything below it); ``*@example.com`` (e-mail addresses only); anything with ``*``, which stands for any
            characters but white space, dots and ``@ : / \ ? #``, before an ``@`` for dots too, and at the end behind
            a ``/`` for everything but white space.

    Raises:
        ValueError: a wildcard that would cover more than anybody wants.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._values: set[str] = set()
        self._domains: set[str] = set()
        self._above: set[str] = set()
        """Domains of which everything below is covered."""
        patterns = [pattern for entry in sorted(entries) if (pattern := self._add(entry.strip()))]
        self._patterns = _compiled(patterns) if patterns else None
        self.has_patterns = bool(self._domains or self._above or patterns)
        """Whether more than single values is covered."""

    def _add(self, entry: str) -> str | None:
        """Files an entry; the regular expression of one that only a pattern can say."""
        domain = entry.lower()
        self._values.add(entry.casefold())
        if domain.startswith("@") and _DOMAIN.fullmatch(domain[1:]):
            self._domains.add(domain[1:])
        elif domain.startswith("*.") and _LABELS.fullmatch(domain[2:]):
            self._above.add(domain[2:])
        elif "*" in entry:
            return _pattern(entry)
        return None

    def __bool__(self) -> bool:
        return bool(self._values)

    def covers(self, value: str) -> bool:
        """Whether a found value is listed, or covered by a domain or a wildcard."""
        return value.strip().casefold() in self._values or self.covers_by_pattern(value)

    def covers_by_pattern(self, value: str) -> bool:
        """Whether a domain or a wildcard covers it; it may then hold something else that is to be found."""
        value = value.strip()
        if not self.has_patterns or _SECOND.search(value, value.find("://") + 3 if "://" in value[:8] else 0):
            return False
        return self._at_domain(value) or bool(self._patterns and self._patterns.fullmatch(value))

    def _at_domain(self, value: str) -> bool:
        parts = _MAIL.fullmatch(value) or _WEB.fullmatch(value)
        host = parts["host"].lower() if parts else ""
        if not host or len(host) > _LONGEST_HOST:
            return False
        labels = host.split(".")
        return host in self._domains or any(".".join(labels[at:]) in self._above for at in range(1, len(labels)))


def _pattern(entry: str) -> str:
    """The regular expression of an entry with wildcards."""
    if not any(char.isalnum() for char in entry):
        raise ValueError(f"the entry {entry!r} would allow everything; to switch a rule off, disable it")
    head, at, tail = entry.rpartition("@") if "/" not in entry else ("", "", entry)
    scheme, colon, tail = tail.partition("://") if "://" in tail else ("", "", tail)
    host, slash, path = tail.partition("/")
    if (at or colon) and "*" in host.removeprefix("*."):
        raise ValueError(f"the entry {entry!r}: in a host, * is possible at its beginning only, as in *.example.com")
    below = (at or colon) and host.startswith("*.")
    name = _SUBDOMAINS + re2.escape(host[2:]) if below else _starred(host, _INNER)
    whole = path.endswith("*")
    rest = _starred(path.removesuffix("*"), _INNER) + (_REST if whole else "")
    before = _starred(head, _LOCAL_PART) + at + _starred(scheme, _INNER) + colon
    return before + name + slash + rest


def _starred(text: str, star: str) -> str:
    return star.join(re2.escape(part) for part in text.split("*"))


def _compiled(patterns: Iterable[str]) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = 1 << 26
    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), options)


NOTHING = AllowList(())
"""Covers no value."""
