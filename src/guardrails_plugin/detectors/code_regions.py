"""Where code stands in a text, and in which language: fences, and runs of lines that look like code.

How: lines with a form that prose does not have (ends in ``;`` or ``{``, begins with a keyword of a language, assigns,
calls) are gathered into regions; over each region all signatures of all languages run once (`code_languages`). Their
weights are independent evidence: p = 1 - product of (1 - weight). Fences with a known info string need no signature.
Python is confirmed by its own parser.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guardrails_plugin.detectors.code_imports import imports_of
from guardrails_plugin.detectors.code_languages import OTHER, languages, of_fence

__all__ = ["Code", "code_in"]


@dataclass(frozen=True, slots=True)
class Code:
    """Code in a text.

    Attributes:
        imports: what it imports, in order, each name once.
        places: where each of them stands.
    """

    start: int
    end: int
    language: str
    score: float
    how: str
    imports: tuple[str, ...] = ()
    places: tuple[tuple[int, int], ...] = ()


_BEGINNINGS = frozenset(
    "import from def class function func fn fun const let var val public private protected static using "
    "use package require "
    " require_relative include local module defmodule namespace struct enum interface impl type template insert update"
    " delete create alter drop sub dim procedure program begin end return print echo export elif else try except async"
    " await puts object trait data open query mutation subroutine integer library my sudo curl wget git "
    "pip pip3 npm docker "
    " apt apt-get cd mkdir chmod cat grep run from copy workdir if for while with match case switch "
    "foreach select fi done "
    " global section mov push then rule method proc".split()
)
"""First words of a line, lower case, that are code when a sign follows."""

_WORDLESS = frozenset("begin end fi done else try then esac".split())
"""First words that are code when nothing follows."""

_ALSO_PROSE = frozenset("select from update delete insert open".split())
_CAPITALS = frozenset("FROM RUN COPY WORKDIR ENTRYPOINT CMD EXPOSE SELECT INSERT UPDATE DELETE".split())
_NAMED = frozenset("import using use open package module class library program require".split())
"""First words that are code with one name behind them."""

_STARTS = (
    "#!",
    "#include",
    "# include",
    "#define",
    "#import",
    "@",
    ">>> ",
    "$ ",
    "-module(",
    "(def",
    "(let",
    "(ns ",
    "<!",
    "</",
    "<?",
    "//",
    "/*",
    "|>",
    ":-",
    "section .",
    "\\documentclass",
    "\\begin",
    "\\usepackage",
    "\\end{",
)
_INSIDE = (":=", "=>", "->", "==", "!=", "&&", "||", "</", "::", "<-", "();", ");", "){", ") {", "]]", " = ", "/>")
_SIGNS = frozenset("(){}[]=;:<>\"'$@/*|&,")
_SQL = re.compile(r"\b(?:select\b.+\bfrom|insert\s+into|delete\s+from|update\s+\w+\s+set)\b", re.IGNORECASE)
_CALL = re.compile(r"\w\([^()\n]*\)\s*(?:[;{:.)\]]|$)|^\s*[\w.$]+\([^()]*\)")


def _looks_like_code(line: str) -> bool:
    """A form that prose hardly ever has. Wrong now and then: what signatures do not confirm is dropped."""
    plain = line.strip()
    if len(plain) < 2 or len(plain) > _LONGEST_LINE:
        return plain in {"}", "{", ")"}
    if plain[-1] in ";{}" or plain.startswith(_STARTS) or any(sign in plain for sign in _INSIDE):
        return True
    first, _, rest = plain.partition(" ")
    word = first.lower().rstrip(":;.(")
    if word == "from" and " import " in rest:
        return True
    if first in _CAPITALS:
        return bool(rest)
    if word in _WORDLESS:
        return not rest or plain.endswith(":")
    if word in _BEGINNINGS and (not _SIGNS.isdisjoint(plain) or (word in _NAMED and rest and " " not in rest.strip())):
        return word not in _ALSO_PROSE or _SQL.search(plain) is not None
    return "(" in plain and _CALL.search(plain) is not None


_FENCE = re.compile(r"^[ \t]{0,8}(?:>[ \t]?)?(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$", re.MULTILINE)
_PARENTS = {"typescript": "javascript", "cpp": "c", "objective_c": "c", "php": "html"}
"""Languages whose code is largely also code of another one, once something speaks for them at all."""

_GAP = 3
"""Lines without a sign of code that do not end a region."""

_LONGEST_LINE = 2_000
_MOST_PARSED = 20_000
_LONGEST_REGION = 40_000
"""Characters of a region that are looked at."""

_FENCED = 0.9
_PLAIN = frozenset(
    {
        "text",
        "txt",
        "plain",
        "plaintext",
        "output",
        "log",
        "json",
        "yaml",
        "yml",
        "toml",
        "ini",
        "xml",
        "csv",
        "markdown",
        "md",
        "diff",
        "none",
    }
)
"""Info strings of fences that hold no code: data, prose, logs."""


def code_in(text: str) -> Iterator[Code]:
    """Every stretch of code, in order."""
    at = 0
    for start, end, info in _fences(text) if "```" in text or "~~~" in text else ():
        yield from _loose(text, at, start)
        yield from _fenced(text, start, end, info)
        at = end
    yield from _loose(text, at, len(text))


def _fences(text: str) -> Iterator[tuple[int, int, str]]:
    """Content of each fence and its info string; an open fence reaches to the end."""
    opened: tuple[int, str, str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            opened = match.end(), match["mark"], match["info"].strip()
        elif match["mark"].startswith(opened[1]) and not match["info"].strip():
            yield opened[0], match.start(), opened[2]
            opened = None
    if opened is not None:
        yield opened[0], len(text), opened[2]


def _fenced(text: str, start: int, end: int, info: str) -> Iterator[Code]:
    body = text[start : start + min(end - start, _LONGEST_REGION)]
    words = info.lower().split()
    if not body.strip() or (words and words[0] in _PLAIN):
        return
    language, score = _judged(body)
    named = of_fence(info)
    if named:
        language, score = named, max(score, _FENCED)
    elif info:
        language, score = (language if score >= 0.5 else OTHER), max(score, 0.7)  # a language we do not know
    if score > 0:
        yield _code(body, start, language, score, "fence", end=end)


def _loose(text: str, start: int, end: int) -> Iterator[Code]:
    """Code among prose."""
    for first, last in _regions(text, start, end):
        body = text[first : min(last, first + _LONGEST_REGION)]
        language, score = _judged(body)
        language, score = _parsed(body, language, score)
        if score >= 0.1:
            yield _code(body, first, language, score, "signatures", end=last)


def _regions(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs of lines of which some look like code, from the first such line to the last."""
    first = last = -1
    gap = 0
    at = start
    for line in text[start:end].splitlines(keepends=True):
        if _looks_like_code(line):
            first = at if first < 0 else first
            last, gap = at + len(line.rstrip()), 0
        elif first >= 0:
            gap += 1
            if gap > _GAP:
                yield first, last
                first = -1
        at += len(line)
    if first >= 0:
        yield first, last


