"""What an installation is: a light import, a complete wheel, a public list of names that is true."""

from __future__ import annotations

import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import guardrails_plugin
from guardrails_plugin.types import Stage

ROOT = Path(__file__).parents[2]
HEAVY = (
    "hyperscan",
    "langchain",
    "langchain_core",
    "langgraph",
    "llama_index",
    "onnxruntime",
    "presidio_analyzer",
    "presidio_anonymizer",
    "rich",
    "sklearn",
    "spacy",
    "tokenizers",
    "torch",
    "transformers",
)

pytestmark = pytest.mark.integration


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = python(f"import sys, guardrails_plugin; print(*(set({HEAVY!r}) & sys.modules.keys()))")

    assert loaded == ""


def test_importing_the_langchain_adapter_loads_langchain_core_only() -> None:
    others = set(HEAVY) - {"langchain_core"}
    code = f"import sys, guardrails_plugin.langchain; print(*(set({others!r}) & sys.modules.keys()))"
    # What langchain_core itself loads is its own affair.
    own = python(
        f"import sys, langchain_core.runnables, langchain_core.messages; print(*(set({others!r}) & sys.modules.keys()))"
    )

    assert set(python(code).split()) <= set(own.split())


def test_importing_the_llama_index_adapter_loads_nothing_that_llama_index_core_does_not() -> None:
    others = set(HEAVY) - {"llama_index"}
    code = "import sys, {}; print(*(set({!r}) & sys.modules.keys()))"
    own = python(code.format("llama_index.core, llama_index.core.agent.workflow", others))

    assert set(python(code.format("guardrails_plugin.llama_index", others)).split()) <= set(own.split())


def test_importing_costs_little_more_than_what_it_stands_on() -> None:
    """At most three times pydantic and numpy, measured in the same run: the best of several, alternating."""
    timed = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
    runs = [(python(timed.format("pydantic, numpy")), python(timed.format("guardrails_plugin"))) for _ in range(5)]
    basis = min(float(basis) for basis, _ in runs)
    package = min(float(package) for _, package in runs)

    assert package <= 3 * basis


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel that was built here, offline."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*command, "--wheel-dir", folder, ROOT], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("guardrails_plugin-*.whl")
    assert path.stat().st_size < 40_000_000, "with the model in it"
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def wheel(built: zipfile.ZipFile) -> set[str]:
    """The names in it."""
    return set(built.namelist())


def test_the_wheel_holds_all_data(wheel: set[str]) -> None:
    tables = {path.name for path in (ROOT / "src/guardrails_plugin/detectors/data").glob("*.toml")}
    expected = {f"guardrails_plugin/detectors/data/{name}" for name in tables}
    expected |= {f"guardrails_plugin/recipes/{stage}.toml" for stage in Stage}
    expected |= {
        f"guardrails_plugin/models/injection/{name}"
        for name in (
            "model.onnx",
            "model.onnx.data",
            "first_tier.npz",
            "tokenizer.json",
            "config.json",
            "MODEL_CARD.md",
        )
    }
    expected |= {"guardrails_plugin/py.typed"}

    assert len(tables) >= 4
    assert expected - wheel == set()


def test_the_wheel_holds_every_module_and_nothing_but_the_package(wheel: set[str]) -> None:
    modules = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}

    assert modules - wheel == set()
    assert {name.partition("/")[0].partition("-")[0] for name in wheel} == {"guardrails_plugin"}
    assert not [name for name in wheel if "__pycache__" in name]


def test_the_wheel_says_under_which_licences_it_is(built: zipfile.ZipFile, wheel: set[str]) -> None:
    (information,) = (name.removesuffix("METADATA") for name in wheel if name.endswith(".dist-info/METADATA"))
    said = built.read(f"{information}METADATA").decode()

    assert "\nLicense-Expression: Apache-2.0 AND CC-BY-SA-4.0 AND MIT\n" in said
    assert {f"{information}licenses/{name}" for name in ("LICENSE", "NOTICE")} <= wheel


def test_all_lists_the_public_names_sorted() -> None:
    public = {
        name
        for name, value in vars(guardrails_plugin).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    assert guardrails_plugin.__all__ == sorted(public)
