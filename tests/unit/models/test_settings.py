"""How recipes name other classifiers, and what is said when they do it wrongly."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Engine, Recipe, Rule
from guardrails_plugin.detectors.prompt_injection import PromptInjection
from guardrails_plugin.models.settings import RemoteSettings, TransformersSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).parents[3] / "docs" / "injection.md").read_text("utf-8")

TEI = {"remote": "http://127.0.0.1:8080", "protocol": "tei", "attack": ["A"]}


def engine(model: Any, threshold: float | str = 0.5) -> Engine:
    rule = Rule.model_validate(
        {"detector": "prompt_injection", "action": "block", "threshold": threshold, "settings": {"model": model}}
    )
    return Engine(recipes=Recipe(name="own", rules=[rule]))


def check(model: Any, threshold: float | str = 0.5) -> None:
    engine(model, threshold).check("a few words", stage="prompt", recipe="own")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "expected a folder, or a table with either 'transformers' or 'remote'"),
        ({**TEI, "transformers": "x"}, "either 'transformers' or 'remote'"),
        ({**TEI, "protocol": "grpc"}, "protocol.*'tei', 'vllm' or 'kserve'"),
        ({**TEI, "remote": "ftp://x"}, "remote"),
        ({**TEI, "attack": []}, "attack"),
        ({**TEI, "timeout": 0}, "timeout"),
        ({**TEI, "tokn_env": "X"}, "tokn_env"),
        ({**TEI, "protocol": "vllm"}, "needs the name of the model"),
        ({**TEI, "protocol": "kserve", "model": "m", "labels": ["B"]}, "name all, those of attack among them"),
        ({**TEI, "thresholds": {"balanced": 2}}, "thresholds"),
        ({**TEI, "thresholds": {"loose": 0.5}}, "strict"),
        ({"transformers": "someone/model", "attack": ["A"]}, "its commit is needed"),
        ({"transformers": "someone/model", "revision": "main", "attack": ["A"]}, "its commit is needed"),
        ({"transformers": ".", "stride_tokens": 300, "attack": ["A"]}, "windows would leave gaps"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(model: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(model)


def test_operating_points_of_foreign_models_have_to_be_given() -> None:
    with pytest.raises(ConfigError, match=r"no threshold for 'balanced'.*--calibrate"):
        check(TEI, threshold="balanced")


def test_a_folder_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=tmp_path.name):
        engine(str(tmp_path), "balanced").check("a few words", stage="prompt", recipe="own")


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
def test_the_examples_of_the_page_are_valid(block: str) -> None:
    rules = tomllib.loads(block)["rules"]
    settings = (rules[0] if isinstance(rules, list) else rules)["settings"]
    assert isinstance(PromptInjection(**settings).model, (RemoteSettings, TransformersSettings))


def test_the_page_names_every_setting_and_its_default() -> None:
    rows = dict(re.findall(r"^\| (`.*?) \| .*? \| (.*?) \|", PAGE, re.MULTILINE))
    told = {name: default for names, default in rows.items() for name in re.findall(r"`(\w+)`", names)}
    assert told.keys() == {*TransformersSettings.model_fields, *RemoteSettings.model_fields}
    for kind in (TransformersSettings, RemoteSettings):
        for name, field in kind.model_fields.items():
            if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
                assert f"{field.default:g}" in told[name], name
