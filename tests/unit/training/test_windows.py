"""Windows cover the whole text, carry the origin, and come in batches of like length."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from guardrails_plugin.training.windows import Cut, Row, batches, encode, pair_frame, starts


@pytest.fixture
def tokenizer() -> Tokenizer:
    words = ["<s>", "<pad>", "</s>", "<unk>", "user", "external", *(f"w{n}" for n in range(50))]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


@pytest.mark.parametrize("tokens", [0, 1, 9, 10, 11, 25, 100, 101])
def test_windows_cover_every_token(tokens: int) -> None:
    covered = {place for first in starts(tokens, 10, Cut(stride=7, most=100)) for place in range(first, first + 10)}
    assert set(range(tokens)) <= covered


def test_no_window_lies_wholly_in_the_one_before() -> None:
    assert starts(90, 60, Cut(stride=30)) == [0, 30]
    assert starts(91, 60, Cut(stride=30)) == [0, 30, 60]
    assert starts(60, 60, Cut(stride=30)) == [0]


def test_the_limit_keeps_the_end_of_the_text() -> None:
    assert starts(1000, 10, Cut(stride=10, most=4)) == [0, 10, 20, 990]


def test_a_window_with_its_frame_has_the_size_of_the_cut(tokenizer: Tokenizer) -> None:
    (row,) = encode(tokenizer, ["w1 " * 50], ["external"], Cut(size=16, stride=8))
    assert {len(window) for window in row.windows[:-1]} == {16}


def test_the_frame_is_what_the_tokenizer_puts_around_a_pair(tokenizer: Tokenizer) -> None:
    before, after = pair_frame(tokenizer, "external")
    assert [*before, tokenizer.token_to_id("w1"), *after] == tokenizer.encode("external", "w1").ids


def test_windows_equal_the_encoded_pair_when_the_text_is_short(tokenizer: Tokenizer) -> None:
    (row,) = encode(tokenizer, ["w1 w2 w3"], ["user"], Cut(size=10, stride=5))
    assert list(row.windows[0]) == tokenizer.encode("user", "w1 w2 w3").ids


def test_an_empty_text_has_one_window(tokenizer: Tokenizer) -> None:
    (row,) = encode(tokenizer, [""], ["user"], Cut())
    assert len(row.windows) == 1


def test_batches_hold_each_row_once_within_the_budget() -> None:
    rows = [Row(n, ((1,) * (n % 90 + 1),) * (n % 3 + 1)) for n in range(200)]
    grouped = list(batches(rows, tokens=512, seed=3))
    assert sorted(row.index for group in grouped for row in group) == list(range(200))
    for group in grouped:
        assert len({row.padded for row in group}) == 1
        assert len(group) == 1 or sum(row.padded * len(row.windows) for row in group) <= 512


def test_the_seed_decides_the_order() -> None:
    rows = [Row(n, ((1,) * 5,)) for n in range(100)]
    once, again, other = (list(batches(rows, tokens=64, seed=seed)) for seed in (1, 1, 2))
    assert once == again != other
