"""The hold-back window: what it releases when, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from guardrails_plugin import ContentError, Context, Engine, Finding, Recipe, Rule
from guardrails_plugin.matching import Matcher
from guardrails_plugin.recipes import StreamSettings
from guardrails_plugin.types import Text
from tests.strategies import NO_MODEL

PROSE = "All work and no play makes a dull day, said the old man to the sea. "
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy\n" * 30


def run(engine: Engine, chunks: Sequence[str], **fields: object) -> tuple[list[str], bool, str]:
    stream = engine.stream(stage="response", **{"overrides": NO_MODEL, **fields})  # type: ignore[arg-type]
    released = [stream.feed(chunk) for chunk in chunks]
    released.append(stream.finish())
    return released, stream.blocked, "".join(released)


def test_plain_prose_flows_with_a_short_delay(engine: Engine) -> None:
    text = PROSE * 20
    stream = engine.stream(stage="response", overrides=NO_MODEL)
    behind = []
    sent = out = 0
    for at in range(0, len(text), 4):
        out += len(stream.feed(text[at : at + 4]))
        sent += 4
        behind.append(sent - out)
    assert max(behind) <= 200
    assert stream.finish()


def test_a_private_key_is_held_until_it_closes(engine: Engine) -> None:
    chunks = [PROSE, *KEY.splitlines(keepends=True), "-----END RSA PRIVATE KEY-----\n", PROSE]
    released, blocked, output = run(engine, chunks)
    assert not blocked
    assert "MII" not in "".join(released)
    assert output.count("<PRIVATE_KEY>") == 1
    assert output.endswith(PROSE)


def test_a_key_that_never_closes_meets_the_cap_and_blocks() -> None:
    recipe = Recipe(name="r", rules=[Rule(detector="secrets", action="replace")], stream=StreamSettings(cap=2048))
    lines = [PROSE, "-----BEGIN RSA PRIVATE KEY-----\n", *["MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy\n"] * 200]
    stream = Engine(recipes=recipe).stream(stage="response", recipe="r")
    released = "".join(stream.feed(line) for line in lines)
    assert stream.blocked
    assert stream.finish() == ""
    assert "MII" not in released
    assert stream.result.blocked
    assert stream.result.failures[0].detector == "stream"


def test_a_blocking_finding_ends_the_stream(engine: Engine) -> None:
    changes = {**NO_MODEL, "pii": {"sensitive": "block"}}
    released, blocked, output = run(engine, [PROSE, "SSN 536-90", "-4399. ", PROSE, PROSE, PROSE], overrides=changes)
    assert blocked
    assert "536" not in output
    assert released[-1] == ""


class Judge:
    """Blocks a text that holds the word, wherever it stands: it needs the whole text."""

    name = "judge"
    entity_types = frozenset({"WORD"})
    categories: ClassVar[dict[str, frozenset[str]]] = {}

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        at = [text.original.find("poison") for text in texts]
        return [[Finding("judge", "WORD", 1.0, i, i + 6)] if i >= 0 else [] for i in at]


def test_whole_text_rules_are_asked_before_each_sentence_is_released() -> None:
    recipe = Recipe(name="r", rules=[Rule(detector="judge", action="block")])
    engine = Engine(recipes=recipe, detectors={"judge": Judge()})
    stream = engine.stream(stage="response", recipe="r")
    released = [stream.feed(chunk) for chunk in ["First one. ", "Second one. ", "Then poison. ", "More. ", "Last. "]]
    released.append(stream.finish())
    assert stream.blocked
    assert "poison" not in "".join(released)
    assert "First one. " in "".join(released)
    assert stream.result.reasons == ("judge: WORD",)
    (finding,) = {(f.start, f.end) for f in stream.result.findings}
    assert "First one. Second one. Then poison. More. Last. "[finding[0] : finding[1]] == "poison"


def test_buffer_mode_and_unbounded_patterns_release_nothing_before_the_end() -> None:
    rules = [Rule(detector="regex", action="replace", settings={"patterns": {"tail": r"foo[\s\S]*bar"}})]
    unbounded = Recipe(name="r", rules=rules)
    buffered = Recipe(name="b", rules=[Rule(detector="pii")], stream=StreamSettings(mode="buffer"))
    engine = Engine(recipes=[unbounded, buffered])
    for name in ("r", "b"):
        released, _, _ = run(engine, [PROSE, "foo ", PROSE, "bar ", PROSE], recipe=name, overrides=None)
        assert set(released[:-1]) == {""}
    assert run(engine, ["x foo ", "y bar z"], recipe="r", overrides=None)[2] == "x <TAIL> z"


def test_a_finished_stream_takes_no_more(engine: Engine) -> None:
    stream = engine.stream(stage="response", overrides=NO_MODEL)
    with pytest.raises(RuntimeError, match="not finished"):
        _ = stream.result
    stream.finish()
    with pytest.raises(RuntimeError, match="finished"):
        stream.feed("x")
    with pytest.raises(RuntimeError, match="finished"):
        stream.finish()


def test_a_hundred_interleaved_streams_share_nothing(engine: Engine) -> None:
    streams = [engine.stream(stage="response", overrides=NO_MODEL) for _ in range(100)]
    texts = [f"number {n}: SSN 536-90-{4000 + n}, {PROSE}" for n in range(100)]
    out = [""] * 100
    for at in range(0, 120, 7):
        for n, stream in enumerate(streams):
            out[n] += stream.feed(texts[n][at : at + 7])
    for n, stream in enumerate(streams):
        out[n] += stream.finish()
    assert out == [text.replace(text[text.index("536") :][:11], "<US_SSN>") for text in texts]


def test_patterns_are_picked_out_once_for_all_streams_of_a_policy(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(engine, [PROSE])
    picked: list[Any] = []
    monkeypatch.setattr(Matcher, "narrowed", lambda *args, **kwargs: picked.append(args))
    assert run(engine, [PROSE])[2] == PROSE
    assert picked == []


def test_ten_times_the_chunks_take_at_most_fifteen_times_as_long(engine: Engine) -> None:
    def seconds(text: str) -> float:
        began = time.thread_time()
        run(engine, [text[i : i + 8] for i in range(0, len(text), 8)])
        return time.thread_time() - began

    seconds(PROSE)
    assert min(seconds(PROSE * 400) / seconds(PROSE * 40) for _ in range(3)) <= 15


def test_what_is_no_text_or_comes_too_late_is_refused_with_what_to_do() -> None:
    stream: Any = Engine().stream(stage="response")
    with pytest.raises(ContentError, match=r"feed: expected a str, got bytes; decode bytes as they arrive"):
        stream.feed(b"x")
    with pytest.raises(ContentError, match=r"feed: expected a str, got NoneType$"):
        stream.feed(None)
    assert stream.feed("Fine.") + stream.finish() == "Fine."
    for late in (lambda: stream.feed("x"), stream.finish):
        with pytest.raises(RuntimeError, match=r"the stream is finished: its result is in \.result"):
            late()
