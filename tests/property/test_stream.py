"""Law 2: whatever the chunking, a stream says what a check of the whole text says, and never lets a span out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import Engine
from tests.strategies import NO_MODEL, chunkings, texts


def streamed(engine: Engine, chunks: list[str], stage: str) -> tuple[str, bool]:
    stream = engine.stream(stage=stage, overrides=NO_MODEL)
    released = [stream.feed(chunk) for chunk in chunks]
    released.append(stream.finish())
    return "".join(released), stream.result.blocked


@pytest.mark.parametrize("stage", ["response", "post_tool", "pre_tool"])
@given(data=st.data())
def test_every_chunking_gives_the_whole_texts_output(engine: Engine, stage: str, data: st.DataObject) -> None:
    text = data.draw(texts)
    chunks = data.draw(chunkings(text))
    whole = engine.check(text, stage=stage, overrides=NO_MODEL)
    output, blocked = streamed(engine, chunks, stage)
    assert blocked == whole.blocked
    if not blocked:
        assert output == whole.output
