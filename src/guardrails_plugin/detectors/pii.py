"""Personal data by pattern, check digit and context words.

A row of ``data/pii.toml`` proposes; `Pii.confirm` decides: the value must stand alone (not be part of a longer number,
price, path or UUID), pass its validator and, where the shape says little (nine digits), have a context word near it
or in the name of its field. `Pii.resolve` then settles overlaps: a phone number inside a card number is none.

Source: each row of ``data/pii.toml`` names the standard or the authority that its form comes from.
Limits: names, organisations and places need a model, not a pattern. Phone numbers are checked against country codes
and lengths only, unless ``verify_phones`` asks for the numbering plans, too. Ethereum addresses in one case are taken
on their shape; EIP-55 checks those of mixed case.

Keys of a row beyond `matching.Pattern`: ``category`` ("sensitive" when not given); ``reject``, what the value must not
look like; ``also``, a word of this list must be near, too; ``unless``, a word of this list nearer than any context word
speaks against the value; ``near`` and ``after``, how far before and behind it a context word may stand; ``edge``, what
it must not touch (`_EDGES`); ``not_after``, what must not lead up to it; ``digits`` and ``grouped``, see
`Pii.patterns`; ``region``, see `pii_phones`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, ClassVar

from ahocorasick_rs import BytesAhoCorasick
from pydantic.dataclasses import dataclass

from guardrails_plugin import checksums
from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place
from guardrails_plugin.detectors.pii_checks import CHECKS
from guardrails_plugin.detectors.pii_phones import is_phone, require_phones
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.errors import unknown_name
from guardrails_plugin.matching import CONTEXT_CHARS, Match, Pattern, compile_pattern
from guardrails_plugin.types import Finding

__all__ = ["Pii"]

_OPTIONAL = frozenset(
    "AGE_OVER_89 DATE_TIME MEDICAL_DATE MEDICAL_DEVICE_ID MONEY PATIENT_URL STREET_ADDRESS URL".split()
)
"""Types that are looked for where they are named only: elsewhere most of what looks like them tells of nobody."""

_SENSITIVE = "sensitive"

_NUMBER_BEFORE = r"(?:\d[-.:+/]|[0-9A-Fa-f]{4}-|[A-Za-z]/|[$€£¥@~^*\\+]|[=<>~!]=\s?)$"
_NUMBER_AFTER = r"[-.:/]\d|-[A-Za-z]|\s?%|[@=_°]|\.[A-Za-z]"
_EDGES = {
    name: (re.compile(before), re.compile(after))
    for name, (before, after) in {
        "number": (_NUMBER_BEFORE + r"|\w\($", _NUMBER_AFTER),
        "phone": (_NUMBER_BEFORE, _NUMBER_AFTER),
        "plus": (r"[\w)\]]$|[$€£¥]$", _NUMBER_AFTER),
        "card": (r"(?:\d[-.]|[0-9A-Fa-f]{4}-|[$€£¥+])$", r"[-.]\d|[@_]"),
        "ip": (r"(?:[\d:]\.|[A-Za-z_]-|[A-Za-z]/|[=<>~!^]=\s?|[~^])$", r"\.\w|-[A-Za-z]"),
        "colon": (r"(?:(?:^|[^A-Za-z])[0-9A-Fa-f]{1,4}[:-]|[:.\w])$", r"[:-][0-9A-Fa-f]|[:\w]"),
        "date": (r"\d[-.:/]$", r"[-./]\d|[A-SU-Za-z]"),
        "geo": (r"\d[.,]?$", r"[.\d]"),
        "word": (r"(?:\w[-+]|\.)$", r"[-+=]\w"),
        "spread": (r"\d[ .,-]{0,2}\n?[ .-]?$", r"[ .,-]{0,2}\n?[ .-]?\d"),
        "after": (r"(?!)", _NUMBER_AFTER),
        "none": (r"(?!)", r"(?!)"),
    }.items()
}
"""What may not stand directly before and behind a value, by a row's ``edge``."""

_FIELD = re.compile(r"""[\n,;{(\[&?<]\s{0,4}["']?([A-Za-z_][\w-]{0,40})["']?\s?[:=]\s?["']?$""")
"""A single name that labels the value: ``"order_id": "``."""

