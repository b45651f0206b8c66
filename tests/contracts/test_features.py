"""The map of features: every id of the five product documents names the tests that show it, or says what is missing.

``tests/features/<letter>.toml``: ``G1 = "tests/unit/test_x.py::test_y"``, a list of such names, or
``"missing: why"``. Ids of one line may share a key: ``"G14 G15" = ...``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
COUNTS = {"G": 67, "S": 118, "P": 67, "R": 129, "H": 66}
"""Features of CalypsoAI (getting started, scanners), Pangea, Rampart and HiddenLayer."""


def entries(letter: str) -> Iterator[tuple[str, str]]:
    """Every id with each of its tests."""
    file = ROOT / "tests" / "features" / f"{letter}.toml"
    for ids, shown in tomllib.loads(file.read_text("utf-8")).items():
        for name in ids.split():
            for test in [shown] if isinstance(shown, str) else shown:
                yield name, test


@cache
def source(file: str) -> str:
    return (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize("letter", COUNTS)
def test_every_feature_has_a_test_or_says_what_is_missing(letter: str) -> None:
    wanted = {f"{letter}{number}" for number in range(1, COUNTS[letter] + 1)}
    assert {name for name, _ in entries(letter)} == wanted


@pytest.mark.parametrize("letter", COUNTS)
def test_the_named_tests_exist(letter: str) -> None:
    wrong = []
    for name, shown in entries(letter):
        if re.fullmatch(r"missing: \S.*", shown):
            continue
        file, _, test = shown.partition("::")
        part = test.rpartition("::")[2].partition("[")[0]
        if not (ROOT / file).is_file() or not re.search(rf"\b(?:def|class) {re.escape(part)}\b", source(file)):
            wrong.append(f"{name}: {shown}")
    assert not wrong
