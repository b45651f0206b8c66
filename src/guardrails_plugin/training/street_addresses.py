"""The model behind the ``street_addresses`` detector: composed addresses, and a CRF fitted on them.

Composed: ``address_formats.toml`` says how 34 countries write addresses and in which sentences they stand; names of
persons and places come from Faker's lists (MIT). Near misses (dates, scores, chapters, articles of laws) are composed
alike. Real: rows of ``data/injection`` without attack, as texts without address; those in which the patterns of `pii`
see one are left out. No real person's address is used, and numbers on composed texts say little about others.

Fitted by CRFsuite (Okazaki, 2007): L-BFGS (Nocedal, 1980) with L1 and L2 penalties. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from guardrails_plugin.detectors.address_model import BUCKETS, LABELS, Token, candidates, features, pack, tokens

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Example", "Names", "compose", "fit", "formats", "main", "names_of", "near_miss"]

_FIELDS = {"N": "number", "S": "street", "U": "unit", "C": "town", "R": "town", "Z": "postcode"}
_SOURCES = {"N": "number", "S": "street", "U": "unit", "R": "region", "Z": "code"}
_DIRECTIONS = ("N", "S", "E", "W", "NE", "NW", "SE", "SW", "North", "South", "East", "West", "N.", "W.")
_FIELD = re.compile(r"\{([NSUCRZ])\}")
_PLACE = re.compile("<(big|ord|town|type|word|first|last|dir)>")
_LENGTH = 800
"""Characters of a real text that are read."""

_ENGLISH = ("US", "UK", "CA", "AU", "US", "UK", "NZ", "IE")


@dataclass(frozen=True)
class Names:
    """Lists a country's names are drawn from."""

    first: list[str]
    last: list[str]
    town: list[str]


@dataclass(frozen=True)
class Example:
    """A text, and the label of each character that is part of an address."""

    text: str
    labels: Mapping[int, str]


@cache
def formats() -> dict[str, dict[str, Any]]:
    """The tables of ``address_formats.toml``."""
    return tomllib.loads((files("guardrails_plugin.training") / "address_formats.toml").read_text("utf-8"))


def names_of(country: str, *, count: int = 400) -> Names:
    """A country's names, from Faker."""
    # Deferred: only composing on a large scale needs it.
    from faker import Faker

    source: Any = Faker(formats()[country]["locale"])
    source.seed_instance(5)
    drawn = [[make() for _ in range(count)] for make in (source.first_name, source.last_name, source.city)]
    return Names(*drawn)


def filled(pattern: str, chooser: random.Random) -> str:
    """``%`` as a digit from 1, ``#`` as a digit, ``@`` as a capital, ``&`` as a small letter."""
    choices = {"%": "123456789", "#": "0123456789", "@": "ABCDEFGHJKLMNPRSTUVWXYZ", "&": "abcdefgh"}
    return "".join(chooser.choice(choices[char]) if char in choices else char for char in pattern)


def _drawn(kind: str, country: Mapping[str, Any], names: Names, chooser: random.Random) -> str:
    if kind == "big":
        return filled(chooser.choice(("%", "%#", "%##")), chooser)
    if kind == "ord":
        number = chooser.choice((chooser.randint(1, 30), chooser.randint(1, 220)))
        ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        return f"{number}{ending}"
    if kind == "town" and chooser.random() < 0.6 and "towns" in country:
        return filled(chooser.choice(country["towns"]), chooser)
    lists = {"type": country.get("type", ["Street"]), "word": country.get("words", ["Main"])}
    lists |= {"first": names.first, "last": names.last, "town": names.town, "dir": country.get("dir", _DIRECTIONS)}
    return str(chooser.choice(lists[kind]))


def _expanded(template: str, country: Mapping[str, Any], names: Names, chooser: random.Random) -> str:
    text = _PLACE.sub(lambda place: f"\0{place[1]}\0", template)
    parts = text.split("\0")
    for at in range(1, len(parts), 2):
        parts[at] = _drawn(parts[at], country, names, chooser)
    parts[::2] = [filled(part, chooser) for part in parts[::2]]
    return "".join(parts)


def address(country: Mapping[str, Any], names: Names, chooser: random.Random) -> list[tuple[str, str]]:
    """Pieces of an address with their labels; words between fields go with the next one."""
    form, _, how = chooser.choice(country["formats"]).partition("|")
    pieces: list[tuple[str, str]] = []
    at = 0
    for field in _FIELD.finditer(form):
        pieces.append((form[at : field.start()], _FIELDS[field[1]]))
        if field[1] == "C":
            value = _drawn("town", country, names, chooser)
        elif how == "box" and field[1] == "S":
            value = chooser.choice(("PO Box", "P.O. Box", "P.O.Box", "PO BOX", "Post Office Box", "Private Bag"))
        elif how == "house" and field[1] == "U":
            value = chooser.choice(country["houses"])
        else:
            value = _expanded(chooser.choice(country[_SOURCES[field[1]]]), country, names, chooser)
        pieces.append((value, _FIELDS[field[1]]))
        at = field.end()
    pieces.append((form[at:], pieces[-1][1]))
    return _rewritten(pieces, chooser)


