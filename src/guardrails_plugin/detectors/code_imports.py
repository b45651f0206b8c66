"""What code imports: in a stretch of known language, and in statements that stand alone, whatever is around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guardrails_plugin.detectors.code_languages import languages
from guardrails_plugin.matching import Pattern

__all__ = ["Import", "imports_of", "statements"]

Import = tuple[str, int, int]
"""A name, and where the statement's value stands."""

_NAME = re.compile(r"[@\w][\w./:@{}*-]*")
_AS = re.compile(r"\s+as\s+\w+")
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In \[\d{1,4}\]:|[>$*-])(?=[ \t])", re.MULTILINE)
"""What stands before code in quoted mail, lists and interactive sessions."""


def imports_of(body: str, language: str) -> Iterator[Import]:
    """Imported names of code in a language."""
    return _matched(body, languages()[language].patterns)


def statements(text: str) -> Iterator[Import]:
    """Imported names of every statement, of any language, on a line of its own or between back-ticks.

    Wrong for prose whose line reads like one (``import duties``): to be asked for names that are looked for.
    """
    # Every replacement keeps the length, so that places stay.
    lines = _PROMPT.sub(lambda found: " " * len(found[0]), text.replace("`", "\n"))
    patterns = [pattern for language in languages().values() for pattern in language.patterns]
    yield from _matched(lines, patterns)
    if ";" in lines:
        yield from _matched(lines.replace(";", "\n"), patterns)


def _matched(body: str, patterns: Sequence[Pattern]) -> Iterator[Import]:
    data, lowered = body.encode("utf-8", "replace"), body.lower()
    for pattern in patterns:
        if not pattern.extra["imports"] or pattern.shape.literal not in lowered:
            continue
        for match in pattern.compiled.finditer(data):
            first, last = match.span(pattern.value_group)
            said = data[first:last].decode("utf-8", "replace")
            at = len(data[:first].decode("utf-8", "replace")) if not body.isascii() else first
            for name in _NAME.findall(_AS.sub("", said)):
                yield name.strip("\"'"), at, at + len(said)
