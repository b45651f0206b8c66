"""The values that flow through the package, from content to result. All frozen.

Said once, true everywhere: offsets are half-open code points of the ORIGINAL text of one segment;
scores are probabilities in 0..1; time is in seconds; entity types are ``UPPER_SNAKE``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field, replace
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from guardrails_plugin.errors import ConfigError, GuardBlocked, GuardUnavailable

if TYPE_CHECKING:
    from guardrails_plugin.display import Shown

__all__ = [
    "DEFAULT_ORIGINS",
    "NO_CONTEXT",
    "CallPart",
    "Context",
    "Decision",
    "Detection",
    "Failure",
    "Finding",
    "GuardResult",
    "Origin",
    "Piece",
    "Replacement",
    "Segment",
    "Span",
    "Stage",
    "Text",
    "Verdict",
    "View",
]


class Stage(str, Enum):
    """Where in an application a text is guarded; each has one built-in recipe of the same name."""

    PROMPT = "prompt"
    PRE_PLAN = "pre_plan"
    LLM_PROMPT = "llm_prompt"
    PRE_TOOL = "pre_tool"
    POST_TOOL = "post_tool"
    INGESTION = "ingestion"
    RESPONSE = "response"

    def __str__(self) -> str:
        return self.value


class Origin(str, Enum):
    """Who wrote a text. An instruction is normal from a user and suspicious in a retrieved page."""

    SYSTEM = "system"
    """The application's own developer: trusted."""
    USER = "user"
    MODEL = "model"
    EXTERNAL = "external"
    """Tools, retrievers, documents: whatever came from outside."""

    def __str__(self) -> str:
        return self.value


DEFAULT_ORIGINS = {
    Stage.PROMPT: Origin.USER,
    Stage.PRE_PLAN: Origin.USER,
    Stage.LLM_PROMPT: Origin.USER,
    Stage.PRE_TOOL: Origin.MODEL,
    Stage.POST_TOOL: Origin.EXTERNAL,
    Stage.INGESTION: Origin.EXTERNAL,
    Stage.RESPONSE: Origin.MODEL,
}
"""Who wrote a text at a stage, when the content itself does not say."""


class Verdict(IntEnum):
    """What becomes of a content. The worst decision wins."""

    ALLOW = 0
    REPORT = 1
    TRANSFORM = 2
    BLOCK = 3


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CallPart:
    """Where in a tool call a string stands.

    Attributes:
        tool: name of the called tool.
        argument: field names from the arguments down, with dots ("payment.iban"; lists add none); "" for all
            arguments in one JSON string; None for the tool's name itself.
        fingerprint: the same for equal calls, whatever the order of their arguments.
    """

    tool: str = field(repr=False)
    argument: str | None = field(repr=False)
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One string inside a content: its origin and the words that stand beside it.

    Adapters may hand segments to the engine in place of strings, to say where each came from.

    Attributes:
        hint: names of the enclosing fields, lower case, "/" between them; they count as context words
            ("ssn": "078..."), the last one as the name that a secret is assigned to.
        part: the place in a tool call; None outside of one.
    """

    text: str = field(repr=False)
    origin: Origin
    hint: str = field(default="", repr=False)
    part: CallPart | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a view and the stretch of its parent that it came from.

    Linear pieces map character by character; of the others every character stands for the whole stretch
    (a decoded base64 run, one HTML entity).
    """

    at: int
    """First character in the view; the piece ends where the next one begins."""
    start: int
    end: int
    """Half-open range in the parent."""
    linear: bool


@dataclass(frozen=True, slots=True)
class View:
    """A reading of a text, such as its decoded base64 runs. No pieces: the parent itself, character by character."""

    text: str = field(repr=False)
    kind: str
    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    parent: View | None = field(default=None, repr=False)

    def span(self, start: int, end: int) -> Span:
        """The original characters behind view characters ``start:end``."""
        if self.pieces:
            first = self.pieces[bisect_right(self.pieces, start, key=_at) - 1]
            last = self.pieces[bisect_right(self.pieces, max(start, end - 1), key=_at) - 1]
            start = first.start + (start - first.at) if first.linear else first.start
            end = last.start + (end - last.at) if last.linear else last.end
        return self.parent.span(start, end) if self.parent else Span(start, end)


def _at(piece: Piece) -> int:
    return piece.at


