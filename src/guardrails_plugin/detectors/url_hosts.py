"""What a URL's host tells without a network: addresses, look-alikes of brands, platforms of attackers.

Source: RFC 1918, 4193, 6890 (special addresses); cloud vendors' metadata addresses; Unicode Technical Standard 39
(mixed scripts, skeletons); lists in ``data/malicious_url.toml``.
Limits: only the brands of that list (and the user's own) are protected; nothing is known about a host's age or owner.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import pairwise
from typing import Literal, NamedTuple

from guardrails_plugin.detectors.url_parts import IP, PLATFORMS, Parts, registrable, unicode_host
from guardrails_plugin.detectors.url_private import speaking_host
from guardrails_plugin.unicode_tables import CONFUSABLES, FOLDED

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["LURE_HOST", "LURE_PATH", "Brands", "Fact", "below", "host_facts", "ip_fact", "listed", "owner"]

Group = Literal["malicious", "exfiltration", "suspicious"]


class Fact(NamedTuple):
    """Something known about a URL, and how probable it alone makes an attack."""

    reason: str
    score: float
    group: Group = "suspicious"


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    text = (files("guardrails_plugin.detectors") / "data" / "malicious_url.toml").read_text("utf-8")
    return {key: value for key, value in tomllib.loads(text).items() if key != "pattern"}


@cache
def listed(name: str) -> frozenset[str]:
    """One of the lists of ``data/malicious_url.toml``."""
    return frozenset(_table()["lists"][name].split())


@cache
def _owners() -> Mapping[str, str]:
    return {domain: brand for brand, domains in _table()["brands"].items() for domain in domains.split()}


def owner(host: str) -> str:
    """The known brand that a host belongs to, ""."""
    while host:
        if host in _owners():
            return _owners()[host]
        host = host.partition(".")[2]
    return ""


@cache
def _channels() -> tuple[str, ...]:
    return tuple(listed("channels"))


def below(host: str, domains: frozenset[str]) -> bool:
    """True when a host or a domain above it is one of the domains."""
    while host and domains:
        if host in domains:
            return True
        host = host.partition(".")[2]
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Brands:
    """Names that phishing imitates, and the domains that are really theirs."""

    skeletons: Mapping[str, str]
    owned: frozenset[str]

    @staticmethod
    @lru_cache(64)
    def known(extra: tuple[str, ...] = ()) -> Brands:
        """The built-in brands and further ones, given as ``"name"`` or as their domain ``"name.tld"``."""
        table = _table()["brands"]
        names = {**{name: name for name in table}, **{registrable(brand.lower())[1]: brand for brand in extra}}
        owned = {domain for domains in table.values() for domain in domains.split()}
        owned |= {brand.lower() for brand in extra if "." in brand}
        return Brands({_skeleton(name): name for name in names}, frozenset(owned))

    def imitated(self, label: str) -> str:
        """The brand that a label is drawn like without being it, or ""."""
        brand = self.skeletons.get(_skeleton(label), "")
        return brand if brand != label and len(brand) > _SHORT_BRAND else ""

    def named(self, label: str) -> bool:
        """True when a label is a brand's very name."""
        return self.skeletons.get(_skeleton(label)) == label


_DRAWN_ALIKE = str.maketrans("0134578i!|", "oleastblll")


@lru_cache(8192)
def _skeleton(label: str) -> str:
    """A label by what it looks like: accents off, look-alike letters and digits as one."""
    if not label.isascii():
        label = "".join(CONFUSABLES.get(char, FOLDED.get(char, char)) for char in unicodedata.normalize("NFD", label))
        label = "".join(char for char in label if not unicodedata.combining(char)).lower()
    return label.replace("rn", "m").replace("vv", "w").translate(_DRAWN_ALIKE)


# --- addresses ---

