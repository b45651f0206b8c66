"""What a text is about: built-in topics, or the user's own by description and examples; some denied, or few allowed.

How: the embedding head of the shared encoder, so a text that injection or toxicity read costs nothing more. A topic is
its description and its examples as vectors; a text is as near to a topic as to the nearest of them. Vectors are
compared by cosine after the mean of all built-in examples is taken away, for embeddings of this family all point into
one narrow cone. Nearness becomes a probability by a logistic curve fitted on assistant requests of ten domains (CLINC
classes, CC BY 3.0, with ten of their own requests as examples; `training/topics.py`, which also measures).

Quality: {quality}
Limits: one vector a text: a topic that takes up one paragraph of a long document is not found. Neighbouring topics
(loans and credit cards) need examples to be told apart. Few-word texts are not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.table import read_table
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder, load_encoder
from guardrails_plugin.types import Context, Finding, Origin, Text

__all__ = ["Topic", "Topics"]

_SLOPE, _OFFSET = 10.0, -4.0
"""Logistic curve from nearness to probability; see the module."""

_FLOOR = 0.1
_LEAST_LETTERS = 12
_OFF = "OFF_TOPIC"


class Topic(BaseModel):
    """A topic by what it is and what people say about it; examples decide more than the description."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    examples: tuple[str, ...] = ()


def _topic(value: object) -> object:
    return {"description": value} if isinstance(value, str) else value


@dataclass(frozen=True, config=SETTINGS)
class Topics:
    """See the module.

    Attributes:
        topics: name -> description, or a table with ``description`` and ``examples``; the built-in ones by default.
        allow: names of topics; a text that is near none of them is ``OFF_TOPIC``, and these are not findings.
        model: folder of a classifier with embeddings (``models.encoder``); the embedded one by default.
    """

    name: ClassVar[str] = "topics"
    topics: dict[str, Annotated[Topic, BeforeValidator(_topic)]] | None = None
    allow: tuple[str, ...] = ()
    model: Path | None = None

    def __post_init__(self) -> None:
        for name, topic in self._topics.items():
            if not (topic.description.strip() or any(map(str.strip, topic.examples))):
                raise ConfigError(f"topics: {name!r} has neither a description nor examples")
        if unknown := sorted(set(self.allow) - set(self._topics)):
            raise ConfigError(f"topics: allow names {', '.join(unknown)}; valid: {', '.join(self._topics)}")

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """``TOPIC_`` and the topic's name, and ``OFF_TOPIC``."""
        return frozenset(map(_entity, self._topics)) | {_OFF}

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """None."""
        return {}

    @property
    def _topics(self) -> Mapping[str, Topic]:
        return _builtin() if self.topics is None else self.topics

    @cached_property
    def _encoder(self) -> Encoder:
        return load_encoder(self.model or EMBEDDED)

    @cached_property
    def _prototypes(self) -> dict[str, NDArray[np.float32]]:
        return {
            name: self._near([text for text in (topic.description, *topic.examples) if text.strip()])
            for name, topic in self._topics.items()
        }

    @cached_property
    def _middle(self) -> NDArray[np.float32]:
        texts = [text for topic in _builtin().values() for text in topic.examples]
        middle: NDArray[np.float32] = self._encoder.embed([Document(text, Origin.USER) for text in texts]).mean(axis=0)
        return middle

    def _near(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, seen from the middle."""
        vectors = self._encoder.embed([Document(text, Origin.USER) for text in texts]) - self._middle
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)

    def nearness(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Cosine to the nearest of each topic's description and examples, by topic, for every text."""
        vectors = self._near(texts)
        near = {name: (vectors @ own.T).max(axis=1) for name, own in self._prototypes.items()}
        return [{name: float(values[index]) for name, values in near.items()} for index in range(len(texts))]

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        worded = [index for index, text in enumerate(texts) if _letters(text.canonical) >= _LEAST_LETTERS]
        found: list[Sequence[Finding]] = [()] * len(texts)
        for index, near in zip(worded, self.nearness([texts[i].canonical for i in worded]), strict=True):
            found[index] = self._findings(texts[index], {name: _probability(value) for name, value in near.items()})
        return found

    def _findings(self, text: Text, probabilities: Mapping[str, float]) -> tuple[Finding, ...]:
        scores = {_entity(name): value for name, value in probabilities.items() if name not in self.allow}
        if self.allow:
            scores[_OFF] = 1.0 - max(probabilities[name] for name in self.allow)
        end = len(text.original)
        return tuple(
            Finding(self.name, entity, score, 0, end, text.segment)
            for entity, score in sorted(scores.items())
            if score >= _FLOOR
        )


def _probability(nearness: float) -> float:
    return 1.0 / (1.0 + math.exp(-(_SLOPE * nearness + _OFFSET)))


def _entity(name: str) -> str:
    return "TOPIC_" + "_".join(name.upper().split()).replace("-", "_")


def _letters(text: str) -> int:
    return sum(char.isalpha() for char in text[:400])


@cache
def _builtin() -> Mapping[str, Topic]:
    table: Mapping[str, Any] = read_table("topics")
    return {name: Topic.model_validate(topic) for name, topic in table.items()}
