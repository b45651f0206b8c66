"""The three things one can add: a detector, an action, a sink.

Register your own under the entry-point groups ``guardrails_plugin.detectors``, ``.actions`` and ``.sinks``,
or hand the object to `Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from guardrails_plugin.types import Context, Finding, Origin, Text, Verdict

if TYPE_CHECKING:
    from guardrails_plugin.crypto.keyring import Keyring
    from guardrails_plugin.matching import Match, Pattern

__all__ = ["Action", "Call", "Detector", "PatternDetector", "Scorer", "Sink"]


@runtime_checkable
class Detector(Protocol):
    """Reads texts and says what it found. Pure: same texts, same findings, from any thread, in linear time."""

    @property
    def name(self) -> str:
        """What recipes call it."""
        ...

    @property
    def entity_types(self) -> frozenset[str]:
        """Every type it can find; empty when that depends on more than its settings."""
        ...

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """Named groups of its types that a recipe may give one action ("contact", "sensitive")."""
        ...

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """One sorted sequence of findings per text; all candidates, thresholds are the recipe's business."""
        ...


@runtime_checkable
class PatternDetector(Detector, Protocol):
    """A detector that only declares patterns; the matcher runs those of all detectors in one pass."""

    @property
    def patterns(self) -> Sequence[Pattern]:
        """Its rows of the one pass."""
        ...

    def confirm(self, match: Match) -> Finding | None:
        """The finding behind a raw match, or None when a checksum, entropy or context speaks against it."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A detector with a calibrated probability for every text, and named operating points for its threshold."""

    def score(self, texts: Sequence[Text]) -> Sequence[float]:
        """One probability per text."""
        ...

    def operating_point(self, name: str, origin: Origin) -> float:
        """The threshold behind ``strict``, ``balanced`` or ``permissive``."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What an action may use during one check.

    Attributes:
        ordinal: number of a distinct value within its entity type in this call: 1, 2, ...
        tweak: random bytes of this call, so that equal values do not look equal across calls; of the conversation when
            there is an earlier token.
        earlier: token of earlier turns, which the new one has to cover.
    """

    ordinal: Callable[[str, str], int]
    keyring: Keyring | None = field(default=None, repr=False)
    tenant: str = ""
    tweak: bytes = field(default=b"", repr=False)
    earlier: str | None = field(default=None, repr=False)


@runtime_checkable
class Action(Protocol):
    """What is done about a finding. Only actions whose verdict is TRANSFORM are ever applied."""

    @property
    def name(self) -> str:
        """What recipes call it."""
        ...

    @property
    def verdict(self) -> Verdict:
        """What it makes of a content."""
        ...

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """What stands in the text instead of ``value``."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Where audit records go."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record; it holds no guarded text."""
        ...
