"""Finds credentials: issuers' tokens, private keys, connection strings, JWTs and values assigned to secret names.

How: every row of ``data/secrets.toml`` is one issuer's published format. A format without a prefix of its own
(32 hex digits) is only looked for behind its issuer's name (``near`` in the row). What matched is refused when it
is a placeholder, too regular, or fails the format's checksum. Rows of category ``generic`` find values that are
assigned to names such as ``api_key`` and look random.

Source: each row names the issuer's documentation. Shannon, "A Mathematical Theory of Communication" (1948), for
entropy; RFC 7515 (JWT header), RFC 7617 (Basic credentials); GitHub's engineering blog, "Behind GitHub's new
authentication token formats" (2021), for the CRC-32 tail, which npm shares.

Limits: tokens without prefix are missed where nothing names them, passwords that are one dictionary word outside
connection strings; whether a secret is live is never asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, cached_property
from itertools import groupby, pairwise
from typing import Any, ClassVar

import re2
from pydantic.dataclasses import dataclass

from guardrails_plugin import checksums
from guardrails_plugin.detectors.base import SETTINGS, PatternBase
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.gate import shape
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding

__all__ = ["Secrets"]


@dataclass(frozen=True, config=SETTINGS)
class Secrets(PatternBase):
    """Credentials of some 640 issuers, private keys, connection strings and values assigned to secret names.

    Attributes:
        types: entity types to look for; None: all.
        allow: values that are never reported (published test keys).
        generic: also look for random-looking values behind names such as ``password`` or ``api_key``.
    """

    types: tuple[str, ...] | None = None
    allow: tuple[str, ...] = ()
    generic: bool = True

    name: ClassVar[str] = "secrets"

    def __post_init__(self) -> None:
        if self.types is None:
            return
        valid = {row.entity_type for row in _rows()}
        if unknown := sorted(set(self.types) - valid):
            raise ValueError(f"unknown entity types {', '.join(unknown)}; valid: {', '.join(sorted(valid))}")

    @cached_property
    def patterns(self) -> tuple[Pattern, ...]:  # type: ignore[override]
        """The rows these settings ask for."""
        rows = (row for row in _rows() if self.generic or row.extra.get("category") != "generic")
        return tuple(row for row in rows if self.types is None or row.entity_type in self.types)

    @cached_property
    def entity_types(self) -> frozenset[str]:  # type: ignore[override]
        """Every type these settings can find."""
        return frozenset(row.entity_type for row in self.patterns)

    @cached_property
    def categories(self) -> Mapping[str, frozenset[str]]:  # type: ignore[override]
        """``keys``, ``private_keys``, ``connection_strings``, ``generic``; ``weak``: public keys, ids, hashes."""
        groups: dict[str, set[str]] = {name: set() for name in _CATEGORIES}
        for row in self.patterns:
            groups[str(row.extra.get("category", "keys"))].add(row.entity_type)
        return {name: frozenset(types) for name, types in groups.items()}

    def confirm(self, match: Match) -> Finding | None:
        """The finding behind a raw match; None for placeholders, failed checks and values that are allowed."""
        row, value = match.pattern, match.value
        form = row.extra.get("form")
        if value in self.allow or (form and not _form(form).fullmatch(value)) or _PUBLISHED.search(value):
            return None
        placeholder = row.validator != "uri" and row.entity_type != "PRIVATE_KEY" and _is_placeholder(value)
        if placeholder or _entropy(value) < (row.entropy or _LEAST_ENTROPY):
            return None
        near = bool(row.context) and any(word in match.around for word in row.context)
        score = max(row.score, row.context_score) if near else row.score
        if row.validator:
            match, score = _VALIDATORS[row.validator](match, score)
        return match.finding(self.name, score=score) if score > 0 else None


_CATEGORIES = ("keys", "private_keys", "connection_strings", "generic", "weak")

_LEAST_ENTROPY, _HEX_ENTROPY = 2.0, 2.6
"""Bits per character of any secret; of 12 random hex digits (less: once in 400)."""

_LEAST_PASSWORD, _LEAST_RANDOM, _LEAST_LETTERS = 6, 12, 20
"""Characters of a password, of a token, and of a token without digits, that stands behind a name."""

_LEAST_SWITCHES, _LEAST_COUNTED, _MOST_COUNTED = 4, 4, 128
"""Switches between letters and digits that no name has; characters of a run that counts, of a value searched for it."""


def _linear(pattern: str, *, ignore_case: bool = False) -> Any:
    """A pattern over text that cannot be stalled: values come from whoever wrote the text."""
    options = re2.Options()
    options.case_sensitive = not ignore_case
    return re2.compile(pattern, options)


_form = cache(_linear)  # a value has its own case; the pattern around it ignores case for the issuer's name

_JOINT = r"[\w\s.\[\]\"'`{}:/$@-]{0,40}"
_NEAR = r"""{name}{joint}?(?:=|:|>|,|\()[\s"'`\\=>(]{{0,6}}(?P<value>{form})(?:[^\w-]|$)"""
"""Behind an issuer's name: the rest of an identifier, a sign of assignment, quotes, the value."""


@cache
def _rows() -> tuple[Pattern, ...]:
    """The table, with the formats that need their issuer's name spelt out as patterns."""
    return tuple(_spelt_out(row) for row in load_table("secrets"))


def _spelt_out(row: Pattern) -> Pattern:
    name = row.extra.get("near")
    if name is None:
        return row
    # The whole way to the sign of assignment: names alone ("together", "segment") are frequent in prose.
    reach = (shape(name).width or 0) // 4 + 41  # issuers' names are ASCII: a byte a character
    regex = _NEAR.format(name=name, joint=_JOINT, form=row.regex)
    extra = {**row.extra, "form": row.regex}
    return replace(row, regex=regex, ignore_case=True, gate=f"{name}{_JOINT}[=:>,(]", reach=reach, extra=extra)


_PLACEHOLDER = _linear(
    r"example|placeholder|redacted|change.?me|changeit|dummy|sample|insert|replace[_-]?(?:me|with|this)"
    r"|(?:^|[^a-z0-9])(?:fake|demo|mock|your|todo)(?:[^a-z0-9]|$)"
    r"|your.?(?:api|access|secret|private|client|auth|key|token|pass|own|personal)|(?:key|token|secret|pass|password|value).?here"
    r"|x{6,}|^x{3,}$|0{8,}|\*{3,}|\.{3,}|[$#%]\{|\{\{|\$\(|%\(|<[a-z]|not.?a.?real|foobar",
    ignore_case=True,
)
"""Words of five letters and more, or set apart: a random token practically never contains one of them."""


_PUBLISHED = _linear(
    r"2YotnFZFEjr1zCsicMWpAA|tGzv3JOkF0XG5Qx2TlKWIA|s6BhdRkqt3|mF_9\.B5f-4\.1JqM|QWxhZGRpbjpvcGVuIHNlc2FtZQ"
    r"|Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq|SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
    r"|dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk|wJalrXUtnFEMI/K7MDENG|\bscott[:/]tiger@"
)
"""Samples of RFC 6749, 6750, 7519 and 7617, jwt.io, AWS, the Azure emulator, Oracle: public, and copied everywhere."""


def _is_placeholder(value: str) -> bool:
    """True when the value stands for a secret, as documentation writes it.

    >>> [_is_placeholder(v) for v in ("your-api-key", "1234567890abcdef", "q8Zt5mWx0LbR")]
    [True, True, False]
    """
    return bool(_PLACEHOLDER.search(value)) or (len(value) < _MOST_COUNTED and 2 * _counted(value) > len(value))


def _counted(value: str) -> int:
    """How many characters stand in runs that count up or down ("3456", "fedc", "8901")."""
    steps = (1 if (one, two) == (57, 48) else two - one for one, two in pairwise(value.encode()))
    runs = (len(list(run)) + 1 for step, run in groupby(steps) if step in (1, -1))
    return sum(run for run in runs if run >= _LEAST_COUNTED)


def _entropy(value: str) -> float:
    """Shannon entropy, bits per character.

    >>> _entropy("aabb")
    1.0
    """
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


Checked = tuple[Match, float]
"""What a validator gives: the match, perhaps with tighter ends, and its score; 0 refuses it."""


def _decoded(text: str) -> bytes:
    """Base64 of either alphabet, with or without padding; nothing when it is none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return b""


def _jwt(match: Match, score: float) -> Checked:
    """RFC 7515: the header is JSON and names an algorithm."""
    try:
        header = json.loads(_decoded(match.value.partition(".")[0]))
    except ValueError:
        return match, 0.0
    return match, score if isinstance(header, dict) and isinstance(header.get("alg"), str) else 0.0


def _wif(match: Match, score: float) -> Checked:
    """Bitcoin's wallet import format: base58 with four bytes of double SHA-256."""
    return match, score if checksums.wif(match.value) else 0.0


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _crc32(match: Match, score: float) -> Checked:
    """GitHub's and npm's tail: CRC-32 of the 30 characters behind the prefix, in base 62; a wrong one is no proof."""
    body = match.value.partition("_")[2]
    number = zlib.crc32(body[:-6].encode())
    tail = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        tail = _BASE62[digit] + tail
    return match, 0.99 if tail == body[-6:] else score


def _basic(match: Match, score: float) -> Checked:
    """RFC 7617: ``user:password`` in base64."""
    plain = _decoded(match.value)
    user, _, password = plain.decode("latin-1").partition(":")
    return match, score if user and plain.isascii() and not _is_unfilled(password) else 0.0


def _discord(match: Match, score: float) -> Checked:
    """The first part of a bot token is its user id in base64."""
    return match, score if _decoded(match.value.partition(".")[0]).isdigit() else 0.0


_TRIVIAL = frozenset("pass passwd password pwd secret token key user username string passphrase none null".split())
_VARIABLE = _linear(r"^(?:$|\$[A-Za-z_{(]|[<{\[%*])|[(\[]$|\w\[\w*\]\)*$|\(.*\)$")
_USERINFO = _linear(r"(?:://[^\s:@/]*:|\bpassword=|\bpwd=)([^\s;&]+?)(?:@[^@]*$|[;&]|$)", ignore_case=True)
_LOCAL = _linear(r"@(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])")


def _is_unfilled(password: str) -> bool:
    """True for the words, variables and calls that stand where a password belongs."""
    named = password.lower().rstrip(")").rpartition(".")[2]  # also of ``config.password``
    return named in _TRIVIAL or bool(_VARIABLE.search(password)) or _is_placeholder(password)


def _uri(match: Match, score: float) -> Checked:
    """A connection string with a password in it; for a server on this machine it counts less."""
    found = _USERINFO.search(match.value)
    score = min(score, 0.6) if _LOCAL.search(match.value) else score
    return match, 0.0 if _is_unfilled(found[1] if found else match.value) else score


def _credentials(match: Match, score: float) -> Checked:
    """``user:password``, or a password."""
    return match, 0.0 if _is_unfilled(match.value.rpartition(":")[2]) else score


_NAME = re.compile(r"[\w.$-]+")
_SECRET_NAME = re.compile(r"key|token|secret|pass|pwd|cred|auth|bearer|session|_pat|_sid", re.IGNORECASE)
_PART = re.compile(r"[A-Z]{2,}|[A-Z]?[a-z]+|\d+")
_OTHER_NAME = re.compile(
    r"(?:^|_)(?:public|pubkey|publish(?:able)?|primary|foreign|partition|cache|sort|index|csrf|nonce|object|idempotency|next"
    r"|page|csv|pad|eos|bos|fingerprint|checksum|digest|hash|sha\d*|md)(?:_|$)"
    r"|keywords?|keyboard|authorit(?:y|ies)|secrets?_?manager"
    r"|(?:hot|mon|tur|don|hoc|joc|whis)key|tokeni[sz]|authors?(?:_|$)|credit|integrity"
    r"|passeng|passag|passi[ov]|passport|passed|(?:by|com|sur|tres)pass"
    r"|(?:_|key|token|secret|pass|password|session|auth)(?:id|ids|name|names|type|path|file|dir|url|uri|endpoint|field"
    r"|label|prompt|regex|pattern|length|size|count|expir\w*|expires_in|ttl|policy|alg|algorithm|version|alias|ref|format"
    r"|scopes?|status|prefix|suffix|at|time|date|class|column|param|header|method|provider|store|ring|chain|map|set"
    r"|usages?|limit|location|vault_name)$"
)
"""Names, in parts ("key_id"), that hold one of the secret words and no secret."""

_PASSWORD = re.compile(r"pass|pwd")
_CODE = re.compile(
    r"^[/.~\\@&:$%#*+=|!?-]|://|^[A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)+$|[()]|^\d+(?:[.:/-]\d+)*$|^v?\d+\.\d+"
)
_TOKEN = re.compile(r"[A-Za-z0-9_+/.~:|!@#$^&*-]+={0,2}")
_WORDS = _linear(r"_*(?:(?:[A-Z]?[a-z]{2,}|[A-Z][a-z]|[A-Z]{2,})(?:\d{1,8})?[-_./:]?)+")
_KNOWN = _linear(
    r"^(?:(?:test|demo|foo|bar|foobar)[\d_]{0,6}|(?:scram-)?(?:sha|aes|rsa)-?\d+|md5|utf-?8|base64|bcrypt|argon2\w*|oauth2?|ed25519"
    r"|[reh]s\d+)(?:-[a-z]+)?$",
    ignore_case=True,
)
"""Values from other vocabularies that mix letters and digits."""


def _assigned(match: Match, score: float) -> Checked:
    """A value behind a name: the name is a secret's, and the value no word, path, number or expression."""
    text = match.view.text
    before = text[max(0, match.start - 96) : match.start]
    quoted = before.endswith(('"', "'", "`"))
    named = next((word for word in reversed(_NAME.findall(before)) if _SECRET_NAME.search(word)), "")
    whole = match.value.rstrip(".,;:")
    closed = quoted and text[match.end : match.end + 1] in (before[-1], "\\")
    value = match.value if closed else _trimmed(match.value, ends=_FIELD_END.match(text, match.end) is not None)
    match = replace(match, end=match.start + len(value))
    if before.endswith("(") or text[match.end : match.end + 1] in ("(", "["):
        return match, 0.0
    return match, score if _is_secret(named, value, whole, quoted=quoted) else 0.0


def _field(match: Match, score: float) -> Checked:
    """A whole string, in an object's field: the field's name is what it is assigned to."""
    named = match.text.hint.rpartition("/")[2].replace(" ", "_")
    secret = bool(_SECRET_NAME.search(named)) and _is_secret(named, match.value, match.value, quoted=True)
    return match, score if secret else 0.0


_FOREIGN = _linear(
    r"kennwort|contrase(?:ñ|n)a|^clave$|senha|mot de passe|^mdp$|wachtwoord|has(?:ł|l)o|пароль", ignore_case=True
)
"""Headings that say password in other languages."""


def _column(match: Match, score: float) -> Checked:
    """A cell of a table: the heading is what it is assigned to."""
    label = match.columns.label(match.start, match.end)
    named = "password" if _FOREIGN.search(label) else label.replace(" ", "_")
    if match.value[0] in ":$%?":
        return match, 0.0  # a parameter of a statement
    secret = bool(_SECRET_NAME.search(named)) and _is_secret(named, match.value, match.value, quoted=True)
    return match, score if secret else 0.0


def _is_secret(named: str, value: str, whole: str, *, quoted: bool) -> bool:
    name = "_".join(_PART.findall(named)).lower()
    if not name or _OTHER_NAME.search(name) or _KNOWN.match(value):
        return False
    return _is_password(whole, quoted=quoted) if _PASSWORD.search(name) else _is_random(value)


_FIELD_END = re.compile(r"[ \t]*(?:[\r\n<|]|$)")


def _trimmed(value: str, *, ends: bool = False) -> str:
    """Without the full stop of its sentence, and without the next parameter of its query.

    Args:
        value: what matched.
        ends: whether line or field end behind it: then marks that passwords have are its own.
    """
    head, _, rest = value.partition("&")
    return (head if "=" in rest else value).rstrip(".,;:" if ends else ".,;:!?")


def _unnamed(match: Match, score: float) -> Checked:
    """A value whose surroundings already say that it is a token."""
    value = _trimmed(match.value)
    return replace(match, end=match.start + len(value)), score if _is_random(value) else 0.0


def _unnamed_password(match: Match, score: float) -> Checked:
    """Likewise, of a password."""
    value = match.value.rstrip(".,;:")
    match = replace(match, end=match.start + len(value))
    said = value.rstrip("!?")  # an exclamation mark makes no password of a word
    return match, score if _is_password(said) and not _KNOWN.match(said) else 0.0


def _quoted_password(match: Match, score: float) -> Checked:
    """A whole string that stands where a call or a statement wants a password."""
    told = _KNOWN.match(match.value) or _is_unfilled(match.value)
    return match, score if _is_password(match.value, quoted=True) and not told else 0.0


_AMOUNT = re.compile(r"\d+(?:[.,:]\d+)*[A-Za-z%/]{1,4}")


def _short_label(match: Match, score: float) -> Checked:
    """A password behind ``pw`` or ``pass``, which are names of other things, too: no amount ("2034m")."""
    match, score = _unnamed_password(match, score)
    return match, 0.0 if _is_unfilled(match.value) or _AMOUNT.fullmatch(match.value) else score


_HYPHENATED = re.compile(r"[a-z]+(?:-[a-z0-9]+)+")


def _paired(match: Match, score: float) -> Checked:
    """Likewise, behind a user's name: no host or region ("eu-west-1")."""
    match, score = _short_label(match, score)
    return match, 0.0 if _HYPHENATED.fullmatch(match.value) else score


_MIXED = tuple(re.compile(kind) for kind in (r"[^\W\d_]", r"\d", r"[!#$%^&*?+=~§@]"))


def _strong_password(match: Match, score: float) -> Checked:
    """Letters, digits and signs: it says by itself that it is a password, where only the word stands near."""
    value = match.value.rstrip(".,;:!?")
    strong = all(kind.search(value) for kind in _MIXED) and not re.search(r"@[\w-]+\.\w|=.{3}", value)
    match, score = _short_label(match, score)
    return match, score if strong and not _CODE.search(value) else 0.0


_PROSE = frozenset(
    "and any are best but can case change changed choose confirm contain contains email encrypted enter every "
    "expired field for forgot from has hashed have help her hidden his incorrect input invalid its length logged "
    "login long minimum more must need never new none nor not old only our passphrase password please required "
    "reset same sensitive sent should shown sign something stored string text than that the their them there they "
    "this too used user username using valid visible was weak will with word words wrong you your".split()
)
"""Words that sentences about passphrases have, and passphrases of random words have not."""


def _passphrase(match: Match, score: float) -> Checked:
    """Words that make no sentence."""
    words = re.split("[ -]", match.value.lower())
    return match, score if len(set(words)) == len(words) and _PROSE.isdisjoint(words) else 0.0


def _is_password(value: str, *, quoted: bool = False) -> bool:
    """Letters with digits or signs among them, and not a name from a program."""
    if len(value) < _LEAST_PASSWORD or value.lower() in _TRIVIAL or "://" in value or (value[0] == "_" and not quoted):
        return False
    letters, digits = any(c.isalpha() for c in value), any(c.isdigit() for c in value)
    signs = any(c in "!@#$%^*?~" for c in value[1:])
    return (quoted or not _CODE.search(value)) and (letters or quoted) and (digits + signs + letters > 1)


def _is_random(value: str) -> bool:
    """No word, path, number or expression: letters and digits, or cases, change too often.

    >>> [_is_random(v) for v in ("prod-db-credentials-v2", "kq83hd02nf74js91", "application/json")]
    [False, True, False]
    """
    if len(value) < _LEAST_RANDOM or _CODE.search(value) or not _TOKEN.fullmatch(value):
        return False
    pairs = [(a, b) for a, b in pairwise(value) if a.isalnum() and b.isalnum()]
    digits = sum(a.isdigit() != b.isdigit() for a, b in pairs)
    cases = sum(a.islower() != b.islower() for a, b in pairs)
    if not digits and len(value) < _LEAST_LETTERS:
        return False
    wordless = 5 * cases >= len(value) and not _WORDS.fullmatch(value)
    return (wordless or digits >= _LEAST_SWITCHES) and _entropy(value) > _HEX_ENTROPY


_VALIDATORS: Mapping[str, Callable[[Match, float], Checked]] = {
    "assigned": _assigned,
    "assigned_password": _unnamed_password,
    "basic": _basic,
    "crc32": _crc32,
    "column": _column,
    "credentials": _credentials,
    "discord": _discord,
    "field": _field,
    "jwt": _jwt,
    "paired": _paired,
    "passphrase": _passphrase,
    "quoted_password": _quoted_password,
    "random": _unnamed,
    "short_label": _short_label,
    "strong_password": _strong_password,
    "uri": _uri,
    "wif": _wif,
}
"""Checks that rows name; each may refuse, tighten or raise."""
