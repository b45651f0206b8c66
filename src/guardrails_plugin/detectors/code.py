"""Finds source code, says in which language and what it imports, and points out dangerous calls.

How: `code_regions` finds stretches of code and their language (about 40 languages, ``data/code_languages.toml``);
dangerous calls, shell commands and reverse shells are rows of the one pass (``data/dangerous_code.toml``), found in
decoded views too. A language or an import that the settings block is a finding of its own type, so that a recipe can
block these and let other code pass. An import on the list is found wherever its statement has a line of its own or
stands in back-ticks, however little else looks like code (`code_imports`).

Imports are named in the evidence when they are public (standard library or well known); the names of others may tell
of private projects and are only counted. `imports` gives all names to whoever holds the text.

Quality at .5, on files not used to write the table (dev splits): .61 of 36 sample files in 33 languages, most of which
are not in the table; .88 of 58 Python files and 13 of 23 other source files; 0 of 250 questions and commands to
assistants; of 92 mails and 24 documents, only those that hold code (1 and 5, read one by one); HTML mails are found as
HTML. Dangerous calls were only tested on own examples.
Cost: 1.3 ms/KB of code; of prose see ``docs/detectors.md``.

Magika 1.0.3 (Google's classifier of file contents, Apache-2.0, a wheel of 16 MB) was tried as a tie-break where a
region's signatures are undecided (score under .5) and is not used: of 4 blind texts with code that are missed it finds
one more, at a score under .7 and in the wrong language (Python for R); two of the four have no region that it could be
asked about. Of 28 regions it names the language of 21, the signatures of 24
(``python tests/quality/compare_magika.py``).

Source: the signatures were written for this project from the languages' own references; weights as independent evidence
(noisy or; Pearl, "Probabilistic Reasoning in Intelligent Systems", 1988).
Limits: one line of code in a sentence is often missed, data formats (JSON, YAML, XML) are no code, and languages that
are close to each other get mixed up; the type CODE_OTHER is code in a language that is not in the table.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place
from guardrails_plugin.detectors.code_imports import statements
from guardrails_plugin.detectors.code_languages import LANGUAGES, code_type, of_fence
from guardrails_plugin.detectors.code_regions import Code as Found
from guardrails_plugin.detectors.code_regions import code_in
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["Code", "imports"]

_TYPES = frozenset(map(code_type, LANGUAGES))
_ALL_TYPES = _TYPES | {"BLOCKED_LANGUAGE", "BLOCKED_IMPORT", "DANGEROUS_CODE"}
_MOST_NAMED = 20
_WELL_KNOWN = frozenset(
    "numpy pandas requests flask django torch tensorflow scipy sklearn matplotlib pytest boto3 sqlalchemy "
    "pydantic fastapi "
    " transformers httpx aiohttp yaml bs4 selenium paramiko cryptography Crypto psycopg2 redis celery PIL "
    "cv2 rich click "
    " react vue express axios lodash fs path http https child_process crypto os net util stream url events jquery next"
    " fmt strings errors time sync context encoding io bufio log math sort strconv bytes regexp testing"
    " stdio.h stdlib.h string.h unistd.h math.h iostream vector string map memory algorithm windows.h sys/socket.h"
    " std serde tokio rand System UIKit SwiftUI Foundation ggplot2 dplyr strict warnings json rails".split()
) | frozenset(sys.stdlib_module_names)


_STATEMENT = 0.9
"""How surely a line that reads like a statement, and imports what the user looks for, is one. Judgement."""


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    known = [(name, of_fence(name)) for name in names]
    if unknown := [name for name, language in known if language is None]:
        raise ValueError(f"unknown language {unknown[0]!r}; valid: {', '.join(LANGUAGES)}")
    return tuple(language for _, language in known if language is not None)


@dataclass(frozen=True, config=SETTINGS)
class Code(PatternBase):
    """Source code.

    Attributes:
        blocked_languages: languages (``LANGUAGES``, or a usual name in a Markdown fence: bash, js, c++) whose code is a
            BLOCKED_LANGUAGE.
        blocked_imports: modules or packages; ``os`` covers ``os.path``, too. Each is a BLOCKED_IMPORT.
        dangerous: look for dangerous calls.
    """

    blocked_languages: Annotated[tuple[str, ...], AfterValidator(_known)] = ()
    blocked_imports: tuple[str, ...] = ()
    dangerous: bool = True

    name: ClassVar[str] = "code"
    judges: ClassVar[bool] = True
    entity_types: ClassVar[frozenset[str]] = _ALL_TYPES  # type: ignore[misc]
    categories: ClassVar[Mapping[str, frozenset[str]]] = {  # type: ignore[misc]
        "code": _TYPES,
        "blocked": frozenset({"BLOCKED_LANGUAGE", "BLOCKED_IMPORT"}),
        "dangerous": frozenset({"DANGEROUS_CODE"}),
    }

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """Dangerous calls."""
        return load_table("dangerous_code") if self.dangerous else ()

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        return match.finding(self.name, score=match.pattern.score, evidence={"kind": str(match.pattern.extra["kind"])})

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """Languages and imports beside the dangerous calls."""
        del context
        return [by_place([*own, *self._languages(text)]) for text, own in zip(texts, found, strict=True)]

    def _languages(self, text: Text) -> Iterator[Finding]:
        best: dict[tuple[int, int, str], Finding] = {}
        for view in text.views:
            for finding in (*self._regions(text, view), *self._statements(text, view)):
                key = finding.start, finding.end, finding.entity_type
                if key not in best or best[key].score < finding.score:
                    best[key] = finding
        yield from best.values()

    def _regions(self, text: Text, view: View) -> Iterator[Finding]:
        for code in code_in(view.text):
            span = view.span(code.start, code.end)
            evidence = _evidence(code)
            if view.kind != "canonical":
                evidence["view"] = view.kind
            for kind, start, end in self._kinds(code):
                place = view.span(start, end) if start != code.start else span
                yield Finding(self.name, kind, code.score, place.start, place.end, text.segment, evidence)

    def _statements(self, text: Text, view: View) -> Iterator[Finding]:
        if not any(name in view.text for name in self.blocked_imports):
            return
        for name, start, end in statements(view.text):
            if self._blocked(name):
                place = view.span(start, end)
                evidence: dict[str, str | float] = {"how": "statement"}
                if view.kind != "canonical":
                    evidence["view"] = view.kind
                yield Finding(self.name, "BLOCKED_IMPORT", _STATEMENT, place.start, place.end, text.segment, evidence)

    def _kinds(self, code: Found) -> Iterator[tuple[str, int, int]]:
        """Types of the findings that a stretch of code makes, and where each stands."""
        yield code_type(code.language), code.start, code.end
        if code.language in self.blocked_languages:
            yield "BLOCKED_LANGUAGE", code.start, code.end
        for name, (start, end) in zip(code.imports, code.places, strict=True):
            if self._blocked(name):
                yield "BLOCKED_IMPORT", start, end

    def _blocked(self, name: str) -> bool:
        return any(re.match(re.escape(blocked) + r"(?![\w-])", name) for blocked in self.blocked_imports)


def _evidence(code: Found) -> dict[str, str | float]:
    public = [name for name in code.imports if name in _WELL_KNOWN or re.split(r"[./:]", name)[0] in _WELL_KNOWN]
    evidence: dict[str, str | float] = {"language": code.language, "how": code.how}
    if public:
        evidence["imports"] = ", ".join(public[:_MOST_NAMED])
    if len(code.imports) > len(public):
        evidence["other_imports"] = float(len(code.imports) - len(public))
    return evidence


def imports(text: str) -> tuple[str, ...]:
    r"""Every name that code in a text imports, in order.

    >>> imports("import os\nfrom flask import Flask\nprint(os.name)")
    ('os', 'flask')
    """
    return tuple(dict.fromkeys(name for code in code_in(text) for name in code.imports))
