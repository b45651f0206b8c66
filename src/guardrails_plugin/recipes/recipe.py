"""The recipe model: what TOML files and users write, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from guardrails_plugin.allow_list import AllowList
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Origin, Stage

__all__ = ["OPERATING_POINTS", "Recipe", "Rule", "StreamSettings", "Threshold", "explain"]

OPERATING_POINTS = ("strict", "balanced", "permissive")
"""Named thresholds of trained detectors: 5 %, 1 % and 0.1 % false positives on benign text."""


def _threshold(value: object) -> object:
    if value in OPERATING_POINTS or (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    ):
        return value
    raise ValueError(f"expected 0..1 or one of {', '.join(OPERATING_POINTS)}")


def _thresholds(value: object) -> object:
    """A single threshold counts for every origin."""
    return value if isinstance(value, Mapping) else dict.fromkeys(Origin, _threshold(value))


def _complete(value: dict[Origin, float | str]) -> dict[Origin, float | str]:
    return {origin: value.get(origin, 0.5) for origin in Origin}


def _readable(values: frozenset[str]) -> frozenset[str]:
    """The same entries; a wildcard that cannot be read is an error now, not at the first text."""
    AllowList(values)
    return values


Threshold = Annotated[float | str, BeforeValidator(_threshold)]
_Strict = ConfigDict(extra="forbid", frozen=True)


class Rule(BaseModel):
    """One detector of a recipe.

    Attributes:
        detector: registered name.
        name: how this rule is called in overrides, decisions and the summary; the detector's name by default.
        action: what is done about its findings; ``"encrypt|replace"`` means encrypt when there is a keyring.
        actions: actions for single entity types (any case) or categories of the detector.
        threshold: least score, or an operating point; one value, or one per origin.
        trusted: origins whose texts this rule does not judge.
        allow: what is nobody's business: values compared whole and in any case (your own support address), domains
            (``@example.com``, ``*.example.com``), wildcards; see `AllowList`.
        settings: the detector's own settings.
        on_error: what a failure of the detector means: ``block`` (fail closed) or ``report``.
        timeout: seconds after which the detector counts as failed.
        needs: packages, by the names they are imported by, without which the rule is left out: every result says that
            it was not executed, ``guardrails-plugin recipes`` says why. Unnamed, a missing package is an error.
    """

    model_config = _Strict

    detector: str
    name: str = ""
    action: str = "report"
    actions: Mapping[str, str] = Field(default_factory=dict)
    threshold: Annotated[dict[Origin, Threshold], BeforeValidator(_thresholds), AfterValidator(_complete)] = Field(
        default=0.5, validate_default=True
    )
    trusted: frozenset[Origin] = frozenset()
    allow: Annotated[frozenset[str], AfterValidator(_readable), PlainSerializer(sorted, when_used="json")] = Field(
        default=frozenset(), repr=False
    )
    settings: Mapping[str, Any] = Field(default_factory=dict)
    on_error: Literal["block", "report"] = "block"
    timeout: Annotated[float, Field(gt=0)] | None = None
    enabled: bool = True
    needs: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of ``needs`` that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("name") and "detector" in data:
            return {**data, "name": data["detector"]}
        return data


class StreamSettings(BaseModel):
    """How streams are guarded.

    Attributes:
        mode: ``holdback`` releases what can no longer change; ``buffer`` releases nothing before the verdict.
        cap: characters held back at most; a match still open then blocks.
    """

    model_config = _Strict

    mode: Literal["holdback", "buffer"] = "holdback"
    cap: int = Field(default=65_536, ge=1_024)


class Recipe(BaseModel):
    """An ordered list of rules. A block stops the rules behind it.

    Attributes:
        stage: the stage it is for; None: any.
        deadline: seconds for all detectors; those that have not started by then count as failed.
        mode: ``enforce``, or ``shadow``: everything is decided and recorded, nothing is changed or blocked.
    """

    model_config = _Strict

    name: str = Field(min_length=1)
    stage: Stage | None = None
    description: str = ""
    version: int = 1
    rules: Sequence[Rule]
    deadline: Annotated[float, Field(gt=0)] | None = None
    mode: Literal["enforce", "shadow"] = "enforce"
    stream: StreamSettings = StreamSettings()

    @model_validator(mode="after")
    def _distinct(self) -> Recipe:
        names = [rule.name for rule in self.rules]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two rules are called {', '.join(sorted(twice))}; give one of them a name of its own")
        return self


def explain(error: ValidationError, where: str, separator: str = ": ") -> ConfigError:
    """A `ConfigError` that says place, expectation and value: ``x.toml: rules[2].threshold: expected ..., got 7``."""
    problems = []
    for problem in error.errors(include_url=False):
        steps = [step for step in problem["loc"] if step != "[key]"]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
        given = "" if problem["type"] in _SAYS_ALL else _given(problem["input"], problem["type"])
        problems.append(f"{where}{separator if place else ''}{place}: {_expected(problem)}{given}")
    return ConfigError("; ".join(problems))


_SAYS_ALL = frozenset({"missing", "json_invalid"})
"""Kinds of errors whose message leaves nothing to say about the value."""

_LIST = "expected a list"
_TABLE = "expected a table of names and values"
_EXPECTED = {
    **dict.fromkeys(("frozen_set_type", "set_type", "list_type", "tuple_type"), _LIST),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "dataclass_type", "model_attributes_type"), _TABLE),
    "string_type": "expected a text",
}
"""What pydantic says in the names of Python's types."""


def _expected(problem: ErrorDetails) -> str:
    if problem["type"] == "is_instance_of":
        return {"Sequence": _LIST, "Mapping": _TABLE}.get(problem.get("ctx", {}).get("class", ""), problem["msg"])
    return _EXPECTED.get(problem["type"], problem["msg"].removeprefix("Value error, "))


def _given(value: object, error: str) -> str:
    """What was given, as files name it; where the kind of value is right, only a short one."""
    if isinstance(value, (int, float, str)) and len(repr(value)) < _LONGEST_SHOWN:
        return f", got {value!r}"
    if error not in _EXPECTED and error != "is_instance_of":
        return ""
    if isinstance(value, Mapping):
        kind = "a table"
    else:
        kind = "a list" if isinstance(value, (list, tuple, set, frozenset)) else ""
    return f", got {kind}" if kind else ""


_LONGEST_SHOWN = 60
