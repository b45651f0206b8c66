"""What a text is about: topics of your own, told by examples; all reported, some denied, or few allowed.

How: a text becomes a vector of its meaning and its words (`topic_vectors`: the encoder that also judges injection, or
any LangChain embeddings, beside hashed n-grams). A topic is a ridge classifier (`few_shot`) of its examples, the
description being one of them, against the other topics' examples and 331 everyday texts. How far a text scores above
texts that do not belong becomes a probability by one logistic curve for all topics, fitted on assistant requests of ten
domains at 5, 10 and 20 examples (`training.topics`), for a topic that has one text of ten; ``share`` says it better.

Area under the curve on those domains (CLINC, 1,500 requests; one domain against all others) at 5, 10 and 20 examples:
.88, .92, .95 with all ten domains given, .85, .89, .93 with three. At .5 and ten examples that is .40 of the requests
about the topic and .017 of the others (three domains given), .15 and .001 (ten); at .2: .68 and .09, .40 and .011. The
curve was fitted on the same requests. On a blind set with one topic and four examples, half of the other texts about
its neighbours, it is not much better than chance (``docs/detectors.md``).
Costs what the encoder costs, nothing more for a text of the user's that injection or toxicity read too; the everyday
texts take some seconds at first use.
Source: ridge classifiers over an embedding, see `few_shot` and `topic_vectors`; the curve was fitted as told above.
Limits: examples decide. With five a topic is told roughly, with twenty well; a description alone tells next to nothing.
Give the neighbouring topics too (loans beside credit cards): they are each other's counter-examples. A text counts as a
whole: a topic that takes up one paragraph of a long document is not found. Texts of a few letters are not judged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.few_shot import FewShot, Matrix, fit
from guardrails_plugin.detectors.guesses import readings
from guardrails_plugin.detectors.topic_vectors import TopicVectors, embedded_vectors
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.models.encoder import EMBEDDED
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["SHARE", "Topic", "Topics", "probability"]

_SLOPE, _OFFSET = 1.19, -3.13
"""Logistic curve from standard deviations to probability at a share of `SHARE`; fitted by ``training.topics``."""

SHARE = 0.1
"""Share of texts about a topic that the curve was fitted for."""

_FLOOR = 0.05
"""Probabilities below this are no candidates."""

_LEAST_LETTERS = 12
_MOST_EXAMPLES = 1_000
_OFF = "OFF_TOPIC"


class Topic(BaseModel):
    """A topic by what people say about it.

    Attributes:
        description: what it is, as one more example.
        examples: texts about it, in the words that are expected; ten or more are good.
        share: of the texts, how many are about it; more finds more, and more falsely.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(default="", repr=False)
    examples: Annotated[tuple[str, ...], Field(max_length=200)] = Field(default=(), repr=False)
    share: Annotated[float, Field(gt=0, lt=1)] = SHARE

    @property
    def texts(self) -> list[str]:
        """The examples and the description, each once, those without words left out."""
        return [text for text in dict.fromkeys((*self.examples, self.description)) if _letters(text)]


