"""Recipes: the built-in ones are whole, mistakes are reported with their exact place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Engine, Keyring, Recipe, Rule, Stage, Verdict
from guardrails_plugin.recipes import builtin_recipes, load_recipes
from guardrails_plugin.recipes.loader import parse_recipe
from tests.strategies import NO_MODEL


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_a_recipe_that_can_run(engine: Engine, stage: Stage) -> None:
    recipe = next(r for r in builtin_recipes() if r.stage is stage)
    assert recipe.name == stage.value
    assert recipe.description
    result = engine.check("hello", stage=stage, overrides={"prompt_injection": {"disabled": True}})
    assert result.verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "r"\nrules = [{detector = "pii", threshold = 7}]', r"r\.toml: rules\[0\]\.threshold: expected 0\.\.1"),
        ('name = "r"\nrules = [{detector = "pii", threshold = 7}]', "got 7"),
        ('name = "r"\nrules = [{detector = "pii", acton = "block"}]', r"r\.toml: rules\[0\]\.acton: .*not permitted"),
        ('name = "r"\nrules = [{action = "block"}]', r"rules\[0\]\.detector"),
        ('name = "r"\nrules = [{detector = "pii"}, {detector = "pii"}]', "two rules are called pii"),
        ('name = "r"\nrules = [{detector = "pii", on_error = "ignore"}]', r"rules\[0\]\.on_error.*got 'ignore'"),
        ('name = "r"\nstage = "promt"\nrules = []', "stage"),
        ("name = ", "not valid TOML"),
        ('name = "r"', "rules"),
    ],
)
def test_a_mistake_is_reported_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_recipe(text, "r.toml")


def recipe(**rule: object) -> Recipe:
    return Recipe(name="mine", rules=[Rule.model_validate({"detector": "pii", **rule})])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"detector": "pi"}, "unknown detector 'pi'; valid: .*pii"),
        ({"action": "blok"}, "unknown action 'blok'; valid: block"),
        ({"actions": {"us_snn": "block"}}, "unknown entity type or category 'us_snn'; valid: .*US_SSN"),
        ({"settings": {"entitees": []}}, r"\.settings\.entitees"),
        ({"settings": {"entities": ["NOPE"]}}, "NOPE"),
        ({"threshold": "strict"}, "has no operating points"),
        ({"action": "encrypt"}, "needs a keyring"),
        ({"action": "hash"}, "needs a keyring"),
    ],
)
def test_a_recipe_that_cannot_run_says_why_when_the_engine_is_made(rule: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"recipe 'mine': rules\[0\].*{message}"):
        Engine(recipes=recipe(**rule))


def test_to_make_an_engine_compiles_no_pattern_and_loads_no_model() -> None:
    engine = Engine(recipes=recipe(detector="prompt_injection", threshold="strict"))
    assert not engine._planner._matchers
    assert "_classifier" not in vars(engine._planner.detector("prompt_injection"))


def test_the_recipe_of_a_stage_is_looked_at_too() -> None:
    with pytest.raises(ConfigError, match="keywords: no terms"):
        Engine(recipes=[Recipe(name="response", stage=Stage.RESPONSE, rules=[Rule(detector="keywords")])])


def test_a_folder_of_recipes_and_one_that_replaces_a_stages_own(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "prompt"\nstage = "prompt"\nrules = []')
    engine = Engine(recipes=tmp_path)
    assert engine.check("536-90-4399", stage="prompt").verdict is Verdict.ALLOW


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_missing_recipes_are_an_error(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="recipes: "):
        Engine(recipes=tmp_path / path)


class TestOverrides:
    TEXT = "SSN 536-90-4399, mail alice.doe@example.com"

    def check(self, overrides: dict[str, dict[str, Any]], engine: Engine | None = None) -> str:
        changes = {**NO_MODEL, **overrides}
        return str((engine or Engine()).check(self.TEXT, stage="response", overrides=changes).output)

    def test_one_type_any_case(self) -> None:
        for name in ("us_ssn", "US_SSN"):
            assert self.check({"pii": {name: "mask"}}) == "SSN ***********, mail alice.doe@example.com"

    def test_a_category(self) -> None:
        assert self.check({"pii": {"contact": "replace"}}) == "SSN <US_SSN>, mail <EMAIL_ADDRESS>"

    def test_one_type_off(self) -> None:
        for off in ("disabled", {"disabled": True}):
            assert self.check({"pii": {"us_ssn": off}}) == self.TEXT

    def test_disabled_false_and_empty_actions_change_nothing(self) -> None:
        assert self.check({"pii": {"disabled": False, "action": "", "us_ssn": ""}}) == self.check({})

    def test_the_recipe_itself_is_untouched(self) -> None:
        engine = Engine()
        self.check({"pii": {"disabled": True}}, engine)
        assert self.check({}, engine) == "SSN <US_SSN>, mail alice.doe@example.com"

    def test_encrypt_falls_back_only_where_the_recipe_says_so(self) -> None:
        keyed = Engine(keyring=Keyring.generate())
        changes = {"prompt_injection": {"disabled": True}}
        result = keyed.check("SSN 536-90-4399", stage="llm_prompt", overrides=changes)
        assert result.fpe_context
        assert result.output != "SSN 536-90-4399"
        assert Engine().check("SSN 536-90-4399", stage="llm_prompt", overrides=changes).output == "SSN <US_SSN>"

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"pi": {"action": "block"}}, "unknown rule 'pi'; valid: .*pii"),
            ({"pii": {"us_snn": "block"}}, "unknown entity type or category 'us_snn'"),
            ({"pii": {"us_ssn": "blok"}}, "unknown action 'blok'"),
            ({"pii": {"us_ssn": "block", "US_SSN": "mask"}}, "given twice with different actions"),
            ({"pii": {"disabled": True, "action": "block"}}, "disabled and changed at once"),
            ({"pii": {"disabled": "yes"}}, "expected true or false"),
            ({"pii": "block"}, "expected a mapping"),
            ({"pii": {"threshold": 2}}, r"expected 0\.\.1"),
            ({"pii": {"us_ssn": 3}}, "expected the name of an action"),
            (["pii"], "expected a mapping"),
        ],
    )
    def test_a_wrong_override_is_an_error(self, engine: Engine, overrides: object, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            engine.check("x", stage="response", overrides=overrides)  # type: ignore[arg-type]

    def test_switching_off_a_detector_the_recipe_lacks_is_fine(self, engine: Engine) -> None:
        engine.check(
            "x", stage="response", overrides={"keywords": {"disabled": True}, "prompt_injection": {"disabled": True}}
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('rules = [{ detector = "pii", trusted = "user" }]', "x.toml: rules[0].trusted: expected a list, got 'user'"),
        ('rules = [{ detector = "pii", allow = { a = 1 } }]', "x.toml: rules[0].allow: expected a list, got a table"),
        ("rules = { a = 1 }", "x.toml: rules: expected a list, got a table"),
        ("rules = [[1]]", "x.toml: rules[0]: expected a table of names and values, got a list"),
        ('rules = [{ detector = "pii" }, { detector = "pii" }]', "x.toml: two rules are called pii; give one"),
    ],
)
def test_errors_speak_of_what_files_hold_and_not_of_pythons_types(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.toml").write_text(f'name = "x"\n{content}\n')
    with pytest.raises(ConfigError) as refused:
        load_recipes(tmp_path / "x.toml")
    assert str(refused.value).startswith(said)


def test_a_settings_error_is_said_at_the_settings() -> None:
    rule = Rule(detector="malicious_url", settings={"feeds": ["/nowhere.csv"]})
    with pytest.raises(ConfigError) as refused:
        Engine(recipes=Recipe(name="own", rules=[rule]))
    assert "settings: malicious_url: feeds: cannot read /nowhere.csv" in str(refused.value)
    assert "ArgsKwargs" not in str(refused.value)
