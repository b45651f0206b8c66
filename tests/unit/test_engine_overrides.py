"""Overrides of the engine: every recipe with such a rule, every call, under the call's own; wrong ones are refused."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Engine, Recipe, Rule, Stage, Verdict
from guardrails_plugin.detectors.function import FunctionDetector
from tests.strategies import NO_MODEL

TEXT = "SSN 536-90-4399, ann@example.com"


@pytest.fixture(scope="module")
def masking() -> Engine:
    desk = Recipe(name="desk", rules=[Rule(detector="pii"), Rule(detector="secrets", action="block")])
    return Engine(recipes=[desk], overrides={**NO_MODEL, "pii": {"contact": "mask", "allow": ["@example.org"]}})


@pytest.mark.parametrize("stage", ["prompt", "post_tool", "response"])
@pytest.mark.parametrize("recipe", [None, "desk", "financial"])
def test_they_count_at_every_stage_and_in_every_recipe(masking: Engine, stage: str, recipe: str | None) -> None:
    output = str(masking.check(TEXT + " eve@example.org", stage=stage, recipe=recipe).output)
    assert output.endswith("*************** eve@example.org")


def test_a_calls_own_overrides_come_on_top(masking: Engine) -> None:
    overrides = {"pii": {"contact": "replace", "allow": ["@example.net"]}}
    result = masking.check("ann@example.com b@example.org c@example.net", stage="response", overrides=overrides)
    assert result.output == "<EMAIL_ADDRESS> b@example.org c@example.net"


def test_a_call_may_switch_a_rule_on_again() -> None:
    engine = Engine(overrides={"pii": {"disabled": True}, **NO_MODEL})
    assert engine.check(TEXT, stage="response").output == TEXT
    overrides = {"pii": {"enabled": True, "contact": "mask"}}
    assert engine.check(TEXT, stage="response", overrides=overrides).output == "SSN <US_SSN>, ***************"


def test_streams_fingerprints_and_extended_engines_have_them(masking: Engine) -> None:
    stream = masking.stream(stage="response")
    assert stream.feed(TEXT + " and more text.") + stream.finish() == "SSN <US_SSN>, *************** and more text."
    assert masking.fingerprint(stage="response") != Engine().fingerprint(stage="response")
    mine = masking.extended([Recipe(name="mine", rules=[Rule(detector="pii")])])
    assert mine.check("ann@example.com", stage="prompt", recipe="mine").verdict is Verdict.TRANSFORM


def test_they_are_pickled_with_the_engine() -> None:
    engine: Engine = pickle.loads(pickle.dumps(Engine(overrides={**NO_MODEL, "pii": {"contact": "mask"}})))
    assert engine.check("ann@example.com", stage="response").output == "***************"


def test_what_the_caller_changes_later_changes_nothing() -> None:
    given: dict[str, dict[str, Any]] = {**NO_MODEL, "pii": {"contact": "mask"}}
    engine = Engine(overrides=given)
    given["pii"]["contact"] = "replace"
    assert engine.check("ann@example.com", stage="response").output == "***************"


def test_a_detector_that_no_recipe_runs_may_be_switched_off() -> None:
    assert Engine(overrides={"topics": {"disabled": True}}).recipes()


ORDERS = FunctionDetector("orders", "ORDER", lambda text: re.finditer(r"AC-\d+", text))


def test_a_detector_that_no_recipe_runs_becomes_a_rule_of_all() -> None:
    engine = Engine(detectors={"orders": ORDERS}, overrides={**NO_MODEL, "orders": {"action": "replace"}})
    for stage, recipe in (("response", None), ("post_tool", None), ("response", "financial")):
        assert engine.check("SSN 536-90-4399, AC-1", stage=stage, recipe=recipe).output == "SSN <US_SSN>, <ORDER>"
    off = {"orders": {"disabled": True}}
    assert engine.check("AC-1", stage="response", overrides=off).output == "AC-1", "a call may change it"
    more = engine.extended([Recipe(name="more", rules=[Rule(detector="pii")])])
    assert more.check("AC-1", stage="prompt", recipe="more").output == "<ORDER>"


def test_so_does_a_shipped_one() -> None:
    plan = Engine(overrides={"toxicity": {"action": "report", "threshold": 0.7}})._plan("prompt", None, None)
    assert plan.steps[-1].name == "toxicity"


def test_one_that_a_recipe_of_yours_runs_is_changed_there_alone() -> None:
    desk = Recipe(name="desk", rules=[Rule(detector="orders")])
    engine = Engine(detectors={"orders": ORDERS}, recipes=desk, overrides={"orders": {"action": "replace"}})
    assert engine.check("AC-1", stage="response", recipe="desk").output == "<ORDER>"
    assert engine.check("AC-1", stage="response", overrides=NO_MODEL).output == "AC-1"
    with pytest.raises(ConfigError, match=r"unknown rule 'toxicity'; .*Engine\(overrides=\.\.\.\) with an action"):
        engine.check("x", stage="response", overrides={"toxicity": {"action": "block"}})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"pi": {"contact": "mask"}}, "overrides of the engine: unknown rule 'pi'; valid: .*pii"),
        ({"topics": {"threshold": 0.7}}, "unknown rule 'topics'; .*with an action"),
        ({"topics": {"action": "block"}}, r"recipe 'prompt': rules\[\d+\].settings"),
        ({"refusal": {"action": "blok"}}, "unknown action 'blok'"),
        ({"pii": {"contact": "maks"}}, "unknown action 'maks'; valid: .*mask"),
        ({"pii": {"us_snn": "mask"}}, "unknown entity type or category 'us_snn'"),
        ({"pii": {"contact": "encrypt"}}, "needs a keyring"),
        ({"pii": {"threshold": 7}}, r"overrides\['pii'\]\.threshold.*expected 0\.\.1"),
        ({"pii": {"disabled": 1}}, r"overrides\['pii'\]\.disabled: expected true or false"),
        ({"pii": {"enabled": "no"}}, r"overrides\['pii'\]\.enabled: expected true or false"),
        ({"pii": {"enabled": True, "disabled": True}}, "expected disabled or enabled, got both"),
        ({"pii": {"enabled": False, "contact": "mask"}}, "disabled and changed at once: contact"),
        ({"pii": "off"}, r"overrides\['pii'\]: expected a mapping, got str"),
        (["pii"], "overrides: expected a mapping of rule names, got list"),
    ],
)
def test_a_mistake_shows_when_the_engine_is_made(overrides: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine(overrides=overrides)


def test_a_pack_says_enabled_like_a_rule(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('name = "p"\ndescription = "x"\n[change.pii]\nenabled = false\n')
    engine = Engine(recipes=tmp_path)
    for stage in Stage:
        assert engine.check(TEXT, stage=stage, recipe="p", overrides=NO_MODEL).output == TEXT