@dataclass(frozen=True, config=SETTINGS)
class Topics:
    """See the module.

    Attributes:
        topics: name -> a table with ``description``, ``examples`` and ``share``.
        deny: the topics to find; all of them when neither ``deny`` nor ``allow`` is given.
        allow: a text about none of these is ``OFF_TOPIC``; the others are counter-examples.
        on_topic: of the texts, how many are about one of the allowed topics; less finds more, and more falsely.
        embedder: LangChain ``Embeddings`` in place of the encoder; give such a detector to the engine
            (``Engine(detectors={"topics": Topics(...)})``), a recipe cannot name it.
        model: folder of the encoder; the embedded one by default.
    """

    topics: Annotated[Mapping[str, Topic], Field(min_length=1)] = field(repr=False)
    deny: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    on_topic: Annotated[float, Field(gt=0, lt=1)] = 0.5
    embedder: Any = field(default=None, repr=False)
    model: Path | None = None

    name: ClassVar[str] = "topics"
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def __post_init__(self) -> None:
        entities: dict[str, str] = {}
        for name, topic in self.topics.items():
            if not topic.texts:
                raise ConfigError(f"topics: {name!r} has neither a description nor examples with words")
            if (other := entities.setdefault(_entity(name), name)) != name:
                raise ConfigError(f"topics: {name!r} and {other!r} would both be found as {_entity(name)}")
        for setting in ("deny", "allow"):
            for name in getattr(self, setting):
                if name not in self.topics:
                    raise unknown_name("topic", name, self.topics, f"topics.{setting}")
        if both := sorted(set(self.deny) & set(self.allow)):
            raise ConfigError(f"topics: both denied and allowed: {', '.join(both)}")
        if (count := sum(len(topic.texts) for topic in self.topics.values())) > _MOST_EXAMPLES:
            raise ConfigError(f"topics: {count} examples in all, expected at most {_MOST_EXAMPLES}")
        if self.embedder is not None:
            TopicVectors(self.embedder)  # what cannot embed shows now, not at the first text

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """``TOPIC_`` and the name of every topic that is looked for; ``OFF_TOPIC`` when some are allowed."""
        return frozenset(map(_entity, self._wanted)) | (frozenset({_OFF}) if self.allow else frozenset())

    @property
    def _wanted(self) -> tuple[str, ...]:
        return self.deny or (() if self.allow else tuple(self.topics))

    @cached_property
    def _vectors(self) -> TopicVectors:
        return embedded_vectors(self.model or EMBEDDED) if self.embedder is None else TopicVectors(self.embedder)

    @cached_property
    def _rows(self) -> dict[str, Matrix]:
        return {name: self._vectors.of(topic.texts) for name, topic in self.topics.items()}

    @cached_property
    def _classes(self) -> dict[str, FewShot]:
        """Classifiers of the topics that matter, by name."""
        return {name: self._class(name) for name in {*self._wanted, *self.allow}}

    def _class(self, name: str) -> FewShot:
        others = [rows for other, rows in self._rows.items() if other != name]
        return fit(self._rows[name], np.concatenate([self._vectors.everyday, *others]))

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        views = [(index, view) for index, text in enumerate(texts) for view in readings(text)]
        jobs = [(index, view) for index, view in views if _letters(view.text) >= _LEAST_LETTERS]
        best: list[dict[str, Finding]] = [{} for _ in texts]
        rows = self._vectors.of([view.text for _, view in jobs]) if jobs else ()
        for (index, view), row in zip(jobs, rows, strict=True):
            span = view.span(0, len(view.text))
            for entity, score in self._scores(row, canonical=view is texts[index].views[0]).items():
                known = best[index].get(entity)
                if score >= _FLOOR and (known is None or known.score < score):
                    evidence = {"view": view.kind}
                    best[index][entity] = Finding(
                        self.name, entity, score, span.start, span.end, texts[index].segment, evidence
                    )
        return [by_place(found.values()) for found in best]

    def _scores(self, row: Matrix, *, canonical: bool) -> dict[str, float]:
        """Probability by entity type; only the text itself, not what is decoded from it, can miss every topic."""
        deviations = {name: trained.deviation(row) for name, trained in self._classes.items()}
        scores = {_entity(name): probability(deviations[name], self.topics[name].share) for name in self._wanted}
        if self.allow and canonical:
            # The nearest topic decides: one classifier of all allowed topics together is far worse (measured).
            share = self.on_topic / len(self.allow)
            scores[_OFF] = 1.0 - max(probability(deviations[name], share) for name in self.allow)
        return {entity: round(score, 4) for entity, score in scores.items()}


def probability(deviation: float, share: float = SHARE) -> float:
    """That a text belongs, when a share of all texts does (Bayes' rule on the fitted curve's odds).

    >>> round(probability(2.0), 2), round(probability(2.0, share=0.5), 2)
    (0.32, 0.81)
    """
    odds = _SLOPE * deviation + _OFFSET + math.log(share / (1 - share)) - math.log(SHARE / (1 - SHARE))
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, odds))))


def _entity(name: str) -> str:
    """``TOPIC_`` and the name's letters and digits; others are underscores."""
    words = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    if not words:
        raise ConfigError(f"topics: {name!r}: expected a name with letters a-z or digits")
    return f"TOPIC_{words}"


def _letters(text: str) -> int:
    """Letters at the beginning of a text; an ideograph or syllable counts three."""
    return sum(3 if char >= "\u2e80" else 1 for char in text[:400] if char.isalpha())
