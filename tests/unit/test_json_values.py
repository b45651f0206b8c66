"""JSON text stays JSON when its numbers are replaced."""

from __future__ import annotations

import json

import pytest

from guardrails_plugin import Engine, Keyring
from tests.strategies import NO_MODEL

CARD = "4111111111111111"

JSON = [
    f'{{"card": {CARD}}}',
    f'{{"card":{CARD},"n":1}}',
    f'{{"cards": [{CARD}, 5555555555554444], "n": [1, {CARD}]}}',
    f"[{CARD}]",
    json.dumps({"cards": [int(CARD)] * 30}),
    json.dumps({"inner": json.dumps({"card": int(CARD)})}),
    json.dumps([{"card": int(CARD), "note": f"card {CARD}, thanks"}], indent=2),
]


@pytest.mark.parametrize("text", JSON)
def test_what_replaces_a_number_becomes_a_string(engine: Engine, text: str) -> None:
    for action in ("replace", "mask", "redact"):
        overrides = {**NO_MODEL, "pii": {"sensitive": action}}
        output = engine.check(text, stage="response", overrides=overrides).output
        assert CARD not in output
        inner = json.loads(output)
        if "inner" in inner:
            json.loads(inner["inner"])
        stream = engine.stream(stage="response", overrides=overrides)
        assert "".join([*(stream.feed(char) for char in text), stream.finish()]) == output


def test_a_fence_in_prose_holds_json_too(engine: Engine) -> None:
    output = engine.check(f'See\n```json\n{{"card": {CARD}}}\n```\nthere.', stage="response", overrides=NO_MODEL).output
    assert output == 'See\n```json\n{"card": "<CREDIT_CARD>"}\n```\nthere.'


@pytest.mark.parametrize("text", [f"card: {CARD}, thanks", f"cards {CARD}, {CARD}, {CARD}.", f'{{"card": "{CARD}"}}'])
def test_nothing_else_is_quoted(engine: Engine, text: str) -> None:
    output = engine.check(text, stage="response", overrides=NO_MODEL).output
    assert output == text.replace(CARD, "<CREDIT_CARD>")


@pytest.mark.parametrize("key", range(20))
def test_an_encrypted_number_stays_one_and_comes_back(key: int) -> None:
    """With any key: one in ten would begin with a zero if that were left to chance."""
    engine = Engine(keyring=Keyring({"k": bytes([key] * 32)}))
    text = f'{{"card": {CARD}}}'
    result = engine.check(text, stage="response", overrides={**NO_MODEL, "pii": {"sensitive": "encrypt"}})
    assert isinstance(json.loads(result.output)["card"], int)
    assert engine.unredact(result.output, result.fpe_context or "") == text
    (made,) = result.replacements
    assert result.output[made.start : made.end] == made.text
