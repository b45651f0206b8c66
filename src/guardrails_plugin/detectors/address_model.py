"""A linear-chain conditional random field that labels the tokens of an address: number, street, unit, town, postcode.

Lafferty, McCallum and Pereira, "Conditional Random Fields" (2001); the best labels by Viterbi's algorithm, the
probability of each by forward-backward (Rabiner, "A Tutorial on Hidden Markov Models", 1989). What a token says is
hashed into buckets (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009) by CRC-32, the same
everywhere; a bucket has eight bits a label. Made by ``training.street_addresses``, which says from what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from itertools import chain
from typing import Any
from zlib import crc32

import numpy as np

__all__ = [
    "BUCKETS",
    "LABELS",
    "AddressModel",
    "Token",
    "candidates",
    "features",
    "load_model",
    "pack",
    "tokens",
    "unpack",
]

LABELS = ("outside", "number", "street", "unit", "town", "postcode")
BUCKETS = 1 << 15

_WRITTEN_TOGETHER = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff"
"""Kana and Han, without spaces between words: a character is a token."""

_TOKEN = re.compile(rf"[{_WRITTEN_TOGETHER}]|[^\W_{_WRITTEN_TOGETHER}]+(?:['\u2019/-][^\W_{_WRITTEN_TOGETHER}]+)*")
_DIGITS = re.compile(r"\d+")
_END = "\0"
"""Stands for what is before the first token and behind the last."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or number.

    Attributes:
        gap: what stands between the token before and this one.
    """

    start: int
    end: int
    word: str
    gap: str


def tokens(text: str) -> list[Token]:
    """Words and numbers; a hyphen, slash or apostrophe inside one does not end it.

    >>> [token.word for token in tokens("Flat 3, 12-14 King's Rd")]
    ['Flat', '3', '12-14', "King's", 'Rd']
    """
    found: list[Token] = []
    at = 0
    for match in _TOKEN.finditer(text):
        found.append(Token(match.start(), match.end(), match.group(), text[at : match.start()]))
        at = match.end()
    return found


_NEAR = 14
"""Tokens either side of a number that may be part of its address."""

_NEAR_SIGNS = 24
"""... and of characters written without spaces."""


def candidates(row: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Stretches of tokens around numbers; an address without any number is not looked for."""
    first = last = -1
    for at, token in enumerate(row):
        if not any(map(str.isdigit, token.word)):
            continue
        near = _NEAR_SIGNS if any(side.word >= "\u3005" for side in row[max(0, at - 1) : at + 2]) else _NEAR
        if first < 0:
            first = max(0, at - near)
        elif at - near > last:
            yield first, last
            first = at - near
        last = min(len(row), at + near + 1)
    if first >= 0:
        yield first, last


def features(row: Sequence[Token]) -> list[list[int]]:
    """The buckets of each token: its word, shape and ends, its neighbours', and what stands between them."""
    words = [_END, _END, *(_folded(token.word) for token in row), _END, _END]
    shapes = [_END, _END, *(_shape(token.word) for token in row), _END, _END]
    gaps = ["", "", *(_gap(token.gap) for token in row), "", ""]
    return [[crc32(said.encode()) % BUCKETS for said in _said(words, shapes, gaps, at + 2)] for at in range(len(row))]


def _said(words: Sequence[str], shapes: Sequence[str], gaps: Sequence[str], at: int) -> Iterable[str]:
    word, shape, before, after = words[at], shapes[at], gaps[at], gaps[at + 1]
    return (
        "",
        f"w {word}", f"s {shape}", f"2 {word[-2:]}", f"3 {word[-3:]}", f"4 {word[-4:]}", f"6 {word[-6:]}",
        f"b {before}", f"a {after}", f"bs {before} {shape}", f"as {shape} {after}", f"bwa {before} {word} {after}",
        f"-w {words[at - 1]}", f"+w {words[at + 1]}", f"--w {words[at - 2]}", f"++w {words[at + 2]}",
        f"-s {before} {shapes[at - 1]}", f"+s {after} {shapes[at + 1]}",
        f"-4 {words[at - 1][-4:]} {shape}", f"+4 {words[at + 1][-4:]} {shape}",
        f"-ss {shapes[at - 1]} {shape}", f"ss+ {shape} {shapes[at + 1]}",
        f"-s+ {shapes[at - 1]} {shape} {shapes[at + 1]}", f"s++ {shape} {after} {shapes[at + 1]} {shapes[at + 2]}",
        f"--s {shapes[at - 2]} {shapes[at - 1]} {before} {shape}",
        f"-ww {words[at - 1]} {word}", f"w+w {word} {words[at + 1]}",
    )  # fmt: skip


