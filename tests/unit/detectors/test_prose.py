"""What nobody would read aloud is blanked, and nothing moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.detectors.prose import letters, passages, prose


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain words stay, all of them.", "plain words stay, all of them."),
        ("see https://example.org/a?b=c today", "see today"),
        ("write to jo@example.org now", "write to now"),
        ("run `rm -rf x` first", "run first"),
        ("before\n```python\nimport os\n```\nafter", "before after"),
        ("an open fence ```\nimport os", "an open fence"),
        ("call do_it(1) or obj.method or camelCase", "call or or"),
        ("version 3.11 of it", "version of it"),
        ("l'été à Paris", "l'été à Paris"),
        ("日本語のテキスト test_1 です", "日本語のテキスト です"),
        ("日本語test_1です", "日本語 です"),
    ],
)
def test_what_stays(text: str, left: str) -> None:
    assert prose(text).split() == left.split()


@given(text=st.text(st.characters(), max_size=200))
def test_nothing_moves(text: str) -> None:
    kept = prose(text)
    assert len(kept) == len(text)
    assert all(new in (" ", old) for new, old in zip(kept, text, strict=True))


@given(text=st.text(st.sampled_from("ab .\n\u3002é"), max_size=300), size=st.integers(1, 40))
def test_passages_cover_the_text_once(text: str, size: int) -> None:
    cut = list(passages(text, size))
    assert "".join(text[start:end] for start, end in cut) == text
    assert all(start < end for start, end in cut)


def test_passages_end_with_sentences() -> None:
    text = "One is here. Two is here. Three is here."
    assert [text[start:end] for start, end in passages(text, 26)] == ["One is here. Two is here. ", "Three is here."]


def test_letters() -> None:
    assert letters("ab 1 _ é 中") == 4
