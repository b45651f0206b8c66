"""The command line: a scanner from draft to production in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guardrails_plugin.cli import main


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "scanners.json")


def run(*arguments: str, store: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["scanners", *arguments, "--store", store])
    out = capsys.readouterr()
    return code, out.out.strip(), out.err.strip()


def test_from_draft_to_production_and_away(store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def did(*arguments: str) -> tuple[int, str]:
        code, out, _ = run(*arguments, store=store, capsys=capsys)
        return code, out

    assert did("list") == (0, "")
    assert did("add", "No Falcon", "--keyword", "project falcon", "--message", "No.") == (
        0,
        "no-falcon: version 1 is draft",
    )
    assert did("test", "no-falcon", "--flagged", "birds") == (1, "wrong: texts 1")
    trials = tmp_path / "trials.jsonl"
    trials.write_text('{"text": "project falcon", "flagged": true}\n{"text": "birds", "flagged": false}\n')
    assert did("test", "no-falcon", "--file", str(trials)) == (0, "passed: 2 texts")
    assert did("publish", "no-falcon", "--action", "audit", "--group", "sales") == (
        0,
        "no-falcon: version 1 is published",
    )
    code, out = did("list", "--json")
    assert code == 0
    (listed,) = json.loads(out)
    assert listed["versions"][0]["scope"]["groups"] == ["sales"]
    assert listed["versions"][0]["message"] == "No."
    assert did("list")[1].split() == ["no-falcon", "v1", "published", "audit", "both", "keyword"]
    assert did("edit", "no-falcon", "--regex", r"ticket=TCK-\d+") == (0, "no-falcon: version 2 is draft")
    assert json.loads(did("show", "no-falcon")[1])["versions"][1]["definition"]["kind"] == "regex"
    assert did("duplicate", "no-falcon", "--name", "Other") == (0, "other: version 1 is draft")
    assert did("unpublish", "no-falcon")[0] == 0
    assert did("delete", "no-falcon", "--json") == (0, '{"deleted": "no-falcon"}')
    assert did("list")[1].startswith("other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "x"], "expected a definition"),
        (["add", "x", "--keyword", "a", "--describe", "b"], "expected one kind of definition"),
        (["add", "x", "--regex", "nothing"], "expected NAME=PATTERN"),
        (["add", "x", "--regex", "n=(?=a)"], "refused by re2"),
        (["publish", "nope"], "unknown scanner 'nope'"),
        (["delete", "nope"], "unknown scanner"),
    ],
)
def test_mistakes_are_explained(
    arguments: list[str], message: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(*arguments, store=store, capsys=capsys)
    assert code == 2
    assert message in err


def test_a_broken_trial_file_is_named_with_its_line(
    store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run("add", "x", "--keyword", "a", store=store, capsys=capsys)
    trials = tmp_path / "t.jsonl"
    trials.write_text('{"text": "a", "flagged": true}\nnonsense\n')
    code, _, err = run("test", "x", "--file", str(trials), store=store, capsys=capsys)
    assert (code, "t.jsonl: line 2" in err) == (2, True)


@pytest.mark.parametrize("broken", ["{", "", "{}", "\x00"])
def test_a_broken_file_is_named_in_its_own_terms(store: str, capsys: pytest.CaptureFixture[str], broken: str) -> None:
    Path(store).write_text(broken)
    code, _, err = run("list", store=store, capsys=capsys)
    assert code == 2
    assert "scanners.json: " in err
    assert "recipe" not in err
    assert "bytes" not in err


@pytest.mark.parametrize("time", ["2999-12-31", "2999-12-31T18:00:00Z", "2999-12-31T18:00:00+02:00"])
def test_times_of_expiry(store: str, capsys: pytest.CaptureFixture[str], time: str) -> None:
    assert run("add", "Falcon", "--keyword", "falcon", "--expires", time, store=store, capsys=capsys)[0] == 0


def test_a_wrong_time_of_expiry_says_what_is_valid(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("add", "Falcon", "--keyword", "falcon", "--expires", "tomorrow", store=store, capsys=capsys)
    assert "--expires: expected an ISO 8601 date or time, such as 2026-12-31" in capsys.readouterr().err
