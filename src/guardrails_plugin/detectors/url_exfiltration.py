"""Whether a URL carries data away: what its query and path hold, and whether showing it is enough to send it.

An image is fetched as soon as an answer is displayed, a link only when clicked, so the same payload weighs more in an
image. Payloads: placeholders to be filled by a model (``{{conversation}}``), parameters named after private things,
base64 or hex that decodes to sentences, sentences themselves, keys.

Source: Rehberger, "Embrace the Red" (2023-2024), markdown-image exfiltration from chat applications; OWASP LLM02:2025.
Limits: encrypted or compressed payloads look like the hashes of image hosts and count little; services that draw text
(`renderers` in ``data/malicious_url.toml``) are trusted with text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import unquote, unquote_plus

from guardrails_plugin.checksums import card
from guardrails_plugin.detectors.url_hosts import Fact, below, listed
from guardrails_plugin.detectors.url_parts import Parts
from guardrails_plugin.detectors.url_private import claims_of_person, dossier, packed_claims

__all__ = ["Embed", "exfiltration_facts"]

Embed = Literal["image", "link", "bare"]
"""How a URL stands in a text: fetched by display, by a click, or not at all unless someone copies it."""

_LONGEST = 4096
"""Characters of one value that are looked at."""

_MOST_VALUES = 512
_SHORTEST = 6
"""Characters below which a value says nothing."""

_SENTENCE, _FEW = 6, 4
"""Words that make a sentence rather than a name or a title; enough of them where they speak of private things."""

_BULK = 300
"""Characters that are more than an identifier or a signature needs."""

_PLACEHOLDER = {"image": 0.4, "link": 0.65, "bare": 0.55}
_COMMON_FIELDS = frozenset({"data", "summary", "history", "private", "memory"})
"""Names that ordinary interfaces have, too."""

_MACHINE = ("http:", "https:", "s3:", "gs:", "local:", '{"alg', '{"typ', "<svg", "<?xml")
"""How decoded values begin that image services and tokens consist of."""

_TEMPLATE = re.compile(
    r"\{\{\s*([^{}]{1,80})\}\}|\$?\{([^{}\"':,]{1,80})\}|<([A-Za-z][^<>]{1,80})>|\[([A-Za-z][A-Za-z0-9_ '\-]{2,80})\]"
    r"|\$\(([^()]{1,80})\)|\b((?:INSERT|YOUR|THE|BASE64|URL_?ENCODED|ENCODED|REPLACE)_[A-Z0-9_]{3,60})\b"
    r"|(?:^|=)([A-Z]{4,20}(?:_[A-Z0-9]{2,20})*)$"
)
_PRIVATE = (
    r"conversation|chat[_ -]?(?:history|log|content|messages)|history|transcript"
    r"|(?:system|user|full|last|previous|original)[_ -]?prompt|secrets?|pass(?:word|wd|phrase|code)s?|credentials?"
    r"|private|confidential|sensitive|memory|memories"
    r"|user[_ -]?(?:data|info|input|messages?|query|details|secrets?)|stolen|steal|leak(?:ed)?|exfil\w*|loot|dump|ssn"
    r"|social[_ -]?security|credit[_ -]?card|card[_ -]?number|\bpii\b|e-?mails?[_ -](?:body|content|text|s)|inbox"
    r"|env(?:ironment)?[_ -]?var\w*|(?:file|document)[_ -]?contents?|all[_ -]?(?:data|messages)|\bdata\b|summary"
)
_PRIVATE_WORD = re.compile(_PRIVATE, re.IGNORECASE)
_BROAD_WORD = re.compile(_PRIVATE + r"|context|messages?|prompt|answer|response|address|phone|token|key", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(?:^|[_ -])(?:id|ids|uuid|slug|count|limit|type|key|version|url|uri|date)$", re.IGNORECASE)
_PRIVATE_NAME = re.compile(
    r"conv(?:ersation)?s?|chat[_-]?(?:history|log)?|history|transcript|(?:system|user)[_-]?prompt|secrets?"
    r"|pass(?:word|wd)?|pwd"
    r"|credentials?|creds|private[_-]?key|cookies?|memory|memories|user[_-]?data|stolen(?:[_-]?\w+)?|leak(?:ed)?|exfil\w*"
    r"|loot|dump|ssn|credit[_-]?card|cc|card[_-]?number|confidential|pii|steal|env|api[_-]?keys?|messages|prompt|context",
    re.IGNORECASE,
)
_PLAIN_VALUE = re.compile(r"true|false|yes|no|on|off|all|none|accept\w*|[\d.,-]+|v\d+|\w{1,5}", re.IGNORECASE)
_SIGNATURE_NAME = re.compile(
    r"x-(?:amz|goog|oss|ms|cos)-\w+(?:-\w+)*|\w*sig(?:nature)?|\w*token|jwt|policy|key-pair-id|expires?|hmac|hash|etag"
    r"|h|s|e|st|se|sp|sv|sr|spr|skoid|sktid|oh|oe|ccb|_nc_\w+|ixid|ixlib|awsaccesskeyid|googleaccessid|key|auth\w*"
    r"|v|ver|version|cb|utm_\w+|gclid|fbclid|msclkid|mc_eid|mc_cid|code|state|nonce|session\w*|sid|ref|u|p|upn"
    r"|integrity",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[A-Z0-9]{12,16}"
    r"|glpat-[\w-]{20}"
    r"|[rs]k_live_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|SG\.[\w-]{20,}\.[\w-]{20,})"
    r"|-----BEGIN|\b\d{3}-\d{2}-\d{4}\b"
)
_MAP_KEY = re.compile(r"\bAIza[\w-]{30,}")
"""A key that Google's own pictures show openly."""

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w{2,}")
_LOGIN = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,60}(?:\.[\w-]{2,60}){1,4}[:|;,].{4,60}"
    r"|user(?:name)?[:=].{2,60}[;&|, ]\s?(?:pw|pwd|pass\w*)[:=].{2,60}",
    re.IGNORECASE,
)
_PHONE_NAME = re.compile(r"(?:tele)?phone\w*|tel|mobile|handy|fax", re.IGNORECASE)
_CARD = re.compile(r"(?<![\d.+])\d(?:[ +-]?\d){12,18}(?![\d.])")
_TOLD = re.compile(
    r"\b(?:pass(?:word|code)|pin|pwd|salar(?:y|ies)|payroll|confidential|draft|layoffs?|acquir\w+|acquisition|diagnos\w+"
    r"|home address|account (?:number|no)|card (?:number|is)|offer price|never reveal|subject:|dear [A-Z]"
    r"|you are (?:an? )?[A-Z]\w+|(?:my|your|her|his|their|user's|client'?s?) \w+ (?:is|are|was))\b",
    re.IGNORECASE,
)
"""What is said in confidence, or in an inbox."""

