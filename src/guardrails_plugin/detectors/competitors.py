"""Finds names of competitors from the user's list, also in disguise and with common company endings.

How: `keywords` does the finding (Aho-Corasick; with ``fuzzy`` also 1337, stretched and spaced-out spellings). A name is
looked for as written, without its legal form ("Globex GmbH" also as "Globex"), with its parts apart ("SkyHop" as "Sky
Hop") and in the plural, so one entry is enough. One that is an everyday word, too ("Apple"), counts where it is meant
as a name (`competitors_meant`); ``allow`` phrases and ``case_sensitive``, which leaves that judgement out, help more.

Measured by ``tests/unit/detectors/test_competitors.py``. Costs 0.06 ms/KB of prose (``docs/make_detectors.py``).
Limits: no typing errors, no products, people or nicknames that are not in the list, no other alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.competitors_meant import everyday, meant
from guardrails_plugin.detectors.keywords import Keywords
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.matching import CONTEXT_CHARS
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Competitors"]

_TYPE = "COMPETITOR"
_LEGAL_FORM = re.compile(
    r"[\s,]+(?:inc|incorporated|llc|ltd|limited|plc|corp|corporation|co|company|group|holdings?|gmbh|ag|kg|se|s\.?a|"
    r"s\.?a\.?s|sarl|s\.?r\.?l|s\.?p\.?a|b\.?v|n\.?v|a/?s|ab|oy|oyj|sp\.?\s?z\s?o\.?o|k\.?k|pty|pte|llp|lp)\.?$",
    re.IGNORECASE,
)
_SHORTEST = 3
_PARTS = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z]{2})")


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
            terms=tuple(dict.fromkeys(form for name in self.names for form in _forms(name))),
            path=self.path,
            fuzzy=self.fuzzy,
            case_sensitive=self.case_sensitive,
            allow=self.allow,
            entity_type=_TYPE,
        )

    @cached_property
    def _plurals(self) -> frozenset[str]:
        given = {name.casefold() for name in self.names}
        forms = {form.casefold() for name in self.names for form in _forms(name)}
        return frozenset(form for form in forms - given if form.endswith("s") and form[:-1] in forms)

    @property
    def reach(self) -> int:
        """Most characters a hit can have: what a stream has to hold back."""
        return self._keywords.reach + CONTEXT_CHARS

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        found = self._keywords.detect(texts, context)
        return [
            tuple(replace(hit, detector=self.name) for hit in hits if self._is_name(text.original, hit))
            for text, hits in zip(texts, found, strict=True)
        ]

    def _is_name(self, text: str, hit: Finding) -> bool:
        said = text[hit.start : hit.end]
        if said.islower() and said in self._plurals:
            return False  # a word for things, not several of a company
        if self.case_sensitive or hit.evidence["form"] != "exact" or not everyday(said.upper()):
            return True
        return meant(text, hit.start, hit.end)


def _forms(name: str) -> Iterator[str]:
    """The name, without its legal form, with its parts apart ("SkyHop" as "Sky Hop"), and its plural.

    >>> list(_forms("SkyHop Ltd"))
    ['SkyHop Ltd', 'SkyHop', 'Sky Hop', 'SkyHops']
    """
    yield name
    if not (bare := name.strip()):
        return
    short = _LEGAL_FORM.sub("", bare)
    short = short if len(short) >= _SHORTEST else bare
    if short != bare:
        yield short
    if (apart := _PARTS.sub(" ", short)) != short:
        yield apart
    if len(short) >= _SHORTEST and short.isalpha() and not everyday(short):
        yield f"{short}s"
