"""Joins pieces of documents as retrieval frameworks do, with lines of metadata before each.

Such lines look like the frame that an attacker forges round his orders, and stand round innocent text every day. The
same lines surround an attack and its twin, so that they tell nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

MOST_PIECES = 3

_STEMS = "report notes minutes intro index faq handbook spec draft summary readme page_12 2024-03 q3 release".split()
_ENDINGS = "txt md pdf html docx csv json".split()
_FOLDERS = ("docs", "data", "/srv/files", "kb/public", "uploads", "C:\\Users\\ann\\Documents")


def _file(rng: random.Random) -> str:
    return f"{rng.choice(_STEMS)}.{rng.choice(_ENDINGS)}"


def _llama_index(number: int, rng: random.Random) -> str:
    name = _file(rng)
    lines = [f"file_name: {name}", f"file_path: {rng.choice(_FOLDERS)}/{name}", f"page_label: {number}"]
    return "\n".join(lines[: rng.randrange(1, 4)]) + "\n\n"


def _numbered(number: int, _: random.Random) -> str:
    return f"[{number}] "


def _document(number: int, rng: random.Random) -> str:
    return f"Document {number} ({_file(rng)}):\n"


def _source(_: int, rng: random.Random) -> str:
    return f"Source: {rng.choice(_FOLDERS)}/{_file(rng)}\nContent: "


def _scored(number: int, rng: random.Random) -> str:
    return f"--- chunk {number} | score={rng.uniform(0.4, 0.95):.2f} | {_file(rng)} ---\n"


def _tagged(number: int, rng: random.Random) -> str:
    return f'<document index="{number}" source="{_file(rng)}">\n'


HEADS: Sequence[Callable[[int, random.Random], str]] = (
    _llama_index,
    _llama_index,
    _numbered,
    _document,
    _source,
    _scored,
    _tagged,
)
"""What frameworks and people write before the pieces of a context; LlamaIndex's own lines twice as often."""


def joined(pieces: Sequence[str], rng: random.Random) -> str:
    """The pieces as one context, each behind a head of one drawn kind."""
    head = rng.choice(HEADS)
    end = "\n</document>" if head is _tagged else ""
    return "\n\n".join(head(number, rng) + piece.strip() + end for number, piece in enumerate(pieces, 1))
