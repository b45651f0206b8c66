"""What a URL's scheme, user part, path and inner URLs tell; and URLs that are code or pages themselves.

Source: OWASP Server-Side Request Forgery and Cross-Site Scripting cheat sheets; RFC 2397 (data); CVE-2021-44228 (jndi),
CVE-2022-30190 (ms-msdt); WHATWG URL (user part, backslashes).
Limits: script is recognised by the calls it makes, not parsed.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

from guardrails_plugin.detectors.url_hosts import LURE_HOST, LURE_PATH, Brands, Fact, below, host_facts, ip_fact, listed
from guardrails_plugin.detectors.url_parts import Parts, address, parse, refang, registrable

__all__ = ["part_facts", "self_contained_facts"]

_EXECUTABLE = re.compile(
    r"\.(exe|scr|msi|bat|cmd|com|pif|hta|vbs|vbe|jse|wsf|ps1|lnk|dll|jar|apk|iso|img|cpl|reg|xll)$", re.IGNORECASE
)
_RARE = frozenset("scr pif hta vbs vbe jse wsf lnk cpl xll".split())
_DOUBLE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|jpe?g|png|txt|zip|html?)\.(?:exe|scr|msi|bat|cmd|com|pif|hta|vbs|js|lnk|iso|jar)$",
    re.IGNORECASE,
)
_DOMAIN_LIKE = re.compile(
    r"(?:^|[/:.@])(?:www\.|[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|gov|edu|io|co|bank|app|dev|info|biz|uk|de|fr|ru|cn|us|eu))"
    r"(?:$|[/:%])",
    re.IGNORECASE,
)
_NESTED = re.compile(r"(?:^|[=&/])((?:https?|ftp|file|gopher|dict|javascript):[^&]*)", re.IGNORECASE)
_SENSITIVE_FILE = re.compile(
    r"/etc/(?:passwd|shadow|sudoers)|/\.(?:ssh|aws|kube|docker|netrc|env)\b|/proc/(?:self|\d+)/|id_rsa|win\.ini"
    r"|/windows/system32|/var/run/secrets|boot\.ini|\.git/config|/root/",
    re.IGNORECASE,
)
_RELAYS = {"gopher": 0.8, "dict": 0.8, "netdoc": 0.8, "phar": 0.8, "expect": 0.85, "php": 0.8, "jar": 0.6}
_DIRECTORIES = {"ldap": 0.3, "ldaps": 0.3, "tftp": 0.3, "smb": 0.4}
_LONGEST = 4096
_LONG_USER = 120
_REDIRECT = re.compile(
    r"next|url|u|q|r|to|go(?:to)?|dest(?:ination)?|continue|redir(?:ect)?(?:_?(?:to|url))?|return_?(?:to|url|path)?|target"
    r"|link|out|forward",
    re.IGNORECASE,
)
_SIGN_ON = re.compile(r"(?:^|&)(?:client_id|response_type|SAMLRequest|wtrealm)=")
"""Protocols in which one host signs in for another."""

_ABSOLUTE = re.compile(r"(?:https?:)?//\w", re.IGNORECASE)
_MOST_ITEMS = 64
_BAD_TARGET, _DOUBTFUL_TARGET = 0.6, 0.3


def part_facts(parts: Parts, brands: Brands) -> Iterator[Fact]:
    """Everything a URL says apart from its host and its load."""
    if parts.backslash:
        yield Fact("backslash_in_authority", 0.75 if "@" in parts.path else 0.3)
    if parts.userinfo:
        yield _user_fact(parts, brands)
    if parts.scheme == "file":
        yield from _file_facts(parts)
    elif parts.scheme in _RELAYS:
        yield Fact("relay_scheme", _RELAYS[parts.scheme], "malicious")
    elif parts.scheme in _DIRECTORIES:
        yield Fact("directory_scheme", _DIRECTORIES[parts.scheme])
    yield from _path_facts(parts)
    if nested := _NESTED.search(unquote(f"{parts.query}&{parts.path}"[:_LONGEST])):
        yield _nested_fact(nested[1])
    if target := _redirected(parts):
        yield from _redirect_facts(parts, target, brands)


def _user_fact(parts: Parts, brands: Brands) -> Fact:
    user = unquote(parts.userinfo[:_LONGEST])
    name = user.partition(":")[0]
    if _DOMAIN_LIKE.search(name) or _is_address(name) or any(map(brands.named, re.split(r"[.:/-]", name.lower()))):
        own = below(parts.host, brands.owned) and "@" not in name
        return Fact("user_part_hides_host", 0.3 if own else 0.9, "malicious")
    if "@" in name or len(user) > _LONG_USER:
        return Fact("odd_user_part", 0.45)
    return Fact("credentials_in_url", 0.15)


def _is_address(name: str) -> bool:
    return "." in name and address(name)[0] is not None


def _file_facts(parts: Parts) -> Iterator[Fact]:
    if _SENSITIVE_FILE.search(unquote(f"/{parts.host}{parts.path}"[:_LONGEST])):
        yield Fact("sensitive_file", 0.86, "malicious")
    elif parts.ip or ("." in parts.host and len(parts.path) > 1):
        yield Fact("file_on_other_host", 0.5)
    else:
        yield Fact("local_file", 0.2)


def _path_facts(parts: Parts) -> Iterator[Fact]:
    if _DOUBLE.search(parts.path):
        yield Fact("double_extension", 0.86, "malicious")
    elif found := _EXECUTABLE.search(parts.path):
        if parts.ip is not None and not (parts.ip.is_private or parts.ip.is_loopback):
            yield Fact("executable_from_address", 0.8, "malicious")
        else:
            yield Fact("executable", 0.42 if found[1].lower() in _RARE else 0.3 if parts.scheme == "http" else 0.15)
    # A device at home has a page to sign in, too.
    far = parts.ip is not None and ip_fact(parts.ip).reason not in ("private_address", "loopback")
    risky = far or parts.host.rpartition(".")[2] in listed("risky_tlds")
    if risky and LURE_PATH.search(parts.path):
        yield Fact("lure_in_path", 0.32)


def _redirected(parts: Parts) -> Parts | None:
    """Where a parameter sends the reader on to, when it is the host of somebody else."""
    if _SIGN_ON.search(parts.query):
        return None
    for item in parts.query.split("&")[:_MOST_ITEMS]:
        name, _, value = item.partition("=")
        if not _REDIRECT.fullmatch(name):
            continue
        value = unquote_plus(value[:_LONGEST])
        target = parse(value) if _ABSOLUTE.match(value) else None
        if target and target.ip is None and registrable(target.host)[1:] != registrable(parts.host)[1:]:
            return target
    return None


def _redirect_facts(parts: Parts, target: Parts, brands: Brands) -> Iterator[Fact]:
    """What a redirect says: a good name in front of a bad one, a sign-in page that leads to another."""
    worst = max((fact.score for fact in host_facts(target, brands)), default=0.0)
    signs_in = LURE_HOST.search(parts.host) or LURE_PATH.search(parts.path)
    lures = LURE_HOST.search(target.host) or LURE_PATH.search(target.path)
    if worst >= _BAD_TARGET or (worst >= _DOUBTFUL_TARGET and below(parts.host, brands.owned)):
        yield Fact("redirect_to_bad_host", max(0.5, worst))
    elif signs_in and lures and not below(target.host, brands.owned):
        yield Fact("sign_in_redirects_elsewhere", 0.5)


def _nested_fact(url: str) -> Fact:
    scheme = url.partition(":")[0].lower()
    if scheme == "javascript":
        return Fact("nested_script", 0.7, "malicious")
    if scheme in ("file", "gopher", "dict"):
        harmless = scheme == "file" and not _SENSITIVE_FILE.search(url)
        return Fact("nested_local_access", 0.2 if harmless else 0.8, "malicious")
    parts = parse(refang(url))
    if parts is not None and parts.ip is not None:
        fact = ip_fact(parts.ip, plain=parts.plain_ip)
        return Fact(f"nested_{fact.reason}", 0.88 if fact.group == "malicious" else fact.score / 2, fact.group)
    if parts is not None and parts.host.startswith("metadata.google"):
        return Fact("nested_cloud_metadata", 0.88, "malicious")
    return Fact("nested_url", 0.12)


# --- URLs that are code or content ---

_CALL = re.compile(
    r"document\.|window\.location|location\s*=|\.cookie|localStorage|fetch\s*\(|eval\s*\(|XMLHttp|sendBeacon|atob\s*\("
    r"|import\s*\(|Function\s*\(|new\s+Image|\.src\s*=|String\.fromCharCode|wscript|execscript|createobject"
    r"|open\s*\(\s*['\"]?(?:https?:)?//",
    re.IGNORECASE,
)
_HARMLESS_CALL = re.compile(r"(?:alert|prompt|confirm|console\.log|msgbox|print)\s*[(`]", re.IGNORECASE)
_NOTHING = re.compile(
    r"javascript:\s*(?:void\s*\(?\s*0?\s*\)?|;|//|#|history\.(?:back|go|forward)\([-\d]*\)|window\.(?:print|close)\(\)"
    r"|self\.close\(\)|return\s+\w+)?;?$",
    re.IGNORECASE,
)
_ACTIVE = re.compile(
    r"<script|\bon[a-z]{3,20}\s*=|javascript:|<iframe|<object|<embed|<form|http-equiv|fetch\s*\(|document\.",
    re.IGNORECASE,
)
_DATA = re.compile(r"data:([^;,]*)((?:;[^,]*)?),", re.IGNORECASE)
_PAGES = ("html", "xml", "svg", "javascript", "x-ms", "hta")
_MOST_DATA = 20_000


def self_contained_facts(kind: str, url: str, *, clickable: bool) -> Iterator[Fact]:
    """Facts of ``javascript:``, ``data:`` and other URLs that need no host.

    Args:
        kind: ``script``, ``data`` or ``handler``.
        url: as it stands in the text.
        clickable: whether it stands in a link or an attribute.
    """
    if kind == "handler":
        yield Fact("handler_exploit", 0.6 if url.startswith("search") else 0.9, "malicious")
    elif kind == "data":
        yield from _data_facts(url)
    else:
        yield from _script_facts(unquote(url[:_LONGEST]), clickable=clickable)


def _script_facts(url: str, *, clickable: bool) -> Iterator[Fact]:
    plain = re.sub(r"[\t\r\n]", "", url)
    meant = clickable or plain != url
    if _NOTHING.match(plain):
        return
    if _CALL.search(plain):
        yield Fact("script_url", 0.9 if meant else 0.82, "malicious")
    elif _HARMLESS_CALL.search(plain):
        yield Fact("script_url", 0.8 if meant else 0.6, "malicious")
    elif re.search(r"\w\s?\(", plain):
        yield Fact("script_url", 0.4 if meant else 0.25)


def _data_facts(url: str) -> Iterator[Fact]:
    found = _DATA.match(url)
    media = found[1].lower() if found else ""
    if found is None or not any(page in media for page in _PAGES):
        return
    content = unquote(url[found.end() : found.end() + _MOST_DATA])
    if "base64" in found[2].lower():
        content = _from_base64(content)
    if _ACTIVE.search(content) or "x-ms" in media or "hta" in media:
        yield Fact("active_content", 0.88, "malicious")
    elif "javascript" in media or "html" in media:
        yield Fact("page_in_url", 0.5)


def _from_base64(content: str) -> str:
    run = re.sub(r"[^A-Za-z0-9+/]", "", content.replace("-", "+").replace("_", "/"))
    try:
        return base64.b64decode(run[: len(run) // 4 * 4]).decode("utf-8", "replace")
    except binascii.Error:
        return ""
