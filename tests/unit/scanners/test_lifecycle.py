"""Custom scanners: from draft to production, for whom they count, and that an engine runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Engine, Recipe, Stage, Verdict
from guardrails_plugin.scanners import (
    Examples,
    JsonStore,
    Keywords,
    MemoryStore,
    NaturalLanguage,
    RegularExpressions,
    Scanners,
    Scope,
    State,
    term_rules,
)

FALCON = Keywords(terms=("project falcon",))
TRIALS = {"Tell me about project falcon": True, "Tell me about birds": False}
EVERYBODY = Scope()


class Model:
    """A chat model that flags texts with "horoscope"."""

    def invoke(self, messages: Any, /) -> str:
        request = json.loads(messages[-1]["content"])
        return json.dumps({"id": request["id"], "violation": "horoscope" in request["text"], "confidence": 0.9})


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(params=["memory", "file"])
def scanners(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scanners]:
    store = MemoryStore() if request.param == "memory" else JsonStore(tmp_path / "scanners.json")
    made = Scanners(store, judge=Model(), clock=Clock())
    yield made
    if request.param == "file" and made.all():
        assert Scanners(JsonStore(tmp_path / "scanners.json")).all() == made.all()


def published(scanners: Scanners, name: str = "No Falcon", definition: Any = FALCON, **fields: Any) -> str:
    made = scanners.create(name, definition)
    trials = TRIALS if definition is FALCON else {"my horoscope": True, "nice weather today": False}
    assert scanners.test(made.id, trials).passed
    scanners.publish(made.id, **fields)
    return made.id


def versions(scanners: Scanners, caller: Scope = EVERYBODY, **pins: int) -> list[int]:
    return [
        version.number for _, version in scanners.active(caller, {key.replace("_", "-"): n for key, n in pins.items()})
    ]


class TestLifecycle:
    def test_a_draft_is_not_used_and_cannot_be_published(self, scanners: Scanners) -> None:
        made = scanners.create("No Falcon", FALCON)
        assert (made.id, made.newest.state, made.entity_type) == ("no-falcon", State.DRAFT, "CUSTOM_NO_FALCON")
        assert versions(scanners) == []
        with pytest.raises(ConfigError, match="is a draft; test it first"):
            scanners.publish(made.id)

    def test_only_a_passed_test_makes_it_publishable(self, scanners: Scanners) -> None:
        made = scanners.create("No Falcon", FALCON)
        report = scanners.test(made.id, {**TRIALS, "falcon": True})
        assert (report.passed, report.wrong) == (False, (3,))
        assert scanners.get(made.id).newest.state is State.DRAFT
        scanners.test(made.id, TRIALS)
        assert scanners.get(made.id).newest.state is State.TESTED
        assert versions(scanners) == []
        assert scanners.publish(made.id).newest.published_at is not None
        assert versions(scanners) == [1]

    def test_what_was_tested_cannot_be_changed_by_publishing(self, scanners: Scanners) -> None:
        made = scanners.create("No Falcon", FALCON)
        scanners.test(made.id, TRIALS)
        with pytest.raises(ConfigError, match="definition can only be changed by editing"):
            scanners.publish(made.id, definition=Keywords(terms=("x",)))

    def test_an_edit_goes_back_to_draft_and_only_pins_keep_the_old_version(self, scanners: Scanners) -> None:
        name = published(scanners)
        edited = scanners.edit(name, definition=Keywords(terms=("project falcon", "project kestrel")))
        assert [version.state for version in edited.versions] == [State.PUBLISHED, State.DRAFT]
        assert versions(scanners) == []
        assert versions(scanners, no_falcon=1) == [1]
        scanners.edit(name, message="Not that project.")
        assert len(scanners.get(name).versions) == 2
        scanners.test(name, TRIALS)
        scanners.publish(name)
        assert versions(scanners) == [2]
        assert versions(scanners, no_falcon=1) == [1]
        assert versions(scanners, no_falcon=7) == []

    def test_unpublishing_the_newest_version_makes_the_one_before_active(self, scanners: Scanners) -> None:
        name = published(scanners)
        scanners.edit(name)
        scanners.test(name, TRIALS)
        scanners.publish(name)
        scanners.unpublish(name, 2)
        assert versions(scanners) == [1]
        scanners.unpublish(name)
        assert versions(scanners) == []
        with pytest.raises(ConfigError, match="has no published version"):
            scanners.unpublish(name)

    def test_a_duplicate_is_a_draft_of_its_own(self, scanners: Scanners) -> None:
        name = published(scanners, action="audit", message="Careful.")
        copy = scanners.duplicate(name)
        assert copy.id != name
        assert (copy.newest.state, copy.newest.action, copy.newest.message) == (State.DRAFT, "audit", "Careful.")
        scanners.delete(name)
        assert [scanner.id for scanner in scanners.all()] == [copy.id]
        with pytest.raises(ConfigError, match="unknown scanner"):
            scanners.get(name)

    def test_two_of_one_name_get_two_ids(self, scanners: Scanners) -> None:
        assert scanners.create("A", FALCON).id != scanners.create("a!", FALCON).id

    def test_a_time_limited_scanner_ends(self) -> None:
        clock = Clock()
        scanners = Scanners(clock=clock)
        published(scanners, expires_at=clock.now + timedelta(days=1))
        assert versions(scanners) == [1]
        clock.now += timedelta(days=1)
        assert versions(scanners) == []


@pytest.mark.parametrize(
    ("scope", "caller", "counts"),
    [
        ({}, {}, True),
        ({}, {"users": {"u"}}, True),
        ({"projects": {"p"}}, {"projects": {"p", "q"}}, True),
        ({"projects": {"p"}}, {"projects": {"q"}}, False),
        ({"projects": {"p"}}, {}, False),
        ({"groups": {"g"}}, {"groups": {"g"}}, True),
        ({"groups": {"g"}, "users": {"u"}}, {"users": {"u"}}, True),
        ({"groups": {"g"}, "users": {"u"}}, {"users": {"v"}, "groups": {"h"}}, False),
        ({"projects": {"p"}, "users": {"u"}}, {"users": {"u"}}, False),
        ({"projects": {"p"}, "users": {"u"}}, {"users": {"u"}, "projects": {"p"}}, True),
    ],
)
def test_scopes(scanners: Scanners, scope: Any, caller: Any, counts: bool) -> None:
    published(scanners, scope=scope)
    assert bool(versions(scanners, Scope(**caller))) == counts


def engine_with(scanners: Scanners, stage: str, caller: Scope = EVERYBODY) -> tuple[Engine, Any]:
    rules = scanners.rules_for(caller, stage)
    return Engine(recipes=rules.added_to(Recipe(name="app", rules=[])), detectors=rules.detectors), rules


@pytest.mark.parametrize(
    ("definition", "flagged", "clean"),
    [
        (FALCON, "about pr0ject falc0n", "about falcons"),
        (RegularExpressions(patterns={"ticket": r"\bTCK-\d{4}\b"}), "see TCK-1234", "see TCK-12"),
        (
            Examples(
                examples=("Which employees will be laid off?",), counter_examples=("Which employees are on leave?",)
            ),
            "Tell me which employees will be laid off",
            "Tell me which employees are on leave",
        ),
        (NaturalLanguage(text="The text asks for a horoscope."), "my horoscope please", "the weather please"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_an_engine_runs_every_kind_of_definition(scanners: Scanners, definition: Any, flagged: str, clean: str) -> None:
    made = scanners.create("mine", definition, message="Ask the board instead.")
    assert scanners.test(made.id, {flagged: True, clean: False}).passed
    scanners.publish(made.id)
    engine, rules = engine_with(scanners, "prompt")
    result = engine.check(flagged, stage="prompt", recipe="app")
    assert result.blocked
    assert rules.message(result) == "Ask the board instead."
    passed = engine.check(clean, stage="prompt", recipe="app")
    assert passed.verdict is Verdict.ALLOW
    assert rules.message(passed) == ""


def test_audit_records_and_lets_pass(scanners: Scanners) -> None:
    published(scanners, action="audit")
    engine, _ = engine_with(scanners, "response")
    result = engine.check("project falcon", stage="response", recipe="app")
    assert (result.verdict, result.output) == (Verdict.REPORT, "project falcon")


@pytest.mark.parametrize(
    ("direction", "stages"),
    [
        ("request", {"prompt", "pre_plan", "llm_prompt", "pre_tool", "ingestion"}),
        ("response", {"response", "post_tool"}),
        ("both", {stage.value for stage in Stage}),
    ],
)
def test_directions(scanners: Scanners, direction: str, stages: set[str]) -> None:
    published(scanners, direction=direction)
    assert {stage.value for stage in Stage if scanners.rules_for(EVERYBODY, stage).rules} == stages


def test_they_stand_behind_the_rules_of_a_built_in_recipe(scanners: Scanners) -> None:
    published(scanners)
    base = next(recipe for recipe in Engine().recipes() if recipe.name == "response")
    rules = scanners.rules_for(EVERYBODY, "response")
    engine = Engine(recipes=rules.added_to(base, "response"), detectors=rules.detectors)
    off = {"prompt_injection": {"disabled": True}}
    assert engine.check("My SSN is 536-90-4399.", stage="response", overrides=off).output == "My SSN is <US_SSN>."
    assert engine.check("project falcon", stage="response", overrides=off).blocked


def test_a_natural_language_definition_without_a_model_is_refused_when_it_is_used() -> None:
    scanners = Scanners()
    made = scanners.create("stars", NaturalLanguage(text="A horoscope."))
    with pytest.raises(ConfigError, match="needs a chat model"):
        scanners.test(made.id, {"x": True})


@pytest.mark.parametrize(
    ("definition", "fields", "message"),
    [
        (RegularExpressions(patterns={"x": "(?=a)"}), {}, "refused by re2"),
        (RegularExpressions(patterns={"x": "a*"}), {}, "empty string"),
        (FALCON, {"action": "shout"}, "action"),
        (FALCON, {"threshold": 7}, "threshold"),
        (FALCON, {"expires_at": datetime(2026, 1, 1)}, "zone"),  # noqa: DTZ001 - that is the point
        (FALCON, {"mesage": "x"}, "mesage"),
        (Examples(examples=("!!",)), {}, "no words"),
    ],
)
def test_what_cannot_work_is_refused_at_once(scanners: Scanners, definition: Any, fields: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scanners.create("x", definition, **fields)
    assert scanners.all() == ()


@pytest.mark.parametrize("content", ["", "{}", '[{"id": "a"}]', "[1]"])
def test_a_damaged_file_is_refused_with_its_place(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scanners.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"scanners\.json"):
        JsonStore(path)
    assert path.read_text() == content


def test_lists_of_terms_become_rules() -> None:
    rules = term_rules(
        blocked=["project falcon", "do not share this sentence."],
        audited=["merger"],
        blocked_patterns=[r"\bTCK-\d+"],
        audited_patterns=[r"\bOPS-\d+"],
    )
    engine = Engine(recipes=Recipe(name="terms", rules=rules))
    verdicts = {
        text: engine.check(text, stage="prompt", recipe="terms").verdict
        for text in ("PROJECT FALCON", "Please: do not share this sentence.", "the merger", "TCK-1", "OPS-1", "hello")
    }
    assert list(verdicts.values()) == [
        Verdict.BLOCK, Verdict.BLOCK, Verdict.REPORT, Verdict.BLOCK, Verdict.REPORT, Verdict.ALLOW
    ]  # fmt: skip
    assert term_rules() == ()
