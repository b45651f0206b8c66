"""Faults measured in other guards, held against this one."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import pytest

from guardrails_plugin import Engine, Keyring, Recipe, Rule
from guardrails_plugin.actions.replace import Replace
from guardrails_plugin.detectors.examples import expand
from tests.strategies import NO_MODEL

GITHUB = expand("ghp_{alnum:36}")
STRIPE = expand("sk_live_{alnum:24}")
OPENAI = expand("sk-proj-{alnum:48}T3BlbkFJ{alnum:48}")
AWS = expand("AKIA{ALNUM:16}").replace("0", "A").replace("1", "B").replace("8", "C").replace("9", "D")


def guarded(engine: Engine, text: str, **overrides: dict[str, object]) -> str:
    return str(engine.check(text, stage="response", overrides={**NO_MODEL, **overrides}).output)


def test_every_occurrence_of_every_secret_is_replaced(engine: Engine) -> None:
    output = guarded(engine, f"use {GITHUB}, {STRIPE} and {AWS}; again {STRIPE} {GITHUB}. And {OPENAI}")
    assert not [secret for secret in (GITHUB, STRIPE, OPENAI, AWS) if secret[8:] in output]
    assert output.count("<GITHUB_TOKEN>") == 2


def test_one_finding_does_not_end_the_search(engine: Engine) -> None:
    output = guarded(engine, "ann@example.com, 4111 1111 1111 1111", pii={"contact": "replace"})
    assert output == "<EMAIL_ADDRESS>, <CREDIT_CARD>"


def test_nothing_is_written_to_temporary_files(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    guarded(engine, f"use {GITHUB}")
    assert list(tmp_path.iterdir()) == []


def test_two_rules_of_one_detector_do_not_collide() -> None:
    rules = [
        Rule(detector="regex", name="tickets", action="replace", settings={"patterns": {"ticket": r"TCK-\d{4}"}}),
        Rule(detector="regex", name="orders", action="mask", settings={"patterns": {"order": r"ORD-\d{4}"}}),
    ]
    result = Engine(recipes=Recipe(name="r", rules=rules)).check("TCK-1234 ORD-5678", stage="prompt", recipe="r")
    assert result.output == "<TICKET> ********"
    assert [(d.detector, d.actions) for d in result.detections] == [("tickets", ("replace",)), ("orders", ("mask",))]


def test_messages_are_never_changed_in_place(engine: Engine) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "SSN 536-90-4399"}]}]
    before = copy.deepcopy(messages)
    result = engine.check(messages, stage="llm_prompt", overrides=NO_MODEL)
    assert messages == before
    assert result.output[0]["content"][0]["text"] == "SSN <US_SSN>"


@pytest.mark.parametrize("card", ["3782 822463 10005", "378282246310005", "6011 0009 9013 9424", "4222 2222 2222 2"])
def test_cards_of_other_lengths_are_found(engine: Engine, card: str) -> None:
    assert guarded(engine, f"card {card}") == "card <CREDIT_CARD>"


def test_a_mask_keeps_no_local_part(engine: Engine) -> None:
    assert "ann" not in guarded(engine, "mail ann@example.com", pii={"contact": "mask"})


def test_a_hash_depends_on_a_key() -> None:
    hashed = {
        guarded(Engine(keyring=Keyring.generate()), "SSN 536-90-4399", pii={"sensitive": "hash"}) for _ in range(3)
    }
    assert len(hashed) == 3


def test_a_match_longer_than_any_fixed_look_back_is_held_whole(engine: Engine) -> None:
    text = f"The key is {OPENAI}, keep it safe. " + "Nothing else to say here. " * 20
    stream = engine.stream(stage="response", overrides=NO_MODEL)
    released = [stream.feed(text[i : i + 3]) for i in range(0, len(text), 3)]
    output = "".join([*released, stream.finish()])
    assert OPENAI[:20] not in output
    assert output == guarded(engine, text)


def test_placeholders_can_tell_values_apart() -> None:
    engine = Engine(actions={"replace": Replace(numbered=True)})
    output = guarded(engine, "536-90-4399, 536-90-4398, 536-90-4399")
    assert output == "<US_SSN_1>, <US_SSN_2>, <US_SSN_1>"
