"""A URL in its parts, read as a browser reads it: defanging undone, hosts normalised, IP addresses in any notation.

Source: WHATWG URL standard (host and IPv4 parser, backslashes count as slashes), RFC 3986 (parts), RFC 5890 (IDNA).
Limits: no public-suffix list, `registrable` knows the common two-part suffixes and hosting platforms only; IDNA is
that of the standard library (2003), with plain punycode where it refuses a label.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote

__all__ = [
    "IP",
    "PLATFORMS",
    "Parts",
    "address",
    "inner_urls",
    "normal_host",
    "parse",
    "refang",
    "registrable",
    "unicode_host",
]

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_PLAIN = re.compile(r"https?://[A-Za-z0-9.:@_-]+(?:[/?#][^\\]*)?$")
_DOT = re.compile(r"\s?(?:\[\.\]|\(\.\)|\{\.\}|[\[({]dot[\])}]|\[\.|\.\])\s?", re.IGNORECASE)
_SCHEME = re.compile(r"h(?:xx|\*\*|tt|XX)p(s?)(?=\W)", re.IGNORECASE)
_COLON = re.compile(r"^([A-Za-z][\w+.*-]*)(?:\[:\]|\(:\)|\[:|:)\]?\[?((?:\\?/|\\){1,2})\]?")
_WIDE_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
_AUTHORITY = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):[/\\]*|^[/\\]{2,}")
_HOST_END = re.compile(r"[/?#]")
_IPV4_PART = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_INNER = re.compile(r"(?:https?|ftp):/{1,2}(?=\w)|(?<==)//(?=\w)", re.IGNORECASE)
_INNER_END = re.compile(r"[\s&\"'<>]")
_MOST_INNER = 16
_LONGEST_HOST = 253
_LONGEST_PORT = 5
_IPV4_BYTES, _BYTE, _IPV4_LIMIT = 4, 256, 1 << 32
_LONGEST_NUMBER = 16
"""Digits beyond which no number is an address."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A URL taken apart. ``host`` is normalised (lower case, punycode); ``shown`` is the host as it was written."""

    scheme: str
    userinfo: str = field(repr=False)
    host: str = field(repr=False)
    shown: str = field(repr=False)
    port: int | None
    path: str = field(repr=False)
    query: str = field(repr=False)
    fragment: str = field(repr=False)
    ip: IP | None = None
    plain_ip: bool = True
    """False when the address is not in its usual notation (hexadecimal, octal, one number ...)."""
    backslash: bool = False
    """True when a backslash stands in the authority, where parsers disagree about the host."""

    @property
    def key(self) -> str:
        """``host[:port]/path`` as feeds list it."""
        return f"{self.host}{f':{self.port}' if self.port else ''}{self.path or '/'}"


def refang(url: str) -> str:
    """The URL behind a defanged one; others stay as they are.

    >>> refang("hxxps[:]//evil[.]example(dot)com/a")
    'https://evil.example.com/a'
    """
    if _PLAIN.match(url):
        return url
    url = url.replace("\\/", "/")  # JSON's way of writing a slash
    url = _SCHEME.sub(lambda m: f"http{m[1].lower()}", url, count=1) if url[:1] in "hH" else url
    url = _COLON.sub(r"\1:\2", url, count=1)
    if "[" not in url and "(" not in url and "{" not in url:
        return url
    start = url.find("//") + 2 if "//" in url[:20] else 0
    end = next((i for i in range(start, len(url)) if url[i] in "/?#"), len(url))
    return url[:start] + _DOT.sub(".", url[start:end]) + url[end:]


def parse(url: str) -> Parts | None:
    """The parts of a refanged URL; None when it names no host (``file:`` needs none)."""
    head = _AUTHORITY.match(url)
    scheme = (head[1] or "https").lower() if head else ""
    rest = url[head.end() :] if head else url
    if scheme == "file":  # "file:///path" names no host
        slashes = url[5 : len(url) - len(rest)]
        rest = rest if slashes in ("//", "\\\\") else "/" + rest
    cut = _HOST_END.search(rest)
    authority, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    backslash = "\\" in authority
    if backslash:
        authority, _, more = authority.partition("\\")
        tail = "/" + more + tail
    userinfo, _, place = authority.rpartition("@")
    shown, port = _split_port(place)
    host = normal_host(_unquoted(shown))
    if not host and scheme != "file":
        return None
    ip, plain = address(host)
    path, query, fragment = _split_tail(tail)
    default = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}.get(scheme)
    return Parts(
        scheme, userinfo, host, shown, port if port != default else None, path, query, fragment, ip, plain, backslash
    )


def inner_urls(parts: Parts) -> Iterator[Parts]:
    """The URLs in the path, query and fragment of one, as redirects, archives and translators hold them.

    They may be percent-encoded once.
    """
    tail = f"{parts.path}?{parts.query}?{parts.fragment}"
    if "//" not in tail and "%2" not in tail and ":/" not in tail:
        return
    tail = unquote(tail)
    for match in islice(_INNER.finditer(tail), _MOST_INNER):
        if inner := parse("https://" + _INNER_END.split(tail[match.end() :], maxsplit=1)[0]):
            yield inner


def _split_tail(tail: str) -> tuple[str, str, str]:
    tail, _, fragment = tail.partition("#")
    path, _, query = tail.partition("?")
    return path, query, fragment


