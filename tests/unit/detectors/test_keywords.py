"""Blocked terms are found as written and in disguise, in any script, and not inside harmless words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardrails_plugin.detectors import keywords_disguise
from guardrails_plugin.detectors.keywords import Keywords
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment
from tests.strategies import texts

TERMS = (
    "hell",
    "ass",
    "bitch",
    "idol",
    "whore",
    "pass",
    "Project Zeus",
    "Straße",
    "秘密",
    "C++",
    "Überfall",
    "запрет",
    "this is the whole sentence to block",
)
DISGUISES = ("h3ll", "h e l l", "b!tch", "bbbiiitch", "p-r-o-j-e-c-t z3us", "wh0re", "hell")
DETECTOR = Keywords(terms=TERMS, allow=("hell's kitchen", "pain in the ass"))


def found(text: str, detector: Keywords = DETECTOR) -> tuple[Finding, ...]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(findings)


def values(text: str, detector: Keywords = DETECTOR) -> list[str]:
    return [text[finding.start : finding.end] for finding in found(text, detector)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("oh hell, no", "hell"),
        ("HELL", "HELL"),
        ("日本語 hell 😀", "hell"),
        ("İİ ßß hell", "hell"),
        ("project zeus", "project zeus"),
        ("Project \n  Zeus!", "Project \n  Zeus"),
        ("  x  y  PROJECT  ZEUS  z", "PROJECT  ZEUS"),
        ("in der STRASSE hier", "STRASSE"),
        ("in der straße hier", "straße"),
        ("これは秘密です", "秘密"),
        ("I like C++.", "C++"),
        ("ein ÜBERFALL", "ÜBERFALL"),
        ("ЗАПРЕТ, да", "ЗАПРЕТ"),
        ("He said: This is the whole\nsentence to block.", "This is the whole\nsentence to block"),
        ("h\u200bell", "h\u200bell"),
        ("hеll", "hеll"),  # Cyrillic e
        ("ｈｅｌｌ", "ｈｅｌｌ"),
        ("snake_case-hell", "hell"),
    ],
)
def test_exact(text: str, value: str) -> None:
    (finding,) = found(text)
    assert text[finding.start : finding.end] == value
    assert finding.score > 0.9
    assert finding.evidence["form"] == "exact"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("h3ll", "h3ll"),
        ("é H3LL!", "H3LL"),
        ("heeelllll", "heeelllll"),
        ("b!tch", "b!tch"),
        ("$1dol!!", "1dol"),
        ("pa$$", "pa$$"),
        ("b1+ch", "b1+ch"),
        ("81tch", "81tch"),
        ("x a.s.s y", "a.s.s"),
        ("the a s s is", "a s s"),
        ("a-s-s", "a-s-s"),
        ("aaasss", "aaasss"),
        ("pr0ject-zeu5", "pr0ject-zeu5"),
        ("projectzeus", "projectzeus"),
        ("p r o j e c t z e u s", "p r o j e c t z e u s"),
        ("b*i*t*c*h", "b*i*t*c*h"),
        ("bítçh", "bítçh"),
        ("uberfall", "uberfall"),
        ("з а п р е т", "з а п р е т"),
    ],
)
def test_disguised(text: str, value: str) -> None:
    assert values(text) == [value]
    assert (
        not values(text, Keywords(terms=TERMS, fuzzy=False))
        or "." in value
        or "*" in value
        or "-" in value
        or " " in value
    )


@pytest.mark.parametrize(
    "text",
    [
        "shell and hello, the class may compass",
        "hel heil he11o he ll",
        "as sure as can be, as sad",
        "was sitting",
        "the lazy dog",
        "a55 4ss 455",
        "hell's kitchen is a pain in the ass",
        "projects zeus",
        "C+ and c",
        "uber fallen",
        "b1tches",
        "10 11 1337",
        "J a c k A s s p i r i n",
        "m a s s i v e",
        "who're you",
    ],
)
def test_near_misses(text: str) -> None:
    assert not values(text)


def test_allowed_phrases_only_cover_their_own_place() -> None:
    assert values("hell's kitchen from hell") == ["hell"]


def test_parts_of_words_count_when_asked_for() -> None:
    detector = Keywords(terms=("hell",), whole_words=False)
    assert values("a seashell, a sh3lly", detector) == ["hell", "h3ll"]


def test_case_counts_when_asked_for() -> None:
    detector = Keywords(terms=("NATO", "Zeus Ltd"), case_sensitive=True)
    assert values("NATO nato N4TO Zeus  Ltd zeus ltd", detector) == ["NATO", "Zeus  Ltd"]


def test_the_longest_term_wins() -> None:
    detector = Keywords(terms=("zeus", "project zeus", "project zeus two"))
    assert values("project zeus two, zeus", detector) == ["project zeus two", "zeus"]


def test_found_in_encodings_at_the_encoded_run() -> None:
    text = "run cHJvamVjdCB6ZXVzIG5vdw== now"
    (finding,) = found(text)
    assert text[finding.start : finding.end] == "cHJvamVjdCB6ZXVzIG5vdw=="
    assert finding.evidence["view"] == "base64"


def test_evidence_holds_the_terms_number_and_no_text() -> None:
    (finding,) = found("project zeus")
    assert finding.evidence == {"term": 7.0, "form": "exact"}
    assert "zeus" not in repr(finding).lower()


def test_terms_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# ours\nalpha beta\r\n\n  gamma  \n", encoding="utf-8")
    detector = Keywords(terms=("delta",), path=path, entity_type="CODE_NAME")
    assert values("delta, Alpha Beta, gamma, ours", detector) == ["delta", "Alpha Beta", "gamma"]
    assert [f.evidence["term"] for f in found("delta alpha beta gamma", detector)] == [1.0, 2.0, 3.0]
    assert detector.entity_types == {"CODE_NAME"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"terms": ()},
        {"terms": (" ", "")},
        {"path": "/nowhere/terms.txt"},
        {"words": ("a",)},
        {"terms": ("a",), "entity_type": "x y"},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Keywords(**settings)  # type: ignore[arg-type]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"terms\.txt"):
        Keywords(path=Path("/nowhere/terms.txt"))


@given(text=texts | st.text(st.sampled_from("hel1!5 \n-.aßİs\u200bé秘密\ud800+c"), max_size=60))
def test_every_hit_is_short_enough_for_a_stream(text: str) -> None:
    for finding in found(text):
        assert 0 <= finding.start < finding.end <= len(text)
        if finding.evidence.get("view") is None and text.isascii():
            assert finding.end - finding.start < DETECTOR.reach


@pytest.mark.slow
@given(parts=st.lists(st.sampled_from([*DISGUISES, " ", "  ", "a", "!", "日本", "über", "ssss", "-"]), max_size=60))
@pytest.mark.parametrize("whole_words", [True, False])
def test_pieces_of_a_text_have_the_hits_of_the_whole(parts: list[str], whole_words: bool) -> None:
    detector = Keywords(terms=TERMS, whole_words=whole_words)
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keywords_disguise, "_PIECE", 64)
        in_pieces = found(text, detector)
    assert in_pieces == found(text, detector)


def test_fifty_thousand_terms_cost_no_more_than_a_few() -> None:
    letters = "abcdefghij"
    terms = tuple("term" + "".join(letters[int(digit)] for digit in f"{number:05d}") for number in range(50_000))
    detector = Keywords(terms=terms)
    text = normalize(Segment("the quick brown fox jumps over the lazy dog. " * 400 + terms[4711], Origin.USER))
    (findings,) = detector.detect([text], NO_CONTEXT)
    assert [finding.evidence["term"] for finding in findings] == [4712.0]
    began = time.thread_time()
    detector.detect([text], NO_CONTEXT)
    assert time.thread_time() - began < 0.1
    with pytest.raises(ValueError, match="50000"):
        Keywords(terms=(*terms, "one more"))
