"""Finds names of competitors from the user's list, also in disguise and with common company endings.

How: `keywords` does the finding (Aho-Corasick; with ``fuzzy`` also 1337, stretched and spaced-out spellings) of each
form of a name (`competitors_forms`): as written, without its legal form, its parts apart, in short, as initials. One
that is a word or a given name, too ("Apple", "Wendy"), counts where it is meant as a company (`competitors_meant`);
``allow`` phrases and ``case_sensitive``, which leaves that judgement out, help more. With ``fuzzy`` names are found
inside longer words, handles and hosts and with a slip (`competitors_loose`), and as they sound in other scripts
(`competitors_sounds`).

Measured on 48 texts of its author, written when it was done: recall .79 of 24, false alarms .21 of 24 (before: .54
and .71).
Source: Aho and Corasick (1975) for the search; the parts name theirs; the cases were written for this project.
Limits: no products, people or nicknames that are not in the list; what is rarer as a word than the lists know
("elastic" is known, "kestrel" may not be) counts wherever it has a capital.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.competitors_forms import bare, forms, initials
from guardrails_plugin.detectors.competitors_loose import Loose
from guardrails_plugin.detectors.competitors_meant import Kind, everyday, kind_of, meant
from guardrails_plugin.detectors.competitors_sounds import Sounds
from guardrails_plugin.detectors.keywords import Keywords
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.matching import CONTEXT_CHARS
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Competitors"]

_TYPE = "COMPETITOR"
_SCORES = {"inflected": 0.85, "handle": 0.85, "joined": 0.85, "misspelt": 0.7, "clipped": 0.6, "transcribed": 0.7}


@dataclass(frozen=True, config=SETTINGS)
class Competitors:
    """Names that must not be mentioned.

    Attributes:
        names: the competitors.
        path: a file with further names, one a line; ``#`` begins a comment line.
        fuzzy: disguised spellings count too.
        case_sensitive: upper and lower case letters differ; switches ``fuzzy`` off.
        allow: phrases in which a name is harmless ("apple juice").
    """

    names: tuple[str, ...] = ()
    path: Path | None = None
    fuzzy: bool = True
    case_sensitive: bool = False
    allow: tuple[str, ...] = ()

    name: ClassVar[str] = "competitors"
    entity_types: ClassVar[frozenset[str]] = frozenset({_TYPE})
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}
    local: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not any(map(str.strip, self.names)) and self.path is None:
            raise ConfigError("competitors: no names: give names = [...] or path = a file with one a line")
        _ = self._keywords  # built now, not at the first text

    @cached_property
    def _keywords(self) -> Keywords:
        return Keywords(
            terms=tuple(self._terms),
            fuzzy=self.fuzzy,
            case_sensitive=self.case_sensitive,
            allow=self.allow,
            entity_type=_TYPE,
        )

    @cached_property
    def _given(self) -> tuple[str, ...]:
        """Every name, those of the file too."""
        try:
            lines = self.path.read_text("utf-8-sig").splitlines() if self.path is not None else []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"competitors: path: cannot read {self.path}: {type(error).__name__}") from None
        return (*filter(str.strip, self.names), *(line for line in lines if line.strip() and line.lstrip()[0] != "#"))

    @cached_property
    def _terms(self) -> dict[str, int]:
        """Every form, and the number of the name whose form it is."""
        numbered = enumerate(self._given, 1)
        return {form: number for number, name in numbered for form in (*forms(name), *initials(name)) if form.strip()}

    @cached_property
    def _initials(self) -> frozenset[str]:
        return frozenset(form for name in self._given for form in initials(name))

    @cached_property
    def _small_initials(self) -> frozenset[str]:
        return frozenset(map(str.casefold, self._initials)) - frozenset(map(str.casefold, self._given))

    @cached_property
    def _plurals(self) -> frozenset[str]:
        given = {name.casefold() for name in self._given}
        known = {form.casefold() for name in self._given for form in forms(name)}
        return frozenset(form for form in known - given if form.endswith("s") and form[:-1] in known)

    @cached_property
    def _spelt_otherwise(self) -> tuple[Loose, Sounds] | None:
        if not self.fuzzy or self.case_sensitive:
            return None
        names = [bare(name) for name in self._given]
        return Loose(names), Sounds(names)

    @cached_property
    def _kinds(self) -> dict[str, Kind]:
        own = {form.casefold(): Kind.WORD if everyday(form.casefold()) else Kind.NOTHING for form in self._initials}
        own |= {re.sub(r"[ -]", "", bare(name).casefold()): kind_of(bare(name)) for name in self._given}
        return {form.casefold(): own.get(re.sub(r"[ -]", "", form.casefold()), kind_of(form)) for form in self._terms}

    @property
    def reach(self) -> int:
        """Most characters a hit can have: what a stream has to hold back."""
        return self._keywords.reach + CONTEXT_CHARS

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        found = self._keywords.detect(texts, context)
        return [self._findings(text, hits) for text, hits in zip(texts, found, strict=True)]

    def _findings(self, text: Text, hits: Sequence[Finding]) -> tuple[Finding, ...]:
        owners = tuple(self._terms.values())
        kept = [
            replace(
                hit, detector=self.name, evidence={**hit.evidence, "term": float(owners[int(hit.evidence["term"]) - 1])}
            )
            for hit in hits
            if self._is_name(text.original, hit)
        ]
        if self._spelt_otherwise is None:
            return tuple(kept)
        view = text.views[0]
        for finder in self._spelt_otherwise:
            for hit in finder.find(view.text):
                span = view.span(hit.start, hit.end)
                evidence: dict[str, str | float] = {"term": float(hit.number + 1), "form": hit.form}
                if not any(one.start < span.end and span.start < one.end for one in kept):
                    kept.append(
                        Finding(self.name, _TYPE, _SCORES[hit.form], span.start, span.end, text.segment, evidence)
                    )
        return by_place(kept)

    def _is_name(self, text: str, hit: Finding) -> bool:
        said = text[hit.start : hit.end]
        if said.islower() and said in self._plurals:
            return False  # a word for things, not several of a company
        if said.casefold() in self._small_initials and said not in self._initials:
            return False
        if self.case_sensitive or hit.evidence["form"] != "exact":
            return True
        return meant(text, hit.start, hit.end, self._kinds.get(said.casefold(), Kind.NOTHING))