_STATED = re.compile(
    r"\b(?:subject:|dear [A-Z]|(?:my|your|her|his|their|user's|client'?s?) \w+ (?:is|are|was))\b", re.IGNORECASE
)
"""Of these, what nobody searches for."""

_WORD_AND_VALUE = re.compile(
    r"(?:\b(?:pass(?:word|wd|code|phrase)|pwd|pin|api[ _-]?key|secret(?:[ _-]key)?|access[ _-]token|passwort|kennwort"
    r"|contraseña|clave|mot de passe|senha|hasło|heslo|wachtwoord|parola|şifre|lösenord|пароль|код|ключ)\b"
    r"|密码|密碼|パスワード)"
    r"(?:\s*[:=\uff1a]\s*|\s+(?:(?:is|ist|es|est|è|é)\s+)?)"
    r"(?!(?:sha|md|utf|oauth|pbkdf|argon|aes|rsa|base|win|windows|python|php|http|mysql|postgres|ios|v|ps|ipv|log4|web)-?\d)"
    r"(?=\S{4,})(?=\S*[^\W\d])\S*\d",
    re.IGNORECASE,
)
"""A credential's name and what looks like its value: letters and digits in one word."""

_FUNCTION_WORD = re.compile(
    r"\b(?:the|an?|is|are|was|were|will|has|have|had|of|to|and|in|on|at|for|with|that|this|their|his|her|our|my|by|from)\b",
    re.IGNORECASE,
)
_PROSE, _PROSE_FUNCTION_WORDS = 5, 2
"""Words that make prose, and how many of them must be of the kind that names and key words have not."""

_SAID_TO_USER = re.compile(
    r"err(?:or)?(?:[_-]?\w+)?|msg|message|reason|notice|alert|status|flash|description|body|details", re.IGNORECASE
)
"""Parameters in which services tell people something, or start what people write."""

