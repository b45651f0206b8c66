"""The documentation names everything that is registered, is up to date with the code, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from guardrails_plugin import Engine, Recipe, Rule, Stage, registry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("kind", ["detectors", "actions", "sinks"])
def test_everything_registered_is_named(kind: str) -> None:
    assert not [name for name in registry.names(kind) if f"`{name}`" not in TEXT]


def test_every_recipe_and_pack_is_named() -> None:
    names = {recipe.name for recipe in Engine().recipes()}
    assert not sorted(name for name in names if f"`{name}`" not in TEXT)


def test_the_page_on_the_service_has_a_row_for_every_variable_it_reads() -> None:
    server = ROOT / "src" / "guardrails_plugin" / "server"
    read = set(re.findall(r'\("((?:GUARDRAILS|ENABLE)_[A-Z_]+)"', (server / "settings.py").read_text("utf-8")))
    rows = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "service.md").read_text("utf-8"), re.MULTILINE))
    assert len(read) > 10
    assert rows == read | {"GUARDRAILS_KEYRING"}


def test_every_detector_has_a_row_with_its_quality() -> None:
    rows = (ROOT / "docs" / "detectors.md").read_text("utf-8").splitlines()
    cells = {row.split("`")[1]: row.split(" | ") for row in rows if row.startswith("| `")}
    assert set(registry.names("detectors")) <= set(cells)
    assert not [name for name, row in cells.items() if len(row) != 7 or not row[4].strip()]


def test_the_table_of_detectors_is_that_of_the_code() -> None:
    command = [sys.executable, str(ROOT / "docs" / "make_detectors.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_rules_that_are_shown_are_valid(page: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for rule in map(Rule.model_validate, tomllib.loads(block).get("rules", ())):
            if rule.detector in registry.names("detectors"):  # others are those of the page's reader
                Engine(recipes=[Recipe(name="shown", stage=Stage.PROMPT, rules=[rule])])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_exist(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if not re.match(r"[a-z]+:", link)]
    assert not [target for target in targets if not (page.parent / target).exists()]