_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.253", "100.100.100.200",
                     "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"))
)  # fmt: skip
_METADATA_NAMES = frozenset(
    "metadata.google.internal metadata.goog metadata.azure.internal instance-data instance-data.ec2.internal "
    "metadata.tencentyun.com metadata.packet.net rancher-metadata".split()
)
_DOCUMENTATION = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))
_RESOLVERS = frozenset(map(ip_address, ("1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9")))
_USUAL_PORTS = frozenset({None, 80, 443, 8000, 8080, 8443, 3000, 5000})
_EMBEDDED_IP = re.compile(r"(?:^|[.-])(\d{1,3}[.-]\d{1,3}[.-]\d{1,3}[.-]\d{1,3})(?=[.-])")


def ip_fact(ip: IP, *, plain: bool = True, port: int | None = None) -> Fact:
    """What an address says as the host of a URL."""
    if ip in _METADATA:
        return Fact("cloud_metadata", 0.92 if plain else 0.97, "malicious")
    if not plain:
        if isinstance(ip, IPv4Address) and 0 < int(ip) < 1 << 24:
            return Fact("placeholder_address", 0.2)  # "http://1/" and other small numbers
        return Fact("obfuscated_address", 0.9, "malicious")
    odd = port not in _USUAL_PORTS
    if ip.is_loopback or ip.is_unspecified:
        return Fact("loopback", 0.2)
    if any(ip in network for network in _DOCUMENTATION if network.version == ip.version) or ip in _RESOLVERS:
        return Fact("documentation_address", 0.3 if odd else 0.2)
    if ip.is_link_local:
        return Fact("link_local_address", 0.6)
    if ip.is_private:
        return Fact("private_address", 0.35)
    return Fact("address_as_host", 0.5) if not odd else Fact("address_and_unusual_port", 0.7)


def _local_facts(host: str) -> Iterator[Fact]:
    if host in _METADATA_NAMES:
        yield Fact("cloud_metadata", 0.92, "malicious")
    elif host == "localhost" or host.endswith(".localhost"):
        yield Fact("loopback", 0.2)
    elif (host and "." not in host) or host.endswith(
        (".local", ".internal", ".lan", ".corp", ".intranet", ".home.arpa")
    ):
        yield Fact("internal_name", 0.25)
    if below(host, listed("rebinding")) and (found := _EMBEDDED_IP.search(host)):
        yield from _wrapped(found[1])


def _wrapped(written: str) -> Iterator[Fact]:
    try:
        ip = ip_address(written.replace("-", "."))
    except ValueError:
        return
    if ip in _METADATA:
        yield Fact("name_for_metadata_address", 0.95, "malicious")
    else:
        yield Fact("name_for_address", 0.4 if ip.is_loopback or not ip.is_private else 0.6)


# --- names ---

_LONGEST_LABEL = 63
_LONG_BRAND = 6
"""Letters from which a name with one letter wrong is more likely a misspelt brand than another word."""

_SHORT_BRAND = 3
"""Letters of brands that too many other names are drawn like."""

_SUBDOMAINS = ((9, Fact("very_many_subdomains", 0.4)), (6, Fact("many_subdomains", 0.22)))
"""What at least so many labels say."""

_ASCII_NAME = re.compile(r"[a-z0-9._-]+")
_RANDOM_LABEL = re.compile(r"[0-9a-f]{32,63}|[a-z2-7]{45,63}")
_SUFFIX_LABELS = frozenset("com net org co gov edu io de uk fr es it".split())
_TELLING = re.compile(
    r"(?:^|[.-])(?:evil|attacker|attack|malicious|malware|exfil\w*|hacker\w*|phish\w*|steal\w*|stealer|c2|badguy|rogue)"
    r"(?=[.-]|$|site|server|host|domain|corp)"
)


LURE_PATH = re.compile(
    r"(?:^|[/._-])(?:log-?[io]n|sign-?in|verify|verification|webscr|update-?(?:account|billing)|unlock|kyc|anmeld(?:en|ung)"
    r"|konto|rechnung|zahlung|bestaetig(?:en|ung)|cuenta|pago|pagar|factura|verificar|connexion|compte|paiement|facture"
    r"|conta|pagamento|acesso|accesso|verifica|logowanie|platnosc|prihlaseni|platba|oplata|vhod|inloggen|betalen)"
    r"(?=[/._-]|$)",
    re.IGNORECASE,
)
"""Words of pages for signing in, verifying and paying, in several languages."""

