"""Vectors of topics: their two halves, everyday texts, embeddings of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from guardrails_plugin.detectors.topic_vectors import TopicVectors, embedded_vectors, everyday_texts
from guardrails_plugin.errors import ConfigError, DetectorError


def test_everyday_texts_are_short_many_and_different() -> None:
    texts = everyday_texts()
    assert len(texts) == len(set(texts)) == 331
    assert all(20 <= len(text) <= 160 for text in texts)
    assert sum(text.isascii() for text in texts) < 250, "other languages are missing"


def test_rows_are_about_of_length_one_and_do_not_depend_on_each_other() -> None:
    vectors = embedded_vectors()
    texts = ["Where do tulips grow best?", "Is this seat taken?", "a b c"]
    rows = vectors.of(texts)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 0.8**0.5], abs=1e-3)
    assert all(np.array_equal(vectors.of([text])[0], row) for text, row in zip(texts, rows, strict=True))


def test_langchain_embeddings_take_the_place_of_the_encoder() -> None:
    vectors = TopicVectors(DeterministicFakeEmbedding(size=16))
    assert vectors.of(["Where do tulips grow best?"]).shape == (1, 16 + 4096)
    assert vectors.everyday.shape == (331, 16 + 4096)


def test_what_cannot_embed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"embedder: expected LangChain embeddings \(embed_documents\), got int"):
        TopicVectors(7)


class Broken:
    """Fails, or answers nonsense."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def embed_documents(self, texts: list[str]) -> Any:
        if self.answer is None:
            raise RuntimeError(f"cannot embed {texts}")
        return self.answer


@pytest.mark.parametrize("answer", [None, [[1.0]], [1.0], [["x"]], [[float("nan")]] * 331])
def test_a_failing_embedder_is_a_failed_detector_and_its_message_stays_inside(answer: Any) -> None:
    with pytest.raises(DetectorError) as caught:
        TopicVectors(Broken(answer)).of(["a secret text"])
    assert "secret" not in str(caught.value)
