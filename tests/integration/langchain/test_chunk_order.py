"""The order in which a stream's chunks leave a guard."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest
from langchain_core.messages import AIMessageChunk

from tests.integration.langchain.fakes import CLEAN, RAW, guard

SSN = f"My SSN is {RAW}, thanks."


@pytest.mark.parametrize("stage", ["response", "prompt"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_text_that_comes_with_something_else_keeps_its_place(stage: str, place: int) -> None:
    pieces = ["First this, then that. ", "My SSN is 536-90", "-4399, thanks."]
    chunks = [AIMessageChunk(content=text, id="1") for text in pieces]
    extras = {"reasoning": SSN}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    update = {"additional_kwargs": extras, "usage_metadata": usage}
    chunks[place] = chunks[place].model_copy(update=update)
    whole = reduce(add, list(guard(stage).transform(iter(chunks))))
    assert whole.content == f"First this, then that. {CLEAN}"
    assert whole.additional_kwargs == {"reasoning": CLEAN}
    assert whole.usage_metadata == usage