LURE_HOST = re.compile(r"(?:^|[.-])(?:log-?in|log-?on|sign-?in|accounts?|auth|sso|secure|verify)(?=[.-])")
"""Names of hosts at which people sign in."""


def host_facts(parts: Parts, brands: Brands) -> Iterator[Fact]:
    """Everything the host says."""
    if parts.ip is not None:
        yield ip_fact(parts.ip, plain=parts.plain_ip, port=parts.port)
        return
    yield from _name_facts(parts.host, brands, lured=LURE_PATH.search(parts.path) is not None)
    odd = parts.scheme == "http" and parts.port not in _USUAL_PORTS and "." in parts.host
    odd = odd and not any(_local_facts(parts.host))
    if odd and (LURE_HOST.search(parts.host) or LURE_PATH.search(parts.path)):
        yield Fact("sign_in_on_unusual_port", 0.35)
        if not below(parts.host, brands.owned) and any(map(brands.named, re.split(r"[/._-]", parts.path.lower()))):
            yield Fact("brand_in_path", 0.3)
    if "%" in parts.shown and "." in parts.host:
        yield Fact("encoded_host", 0.7, "malicious")
    if f"{parts.host}{parts.path}".startswith(_channels()):
        yield Fact("message_channel", 0.4, "exfiltration")


@lru_cache(4096)  # a text names the same few hosts again and again
def _name_facts(host: str, brands: Brands, *, lured: bool) -> tuple[Fact, ...]:
    shown = unicode_host(host)
    if shown.isascii() and not _ASCII_NAME.fullmatch(shown):
        return ()  # a placeholder: {host}, $HOST, ...
    if not shown.isascii() and not all(unicodedata.category(char)[0] in "LMN" or char in "-._" for char in shown):
        return ()  # no host name, but text in a broken encoding
    facts = list(_local_facts(host))
    if "." in host:
        facts += _script_facts(shown, brands) if not shown.isascii() else ()
        facts += _brand_facts(shown, brands, lured=lured) if not below(host, brands.owned) else ()
        facts += _shape_facts(host)
        facts += _platform_facts(host)
    return tuple(facts)


def _script_facts(shown: str, brands: Brands) -> Iterator[Fact]:
    for label in shown.split("."):
        if label.isascii():
            continue
        scripts = {_script(char) for char in label if char.isalpha()}
        if any(brands.imitated(part) for part in label.split("-")):
            yield Fact("homograph_of_brand", 0.95, "malicious")
        elif "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}:
            yield Fact("mixed_scripts", 0.9, "malicious")
        elif all(char in CONFUSABLES or not char.isalpha() for char in label) and shown.rpartition(".")[2].isascii():
            yield Fact("drawn_like_latin", 0.6)


@lru_cache(2048)
def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


def _brand_facts(shown: str, brands: Brands, *, lured: bool) -> Iterator[Fact]:
    sub, label, suffix = registrable(shown)
    if not suffix:
        return
    risky = suffix in listed("risky_tlds") or suffix in PLATFORMS
    tokens = label.split("-")
    lures = listed("lures")
    named = any(token in lures for token in (*tokens, *re.split(r"[.-]", sub)))
    lured = lured or named
    if any(brands.imitated(token) for token in (*tokens, label) if token.isascii()):
        yield Fact("lookalike_of_brand", 0.88, "malicious")
    elif len(tokens) > 1 and any(map(brands.named, tokens)):
        yield Fact("brand_with_lure", 0.82, "malicious") if named else Fact("brand_in_name", 0.3)
    elif _joined(label, brands):
        yield Fact("brand_with_lure", 0.75, "malicious")
    elif brands.named(label):
        if suffix in listed("risky_tlds"):
            yield Fact("brand_under_risky_suffix", 0.6)
    elif _near(label, brands):
        yield Fact("misspelt_brand", 0.6 if risky or lured else 0.52 if _slip(label, brands) else 0.42)
    elif named and any(_near(token, brands) for token in tokens if token not in lures):
        yield Fact("misspelt_brand_with_lure", 0.65)
    if sub:
        yield from _subdomain_facts([*sub.split("."), label], brands, risky=risky, lured=lured)


