r"""Encoded runs inside a text and what they say: base64, hex, escapes, letters with something between them.

Each finder takes a text and yields runs in order, in linear time. `GATE` tells in one pass that there is nothing to
find. Base64 may be URL-safe, unpadded, wrapped into lines or glued to a path; hex may be spaced (``69 67``), prefixed
(``0x69, 0x67``) or wrapped; escapes may be those of URLs, mails (quoted-printable), HTML, JSON, C and JavaScript,
escaped twice too.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import re2

__all__ = ["GATE", "INLINE", "SEPARATORS", "SPACED", "WHOLE", "Run", "Runs"]

Run = tuple[int, int, str]
"""Start and end of an encoded run in its parent, and what it says."""

Runs = Callable[[str], Iterator[Run]]
"""A finder."""

SEPARATORS = r" \t._*/|~+,;:·•\-"
"""What stands between the letters of a spaced word, for a character class."""

_HEX_PREFIX = r"(?:0[xX]|\\?x)?"
_LINE_BREAK = r"\r?\n"
_ESCAPE = (
    r"(?:%[0-9A-Fa-f]{2})+|(?:%u[0-9A-Fa-f]{4})+"
    r"|&(?:#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z]{2,8};)"
    r"|(?:\\{1,4}(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}))+|(?:\\[0-3][0-7]{2}){3,}|(?:=[0-9A-Fa-f]{2}(?:=\r?\n)?){3,}|(?:=[89A-Fa-f][0-9A-Fa-f]){2}"
)
_BASE64 = (
    rf"[A-Za-z0-9+/_-]{{16,}}(?:{_LINE_BREAK}[A-Za-z0-9+/_-]{{16,}})*"
    rf"(?:{_LINE_BREAK}[A-Za-z0-9+/_-]{{2,15}})?={{0,2}}"
)
_HEX = (
    rf"(?:[0-9A-Fa-f]{{2}}){{8,}}(?:{_LINE_BREAK}(?:[0-9A-Fa-f]{{2}}){{8,}})*"
    rf"|\b{_HEX_PREFIX}[0-9A-Fa-f]{{2}}(?:(?:[ :,-]{{1,2}}|\r?\n){_HEX_PREFIX}[0-9A-Fa-f]{{2}}){{7,400}}\b"
)


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options=options)


GATE = _compiled(
    r"%u?[0-9A-Fa-f]{2}|(?:=[0-9A-Fa-f]{2}){2}|&#|&[A-Za-z]{2,8};|\\[ux][0-9A-Fa-f{]{2}|(?:\\[0-3][0-7]{2}){3}|[A-Za-z0-9+/_-]{16}"
    rf"|(?:{_HEX_PREFIX}[0-9A-Fa-f]{{2}}(?:[ :,-]{{1,2}}|\r?\n)){{7}}|(?:\pL[{SEPARATORS}]{{1,3}}){{4}}"
)
"""Found in every text in which a finder finds anything."""

_ESCAPES, _BASE64S, _HEXES = (_compiled(pattern) for pattern in (_ESCAPE, _BASE64, _HEX))

SPACED = re.compile(rf"(?<![^\W_])[^\W\d_](?:[{SEPARATORS}]{{1,3}}[^\W\d_](?![^\W_])){{4,300}}")
"""Five or more single letters with separators between them."""

_STRUNG = re.compile(rf"(?<![^\W_])[^\W\d_](?=([{SEPARATORS}]))(?:\1[^\n]){{7,300}}(?![^\W_])")
"""A sentence with the same separator between all of its characters, its spaces and signs too."""

_LETTERS_STRUNG = 0.6
"""Share of letters in a strung text: rows of a table have fewer."""

_BETWEEN = re.compile(rf"[{SEPARATORS}]+")
_CODE = re.compile(r"\\+(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))|\\([0-3][0-7]{2})")
_NOT_HEX = re.compile(r"0[xX](?=[0-9A-Fa-f]{2})|[^0-9A-Fa-f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_GLUE = re.compile(r"[\s/_-]+")
_URLSAFE = str.maketrans("-_", "+/", "\r\n=")

_LEAST_ENCODED = 16
"""Characters of base64 that can say something: twelve bytes."""

_READABLE, _LONG_ENOUGH = 0.92, 24
"""Share of readable characters, and length from which it is asked for instead of all of them: one stray byte in a
message hides it from nobody, and random bytes are readable to 0.37."""


def _escape_runs(text: str) -> Iterator[Run]:
    for match in _ESCAPES.finditer(text):
        run = match.group()
        plain = _plain(run)
        if plain != run:
            yield match.start(), match.end(), plain


def _plain(run: str) -> str:
    if run.startswith("%u"):
        return _whole_characters("".join(chr(int(code, 16)) for code in run.split("%u")[1:]))
    if run[0] == "%":
        return unquote(run)
    if run[0] == "=":
        return _readable(bytes.fromhex("".join(run.replace("=", "").split()))) or run
    return html.unescape(run) if run[0] == "&" else _unescaped(run)


def _unescaped(run: str) -> str:
    return _whole_characters(_CODE.sub(_character, run))


def _character(match: re.Match[str]) -> str:
    code = int(match[4], 8) if match[4] else int(match[1] or match[2] or match[3], 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _whole_characters(text: str) -> str:
    """The text with pairs of surrogates joined and single ones replaced."""
    return _SURROGATE.sub("\ufffd", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _base64_runs(text: str) -> Iterator[Run]:
    for match in _BASE64S.finditer(text):
        run, start = match.group(), match.start()
        if plain := _from_base64(run):
            yield start, match.end(), plain
            continue
        head = run.rpartition("\n")[0]  # a word of prose on the next line may have joined the run
        if plain := _from_base64(head):
            yield start, start + len(head), plain
            continue
        yield from _parts(run, start)


def _parts(run: str, start: int) -> Iterator[Run]:
    """Encoded parts of a run that as a whole says nothing: the end of a path, a value behind ``key-``."""
    at = 0
    for glue in (*_GLUE.finditer(run), None):
        end = glue.start() if glue else len(run)
        if end - at < len(run) and (plain := _from_base64(run[at:end])):
            yield start + at, start + end, plain
        at = glue.end() if glue else end


def _from_base64(run: str) -> str:
    packed = run.translate(_URLSAFE)
    if len(packed) < _LEAST_ENCODED:
        return ""
    packed = packed[:-1] if len(packed) % 4 == 1 else packed
    try:
        return _readable(base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True))
    except binascii.Error:
        return ""


def _hex_runs(text: str) -> Iterator[Run]:
    for match in _HEXES.finditer(text):
        digits = _NOT_HEX.sub("", match.group())
        if plain := _readable(bytes.fromhex(digits[: len(digits) // 2 * 2])):
            yield match.start(), match.end(), plain


def _spaced_runs(text: str) -> Iterator[Run]:
    """Strung sentences, which every second character undoes, and elsewhere words with wider gaps between them."""
    at = 0
    for match in _STRUNG.finditer(text):
        plain = match.group()[::2]
        if " " in plain and sum(map(str.isalpha, plain)) >= _LETTERS_STRUNG * len(plain):
            yield from _widened_runs(text, at, match.start())
            yield match.start(), match.end(), plain
            at = match.end()
    yield from _widened_runs(text, at, len(text))


def _widened_runs(text: str, start: int, end: int) -> Iterator[Run]:
    for match in SPACED.finditer(text, start, end):
        run = match.group()
        gaps = _BETWEEN.findall(run)
        usual = Counter(gaps).most_common(1)[0][0]
        letters = _BETWEEN.split(run)
        words = "".join(" " + letter if gap != usual else letter for gap, letter in zip(gaps, letters[1:], strict=True))
        yield match.start(), match.end(), letters[0] + words


def _readable(data: bytes) -> str:
    """The bytes as text, or "" when they are not text (UTF-8, or UTF-16 as PowerShell encodes)."""
    wide = len(data) > 3 and data[1::2].count(0) * 4 > len(data)
    text = data.decode("utf-16-le" if wide else "utf-8", "replace")
    odd = sum(not (char.isprintable() or char in "\r\n\t") or char == "\ufffd" for char in text)
    allowed = (1 - _READABLE) * len(text) if len(text) >= _LONG_ENOUGH else 0
    return text if odd <= allowed else ""


INLINE: tuple[tuple[str, Runs], ...] = (("escape", _escape_runs), ("spaced", _spaced_runs))
"""Finders whose runs are read in place, among the words around them."""

WHOLE: tuple[tuple[str, Runs], ...] = (("base64", _base64_runs), ("hex", _hex_runs))
"""Finders whose runs are messages of their own."""
