"""Finds names of competitors from the user's list, also in disguise and with common company endings.

How: `keywords` does the finding (Aho-Corasick; with ``fuzzy`` also 1337, stretched and spaced-out spellings). A name is
looked for as written and without its legal form ("Globex GmbH" also as "Globex"), so one entry is enough. Names of
one or two letters and those that are everyday words ("Apple") want ``case_sensitive`` or ``allow`` phrases.

Measured by ``tests/unit/detectors/test_competitors.py``. Costs 0.06 ms/KB of prose (``docs/make_detectors.py``).
Limits: no typing errors, no products, people or nicknames that are not in the list, no other alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.keywords import Keywords
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Competitors"]

_TYPE = "COMPETITOR"
_LEGAL_FORM = re.compile(
    r"[\s,]+(?:inc|incorporated|llc|ltd|limited|plc|corp|corporation|co|company|group|holdings?|gmbh|ag|kg|se|s\.?a|"
    r"s\.?a\.?s|sarl|s\.?r\.?l|s\.?p\.?a|b\.?v|n\.?v|a/?s|ab|oy|oyj|sp\.?\s?z\s?o\.?o|k\.?k|pty|pte|llp|lp)\.?$",
    re.IGNORECASE,
)
_SHORTEST = 3


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
            terms=tuple(dict.fromkeys((*self.names, *filter(None, map(_short, self.names))))),
            path=self.path,
            fuzzy=self.fuzzy,
            case_sensitive=self.case_sensitive,
            allow=self.allow,
            entity_type=_TYPE,
        )

    @property
    def reach(self) -> int:
        """Most characters a hit can have: what a stream has to hold back."""
        return self._keywords.reach

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        found = self._keywords.detect(texts, context)
        return [tuple(replace(hit, detector=self.name) for hit in hits) for hits in found]


def _short(name: str) -> str:
    """The name without its legal form; empty when nothing telling is left."""
    short = _LEGAL_FORM.sub("", name.strip())
    return short if len(short) >= _SHORTEST and short != name else ""