def _judged(body: str) -> tuple[str, float]:
    """The likeliest language and the probability that this is code at all."""
    data, lowered = body.encode("utf-8", "replace"), body.lower()
    doubts = {
        name: _doubt([p.score for p in language.patterns if p.shape.literal in lowered and p.compiled.search(data)])
        for name, language in languages().items()
    }
    shared = doubts.pop(OTHER)
    for child, parent in _PARENTS.items():
        if doubts[child] <= 0.65:
            doubts[child] *= doubts[parent]
    best = min(doubts, key=lambda name: (doubts[name], name))
    named = doubts[best] <= 0.65
    return (best if named else OTHER), round(1 - doubts[best] * shared, 3)


def _doubt(weights: Sequence[float]) -> float:
    rest = 1.0
    for weight in weights:
        rest *= 1 - weight
    return rest


_ESCAPED = re.compile(r"\\[^\n]")
_TELLING = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.For,
    ast.With,
    ast.While,
    ast.If,
    ast.Try,
    ast.Return,
    ast.Assert,
    ast.AugAssign,
    ast.Call,
)


def _parsed(body: str, language: str, score: float) -> tuple[str, float]:
    """Python when its parser agrees and there is more to it than names; a parser that refuses says nothing."""
    if len(body) > _MOST_PARSED or language not in ("python", OTHER):
        return language, score
    try:
        # Escapes are blanked: the parser would warn of unknown ones, and the warning would show the text.
        tree = ast.parse(_ESCAPED.sub("__", body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return language, score
    telling = {type(node) for node in ast.walk(tree)} & set(_TELLING)
    if len(telling) < 2:
        return language, score
    return "python", max(score, 0.9 if len(telling) > 2 else 0.7)


def _code(body: str, start: int, language: str, score: float, how: str, *, end: int) -> Code:
    found = {name: (start + first, start + last) for name, first, last in imports_of(body, language)}
    return Code(start, end, language, score, how, tuple(found), tuple(found.values()))
