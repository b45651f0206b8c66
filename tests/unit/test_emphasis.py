"""Marks that only change how a text looks hide nothing from the patterns of personal data and secrets."""

from __future__ import annotations

import pytest

from guardrails_plugin import Engine
from guardrails_plugin.emphasis import open_mark, unmarked
from tests.strategies import NO_MODEL

ALL = {**NO_MODEL, "pii": dict.fromkeys(("contact", "network", "date", "authentication"), "replace")}

MARKED = [
    ("SSN **536-90-4399**", "SSN **<US_SSN>**"),
    ("*536-90-4399*", "*<US_SSN>*"),
    ("_536-90-4399_", "_<US_SSN>_"),
    ("***536-90-4399***", "***<US_SSN>***"),
    ("~~536-90-4399~~", "~~<US_SSN>~~"),
    ("**_536-90-4399_**.", "**_<US_SSN>_**."),
    ("| **536-90-4399** |", "| **<US_SSN>** |"),
    ("_4111 1111 1111 1111_", "_<CREDIT_CARD>_"),
    ("__4111 1111 1111 1111__", "__<CREDIT_CARD>__"),
    ("__SSN__: **536904399**", "__SSN__: **<US_SSN>**"),
    ("NHS **943 476 5919**", "NHS **<UK_NHS>**"),
    ("_DE89370400440532013000_", "_<IBAN_CODE>_"),
    ("_ann@corp.com_", "_<EMAIL_ADDRESS>_"),
    ("_+49 30 901820_", "_<PHONE_NUMBER>_"),
    ("**(415) 555-2671**", "**<PHONE_NUMBER>**"),
    ("_ghp_" + "x1Y2" * 9 + "_", "_<GITHUB_TOKEN>_"),
    ("**Password:** Sommer2024", "**Password:** <GENERIC_SECRET>"),
    ("**Password**: Sommer2024", "**Password**: <GENERIC_SECRET>"),
    ("Password: **Sommer2024**", "Password: **<GENERIC_SECRET>**"),
    ("- **Password**: `Sommer2024`", "- **Password**: `<GENERIC_SECRET>`"),
    ("<b>Password:</b> Sommer2024", "<b>Password:</b> <GENERIC_SECRET>"),
    ("**API key:** 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c", "**API key:** <GENERIC_SECRET>"),
    ("**PIN:** 4711", "**PIN:** <PIN>"),
]

PLAIN = [
    "order_536904399_v2",
    "x = 2*536904399*3",
    "__init__.py and snake_case and _private and **options",
    "_5 items_ and *note* 100200300",
    "a **bold** word, an _italic_ one",
]


@pytest.mark.parametrize(("text", "expected"), MARKED)
def test_marks_around_a_value_or_its_label_hide_neither(engine: Engine, text: str, expected: str) -> None:
    assert engine.check(text, stage="response", overrides=ALL).output == expected


@pytest.mark.parametrize("text", PLAIN)
def test_marks_make_nothing_of_what_is_nothing(engine: Engine, text: str) -> None:
    assert engine.check(text, stage="response", overrides=ALL).output == text


@pytest.mark.parametrize("text", [text for text, _ in MARKED] + PLAIN)
def test_everything_stays_in_its_place(text: str) -> None:
    plain = unmarked(text)
    assert len(plain) == len(text)
    assert all(new in (old, " ") for old, new in zip(text, plain, strict=True))


def test_names_in_programs_and_lone_marks_stay() -> None:
    for text in ("__init__", "order_536904399_v2", "f(*args, **kwargs)", "a * b * c", "Zx8*kL", "_foo = _bar"):
        assert unmarked(text) == text


def test_a_stream_waits_for_the_mark_that_closes(engine: Engine) -> None:
    assert open_mark("see **536") == 4
    assert open_mark("see **536**".replace("*", " ")) == 11
    text = "Her number is _536-90-4399, so she says_. " + "And on it goes, without any number. " * 5
    stream = engine.stream(stage="response", overrides=ALL)
    output = "".join([*(stream.feed(char) for char in text), stream.finish()])
    assert output == engine.check(text, stage="response", overrides=ALL).output
