"""From a pattern to its gate: a short expression that must end wherever a match may begin.

Running hundreds of patterns over every text would be slow; one automaton over short prefixes of all of them is
not. A gate over-approximates: every match of the pattern starts at most ``reach`` bytes before the end of some
gate hit, so that searching there, and only there, finds exactly what searching everywhere would.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

try:
    from re import _parser as sre  # pyright: ignore[reportAttributeAccessIssue]  # Python 3.11+
except ImportError:
    import sre_parse as sre

__all__ = ["Gate", "Shape", "derive", "samples", "shape"]

_ENOUGH = 10
"""Bytes a gate should require: long enough to be rare in prose, short enough to compile in milliseconds."""

_WIDEST = 48
"""Bytes a gate may span before it is cut off."""

_UNBOUNDED = 50_000
"""Code points from which on a bounded repeat is as good as none."""

_MINIMUM = 3
"""A gate that requires fewer bytes than this hits everywhere and is worse than none."""


@dataclass(frozen=True, slots=True)
class Gate:
    """An expression in byte semantics; a match starts within ``reach`` bytes before the end of one of its hits."""

    expression: str
    reach: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pattern's syntax tells about its matches.

    Attributes:
        width: most code points (None: no bound).
        literal: lower case, in every match ("" when there is none).
        spaceless: True when no match contains white space.
    """

    width: int | None
    literal: str
    spaceless: bool


@dataclass(frozen=True, slots=True)
class _Part:
    expression: str
    least: int
    most: int
    final: bool = False
    """True when what follows in the pattern is no longer part of the gate."""


def shape(pattern: str) -> Shape:
    """Width and longest required literal of a pattern; no bound and no literal when its syntax is re2's alone."""
    tree = _parse(pattern)
    if tree is None:
        return Shape(None, "", spaceless=False)
    _, most = tree.getwidth()
    width = None if most >= sre.MAXREPEAT or most > _UNBOUNDED else most
    literal = max(_literals(tree), key=len, default="").lower()
    return Shape(width, literal, spaceless=not any(map(_spacey, _nodes(tree))))


def derive(pattern: str) -> Gate | None:
    """The pattern's own beginning as its gate; None when that says too little."""
    tree = _parse(pattern)
    if tree is None or tree.state.flags & (re.IGNORECASE | re.DOTALL):
        return None
    part = _sequence(tree, _ENOUGH)
    if part.least < _MINIMUM:
        return None
    return Gate(part.expression, part.most)


def samples(expression: str, count: int, rng: random.Random) -> Iterator[bytes]:
    """Byte strings that a gate's expression was walked to: the shortest ones branch by branch, then some by lot.

    Word boundaries are not looked at, so a sample may fail to match where it is put.
    """
    tree = sre.parse(expression)
    for number in range(count):
        turn = number if number < 2 * count // 3 else None
        yield bytes(_walked(tree, rng, turn))


def _walked(items: Any, rng: random.Random, turn: int | None) -> Iterator[int]:
    """Bytes of one walk; with a turn, repeats are as few as may be and branches are taken in turn."""
    for operator, argument in items:
        name = str(operator)
        if name == "LITERAL":
            yield argument
        elif name in ("IN", "NOT_LITERAL"):
            yield _member([("NEGATE", None), ("LITERAL", argument)] if name == "NOT_LITERAL" else argument, rng)
        elif name == "BRANCH":
            branches = argument[1]
            yield from _walked(rng.choice(branches) if turn is None else branches[turn % len(branches)], rng, turn)
        elif name == "SUBPATTERN":
            yield from _walked(argument[-1], rng, turn)
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, repeated = argument
            for _ in range(low if turn is not None else rng.randint(low, min(high, low + 2))):
                yield from _walked(repeated, rng, turn)


def _member(argument: Any, rng: random.Random) -> int:
    """A byte of a class, ASCII if it has any."""
    return rng.choice(_members(_class_bytes(argument)) or b"\xe9")


@cache
def _members(inside: bytes) -> bytes:
    return b"".join(re.findall(b"[" + inside + b"]", bytes(range(128))))


def _class_bytes(argument: Any) -> bytes:
    inside = b""
    for kind, value in argument:
        if str(kind) == "NEGATE":
            inside += b"^"
        elif str(kind) == "CATEGORY":
            inside += _CATEGORIES[str(value)].encode()
        else:
            low, high = value if str(kind) == "RANGE" else (value, value)
            inside += b"\\x%02x-\\x%02x" % (low, min(high, 255))
    return inside


def _parse(pattern: str) -> Any:
    """The syntax tree, or None when the standard parser does not read the pattern as re2 does."""
    if re.search(r"\[\[:|\\[pPCQzU]", pattern):
        return None
    try:
        return sre.parse(re.sub(r"\(\?P?<[A-Za-z_]\w*>", "(", pattern))
    except (re.error, OverflowError, RecursionError):
        return None


