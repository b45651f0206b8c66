"""The languages' table, ``data/code_languages.toml``, as patterns of the one pass."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from guardrails_plugin.matching import Pattern

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["LANGUAGES", "OTHER", "Language", "code_type", "languages", "of_fence"]

OTHER = "other"
"""Code in a language that is not in the table."""

_ANY_CASE = "(?i)"


@dataclass(frozen=True, slots=True)
class Language:
    """A language and the patterns that give it away.

    Attributes:
        patterns: signatures and imports; ``extra["language"]`` is the name, ``extra["imports"]`` true for imports.
        good: code that must be recognised.
    """

    name: str
    fences: frozenset[str]
    patterns: Sequence[Pattern] = field(repr=False)
    good: Sequence[str] = field(repr=False)


def code_type(language: str) -> str:
    """The entity type of code in a language.

    >>> code_type("python")
    'CODE_PYTHON'
    """
    return f"CODE_{language.upper()}"


@cache
def languages() -> Mapping[str, Language]:
    """Every language of the table by name."""
    text = (files("guardrails_plugin.detectors") / "data" / "code_languages.toml").read_text("utf-8")
    return {row["name"]: _language(row) for row in tomllib.loads(text)["language"]}


def _language(row: Mapping[str, Any]) -> Language:
    name = str(row["name"])
    patterns = [
        _pattern(name, f"{name}_{kind}_{number}", weight, regex, imports=kind == "imports")
        for kind in ("imports", "signatures")
        for number, (weight, regex) in enumerate(row[kind], start=1)
    ]
    return Language(name, frozenset({name, *row["fences"]}), tuple(patterns), tuple(row["good"]))


def _pattern(name: str, id_: str, weight: float, regex: str, *, imports: bool) -> Pattern:
    return Pattern(
        id=id_,
        regex="(?m)" + regex.removeprefix(_ANY_CASE),
        entity_type=code_type(name),
        score=weight,
        ignore_case=regex.startswith(_ANY_CASE),
        extra={"language": name, "imports": imports},
    )


@cache
def _fences() -> Mapping[str, str]:
    return {fence: language.name for language in languages().values() for fence in language.fences}


def of_fence(info: str) -> str | None:
    """The language behind a Markdown fence's info string; None when it names none of the table."""
    words = info.strip().lower().lstrip("{.").split()
    return _fences().get(words[0].strip("{}.,:") if words else "")


LANGUAGES = tuple(languages())
"""Names of the languages, ``other`` last."""
