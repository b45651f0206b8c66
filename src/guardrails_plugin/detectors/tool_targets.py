"""What the arguments of a tool call aim at: recipients, addresses, accounts, amounts, paths, commands.

A value counts by its own shape (an e-mail address is one wherever it stands) and by what its argument is called. Text
for people (``body``, ``subject``, ``summary``) aims at nothing: copying from documents into it is normal work.

Values are brought to one form for comparison: case, spacing, defanging (``mallory[at]evil[.]example``), separators in
numbers. Source of the amount notations: CLDR number patterns (1,234.5; 1.234,5; 1 234,5; 1'234.5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from guardrails_plugin import checksums
from guardrails_plugin.detectors import url_parts
from guardrails_plugin.detectors.tool_words import holds
from guardrails_plugin.types import Text

__all__ = ["KINDS", "NUMBER", "Target", "amounts", "arguments", "fold", "mentioned", "targets"]

KINDS = ("email", "url", "account", "phone", "amount", "recipient", "path", "command", "id", "value")
"""What a value can be. ``recipient`` is a name or handle of somebody without the shape of an address, ``value`` one
specific word, number or short name in an argument whose name says nothing else (coupon, device, dosage, package)."""

_LONGEST = 4096
"""Characters of an argument that are read as a target; longer ones are text or data (commands aside)."""

_DEFANGED = re.compile(r"\s?[\[({<](?:\.|dot)[\])}>]\s?|\s(?:dot|punkt|punto)\s(?=[a-z])", re.IGNORECASE)
_AT = re.compile(r"\s?[\[({<](?:@|at)[\])}>]\s?|(?<=\w)\sat\s(?=[\w-]+\.[a-z]{2,})", re.IGNORECASE)
_HXXP = re.compile(r"\bh(?:xx|\*\*)p(s?)(?=\[?:)", re.IGNORECASE)
_COLON = re.compile(r"\[:\]|\[://\]")
_BLANKS = re.compile(r"[^\S\n]+")
_EXTENSIONS = (
    "(?:py|js|ts|sh|md|txt|json|ya?ml|toml|cfg|ini|lock|c|h|cpp|java|rb|php|html?|css|csv|xml|log|zip|t?gz|tar|pdf|"
    "png|jpe?g|exe|bat|sql|whl|pub|pem|bak|out|dat)\\b"
)
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_WHOLE_EMAIL = re.compile(rf"(?:[^<>@\n]{{0,128}}<)?(?:mailto:)?({_EMAIL.pattern})(?:\?[^\s>]*)?>?")
_URL = re.compile(r"(?:https?|ftps?|wss?|ssh|git|s3|gs|ldaps?|smb|file|tcp|udp)(?:\+\w+)?://[^\s\"'<>`|\\)\]}]{1,2048}")
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.)+[a-z][\w-]{1,62}(?::\d{1,5})?(?:/\S*)?")
_REMOTE = re.compile(r"\b(?:curl|wget|ssh|scp|sftp|rsync|nc|ncat|netcat|telnet|ping|dig|nslookup|ftp)\b[^|;&\n]{0,256}")
_HOST = re.compile(
    r"(?<![\w./-])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[\w-]{1,63}\.)+(?!" + _EXTENSIONS + r")[a-z]{2,24})(?=[:/\s]|$)"
)
_PHONE = re.compile(r"\+?[\d ().\-/]{7,24}")
_PATH = re.compile(r"(?:~|\.{1,2})?[/\\][^\n]*|[a-z]:[/\\][^\n]*")
_IBAN = re.compile(r"\b[a-z]{2}\d{2}(?:[ -]?[0-9a-z]{4}){2,7}(?:[ -]?[0-9a-z]{1,3})?\b")
_WALLET = re.compile(r"0x[0-9a-f]{40}|[13][1-9a-z]{25,34}|(?:bc|tb|ltc)1[0-9a-z]{11,71}", re.IGNORECASE)
NUMBER = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[ ,.'\u2019\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?|\d{1,18}(?:[.,]\d{1,9})?)(k\b|m\b)?"
)
_CODE = re.compile(r"[a-z](?:_code|-code|Code)$")
_COMMON = re.compile(
    r"\W*|\d|(?:true|false|yes|no|on|off|null|none|all|any|default|auto|now|today|tomorrow|high|medium|low|asc|desc)|"
    r"[a-z]{1,3}|[\w,. ]{0,12}\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[t ].*)?|(?:\w+ )?\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]m)?|"
    r"(?:19|20)\d\d|(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day)(?: .*)?|-?0?\.\d+|[{\[].*"
)
"""Values that stand in any text by chance."""
_ITEM = re.compile(r"[^,;\n]+")
_JSON = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|(?<![\w"])(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)')


@dataclass(frozen=True, slots=True)
class Target:
    """Something a call aims at: its kind, its form for comparison, and its place in the original text."""

    kind: str
    key: str = field(repr=False)
    start: int
    end: int
    argument: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Argument:
    """One value of a call: name of its field, the value, its place in the original text."""

    name: str = field(repr=False)
    value: str = field(repr=False)
    start: int
    end: int


def fold(text: str) -> str:
    """A text as values are compared in it: lower case, defanging undone, blanks single; line ends stay.

    >>> fold("Mail  MALLORY[at]evil[.]Example")
    'mail mallory@evil.example'
    """
    text = _HXXP.sub(lambda m: f"http{m[1]}", text)
    text = _AT.sub("@", _DEFANGED.sub(".", _COLON.sub(":", text)))
    return _BLANKS.sub(" ", text.casefold()).strip()


def amounts(text: str) -> frozenset[Decimal]:
    """Every number a text states, in each way it can be read (``1.234`` is 1234 or 1.234; ``5k`` is 5000)."""
    found: set[Decimal] = set()
    for match in NUMBER.finditer(text):
        factor = {"k": 1_000, "m": 1_000_000}.get((match[2] or "").lower(), 1)
        found |= {value * factor for value in _readings(match[1])}
    return frozenset(found)


def _readings(number: str) -> Iterator[Decimal]:
    """A number with its last separator as decimal point, and with every separator left out."""
    last = max(number.rfind("."), number.rfind(","))
    bare = re.sub(r"\D", "", number)
    if last < 0:
        yield Decimal(bare)
        return
    whole, decimals = re.sub(r"\D", "", number[:last]), number[last + 1 :]
    yield Decimal(f"{whole}.{decimals}").normalize() + 0
    if len(decimals) == 3:
        yield Decimal(bare)


def arguments(text: Text) -> Iterator[Argument]:
    """The values of a call that one of its texts holds: one, or all of them when they are written as JSON."""
    part = text.part
    if part is None or part.argument is None:
        return
    for view in text.views:
        if part.argument:
            span = view.span(0, len(view.text)) if view.text else None
            if span is not None:
                argument = Argument(part.argument, view.text, span.start, span.end)
                yield argument
                yield from _inner(argument)
            continue
        name = ""
        for match in _JSON.finditer(view.text):
            if match[2] is not None:
                name = match[1]
                continue
            group = 1 if match[1] is not None else 3
            if match[group]:
                span = view.span(match.start(group), match.end(group))
                argument = Argument(name, _unescaped(match[group]), span.start, span.end)
                yield argument
                yield from _inner(argument)


def _inner(argument: Argument) -> Iterator[Argument]:
    """The values of a JSON object or list that is written into one argument, by their keys below its name."""
    value = argument.value.strip()
    if value[:1] not in ("{", "[") or value[-1:] not in ("}", "]") or not _is_json(value):
        return
    linear = len(argument.value) == argument.end - argument.start
    name = argument.name
    for match in _JSON.finditer(argument.value):
        if match[2] is not None:
            name = f"{argument.name}.{match[1]}"
            continue
        group = 1 if match[1] is not None else 3
        if match[group]:
            start, end = (argument.start + at for at in match.span(group)) if linear else (argument.start, argument.end)
            inner = Argument(name, _unescaped(match[group]), start, end)
            yield inner
            yield from _inner(inner)


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


def _unescaped(string: str) -> str:
    """The content of a JSON string as it reads; as it is written where it is none."""
    if "\\" not in string:
        return string
    try:
        return str(json.loads(f'"{string}"'))
    except ValueError:
        return string.replace("\\/", "/")


def targets(text: Text) -> Iterator[Target]:
    """What the arguments in a text aim at; the same target in two views may come twice."""
    for argument in arguments(text):
        named = holds(argument.name)
        if named == "content" or not argument.value.strip():
            continue
        if named == "command" and _CODE.search(argument.name) and not _BLANKS.search(argument.value):
            named = ""  # a vendor_code or couponCode is no program
        if named == "command":
            yield from _commanded(argument)
            continue
        if len(argument.value) > _LONGEST:
            continue
        found = list(_listed(argument, named))
        addressed = any(target.kind == "email" for target in found)  # "Doe, Jane <jane@...>" names nobody else
        yield from (target for target in found if not (addressed and target.kind == "recipient"))


def _listed(argument: Argument, named: str) -> Iterator[Target]:
    """The targets of a value, one by one where several recipients stand in it."""
    linear = len(argument.value) == argument.end - argument.start
    if named in ("recipient", "phone") and linear:
        pieces = [(match.group(), match.start(), match.end()) for match in _ITEM.finditer(argument.value)]
    else:
        pieces = [(argument.value, 0, argument.end - argument.start)]
    for value, start, end in pieces:
        kind, key = _classified(fold(value.strip(" \t\"'[]")), named)
        if kind:
            yield Target(kind, key, argument.start + start, argument.start + end, argument.name)


def _commanded(argument: Argument) -> Iterator[Target]:
    """A command as a whole, and every address inside it."""
    folded = fold(argument.value[: 16 * _LONGEST])
    yield Target("command", folded, argument.start, argument.end, argument.name)
    found = {(target.kind, target.key) for target in mentioned(folded)}
    found |= {("url", _host(host[0])) for reach in _REMOTE.finditer(folded) for host in _HOST.finditer(reach[0])}
    for kind, key in sorted(found):
        if key:
            yield Target(kind, key, argument.start, argument.end, argument.name)


def mentioned(text: str) -> Iterator[Target]:
    """E-mail addresses, URLs and accounts anywhere in a text, without their places."""
    folded = fold(text)
    found = {("url", _host(match.group())) for match in _URL.finditer(folded)}
    found |= {("email", match.group()) for match in _EMAIL.finditer(folded)}
    compact = {re.sub(r"[^0-9a-z]", "", match.group()) for match in _IBAN.finditer(folded)}
    found |= {("account", key) for key in compact if checksums.iban(key.upper())}
    for kind, key in sorted(found):
        if key:
            yield Target(kind, key, 0, len(text), "")


def _classified(value: str, named: str) -> tuple[str, str]:
    """Kind and form of a folded value; ``("", "")`` for one that aims at nothing."""
    if found := _WHOLE_EMAIL.fullmatch(value):
        return "email", found[1]
    if _URL.fullmatch(value) or (named in ("url", "recipient") and _DOMAIN.fullmatch(value)):
        return _filled("url", _host(value))
    compact = re.sub(r"[^0-9a-z]", "", value)
    if checksums.iban(compact.upper()) or _WALLET.fullmatch(value):
        return "account", compact
    digits = re.sub(r"\D", "", value)
    if _PHONE.fullmatch(value) and len(digits) >= 7 and (named in ("phone", "recipient") or value[0] == "+"):
        return "phone", digits[-9:]
    if _PATH.fullmatch(value) and named not in ("id", "command"):
        named = "path"
    form = _FORMS.get(named or "value")
    return _filled(named or "value", form(value)) if form else ("", "")


def _account(value: str) -> str:
    compact = re.sub(r"[^0-9a-z]", "", value)
    return compact if len(compact) >= 4 else ""


def _recipient(value: str) -> str:
    handle = value.lstrip("@#").strip()
    return handle if 2 <= len(handle) <= 64 and "\n" not in handle else ""


def _id(value: str) -> str:
    return value.lstrip("#") if len(value) >= 3 else ""


def _value(value: str) -> str:
    """A value that says which one; "" for prose, times, flags, units and the like."""
    if len(value) > 64 or "\n" in value or value.count(" ") > 4 or _COMMON.fullmatch(value):
        return ""
    return value.lstrip("#@")


def _filled(kind: str, key: str) -> tuple[str, str]:
    return (kind, key) if key else ("", "")


def _host(url: str) -> str:
    """The host that a URL or bare host names, as a browser reads it; "" when none."""
    parts = url_parts.parse(url_parts.refang(url))
    if parts is None:
        return ""
    return str(parts.ip) if parts.ip is not None else parts.host


def _plain_number(value: str) -> str:
    """An amount as a tool gets it, without currency: "950.00 EUR" -> "950"."""
    bare = value.strip(" $\u20ac\u00a3\u00a5").removesuffix("eur").removesuffix("usd").removesuffix("gbp").strip()
    try:
        number = Decimal(bare)
    except InvalidOperation:
        numbers = sorted(amounts(bare))
        number = numbers[-1] if len(numbers) == 1 else Decimal("NaN")
    return format(number.normalize() + 0, "f") if number.is_finite() and abs(number) < Decimal(10) ** 18 else ""


def _path(value: str) -> str:
    return value.replace("\\", "/").removeprefix("./")


_FORMS: Mapping[str, Callable[[str], str]] = {
    "amount": _plain_number,
    "path": _path,
    "url": _host,
    "account": _account,
    "recipient": _recipient,
    "id": _id,
    "value": _value,
}
"""Kind by an argument's name -> the form of its value; "" for one that cannot be compared."""
