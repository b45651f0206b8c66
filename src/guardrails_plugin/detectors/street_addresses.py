"""Finds street addresses in the formats of many countries, by a sequence model that ships with the package.

How: stretches of text around numbers are labelled token by token - number, street, unit, town, postcode or none of
these - by a conditional random field (`address_model`, made by ``training.street_addresses``); neighbouring tokens of
an address are one finding, when a street and a number or postcode are among them. The score is the mean probability of
its tokens. `pii` finds addresses too, when told, by patterns of English ones; both can be used together.

Quality at .5 (``python tests/quality/measure_addresses.py``; ``data/addresses``: 30 addresses of 17 countries, 30 near
misses; ``data/blind/pii.jsonl``: 26 addresses, 570 texts without). First measured: 25 of 30 found, 20 with the right
ends, no near miss taken for one; 25 of 26 found, 24 with the right ends, 9 of 570 texts hit, mostly account and phone
numbers. Composing near misses of these kinds made it 26 (24), 0, 26 (24) and 1, which flatters. On the same texts the
patterns of `pii`: 6 of 30, 4 of 30 near misses, 4 of 26, 0 of 570. Tried and not used: usaddress 0.5.16 (a trained CRF
for addresses of the United States, MIT; it has no label for text around an address), on windows behind numbers: 11, 7,
6, 12; pyap 0.3.1: 8, 0, 5, 3.
Cost: three times that of prose where every few words have a number; the model is 18 KB.

Source: conditional random fields (Lafferty et al., 2001), see `address_model`; the threshold of .5 is not fitted.
Limits: addresses without any number; words behind one in small letters may be taken along; rare forms of streets
("FM 1488 Rd", "N6W23001 Bluemound Road") and streets whose names are words of a sentence ("An der alten Mühle") are
missed or cut; a floor written as "2º" may hide one; parts of one address in several fields of JSON are judged each
alone. Latin, Cyrillic and Greek script, Chinese, Japanese and Korean; others are unknown. Scores are not calibrated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.address_model import LABELS, Token, candidates, load_model, tokens
from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.types import Context, Finding, Span, Text

__all__ = ["StreetAddresses"]

_OUTSIDE, _NUMBER, _STREET, _UNIT, _TOWN, _POSTCODE = range(len(LABELS))
_FLOOR = 0.3
"""Least score of a finding, by judgement; a recipe's threshold decides which ones count."""

_LONGEST_GAP = 6
_ENDS = frozenset('"{}[]<>|\t;')
"""What ends an address when it stands between two of its tokens: more than some characters, or a sign of fields.

By judgement: what people set between the parts of an address is a comma, a dash, a line."""


@dataclass(frozen=True, config=SETTINGS)
class StreetAddresses:
    """Street addresses and post boxes, by a model. It has no settings."""

    name: ClassVar[str] = "street_addresses"
    entity_types: ClassVar[frozenset[str]] = frozenset({"STREET_ADDRESS"})
    categories: ClassVar[Mapping[str, frozenset[str]]] = {"contact": frozenset({"STREET_ADDRESS"})}

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [by_place(self._findings(text)) for text in texts]

    def _findings(self, text: Text) -> Iterator[Finding]:
        scores: dict[Span, float] = {}  # an escape decoded in place shows the addresses around it again
        for view in text.views:
            for start, end, score in addresses(view.text):
                span = view.span(start, end)
                scores[span] = max(score, scores.get(span, 0.0))
        for span, score in scores.items():
            yield Finding(self.name, "STREET_ADDRESS", score, span.start, span.end, text.segment)


def addresses(text: str) -> Iterator[tuple[int, int, float]]:
    """Where addresses stand, and how probable each is.

    >>> [(start, end) for start, end, _ in addresses("I live at 12 Oak Street, Austin, TX 78701.")]
    [(10, 41)]
    """
    row = tokens(text)
    for first, last in candidates(row):
        part = row[first:last]
        labels, inside = load_model().label(part)
        for start, end in _runs(part, labels):
            score = round(sum(inside[start:end]) / (end - start), 3)
            if score >= _FLOOR:
                yield part[start].start, part[end - 1].end, score


def _runs(row: Sequence[Token], labels: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring tokens that make an address together."""
    breaks = [at for at, (one, other) in enumerate(pairwise(labels), 1) if _broken(row[at], one, other)]
    for start, end in pairwise([0, *breaks, len(row)]):
        found = set(labels[start:end])
        if _STREET in found and not found.isdisjoint((_NUMBER, _POSTCODE)):
            yield start, end


def _broken(token: Token, one: int, other: int) -> bool:
    apart = len(token.gap) > _LONGEST_GAP or not _ENDS.isdisjoint(token.gap)
    return apart or (one == _OUTSIDE) != (other == _OUTSIDE)