_SEARCH_NAME = re.compile(
    r"q|query|s|search\w*|text|title|subject|keywords?|term|utm_\w+|name|label|caption|alt", re.IGNORECASE
)
_CAPTION = re.compile(r"alt|caption|label", re.IGNORECASE)
_JOINT = re.compile(r"[_-]+")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{14,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){10,}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FILE = re.compile(r"\.(?:png|jpe?g|gif|webp|svg|avif|bmp|ico|tiff?|mp4|pdf)$", re.IGNORECASE)
_APPENDING = re.compile(
    r"append|followed by|concatenat|add(?:ing|ed)?\b|insert|encod|replac|substitut|fill|plus|includ|put|attach|send"
)
_OF_USER = re.compile(
    r"conversation|chat|history|secret|password|credential|system prompt|user'?s|user (?:data|input|message|quer)"
    r"|message|memory|e-?mail|personal|private|confidential|previous|summary|api key|everything|above|document|data"
)

_IN_IMAGE = {
    "key": 0.85,
    "credential": 0.86,
    "prose": 0.8,
    "sentence": 0.86,
    "claims": 0.8,
    "grave": 0.8,
    "mild": 0.55,
    "private_name": 0.85,
    "words": 0.6,
    "email": 0.5,
    "bulk": 0.52,
}
_IN_LINK = {
    "key": 0.62,
    "credential": 0.6,
    "prose": 0.55,
    "sentence": 0.62,
    "claims": 0.12,
    "grave": 0.6,
    "mild": 0.12,
    "private_name": 0.52,
    "words": 0.15,
    "email": 0.12,
    "bulk": 0.2,
}
_BARE = {
    "key": 0.5,
    "credential": 0.5,
    "prose": 0.3,
    "sentence": 0.45,
    "claims": 0.1,
    "grave": 0.4,
    "mild": 0.1,
    "private_name": 0.3,
    "words": 0.1,
    "email": 0.08,
    "bulk": 0.1,
}
_WEIGHTS = {"image": _IN_IMAGE, "link": _IN_LINK, "bare": _BARE}


def exfiltration_facts(parts: Parts, embed: Embed, around: Callable[[], str]) -> Iterator[Fact]:
    """What speaks for data leaving through this URL.

    Args:
        parts: the URL.
        embed: how it stands in the text.
        around: gives the lower-case text beside it.
    """
    weights = _WEIGHTS[embed]
    draws = below(parts.host, listed("renderers"))
    composes = below(parts.host, listed("composers"))
    for name, value in _values(parts):
        if fact := _template(value, name, embed, draws=draws):
            yield fact
        else:
            for kind in _carried(name, value, embed, draws=draws, composes=composes):
                yield Fact(f"{embed}_carries_{kind}", weights[kind], "exfiltration")
    if (told := dossier(parts.query.split("&"))) and not (draws or composes):
        yield Fact(f"{embed}_tells_of_person", weights[told], "exfiltration")
    if _dangling(parts) and _APPENDING.search(around()) and _OF_USER.search(around()):
        yield Fact("data_to_be_appended", 0.75 if embed == "image" else 0.65, "exfiltration")


def _values(parts: Parts) -> Iterator[tuple[str, str]]:
    """Names and decoded values of the query, then path segments with an empty name."""
    for item in parts.query.split("&")[:_MOST_VALUES]:
        name, _, value = item.partition("=")
        if len(value or name) < _SHORTEST:
            continue
        yield (unquote_plus(name), unquote_plus(value[:_LONGEST])) if value else ("?", unquote_plus(name[:_LONGEST]))
    for segment in parts.path.split("/")[:_MOST_VALUES]:
        if len(segment) >= _SHORTEST:
            yield "", unquote(segment[:_LONGEST])


def _template(value: str, name: str, embed: Embed, *, draws: bool) -> Fact | None:
    """A placeholder that a model is to fill: what it names decides."""
    match = _TEMPLATE.search(value)
    if match is None:
        return None
    inner = next(group for group in match.groups() if group is not None).strip()
    private = _PRIVATE_WORD.search(inner) is not None and not _IDENTIFIER.search(inner)
    if match[match.re.groups] is not None and not private:
        return None  # a word in capitals, no placeholder
    strict = private and inner.lower() not in _COMMON_FIELDS
    reason = f"{embed}_with_placeholder"
    if embed != "image" or draws:
        return Fact(reason, _PLACEHOLDER[embed] if strict and name else 0.15, "exfiltration")
    if private:
        return Fact(reason, 0.9 if strict else 0.7, "exfiltration")
    broad = _BROAD_WORD.search(inner) or _PRIVATE_NAME.fullmatch(name)
    return Fact(reason, 0.2 if not name else 0.55 if broad else 0.4, "exfiltration")


