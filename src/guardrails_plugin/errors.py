"""Every error the package raises.

::

    GuardError (Exception)
    ├── ConfigError (also ValueError)     a recipe, override, key or argument is wrong
    ├── ContentError (also ValueError)    the content handed in cannot be guarded as it is
    ├── DetectorError                     a detector failed; the recipe's policy decides what follows
    ├── SinkError                         an audit sink failed; what it could not record does not pass
    └── GuardBlocked                      a guard refused the content
        └── GuardUnavailable              ... because a detector failed and the recipe fails closed

No message, argument or attribute of any of them holds guarded text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardrails_plugin.types import GuardResult

__all__ = [
    "ConfigError",
    "ContentError",
    "DetectorError",
    "GuardBlocked",
    "GuardError",
    "GuardUnavailable",
    "SinkError",
    "unknown_name",
]


class GuardError(Exception):
    """Base of every error of this package."""


class ConfigError(GuardError, ValueError):
    """A recipe, an override, a key or an argument is wrong; the message says where, what was given, what is valid."""


class ContentError(GuardError, ValueError):
    """The content cannot be guarded as given (unsupported type, nested too deeply, two keys made equal)."""


class DetectorError(GuardError):
    """A detector failed. Holds the detector's name and the failure's type, never its message (it may quote text)."""

    def __init__(self, detector: str, failure: str) -> None:
        self.detector = detector
        self.failure = failure
        super().__init__(f"detector {detector!r} failed: {failure}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.detector, self.failure)


class SinkError(GuardError):
    """An audit sink failed. Holds the sink's type and the failure's; the failure itself is its cause."""

    def __init__(self, sink: str, failure: str) -> None:
        self.sink = sink
        self.failure = failure
        super().__init__(f"audit sink {sink} failed: {failure}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.sink, self.failure)


class GuardBlocked(GuardError):  # noqa: N818 - the name users catch; it reports a decision, not a mistake
    """A guard refused the content.

    Attributes:
        stage: the stage that refused.
        reasons: what was found, as ``"<detector>: <ENTITY_TYPE>"``; never the text itself.
        result_id: id of the result and of its audit record.
        result: the result without the content it is about; it stays in this process and is not pickled.
    """

    def __init__(self, stage: str, reasons: tuple[str, ...], result_id: str, result: GuardResult | None = None) -> None:
        self.stage = stage
        self.reasons = reasons
        self.result_id = result_id
        self.result = result
        super().__init__(f"blocked at stage {stage!r}: {', '.join(reasons) or 'policy'} (result {result_id})")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.stage, self.reasons, self.result_id)


class GuardUnavailable(GuardBlocked):
    """Refused because a detector failed and its rule says ``on_error = "block"``."""


def unknown_name(kind: str, given: object, valid: Iterable[str], where: str = "") -> ConfigError:
    """A `ConfigError` for a name that does not exist, listing the valid ones."""
    place = f"{where}: " if where else ""
    shown = repr(given)[:80]
    known = sorted(set(valid))
    # Deferred: needed for mistakes only.
    from difflib import get_close_matches

    close = get_close_matches(str(given)[:80], known, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return ConfigError(f"{place}unknown {kind} {shown}; valid: {', '.join(known)}{guess}")
