"""What the command line is given to read: files and standard input, as text and perhaps as JSON."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import Any

from guardrails_plugin.errors import ConfigError

__all__ = ["content_of", "read_text"]

_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_VALID = "expected UTF-8, or UTF-16 or UTF-32 with a byte order mark"


def read_text(name: str) -> str:
    """The text of a file, or of standard input for ``-``; a byte order mark says how it is encoded, else it is UTF-8.

    Raises:
        ConfigError: it is not; guarded in another encoding than its reader's, values would stand there unseen.
        OSError: it cannot be read.
    """
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    shown = "standard input" if name == "-" else Path(name).name
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown}: not valid {encoding.upper()} at byte {error.start}; {_VALID}") from None
    if encoding == "utf-8" and (at := data.find(b"\0")) >= 0:
        raise ConfigError(f"{shown}: no text: a null at byte {at}; {_VALID}")
    return text


def content_of(text: str) -> Any:
    """JSON objects and arrays as what they are, everything else as text; what looks like JSON and is none is told."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        why = "too deep, or a number too long"
    print(f"guardrails-plugin: not valid JSON ({why}), so guarded as one text", file=sys.stderr)
    return text
