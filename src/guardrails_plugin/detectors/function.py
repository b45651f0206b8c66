"""A detector made of one function that says where in a text something stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from operator import index

from guardrails_plugin.contract import BreachError
from guardrails_plugin.detectors.base import by_place
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Found", "FunctionDetector"]

Found = tuple[int, int] | tuple[int, int, float] | re.Match[str]
"""Start and end in the text, half-open, and how likely it is, 0..1; or a match, for the place of the whole of it."""

_VALID = "(start, end), (start, end, score) or a re.Match"

_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class FunctionDetector:
    """Detects what a function finds; for `Engine(detectors={name: ...})`.

    The function gets the canonical reading of each text (invisible characters gone, look-alike letters folded); what
    it finds is mapped back to the original. It must be pure, thread-safe and of linear time.

    Attributes:
        name: what recipes call it.
        entity_type: what it finds, ``UPPER_SNAKE``.
        find: from a text to the places of what stands there; without a score of its own a finding has ``score``.
        score: of findings without one.
        reach: for streams: most characters that a finding and what it depends on can span; what comes later cannot
            change it then. None: only the whole text can be judged, and a rule that changes text buffers the stream.

    >>> orders = FunctionDetector("orders", "ORDER", lambda text: re.finditer("AC-[0-9]+", text))
    >>> orders.entity_types
    frozenset({'ORDER'})
    """

    name: str
    entity_type: str
    find: Callable[[str], Iterable[Found]] = field(repr=False)
    _: KW_ONLY
    score: float = 0.9
    reach: int | None = None

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.entity_type):
            raise ConfigError(f"detector {self.name!r}: entity_type: expected UPPER_SNAKE, got {self.entity_type!r}")
        if not 0 <= self.score <= 1:
            raise ConfigError(f"detector {self.name!r}: score: expected 0..1, got {self.score!r}")

    @property
    def entity_types(self) -> frozenset[str]:
        """Its one type."""
        return frozenset({self.entity_type})

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """None: there is but one type."""
        return {}

    @property
    def local(self) -> bool:
        """Whether a window of a stream is enough for it."""
        return self.reach is not None

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`.

        Raises:
            BreachError: the function returned no places, one outside the text, or a score outside 0..1.
        """
        del context
        return [by_place(self._finding(text, found) for found in self._found(text)) for text in texts]

    def _found(self, text: Text) -> Iterable[Found]:
        found: object = self.find(text.canonical)
        if not isinstance(found, Iterable):
            raise BreachError(self.name, f"returned {type(found).__name__} in place of a list of {_VALID}")
        return found

    def _finding(self, text: Text, found: Found) -> Finding:
        start, end, score = self._place(found)
        if not 0 <= start <= end <= len(text.canonical):
            raise BreachError(self.name, "returned a place outside the text")
        if not 0 <= score <= 1:
            raise BreachError(self.name, "returned a score outside 0..1")
        span = text.views[0].span(start, end)
        return Finding(self.name, self.entity_type, score, span.start, span.end, text.segment)

    def _place(self, found: Found) -> tuple[int, int, float]:
        if isinstance(found, re.Match):
            return (*found.span(), self.score)
        try:
            start, end, score = (*found, self.score) if len(found) == 2 else found
            return index(start), index(end), float(score)
        except (TypeError, ValueError):
            raise BreachError(self.name, f"returned {type(found).__name__} in place of {_VALID}") from None
