"""Finds mentions of groups of people, for audits: who is spoken of, never whether that is good or bad.

Eleven types: culture, ethnicity, gender, sex, sexual orientation, age and generation, disability, politics,
nationality, religion, marital status. How: word lists (``data/demographic.toml``, English) through the exact part of
`keywords`: whole words in any case, longest first, harmless phrases excepted. Words that are said of things, too
("Swedish", "57 years old"), and names of a kind of attribute ("religion") count where a person is meant
(`demographic_person`): an ideology, a building or a dish is nobody. A mention is no judgement: blocking on these types
would silence the people they name. Meant for ``report``, which is what a rule does when nothing else is said.

Checked on the examples and near misses of ``tests/unit/detectors/test_demographic.py``; what it finds of blind sets by
four hands stands in ``docs/detectors.md`` (``tests/quality/measure_blind.py``).
Source: the lists were written for this project.
Limits: English only; lists, little understanding; names, pronouns, words for kin never count.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.demographic_person import People
from guardrails_plugin.detectors.keywords import Keywords
from guardrails_plugin.errors import unknown_name
from guardrails_plugin.matching import CONTEXT_CHARS
from guardrails_plugin.types import Context, Finding, Text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Demographic"]

_HARMLESS = "harmless"
_PEOPLE = "people"
_SCORES = {"terms": 0.85, "exact": 0.75, "described": 0.75, "described_exact": 0.7, "predicate": 0.7, "counted": 0.7}
_NUMBERS = (
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety"
).split()
_TYPES = frozenset(
    "CULTURE ETHNICITY GENDER SEX SEXUAL_ORIENTATION AGE DISABILITY POLITICS NATIONALITY RELIGION "
    "MARITAL_STATUS".split()
)


@dataclass(frozen=True, config=SETTINGS)
class Demographic:
    """Mentions of groups of people.

    Attributes:
        entities: the types to look for; None: all.
        allow: phrases in which a word is harmless, beside the built-in ones.
    """

    entities: tuple[str, ...] | None = None
    allow: tuple[str, ...] = ()

    name: ClassVar[str] = "demographic"
    local: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for entity in self.entities or ():
            if entity not in _TYPES:
                raise unknown_name("entity type", entity, _TYPES, "demographic.entities")
        _ = self._lists  # built now, not at the first text

    @property
    def entity_types(self) -> frozenset[str]:
        """The types asked for."""
        return _TYPES if self.entities is None else frozenset(self.entities)

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """Each type under its name in lower case."""
        return MappingProxyType({entity.lower(): frozenset({entity}) for entity in sorted(self.entity_types)})

    @property
    def reach(self) -> int:
        """Most characters a hit can have: what a stream has to hold back."""
        return max((own.keywords.reach for own in self._lists), default=0) + CONTEXT_CHARS

    @cached_property
    def _lists(self) -> tuple[_List, ...]:
        lists = []
        for key, score in _SCORES.items():
            pairs = [(term, entity) for entity in sorted(self.entity_types) for term in _terms(entity, key)]
            allow = (*self.allow, *_terms(_HARMLESS, "terms"))
            if pairs:
                terms, types = zip(*pairs, strict=True)
                keywords = Keywords(terms=terms, allow=allow, fuzzy=False, case_sensitive=key.endswith("exact"))
                lists.append(_List(keywords, types, score, _person_meant(key)))
        return tuple(lists)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        found: list[list[Finding]] = [[] for _ in texts]
        for words in self._lists:
            for text, own, hits in zip(texts, found, words.keywords.detect(texts, context), strict=True):
                own.extend(
                    words.named(hit)
                    for hit in hits
                    if words.meant is None or words.meant(text.original, hit.start, hit.end)
                )
        return [by_place(own) for own in found]


@plain_dataclass(frozen=True, slots=True)
class _List:
    """Words, the type of each, the score of a hit, and whether it takes a person to make one."""

    keywords: Keywords
    types: Sequence[str]
    score: float
    meant: Callable[[str, int, int], bool] | None

    def named(self, hit: Finding) -> Finding:
        kind = self.types[int(hit.evidence["term"]) - 1]
        evidence = {key: value for key, value in hit.evidence.items() if key == "view"}
        return replace(hit, detector=Demographic.name, entity_type=kind, score=self.score, evidence=evidence)


def _person_meant(key: str) -> Callable[[str, int, int], bool] | None:
    """How the words of a list are told from the same words about things; None: they name people wherever they stand."""
    people = _people()
    return {
        "described": people.meant,
        "described_exact": people.meant,
        "predicate": people.called,
        "counted": people.counted,
    }.get(key)


@cache
def _people() -> People:
    return People(_terms(_PEOPLE, "terms"))


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((files("guardrails_plugin.detectors") / "data" / "demographic.toml").read_text("utf-8"))


def _terms(entity: str, key: str) -> tuple[str, ...]:
    return tuple(form for term in _table()[entity].get(key, ()) for form in _forms(term))


def _forms(term: str) -> Iterator[str]:
    """``"jew(s)"`` -> ``"jew"``, ``"jews"``; ``"aged {n}"`` -> ``"aged 13"`` to ``"aged 99"`` and in words."""
    if "{n}" in term:
        yield from (term.replace("{n}", number) for number in (*map(str, range(13, 100)), *_NUMBERS))
        return
    ending = re.search(r"\((\w+)\)$", term)
    yield term[: ending.start()] if ending else term
    if ending:
        yield term[: ending.start()] + ending[1]
