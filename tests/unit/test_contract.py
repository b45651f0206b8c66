"""Parts of one's own: what they lack is said when the engine is made, what they return is judged by their rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from guardrails_plugin import ConfigError, Context, Engine, Finding, GuardUnavailable, Recipe, Rule, Verdict
from guardrails_plugin.types import Text

TEXT = "the word"


class Own:
    """Returns whatever it is told to."""

    name = "own"
    entity_types = frozenset({"X"})
    categories: ClassVar[dict[str, frozenset[str]]] = {}

    def __init__(self, found: Any) -> None:
        self._found = found

    def detect(self, texts: Sequence[Text], context: Context) -> Any:
        return self._found


def finding(**changes: Any) -> Finding:
    return Finding(**{"detector": "own", "entity_type": "X", "score": 0.9, "start": 0, "end": 3, **changes})


def engine(detector: Any, on_error: Any = "block") -> Engine:
    rule = Rule(detector="own", on_error=on_error, action="replace")
    return Engine(recipes=Recipe(name="r", rules=[rule]), detectors={"own": detector})


BREACHES: list[tuple[Any, str]] = [
    ([], "returned 0 lists of findings for 1 texts"),
    ([[], []], "returned 2 lists of findings for 1 texts"),
    (None, "returned NoneType in place of one list"),
    ([None], "returned NoneType in place of a list of findings"),
    ([[(0, 3)]], "returned tuple in place of a Finding"),
    ([[finding(start=-1)]], "a finding outside its text"),
    ([[finding(end=99)]], "a finding outside its text"),
    ([[finding(start=5, end=4)]], "a finding outside its text"),
    ([[finding(start=None)]], "a finding outside its text"),
    ([[finding(entity_type="Y")]], "a type that is not among its entity_types"),
    ([[finding(score=7)]], "a score outside 0..1"),
    ([[finding(score=float("nan"))]], "a score outside 0..1"),
    ([[finding(segment=3)]], "another segment"),
]


@pytest.mark.parametrize(("found", "said"), BREACHES)
class TestWhatADetectorReturns:
    def test_a_breach_blocks_and_says_what_was_wrong(self, found: Any, said: str) -> None:
        result = engine(Own(found)).check(TEXT, stage="prompt", recipe="r")
        assert said in result.failures[0].failure
        with pytest.raises(GuardUnavailable, match="own: failed"):
            result.raise_for_block()

    def test_or_is_only_reported(self, found: Any, said: str) -> None:
        result = engine(Own(found), "report").check(TEXT, stage="prompt", recipe="r")
        assert (result.verdict, result.output) == (Verdict.REPORT, TEXT)
        assert said in result.failures[0].failure


@pytest.mark.parametrize("found", [[[finding()]], ((finding(),),), iter([iter([finding()])])])
def test_what_keeps_the_contract_counts(found: Any) -> None:
    assert engine(Own(found)).check(TEXT, stage="prompt", recipe="r").output == "<X> word"


@pytest.mark.parametrize(
    ("detectors", "message"),
    [
        (
            {"x": lambda texts: []},
            r"detectors\['x'\]: expected an object with name, .*got function without name, .*FunctionDet",
        ),
        ({"x": Own}, r"detectors\['x'\]: .*got the class Own, not an object of it"),
        ([Own([])], "detectors: expected a mapping of names, got list"),
    ],
)
def test_what_is_no_detector_is_refused_when_the_engine_is_made(detectors: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine(detectors=detectors)


def test_what_is_no_action_is_refused_too() -> None:
    with pytest.raises(
        ConfigError, match=r"actions\['shout'\]: expected an object with name, verdict, apply, got builtin"
    ):
        Engine(actions={"shout": print})  # type: ignore[dict-item]