def _carried(name: str, value: str, embed: Embed, *, draws: bool, composes: bool) -> Iterator[str]:
    """What kinds of data a value holds."""
    if _KEY.search(value) and not name.lower().startswith("x-"):
        yield "key"
        return
    if name and _PRIVATE_NAME.fullmatch(name) and len(value) >= _SHORTEST and not _PLAIN_VALUE.fullmatch(value):
        yield "private_name"
    if draws:
        return
    if embed == "image" and not composes and _MAP_KEY.search(value):
        yield "key"
    elif _hidden_sentence(value, signed=embed != "image" and _SIGNATURE_NAME.fullmatch(name) is not None):
        yield "sentence"
    elif claims_of_person(value):
        yield "claims"
    elif name and ((_is_card(value) and not _PHONE_NAME.fullmatch(name)) or _confided(name, value, embed)):
        yield "private_name"
    elif name and _WORD_AND_VALUE.search(value):
        yield "credential"
    elif kind := _words(name, value, composes=composes):
        yield kind


def _words(name: str, value: str, *, composes: bool) -> str:
    """What a value without any private thing in it is made of; "" for names, numbers and the like."""
    if not composes and _is_prose(name, value):
        return "prose"
    if _is_sentence(name, value):
        return "words"
    if name and _EMAIL.search(value):
        return "email"
    long = name and len(value) >= _BULK and not _SIGNATURE_NAME.fullmatch(name)
    return "bulk" if long and _ENCODED.fullmatch(value) else ""


def _is_card(value: str) -> bool:
    """True for a payment card's number."""
    return any(card(re.sub(r"\D", "", found.group())) for found in _CARD.finditer(value))


def _confided(name: str, value: str, embed: Embed) -> bool:
    """True for words about private things where no search or title is to be expected."""
    if " " not in value:
        # Of a link it may be the title of a page; a picture's file has its own name in the path.
        value = _JOINT.sub(" ", value)
        if embed != "image" or _FILE.search(value) or len(_WORD.findall(value)) < _FEW:
            return False
    words = len(_WORD.findall(value))
    if _SEARCH_NAME.fullmatch(name):
        # A link to a search may hold any question; a picture has none to ask.
        return words >= _FEW and bool((_TOLD if embed == "image" else _STATED).search(value))
    return words > 1 and bool(_TOLD.search(value))


def _is_prose(name: str, value: str) -> bool:
    """True for running text in a parameter that is neither for searches and titles nor for what people are told."""
    if not name or _SEARCH_NAME.fullmatch(name) or _SAID_TO_USER.fullmatch(name):
        return False
    return len(_WORD.findall(value)) >= _PROSE and len(_FUNCTION_WORD.findall(value)) >= _PROSE_FUNCTION_WORDS


def _is_sentence(name: str, value: str) -> bool:
    """True for words in a parameter, or a longer text where the path should name a file."""
    spaces = value.count(" ")
    if name:
        return spaces > 0 and not _CAPTION.fullmatch(name) and len(_WORD.findall(value)) >= _SENTENCE
    return spaces > _SENTENCE and not _FILE.search(value)


def _hidden_sentence(value: str, *, signed: bool = False) -> bool:
    """True when base64 or hex in a value decodes to words; where a link is signed, JSON is its state."""
    if (match := _HEX.search(value)) and _speaks(bytes.fromhex(match.group())):
        return True
    match = _ENCODED.search(value)
    if match is None:
        return False
    run = match.group().rstrip("=").replace("-", "+").replace("_", "/")
    run = run[:-1] if len(run) % 4 == 1 else run + "=" * (-len(run) % 4)
    try:
        return _speaks(base64.b64decode(run), signed=signed)
    except binascii.Error:
        return False


def _speaks(data: bytes, *, signed: bool = False) -> bool:
    """True for text a person or a model wrote: words with spaces, or a private name with a value."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if text.startswith(_MACHINE) or not all(char.isprintable() or char in "\r\n\t" for char in text):
        return False
    if text.startswith("{") and text.rstrip().endswith("}"):
        return not signed and packed_claims(text)
    words = len(_WORD.findall(text))
    if _KEY.search(text) or _LOGIN.fullmatch(text):
        return True
    return words > 1 and (text.count(" ") > 1 or bool(_PRIVATE_WORD.search(text)))


def _dangling(parts: Parts) -> bool:
    """True when the URL stops where a value should begin."""
    return parts.query.endswith("=") or (not parts.query and parts.path.endswith("="))