_FIELD_END = re.compile(r"""["']?\s?(?:[,;}\])&\n]|$)""")

_CLAUSE = re.compile(r"[,;|{}\n\t]")
_VAGUE = frozenset("number no num nr value id_number it text content input output message query prompt answer".split())

_DIGITS, _BARE = "digits", r"\b\d{8,19}\b"
"""The pattern that stands for all rows marked ``digits``."""

_NUMBERS, _SURE = ("number", "phone"), 0.95
"""Edges of rows that propose mere numbers; the score from which a label of something else does not matter."""

_WEAK = 0.4
"""Score of bare digits with an issuer's prefix and a right check digit, a tenth of all such, that a label calls
something else than a card."""

_OTHER = compile_pattern(
    r"(?:^|[^a-z])(?:order|awb|invoice|ticket|tracking|reference|ref|sku|item|product|part|serial|batch|lot|model|version|"
    r"build|release|revision|rev|port|page|line|row|error|exit|status|request|req|session|transaction|txn|trace|span|"
    r"commit|issue|pr|bug|job|task|process|pid|thread|timestamp|epoch|isbn|issn|ean|upc|barcode|doi|case|claim|booking|"
    r"confirmation|shipment|parcel|package|patent|size|total|count|amount|sum|offset|index|seed)"
    r"""(?:[ _-]?(?:id|no|num|number|nr|code|key|#))?["']?(?: is| was)?[-.:=# "']{0,4}$""",
    ignore_case=True,
)
"""Directly before a number: it is something else."""

_CAMEL = re.compile(rb"([a-z])([A-Z])")


