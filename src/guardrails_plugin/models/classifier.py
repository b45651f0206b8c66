"""What a detector asks of a classifier, whoever made it: embedded, from a hub, or behind HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from guardrails_plugin.types import Origin

__all__ = ["Classifier", "Document", "Reading"]


@dataclass(frozen=True, slots=True)
class Document:
    """A text to classify and who wrote it."""

    text: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class Reading:
    """The worst window of a document: its probability, its characters, and what an attack there is after.

    `kind` is "" where the classifier does not tell.
    """

    probability: float
    start: int
    end: int
    kind: str = ""


class Classifier(Protocol):
    """A model that gives each text a probability. Safe to use from many threads at once."""

    @property
    def id(self) -> str:
        """Which model it is; findings name it."""
        ...

    @property
    def version(self) -> str:
        """Which edition of it."""
        ...

    def read(self, documents: Sequence[Document]) -> list[Reading]:
        """The worst window of every document, in order.

        Raises:
            DetectorError: the model could not be asked.
        """
        ...

    def threshold(self, point: str, origin: Origin) -> float:
        """The probability at an operating point (``strict``, ``balanced``, ``permissive``).

        Raises:
            ConfigError: the model has no such point.
        """
        ...
