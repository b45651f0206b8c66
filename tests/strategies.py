"""What the property tests are fed: texts mixed from findings, near misses, encodings and noise."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

NO_MODEL: dict[str, dict[str, Any]] = {"prompt_injection": {"disabled": True}}
"""Overrides for tests of everything but the classifier."""

VALUES = (
    "536-90-4399",
    "4111 1111 1111 1111",
    "GB29 NWBK 6016 1331 9268 19",
    "alice.doe@example.com",
    "10.20.30.40",
    "https://example.com/a?b=c",
    "http://user:pa55word@evil.example/x",
    "+44 20 7946 0958",
    "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY2zA4",
    "password = 'Tr0ub4dor&3xyz'",
)
"""Synthetic values of the kinds the default recipes act on."""

_FILLERS = (
    "the invoice was paid on time",
    "SSN",
    "card number:",
    "see",
    "\n",
    "\t",
    " ",
    ", ",
    "-",
    "é",
    "日本語",
    "ig\u200bnore",
    "😀",
    "<b>",
    '"',
    "{",
    "}",
    "a" * 30,
    "1",
    "22",
    "i g n o r e",
    "%41%42",
    "&#65;",
    "-----BEGIN",
)


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


pieces = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(_FILLERS),
    st.sampled_from(VALUES).map(_encoded),
    st.sampled_from(VALUES).map(lambda value: value.encode().hex()),
    st.sampled_from(VALUES).map("\u200b".join),
    st.text(max_size=12),
)

texts = st.lists(pieces, max_size=14).map(" ".join) | st.lists(pieces, max_size=10).map("".join)
"""Texts with findings in every disguise, separated by spaces or by nothing."""


def chunkings(text: str) -> st.SearchStrategy[list[str]]:
    """Every way to cut a text into chunks."""
    cuts = st.lists(st.integers(0, len(text)), max_size=30).map(lambda points: sorted({0, len(text), *points}))
    return cuts.map(lambda points: [text[a:b] for a, b in pairwise(points)])