@dataclass(frozen=True, slots=True)
class Text:
    """A normalised segment: the original and the views a detector reads.

    ``views[0]`` is always the canonical form (invisible characters gone, look-alikes folded);
    the others are decodings (``escape``, ``base64``, ``hex``, ``spaced``, ``hidden``).
    """

    original: str = field(repr=False)
    views: tuple[View, ...]
    origin: Origin = Origin.USER
    segment: int = 0
    hint: str = field(default="", repr=False)
    part: CallPart | None = None

    @property
    def canonical(self) -> str:
        """The text as a reader would understand it."""
        return self.views[0].text


@dataclass(frozen=True, slots=True)
class Context:
    """What the caller knows beyond the content.

    Attributes:
        prompt: what the user asked for, in this turn.
        history: earlier user turns.
        system: what the application's developer told the model: trusted, and not to leak into answers.
        untrusted: texts that came from tools or documents, for provenance.
        calls: earlier tool calls of this run, in order, in any shape that `conversation` recognises.
        metadata: ids for the audit record (``user_id``, ``session_id``, ...); never content.
        tenant: separates keys, tokens and records of one customer from another's.
        fpe_context: token of an earlier turn: values it knows are encrypted to the same again, and the result's token
            covers it.

    Raises:
        ConfigError: a field of another type; a single string where several are expected would be read letter by letter.
    """

    _: KW_ONLY
    prompt: str = field(default="", repr=False)
    history: Sequence[str] = field(default=(), repr=False)
    system: str = field(default="", repr=False)
    untrusted: Sequence[str] = field(default=(), repr=False)
    calls: Sequence[object] = field(default=(), repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    tenant: str = ""
    fpe_context: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("prompt", "system", "tenant"):
            _require(name, getattr(self, name), str, "a string")
        for name in ("history", "untrusted"):
            texts = getattr(self, name)
            _require(name, texts, (list, tuple), "a list of strings")
            for index, text in enumerate(texts):
                _require(f"{name}[{index}]", text, str, "a string")
        _require("calls", self.calls, (list, tuple), "a list of tool calls")
        _require("metadata", self.metadata, Mapping, "a mapping")
        _require("fpe_context", self.fpe_context, (str, type(None)), "a token or None")


def _require(name: str, value: object, kind: Any, expected: str) -> None:
    if not isinstance(value, kind):
        raise ConfigError(f"Context.{name}: expected {expected}, got {type(value).__name__}")


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a detector found. Never holds the matched text.

    Attributes:
        segment: index of the segment in the content (0 for a plain string).
        evidence: what the detector can say about it without quoting it (rule id, analyzer, view ...).
    """

    detector: str
    entity_type: str
    score: float
    start: int
    end: int
    segment: int = 0
    evidence: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        """The found characters of the original segment."""
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Decision:
    """A finding and what the recipe wants done about it (``action`` names one of the actions)."""

    finding: Finding
    action: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Detection:
    """How one detector of the recipe fared: whether it ran, what it led to, how it failed."""

    detector: str
    executed: bool = True
    detected: bool = False
    actions: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A detector that failed, and whether its rule turned that into a block.

    Attributes:
        failure: the type of what was raised, or what was wrong in words of ours; never its message, it may quote text.
        where: where code of one's own raised it, as ``"detectors.py:14 in found"``; "" when it was the library.
    """

    detector: str
    failure: str
    blocks: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What rewriting put in place of ``source``: ``text``, at ``start:end`` of the NEW segment text."""

    decision: Decision
    source: Span
    text: str = field(repr=False)
    start: int
    end: int


class _Held:
    """Keeps what was checked outside of a result's fields, so that it is in no copy, pickle or `asdict` of it."""

    __slots__ = ("_original",)

    if not TYPE_CHECKING:

        @property
        def original(self) -> Any:
            """What was checked; None in a copy, or when the result came through a pickle or an error."""
            return getattr(self, "_original", None)


@dataclass(frozen=True, slots=True, repr=False)
class GuardResult(_Held):
    """Everything a check decided. Immutable; its repr, pickles and copies do not hold what was checked.

    Attributes:
        output: the content to go on with, in the shape it came in; None when blocked.
        findings: what was found at or above its threshold, sorted by place.
        decisions: one per finding.
        detections: one per detector of the recipe, in order; see `summary`.
        timings: seconds by step.
        fpe_context: token that turns encrypted values back, when any were made; those of the context's own token too.
        raw: every candidate with its evidence, below the thresholds too (only with ``debug=True``).
        original: what was checked, in this process only.
        shadow: what the verdict would have been, when the recipe only watches; `verdict` then is REPORT at most.
    """

    id: str
    stage: Stage
    recipe: str
    verdict: Verdict
    output: Any = field(repr=False)
    _: KW_ONLY
    findings: tuple[Finding, ...] = ()
    decisions: tuple[Decision, ...] = ()
    detections: tuple[Detection, ...] = ()
    failures: tuple[Failure, ...] = ()
    replacements: tuple[Replacement, ...] = field(default=(), repr=False)
    timings: Mapping[str, float] = field(default_factory=dict)
    fpe_context: str | None = field(default=None, repr=False)
    raw: tuple[Finding, ...] | None = None
    shadow: Verdict | None = None
    if TYPE_CHECKING:
        original: Any = field(default=None, repr=False)
    else:
        # To the constructor an argument like the others; no field, so that `asdict` and pickles go without.
        original: InitVar[Any] = None

        def __post_init__(self, original: Any) -> None:
            object.__setattr__(self, "_original", original)

    @property
    def blocked(self) -> bool:
        """True when the content must not go on."""
        return self.verdict is Verdict.BLOCK

    @property
    def transformed(self) -> bool:
        """True when `output` differs from what came in."""
        return self.verdict is Verdict.TRANSFORM

    @property
    def seconds(self) -> float:
        """Time the whole check took."""
        return self.timings.get("total", 0.0)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was blocked, as ``"<detector>: <ENTITY_TYPE>"``; empty when it was not."""
        found = [f"{d.finding.detector}: {d.finding.entity_type}" for d in self.decisions if d.verdict is Verdict.BLOCK]
        failed = [f"{f.detector}: failed ({f.failure})" for f in self.failures if f.blocks]
        return tuple(dict.fromkeys(found + failed))

    @property
    def summary(self) -> str:
        """One sentence per detector: what it found and what was done."""
        from guardrails_plugin.reports import summary

        return summary(self)

    def raise_for_block(self) -> GuardResult:
        """This result, so that calls chain; `GuardBlocked` when the content was refused."""
        if not self.blocked:
            return self
        only_failed = any(f.blocks for f in self.failures) and not any(
            d.verdict is Verdict.BLOCK for d in self.decisions
        )
        error = GuardUnavailable if only_failed else GuardBlocked
        # Without the content: errors end up in logs and traces with all they hold.
        raise error(self.stage.value, self.reasons, self.id, replace(self, original=None))

    def to_dict(self, *, values: bool = False) -> dict[str, Any]:
        """What was decided, ready for JSON when the content was: ids and verdict, output, summary, findings.

        Args:
            values: also what was found, as ``value`` of each finding; it must not go into logs. None in a copy, or when
                the result came through a pickle.
        """
        # Deferred, like the imports of its neighbours: not needed to check.
        from guardrails_plugin.reports import result_dict

        return result_dict(self, values=values)

    def rows(self, *, values: bool = False) -> list[dict[str, Any]]:
        """One flat dictionary for each finding, as tables take them: ``pandas.DataFrame(result.rows())``.

        Args:
            values: see `to_dict`.
        """
        from guardrails_plugin.reports import result_rows

        return result_rows(self, values=values)

    def path(self, finding: Finding) -> str | None:
        """The field that a finding is in, as a JSON pointer (``/messages/0/content``); "" for a plain text.

        A key that may be data is ``*``. None in a copy, or when the result came through a pickle.
        """
        from guardrails_plugin.reports import path_of

        return path_of(self, finding)

    def show(self, *, original: bool = False) -> Shown:
        """How a notebook shows it, and ``print(result.show())`` a terminal: verdict and output, with marks.

        Args:
            original: also what came in, with its findings marked. A notebook is saved with all that it shows.
        """
        from guardrails_plugin.display import Shown

        return Shown.of(self, original=original)

    def _repr_html_(self) -> str:
        return self.show().html

    def __repr__(self) -> str:
        types = Counter(finding.entity_type for finding in self.findings).most_common()
        found = ", ".join(f"{count} {name[:_LONGEST]}" for name, count in types[:_NAMED]) or "nothing found"
        more = f", {len(types) - _NAMED} more types" if len(types) > _NAMED else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        changed = ", changed" if self.transformed else ""
        return f"<GuardResult {self.verdict.name} at {self.stage}: {found}{more}{failed}{changed}>"


_NAMED = 2
_LONGEST = 20
"""Types that a repr names, and characters of each: results of a batch are read one below the other."""

if not TYPE_CHECKING:
    del GuardResult.original  # the argument's default, which would hide the property
