"""Private things packed into URLs: claims of tokens and JSON, words in names of hosts, a person's details in a query.

Source: RFC 7519 (JWT), RFC 4648 (base32, hex); MITRE ATT&CK T1048 (names of hosts that carry data); ISO 13616 (IBAN).
Limits: words in a name of a host are recognised in hex and base32 only, label by label.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

__all__ = ["claims_of_person", "dossier", "packed_claims", "speaking_host"]

_CLAIM = re.compile(
    r"\"(?:e-?mails?|user(?:_?name)?|login|roles?|is_?admin|admin|adm|pass\w*|pwd|(?:access_?|auth_?|api_?)?token"
    r"|session(?:_?id)?|phone|ssn|iban|card\w*|secrets?|api_?key|messages?|conversation|prompt|given_name|address)\"\s*:",
    re.IGNORECASE,
)
"""Names that JSON about a person or a session has, and JSON about a picture has not."""

_JWT = re.compile(r"\beyJ[\w-]{8,4000}\.(eyJ[\w-]{8,4000})\.")
_LONGEST_LABEL, _SHORTEST_LABEL = 63, 16
_HEX_LABEL = re.compile(r"(?:[0-9a-f]{2})+", re.IGNORECASE)
_BASE32_LABEL = re.compile(r"(?=[a-z]*[2-7])[a-z2-7]+", re.IGNORECASE)
_LETTERS = 0.6
"""Share of letters and digits from which decoded characters are words."""


def packed_claims(text: str) -> bool:
    """True for JSON about a person or a session."""
    return _CLAIM.search(text) is not None


def claims_of_person(value: str) -> bool:
    """True for a signed token of a person: one that names her, or that never ends, as tokens of pictures do."""
    found = _JWT.search(value)
    if found is None:
        return False
    run = found[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(run + "=" * (-len(run) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(claims, dict) and ("exp" not in claims or packed_claims(json.dumps(claims)))


def speaking_host(host: str) -> bool:
    """True when a label of a host is text in hex or base32."""
    return any(map(_speaks, host.split(".")))


def _speaks(label: str) -> bool:
    if not _SHORTEST_LABEL <= len(label) <= _LONGEST_LABEL:
        return False
    try:
        if _HEX_LABEL.fullmatch(label):
            data = bytes.fromhex(label)
        elif _BASE32_LABEL.fullmatch(label):
            data = base64.b32decode(label.upper() + "=" * (-len(label) % 8))
        else:
            return False
    except (ValueError, binascii.Error):
        return False
    text = data.decode("latin-1")
    words = sum(char.isalnum() for char in text)
    return text.isascii() and text.isprintable() and words >= _LETTERS * len(text) and any(map(str.isalpha, text))


_GRAVE = {
    "patient": r"patient(?:_?name)?",
    "health": r"diagnos\w*|icd(?:_?10)?|dg|medication|allerg\w*",
    "birth": r"dob|birth\w*|date_?of_?birth|geburts\w*|naissance|nacimiento|nascimento|data_?nascita",
    "number": r"ssn|nin|dni|cpf|pesel|bsn|codice_?fiscale|rodne_?cislo"
    r"|steuer_?(?:id|nr)|rc|passport\w*|reisepass|passeport",
    "money": r"iban|salary|gehalt|salaire|salario|income|balance|kontostand",
}
_MILD = {
    "name": r"(?:first|last|full|client|customer|user)?_?name|vorname|nachname|nom|nombre|nome|klient|kunde",
    "email": r"e?-?mail\w*|correo",
    "phone": r"(?:tele)?phone\w*|tel|mobile|handy|telefon\w*|telefono",
    "address": r"address|adresse|street|strasse|direccion|endereco|indirizzo",
}
_KINDS = {kind: re.compile(names, re.IGNORECASE) for kind, names in (_GRAVE | _MILD).items()}
_LIKE = {
    "birth": re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{8}"),
    "number": re.compile(r"(?=.*\d.*\d.*\d)[\w./ -]{6,20}"),
    "money": re.compile(r"[A-Z]{2}\d{2}[A-Z0-9 ]{11,34}|(?:[A-Z$€£]{1,3} ?)?\d[\d.,' ]{3,}(?: ?[A-Z$€£]{1,3})?"),
    "email": re.compile(r"[^@\s]+@[^@\s]+\.\w+"),
    "phone": re.compile(r"\+?[\d ()/.-]{7,20}"),
}
_WORDS = re.compile(r"(?=.*[^\W\d]).*[\W_].*")
"""What other values have: letters, and more than one word or sign."""

_MOST_ITEMS, _LONGEST, _MANY = 64, 200, 3


def dossier(items: Iterable[str]) -> str:
    """How much a query tells of a person: "grave" (health, birth, papers, money, with one more thing), "mild" or ""."""
    kinds: set[str] = set()
    for item, _ in zip(items, range(_MOST_ITEMS), strict=False):
        name, _, value = item.partition("=")
        value = unquote_plus(value[:_LONGEST])
        kinds.update(
            kind
            for kind, names in _KINDS.items()
            if value and names.fullmatch(name) and _LIKE.get(kind, _WORDS).fullmatch(value)
        )
    if len(kinds) > 1 and not kinds.isdisjoint(_GRAVE):
        return "grave"
    return "mild" if len(kinds) >= _MANY else ""