@dataclass(frozen=True, config=SETTINGS)
class Pii(PatternBase):
    """Personal data of some sixty types: cards, accounts, identity and health numbers, contacts, addresses, wallets.

    Attributes:
        entities: the types to look for; None: all but the optional ones.
        optional: optional types to look for, too: ``DATE_TIME``, ``MONEY``, ``STREET_ADDRESS``, ``URL``; of patients
            ``AGE_OVER_89``, ``MEDICAL_DATE``, ``MEDICAL_DEVICE_ID``, ``PATIENT_URL``.
        allow: values that are never reported (compared without separators and case).
        addresses: look for street addresses, too; the same as naming them in ``optional``.
        verify_phones: drop phone numbers that no numbering plan has, where the country is known (extra ``phones``).
    """

    entities: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    addresses: bool = False
    verify_phones: bool = False

    name: ClassVar[str] = "pii"

    def __post_init__(self) -> None:
        valid = {row.entity_type for row in load_table("pii")}
        for entity in self.entities or ():
            if entity not in valid:
                raise unknown_name("entity type", entity, valid, "pii.entities")
        for entity in self.optional:
            if entity not in _OPTIONAL:
                raise unknown_name("optional entity type", entity, _OPTIONAL, "pii.optional")
        if self.verify_phones:
            require_phones()

    @cached_property
    def entity_types(self) -> frozenset[str]:  # type: ignore[override]
        """Every type these settings can find."""
        return frozenset(row.entity_type for row in self._rows)

    @cached_property
    def categories(self) -> Mapping[str, frozenset[str]]:  # type: ignore[override]
        """``sensitive``, ``contact``, ``network``, ``crypto``, ``date``, ``location``, ``vehicle``, ``authentication``.

        And ``company``, the public numbers of companies and banks. A type is in one of them.
        """
        groups: dict[str, set[str]] = {row.extra.get("category", _SENSITIVE): set() for row in load_table("pii")}
        for row in self._rows:
            groups[row.extra.get("category", _SENSITIVE)].add(row.entity_type)
        return {name: frozenset(types) for name, types in groups.items()}

    @cached_property
    def patterns(self) -> tuple[Pattern, ...]:  # type: ignore[override]
        """The rows these settings ask for.

        Rows marked ``digits`` share one pattern for digits without separators, so that a number costs one look, not
        twenty; what they say of digits in groups is in ``grouped``.
        """
        others = (row for row in self._rows if not row.extra.get("digits"))
        grouped = (_grouped(row, row.extra["grouped"]) for row in self._bare if "grouped" in row.extra)
        shared = (replace(row, id=_DIGITS, regex=_BARE, gate=_BARE, reach=19) for row in self._bare[:1])
        return (*others, *grouped, *shared)

    @cached_property
    def _rows(self) -> tuple[Pattern, ...]:
        named = {*(self.entities or ()), *self.optional, *(["STREET_ADDRESS"] if self.addresses else [])}
        every = self.entities is None
        kinds = ((row, row.entity_type) for row in load_table("pii"))
        return tuple(row for row, kind in kinds if kind in named or (every and kind not in _OPTIONAL))

    @cached_property
    def _bare(self) -> tuple[Pattern, ...]:
        return tuple(row for row in self._rows if row.extra.get("digits"))

    @cached_property
    def _stems(self) -> tuple[bytes, ...]:
        return tuple(sorted(frozenset().union(*(_stems(row.context) for row in self._bare))))

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(map(checksums.compact, self.allow))

    def confirm(self, match: Match) -> Finding | None:
        """The finding behind a raw match; None when it is part of something longer, wrong, or without context."""
        if match.pattern.id != _DIGITS:
            return self._confirm(match)
        around = b"".join(_around(match, CONTEXT_CHARS, CONTEXT_CHARS // 2)).decode("utf-8", "replace").lower().encode()
        near = {
            self._stems[place] for place, _, _ in _finder(self._stems).find_matches_as_indexes(around, overlapping=True)
        }
        likely = (row for row in self._bare if not near.isdisjoint(_stems(row.context)))
        value = match.value.encode()
        rows = (row for row in likely if row.compiled.fullmatch(value))
        found = filter(None, (self._confirm(replace(match, pattern=row)) for row in rows))
        return max(found, key=_weight, default=None)

    def _confirm(self, match: Match) -> Finding | None:
        row = match.pattern
        if row.validator == "iban":
            match = _cut(match)
        if not _alone(match):
            return None
        score, distance = _score(match)
        if score == 0 or not _valid(row, match.value):
            return None
        if self.verify_phones and "region" in row.extra and not is_phone(match.value, row.extra["region"]):
            return None
        if self._allowed and checksums.compact(match.value) in self._allowed:
            return None
        if distance is None and row.value_group:
            distance = 0  # the label is a part of the pattern
        near = {} if distance is None else {"distance": float(distance)}
        return match.finding(self.name, score=score, evidence={"grade": _graded(row, score, distance), **near})

    def resolve(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Drops a finding when one that overlaps it knows better: checksum over shape over context over length.

        Local: what becomes of a finding depends on those that overlap it, on nothing else. Of two that merely touch
        and are of the same grade both stay, so that no character of either escapes.
        """
        ordered = by_place(findings)
        dropped: set[int] = set()
        for index, one in enumerate(ordered):
            for later in range(index + 1, len(ordered)):
                if ordered[later].start >= one.end:
                    break
                if _yields(one, ordered[later]):
                    dropped.add(index)
                elif _yields(ordered[later], one):
                    dropped.add(later)
        return tuple(finding for index, finding in enumerate(ordered) if index not in dropped)


def _grouped(row: Pattern, regex: str) -> Pattern:
    """The row for digits in groups only; its gate is the whole pattern, which is ASCII and short."""
    return replace(row, regex=regex, gate=regex, reach=40)


_DECODED = frozenset({"base64", "hex", "hidden"})
"""Views in which different values share one span of the original."""

_GRADES = {"checksum": 3, "shape": 2, "context": 1, "general": 0}


def _graded(row: Pattern, score: float, distance: int | None) -> str:
    """What a finding rests on; a check digit that needs context counts as one only close to its word.

    Dates as such are the least: whatever is known about one of them says more.
    """
    if row.entity_type == "DATE_TIME":
        return "general"
    if row.validator not in CHECKS and score >= 0.9 and (row.score > 0 or (distance or 0) <= 16):
        return "checksum"
    return "shape" if row.score > 0 else "context"


def _grade(finding: Finding) -> int:
    return _GRADES[str(finding.evidence["grade"])]


def _weight(finding: Finding) -> tuple[Any, ...]:
    """Total order of overlapping findings; among those that rest on context alone the nearest word counts most."""
    grade = _grade(finding)
    distance = float(finding.evidence.get("distance", 0)) if grade == 1 else 0.0
    return grade, -distance, finding.score, finding.end - finding.start, finding.entity_type, finding.start


_TELLING = frozenset({"CREDIT_CARD", "CRYPTO", "IBAN_CODE"})
"""Types whose own prefix and check digits tell more than any label."""

_BESIDE = 16
"""Bytes from a value within which a context word is its label."""


def _labelled(finding: Finding) -> bool:
    """True when a label stands beside it; those of phones say much else ("call", "home")."""
    return finding.entity_type != "PHONE_NUMBER" and float(finding.evidence.get("distance", _BESIDE + 1)) <= _BESIDE


def _weightier(one: Finding, other: Finding) -> bool:
    """True when of two readings of one place the first says more: one that has its label there beats one without."""
    same = (one.start, one.end) == (other.start, other.end)
    if same and _labelled(one) != _labelled(other):
        weaker = other if _labelled(one) else one
        if weaker.entity_type not in _TELLING:
            return weaker is other
    return _weight(one) > _weight(other)


def _yields(one: Finding, other: Finding) -> bool:
    """True when ``one``, which overlaps ``other``, is to be dropped for it."""
    if one.segment != other.segment or not _DECODED.isdisjoint((one.evidence.get("view"), other.evidence.get("view"))):
        return False
    covered = other.start <= one.start and one.end <= other.end
    return _weightier(other, one) and (covered or _grade(one) < _grade(other))


def _valid(row: Pattern, value: str) -> bool:
    check = CHECKS.get(row.validator) or getattr(checksums, row.validator)
    return check(value) and not ("reject" in row.extra and re.search(row.extra["reject"], value, re.IGNORECASE))


def _alone(match: Match) -> bool:
    """True when the value is not a part of something longer."""
    edge = match.pattern.extra.get("edge", "number")
    before, after = _EDGES[edge]
    text = match.view.text
    led_up = match.pattern.extra.get("not_after", "")
    if led_up and re.search(led_up, text[max(0, match.start - CONTEXT_CHARS) : match.start]):
        return False
    lead, tail = text[max(0, match.start - 6) : match.start], text[match.end : match.end + 4]
    # Written with spaces, or in one piece, it could be a group of a longer number.
    groups = edge == "number" and (" " in match.value or match.value.isdigit())
    if groups and (_GROUP_BEFORE.search(lead) or _GROUP_AFTER.match(tail)):
        return False
    return before.search(lead) is None and after.match(tail) is None and not (" " in match.value and _tabled(match))


def _tabled(match: Match) -> bool:
    """True when the groups of digits go on as hexadecimal ones: a table of character codes."""
    text = match.view.text
    before, after = (
        _CODES_BEFORE.search(text[max(0, match.start - 25) : match.start]),
        _CODES_AFTER.match(text, match.end),
    )
    codes = [*(before[0].split() if before else ()), *(after[0].split() if after else ())]
    return any(not code.isdigit() and not code.isalpha() for code in codes)


_CODES_BEFORE, _CODES_AFTER = re.compile(r"(?:\b[0-9A-F]{4,5}\s){1,5}$"), re.compile(r"(?:\s[0-9A-F]{4,5}\b){1,5}")
_GROUP_BEFORE, _GROUP_AFTER = re.compile(r"\d{3} $"), re.compile(r" \d{3}")


def _cut(match: Match) -> Match:
    """An IBAN without the capitals that happen to follow it: each country has its length."""
    wanted = int(checksums.IBAN_LENGTHS.get(match.value[:2].upper(), "0"))
    for index, char in enumerate(match.value, 1):
        wanted -= char not in " -"
        if wanted == 0:
            end = match.start + index
            return match if match.view.text[end : end + 1].isalnum() else replace(match, end=end)
    return match


def _score(match: Match) -> tuple[float, int | None]:
    """The score, and how many bytes away the context word stands that it owes to (0: in the name of the field)."""
    row = match.pattern
    if not row.context:
        return row.score, None
    parts = _around(match, row.extra.get("near", CONTEXT_CHARS), row.extra.get("after", CONTEXT_CHARS // 2))
    if "also" in row.extra and not _pattern(tuple(row.extra["also"])).search(f"\n{match.around}\n".encode()):
        return row.score, None
    distance = _distance(row.context, parts)
    if "unless" in row.extra:
        against = _distance(tuple(row.extra["unless"]), parts)
        if against is not None and (distance is None or against <= distance):
            return 0.0, None
    other = (row.score == 0 or row.extra.get("edge", "number") in (*_NUMBERS, "card")) and _is_other(match, parts)
    if distance is None or (distance and row.score == 0 and other):
        if other and row.extra.get("edge") == "card":
            return (_WEAK if match.value.isdigit() else row.score), None
        return 0.0 if other and row.score < _SURE and not match.value.startswith("+") else row.score, None
    return row.context_score, distance


def _is_other(match: Match, parts: tuple[bytes, bytes, bytes]) -> bool:
    """True when a label directly before the value, or the name of the field that it fills, says something else."""
    names, before, _ = parts
    whole = match.value == match.view.text.strip() or match.columns.label(match.start, match.end)
    labels = names if whole else before
    return _OTHER.search(_CAMEL.sub(rb"\1_\2", labels.rstrip(b"\n"))) is not None


def _around(match: Match, near: int, after: int) -> tuple[bytes, bytes, bytes]:
    """Names of the enclosing fields, what stands before the value, what behind; a field of its own speaks alone."""
    text = match.view.text
    first = max(0, match.start - near)
    lead = "\n" * (first == 0) + text[first : match.start]
    tail = text[match.end : match.end + after] + "\n" * (match.end + after >= len(text))
    if stop := _CLAUSE.search(tail):
        tail = tail[: stop.start()] + "\n"
    label = match.columns.label(match.start, match.end)
    if label:
        lead = lead[max(lead.rfind("\n"), lead.rfind("<tr")) + 1 :]
    field = _FIELD.search(lead)
    if field and field[1].lower() not in _VAGUE and _FIELD_END.match(text, match.end):
        lead, tail = f"\n{field[1]}", "\n"
    return f"\n{match.text.hint}\n{label}\n".encode(), f"{lead}\n".encode(), f"\n{tail}".encode()


def _distance(words: tuple[str, ...], around: tuple[bytes, ...]) -> int | None:
    """From the value to the nearest of the words in the field's name, before and behind it."""
    pattern, (names, before, after) = _pattern(words), around
    if pattern.search(b"".join(around)) is None:
        return None
    if pattern.search(names):
        return 0
    ends = [len(before) - found.end() + 1 for found in pattern.finditer(before)]
    behind = pattern.search(after)
    return min([*ends[-1:], *([behind.start() + 1] if behind else [])], default=None)


@cache
def _pattern(words: tuple[str, ...]) -> Any:
    """Whole words, also of ``camelCase`` and ``snake_case`` names: "ssn" of ``userSsn``, not "lic" of "public"."""
    return compile_pattern("|".join(map(_word, words)), where="context")


@cache
def _stems(words: tuple[str, ...]) -> frozenset[bytes]:
    """What must be near for one of the words to be, the longest piece of each: a cheap first look."""
    return frozenset(max(word.split(), key=len).lower().encode() for word in words)


@cache
def _finder(stems: tuple[bytes, ...]) -> BytesAhoCorasick:
    return BytesAhoCorasick(stems)


_UNSPACED = "\u0e00"
"""From Thai on, scripts that set no space between words, or add endings to them."""


def _word(word: str) -> str:
    parts = word.split()
    if parts[0][-1] >= _UNSPACED:
        return "".join(parts)
    whole, head, tail = "[ _.'/-]{0,2}".join(parts), parts[0], parts[-1]
    capital = f"{head[0].upper()}(?i:{whole[1:]})"
    start = f"(?i:{whole[:-1]}){tail[-1]}[A-Z]"
    letter = "A-Za-z\u00c0-\u024f\u0370-\u052f"
    return f"[^{letter}](?i:{whole})[^{letter}]|[^{letter}]{start}|[a-z]{capital}[^a-z]"