def _nodes(items: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf of a syntax tree: literals and classes."""
    for operator, argument in items:
        name = str(operator)
        if name == "SUBPATTERN":
            yield from _nodes(argument[-1])
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            yield from _nodes(argument[2])
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from _nodes(branch)
        else:
            yield name, argument


def _spacey(node: tuple[str, Any]) -> bool:
    """True when the node may match white space."""
    name, argument = node
    if name == "LITERAL":
        return chr(argument).isspace()
    if name != "IN":
        return name in ("NOT_LITERAL", "ANY")
    kinds = {str(kind): value for kind, value in argument}
    categories = {str(value) for kind, value in argument if str(kind) == "CATEGORY"}
    if "NEGATE" in kinds:
        return "CATEGORY_SPACE" not in categories
    if categories - {"CATEGORY_DIGIT", "CATEGORY_WORD"}:
        return True
    codes = [value if str(kind) == "RANGE" else (value, value) for kind, value in argument if str(kind) != "CATEGORY"]
    return any(low <= space <= high for low, high in codes for space in (9, 10, 11, 12, 13, 32))


def _sequence(items: Any, wanted: int) -> _Part:
    text, least, most = "", 0, 0
    for operator, argument in items:
        part = _part(str(operator), argument, max(1, wanted - least))
        if part is None or (most + part.most > _WIDEST and least >= _MINIMUM):
            return _Part(text, least, most, final=True)
        text, least, most = text + part.expression, least + part.least, most + part.most
        if part.final or least >= wanted:
            return _Part(text, least, most, final=True)
    return _Part(text, least, most)


def _part(operator: str, argument: Any, wanted: int) -> _Part | None:
    """The gate's form of one syntax node; None when it cannot be expressed and the gate must end before it."""
    if operator == "LITERAL":
        data = chr(argument).encode("utf-8", "surrogatepass")
        return _Part("".join(f"\\x{byte:02x}" for byte in data), len(data), len(data))
    if operator in ("NOT_LITERAL", "IN", "ANY"):
        return _class(operator, argument)
    if operator in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeat(*argument, wanted=wanted)
    if operator == "SUBPATTERN":
        if argument[1] or argument[2]:  # flags of its own
            return None
        part = _sequence(argument[-1], wanted)
        return _Part(f"(?:{part.expression})", part.least, part.most, part.final)
    if operator == "BRANCH":
        parts = [_sequence(branch, wanted) for branch in argument[1]]
        text = "|".join(part.expression for part in parts)
        least, most = min(p.least for p in parts), max(p.most for p in parts)
        return _Part(f"(?:{text})", least, most, any(part.final for part in parts))
    if operator == "AT":
        return _Part({"AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B"}.get(str(argument), ""), 0, 0)
    return None


def _repeat(low: int, high: Any, items: Any, *, wanted: int) -> _Part | None:
    part = _sequence(items, wanted)
    if part.final and part.least == 0:
        return None
    if low == 0 and (high is sre.MAXREPEAT or high * part.most > _WIDEST or part.final):
        return None
    if low and part.final:
        return part
    enough = -(-wanted // max(1, part.least))
    if low >= enough:
        return _Part(f"(?:{part.expression}){{{enough}}}", enough * part.least, enough * part.most, final=True)
    if high is sre.MAXREPEAT or high * part.most > _WIDEST:
        return _Part(f"(?:{part.expression}){{{low}}}", low * part.least, low * part.most, final=True)
    return _Part(f"(?:{part.expression}){{{low},{high}}}", low * part.least, high * part.most)


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_NOT_SPACE": r"\S",
}


def _class(operator: str, argument: Any) -> _Part:
    """A character class in bytes; one that admits anything beyond ASCII takes one to four arbitrary high bytes."""
    if operator == "ANY":
        return _Part(r"[^\n]{1,4}", 1, 4)
    if operator == "NOT_LITERAL":
        argument = [("NEGATE", None), ("LITERAL", argument)]
    inside, negated, wide = "", False, False
    for kind, value in argument:
        if str(kind) == "NEGATE":
            negated = True
        elif str(kind) == "CATEGORY":
            inside += _CATEGORIES[str(value)]
            wide |= "_NOT_" in str(value)
        else:
            low, high = value if str(kind) == "RANGE" else (value, value)
            wide |= high > 127
            if low < 128:
                inside += f"\\x{low:02x}-\\x{min(high, 127):02x}"
    if negated:
        return _Part(f"[^{inside}]{{1,4}}", 1, 4)
    return _Part(f"[{inside}\\x80-\\xff]{{1,4}}", 1, 4) if wide else _Part(f"[{inside}]", 1, 1)


def _literals(items: Any) -> list[str]:
    """Literal runs that every match contains."""
    found, run = [], ""
    for operator, argument in items:
        name = str(operator)
        if name == "LITERAL" and argument < 128:
            run += chr(argument)
            continue
        found.append(run)
        run = ""
        if name == "SUBPATTERN":
            found += _literals(argument[-1])
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] >= 1:
            found += _literals(argument[2])
    return [*found, run]
