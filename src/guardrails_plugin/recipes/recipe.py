"""The recipe model: what TOML files and users write, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

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


def _folded(values: frozenset[str]) -> frozenset[str]:
    return frozenset(value.casefold() for value in values)


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
        allow: values that are nobody's business, compared whole and in any case (your own support address).
        settings: the detector's own settings.
        on_error: what a failure of the detector means: ``block`` (fail closed) or ``report``.
        timeout: seconds after which the detector counts as failed.
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
    allow: Annotated[frozenset[str], AfterValidator(_folded)] = Field(default=frozenset(), repr=False)
    settings: Mapping[str, Any] = Field(default_factory=dict)
    on_error: Literal["block", "report"] = "block"
    timeout: Annotated[float, Field(gt=0)] | None = None
    enabled: bool = True

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
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        given = "" if problem["type"] == "missing" else f", got {_short(problem['input'])}"
        problems.append(f"{where}{separator}{place.lstrip('.') or 'recipe'}: {message}{given}")
    return ConfigError("; ".join(problems))


def _short(value: object) -> str:
    return repr(value) if isinstance(value, (int, float, bool, str)) and len(repr(value)) < 60 else type(value).__name__