@lru_cache(8_192)
def _folded(word: str) -> str:
    """Lower case, each number by its length: which number a house has says nothing."""
    return _DIGITS.sub(lambda digits: "0" * min(6, len(digits.group())), word.lower())


@lru_cache(8_192)
def _shape(word: str) -> str:
    """Digits by their count, letters by case: ``10b`` is ``00x``, ``Baker`` is ``Xx``, ``SW1A`` is ``X0X``."""
    shape = ""
    for char in word:
        kind = _kind(char)
        if kind == "0" or not shape.endswith(kind) or kind == "-":
            shape += kind
        if len(shape) > 7:
            break
    return f"{shape}{len(word)}" if shape in ("X", "x") and len(word) < 4 else shape


def _kind(char: str) -> str:
    if char.isdigit():
        return "0"
    if not char.isalpha():
        return "-"
    if char >= "\u3040":
        return "c"
    return "X" if char.isupper() else "x"


_GAPS: Mapping[str, str] = {"": "_", " ": " ", ", ": ",", ",": ",", ". ": ".", "\n": "n", ",\n": "n", ".\n": "n"}


def _gap(between: str) -> str:
    plain = _GAPS.get(between)
    if plain is not None:
        return plain
    if "\n" in between:
        return "n" if between.strip(" ,.\r") == "\n" else "nn"
    signs = between.replace(" ", "")
    return signs[:2] or " "


@dataclass(frozen=True)
class AddressModel:
    """What each bucket says for each label, and each label for the one behind it, as logarithms."""

    weights: Any
    steps: Any

    def label(self, row: Sequence[Token]) -> tuple[list[int], list[float]]:
        """The number of each token's label in the best labelling, and the probability that it is not outside."""
        if not row:
            return [], []
        emissions = self._emissions(features(row))
        return _best(emissions, self.steps), _inside(emissions, self.steps)

    def _emissions(self, buckets: Sequence[Sequence[int]]) -> Any:
        sizes = [len(own) for own in buckets]
        starts = np.cumsum([0, *sizes[:-1]])
        flat = np.fromiter(chain.from_iterable(buckets), np.int64, sum(sizes))
        return np.add.reduceat(self.weights[flat], starts, axis=0)


def _best(emissions: Any, steps: Any) -> list[int]:
    """Viterbi: the labelling of the highest sum."""
    score = emissions[0]
    back = []
    for own in emissions[1:]:
        every = score[:, None] + steps
        back.append(every.argmax(axis=0))
        score = every.max(axis=0) + own
    path = [int(score.argmax())]
    for came in reversed(back):
        path.append(int(came[path[-1]]))
    return path[::-1]


def _inside(emissions: Any, steps: Any) -> list[float]:
    """Forward-backward, each token's sums scaled to one: the probability of any label but the first."""
    raised = np.exp(emissions - emissions.max(axis=1, keepdims=True))
    going = np.exp(steps)
    forward = np.empty_like(raised)
    backward = np.ones_like(raised)
    forward[0] = raised[0] / raised[0].sum()
    for at in range(1, len(raised)):
        reached = (forward[at - 1] @ going) * raised[at]
        forward[at] = reached / reached.sum()
    for at in range(len(raised) - 2, -1, -1):
        left = going @ (raised[at + 1] * backward[at + 1])
        backward[at] = left / left.sum()
    both = forward * backward
    return [float(one) for one in 1 - both[:, 0] / both.sum(axis=1)]


def pack(weights: Any, steps: Any) -> dict[str, Any]:
    """Arrays to keep: eight bits a weight."""
    scale = float(np.abs(weights).max()) / 127
    return {
        "weights": np.round(weights / scale).astype(np.int8),
        "scale": np.float64(scale),
        "steps": np.asarray(steps, np.float64),
    }


def unpack(table: Any) -> AddressModel:
    """The model behind `pack`'s arrays."""
    return AddressModel(table["weights"].astype(np.float32) * float(table["scale"]), table["steps"])


@cache
def load_model() -> AddressModel:
    """The embedded model."""
    data = (files("guardrails_plugin.detectors") / "data" / "street_addresses.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as table:
        return unpack(table)