def _split_port(place: str) -> tuple[str, int | None]:
    if place.startswith("["):
        host, _, rest = place.partition("]")
        return f"{host}]", _port(rest.removeprefix(":"))
    host, colon, digits = place.rpartition(":")
    if colon and (digits.isdigit() or not digits):
        return host, _port(digits)
    return place, None


def _port(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_PORT else None


def _unquoted(host: str) -> str:
    if "%" not in host:
        return host
    return re.sub(r"%([0-7][0-9A-Fa-f])", lambda m: chr(int(m[1], 16)), host)


def normal_host(host: str) -> str:
    """Lower case, no trailing dot, non-ASCII labels in punycode.

    >>> normal_host("Bücher.Example.")
    'xn--bcher-kva.example'
    """
    host = host.strip().translate(_WIDE_DOTS).rstrip(".").lower()
    if host.isascii():
        return host[-_LONGEST_HOST:]
    return _punycode(host[-_LONGEST_HOST:])


@lru_cache(4096)
def _punycode(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ".".join(_label(label) for label in host.split("."))


def _label(label: str) -> str:
    if label.isascii():
        return label
    return "xn--" + label.encode("utf-8", "replace").decode("utf-8").encode("punycode").decode("ascii")


def unicode_host(host: str) -> str:
    """A host with its punycode labels decoded; a label that cannot be decoded stays as it is."""
    if "xn--" not in host:
        return host
    return ".".join(_decoded(label) for label in host.split("."))


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode").lower()
    except (UnicodeError, ValueError, OverflowError):
        return label


def address(host: str) -> tuple[IP | None, bool]:
    """The IP address a host stands for, and whether it is in its usual notation.

    >>> address("0x7f.1")
    (IPv4Address('127.0.0.1'), False)
    """
    if host.startswith("[") or ":" in host:
        return _version6(host.strip("[]"))
    numbers = host.split(".")
    if len(numbers) > _IPV4_BYTES or not all(_IPV4_PART.fullmatch(part) for part in numbers):
        return None, True
    values = [_number(part) for part in numbers]
    last_limit = _BYTE ** (_IPV4_BYTES + 1 - len(values))
    if any(value is None for value in values):
        return None, True
    known = [value for value in values if value is not None]
    if any(value >= _BYTE for value in known[:-1]) or known[-1] >= last_limit:
        return None, True
    total = known[-1] + sum(value << (8 * (3 - index)) for index, value in enumerate(known[:-1]))
    plain = len(known) == _IPV4_BYTES and all(str(value) == part for value, part in zip(known, numbers, strict=True))
    return ipaddress.IPv4Address(total), plain


def _number(part: str) -> int | None:
    if len(part) > _LONGEST_NUMBER:
        return None
    try:
        if part[:2] in ("0x", "0X"):
            return int(part[2:] or "0", 16)
        return int(part, 8) if part[0] == "0" and len(part) > 1 else int(part)
    except ValueError:
        return None


def _version6(host: str) -> tuple[IP | None, bool]:
    try:
        ip = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return None, True
    inner = ip.ipv4_mapped or ip.sixtofour or _nat64(ip)
    return (inner, False) if inner else (ip, True)


_NAT64 = 0x0064FF9B << 64


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    high, low = int(ip) >> 32, int(ip) % _IPV4_LIMIT
    translated = high == _NAT64 or (high == 0 and low >> 16)
    return ipaddress.IPv4Address(low) if translated else None


_COUNTRY = re.compile(r"[a-z]{2}")
_SECOND_LEVEL = frozenset(
    "ac co com edu gob gouv gov govt go ltd me mil ne net nhs nic nom or org plc police sch web".split()
)
PLATFORMS = frozenset(
    """github.io gitlab.io vercel.app netlify.app pages.dev workers.dev web.app firebaseapp.com herokuapp.com
    azurewebsites.net azureedge.net azurestaticapps.net blob.core.windows.net web.core.windows.net cloudfront.net
    amazonaws.com s3.amazonaws.com blogspot.com wordpress.com weebly.com wixsite.com glitch.me repl.co replit.app
    replit.dev onrender.com fly.dev railway.app surge.sh ngrok.io ngrok.app ngrok-free.app trycloudflare.com loca.lt
    r2.dev 000webhostapp.com webflow.io myshopify.com translate.goog appspot.com run.app codesandbox.io stackblitz.io
    github.dev duckdns.org ddns.net hopto.org no-ip.org sytes.net zapto.org readthedocs.io readthedocs.org square.site
    godaddysites.com framer.app framer.website carrd.co gitbook.io notion.site hf.space streamlit.app deno.dev
    vercel.dev lovable.app my.canva.site""".split()
)
"""Suffixes under which anybody gets a host."""


def registrable(host: str) -> tuple[str, str, str]:
    """Subdomain, registered label and suffix of a host.

    >>> registrable("login.example.co.uk")
    ('login', 'example', 'co.uk')
    """
    labels = host.split(".")
    size = 1
    if len(labels) > size + 1 and _COUNTRY.fullmatch(labels[-1]) and labels[-2] in _SECOND_LEVEL:
        size += 1
    for count in (4, 3, 2):
        if len(labels) > count and ".".join(labels[-count:]) in PLATFORMS:
            size = count
            break
    if len(labels) <= size:
        return "", host, ""
    return ".".join(labels[: -size - 1]), labels[-size - 1], ".".join(labels[-size:])