def _subdomain_facts(labels: list[str], brands: Brands, *, risky: bool, lured: bool) -> Iterator[Fact]:
    """Facts of all labels but the last, the registered one."""
    for label, follows in pairwise(labels):
        if brands.named(label) and follows.partition("-")[0] in _SUFFIX_LABELS:
            # Libraries reach publishers through hosts such as "scholar.google.com.proxy.university.edu".
            relayed = not (risky or lured) and any("proxy" in other for other in labels)
            yield Fact("brand_domain_as_subdomain", 0.3 if relayed else 0.88, "malicious")
        elif any(brands.imitated(token) for token in label.split("-") if token.isascii()):
            yield Fact("lookalike_of_brand", 0.6)
        elif any(map(brands.named, label.split("-"))):
            if risky and lured:
                yield Fact("brand_and_lure_in_subdomain", 0.72, "malicious")
            else:
                yield Fact("brand_in_subdomain", 0.42 if lured else 0.2)


def _joined(label: str, brands: Brands) -> bool:
    """True for a brand and a lure written together: ``paypallogin``, ``securepaypal``."""
    lures = listed("lures")
    return any(
        (brands.named(label[:cut]) and label[cut:] in lures) or (brands.named(label[cut:]) and label[:cut] in lures)
        for cut in range(4, min(len(label), _LONGEST_LABEL) - 3)
    )


@lru_cache(8192)
def _near(label: str, brands: Brands) -> bool:
    """True when one edit makes a label a brand's name."""
    return len(label) >= _LONG_BRAND and any(
        len(brand) >= _LONG_BRAND and brand[0] == label[0] and _one_edit(label, brand)
        for brand in brands.skeletons.values()
        if abs(len(brand) - len(label)) <= 1
    )


@lru_cache(8192)
def _slip(label: str, brands: Brands) -> bool:
    """True for a brand with a letter doubled or two letters swapped, which makes no other word of it."""
    return any(
        len(brand) > _LONG_BRAND
        and (
            any(
                first == second and label[:i] + label[i + 1 :] == brand
                for i, (first, second) in enumerate(pairwise(label))
            )
            or (len(label) == len(brand) and sorted(label) == sorted(brand))
        )
        for brand in brands.skeletons.values()
    )


def _one_edit(first: str, second: str) -> bool:
    if first == second:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    a, b = first[start:], second[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _shape_facts(host: str) -> Iterator[Fact]:
    labels = host.split(".")
    sub, _, suffix = registrable(host)
    if fact := next((fact for least, fact in _SUBDOMAINS if len(labels) >= least), None):
        yield fact
    if suffix in listed("risky_tlds"):
        yield Fact("risky_suffix", 0.12)
        if set(re.split(r"[.-]", host)) & listed("lures"):
            yield Fact("lure_under_risky_suffix", 0.3)
    if any(map(_RANDOM_LABEL.fullmatch, sub.split("."))):
        yield Fact("data_in_subdomain", 0.35, "exfiltration")
    if speaking_host(sub):
        yield Fact("text_in_subdomain", 0.75, "exfiltration")
    if _TELLING.search(host):
        yield Fact("telling_name", 0.3)


def _platform_facts(host: str) -> Iterator[Fact]:
    if below(host, listed("capture")):
        yield Fact("request_capture_service", 0.55, "exfiltration")
    elif below(host, listed("tunnels")):
        yield Fact("tunnel", 0.25)