def _rewritten(pieces: list[tuple[str, str]], chooser: random.Random) -> list[tuple[str, str]]:
    """As people write it: in lower case or capitals, without commas, on lines of its own."""
    luck = chooser.random()
    if luck < 0.13:
        pieces = [(text.lower(), label) for text, label in pieces]
    elif luck < 0.17:
        pieces = [(text.upper(), label) for text, label in pieces]
    luck = chooser.random()
    if luck < 0.15:
        pieces = [(text.replace(", ", "\n"), label) for text, label in pieces]
    elif luck < 0.22:
        pieces = [(text.replace(", ", ",\n"), label) for text, label in pieces]
    elif luck < 0.34:
        pieces = [(text.replace(", ", " "), label) for text, label in pieces]
    return pieces


def compose(code: str, names: Names, chooser: random.Random, around: Sequence[str]) -> Example:
    """A text with an address of a country, alone, in a sentence of its language, or among other text."""
    country = formats()[code]
    says = country["says"] if chooser.random() < 0.6 else formats()["everywhere"]["says"]
    before, _, after = chooser.choice(says).partition("{A}")
    lead = chooser.choice(around) + chooser.choice((" ", "\n")) if chooser.random() < 0.35 else ""
    tail = chooser.choice((" ", "\n")) + chooser.choice(around) if chooser.random() < 0.35 else ""
    text = lead[-300:] + _expanded(before, country, names, chooser)
    labels: dict[int, str] = {}
    for piece, label in address(country, names, chooser):
        labels |= dict.fromkeys(range(len(text), len(text) + len(piece)), label)
        text += piece
    return Example(text + _expanded(after, country, names, chooser) + tail[:300], labels)


def near_miss(names: Mapping[str, Names], chooser: random.Random) -> Example:
    """A text without address that shares words and numbers with those that have one."""
    code = chooser.choice(_ENGLISH)
    says = chooser.choices(formats()["nothing"]["says"], k=chooser.randint(1, 3))
    return Example(
        chooser.choice((" ", "\n")).join(_expanded(s, formats()[code], names[code], chooser) for s in says), {}
    )


def rows_of(example: Example) -> Iterator[tuple[list[Token], list[str]]]:
    """The stretches of a text that the detector looks at, with the label of each token."""
    row = tokens(example.text)
    for start, end in candidates(row):
        part = row[start:end]
        yield part, [example.labels.get(token.start, LABELS[0]) for token in part]


def fit(examples: Iterable[Example], *, rounds: int = 80, l1: float = 0.2, l2: float = 0.01) -> tuple[Any, Any]:
    """Weights by bucket and label, and steps from label to label."""
    # Deferred: only training needs it.
    import pycrfsuite

    trainer = pycrfsuite.Trainer(verbose=False)
    for example in examples:
        for part, labels in rows_of(example):
            trainer.append([list(map(str, own)) for own in features(part)], labels)
    trainer.set_params({"c1": l1, "c2": l2, "max_iterations": rounds})
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model")
        trainer.train(path)
        tagger = pycrfsuite.Tagger()
        tagger.open(path)
        learned = tagger.info()
        tagger.close()
    weights, steps = np.zeros((BUCKETS, len(LABELS))), np.zeros((len(LABELS), len(LABELS)))
    for (bucket, label), weight in learned.state_features.items():
        weights[int(bucket), LABELS.index(label)] = weight
    for (one, other), weight in learned.transitions.items():
        steps[LABELS.index(one), LABELS.index(other)] = weight
    return weights, steps


def read(folder: Path, count: int, chooser: random.Random) -> list[str]:
    """Beginnings of texts without attack, with a number, in which no pattern sees an address."""
    # Deferred: composing and fitting do without a detector.
    from guardrails_plugin.detectors.pii import Pii
    from guardrails_plugin.normalize import normalize
    from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

    seen = Pii(entities=("STREET_ADDRESS",))
    lines = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines())
    every = (row["text"][:_LENGTH] for row in map(json.loads, lines) if row["label"] == 0)
    found = [text for text in every if any(map(str.isdigit, text))]
    found = chooser.sample(found, min(count, len(found)))
    return [text for text in found if not seen.detect([normalize(Segment(text, Origin.EXTERNAL))], NO_CONTEXT)[0]]


def main(arguments: list[str] | None = None) -> None:
    """Compose, fit and write the model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("texts", type=Path, help="folder of the rows without addresses (data/injection)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60, help="addresses a country")
    options = parser.parse_args(arguments)
    chooser = random.Random(11)
    texts = read(options.texts, 20 * options.count, chooser)
    codes = [code for code in formats() if "locale" in formats()[code]]
    names = {code: names_of(code) for code in codes}
    some = [text for text in texts if len(text) < 400]
    counts = {code: options.count * (4 if code == "US" else 2 if code == "UK" else 1) for code in codes}
    examples = [compose(code, names[code], chooser, some) for code in codes for _ in range(counts[code])]
    examples += [near_miss(names, chooser) for _ in range(10 * options.count)]
    examples += [Example(text, {}) for text in texts]
    np.savez_compressed(options.out, **pack(*fit(examples)))


if __name__ == "__main__":
    main()
