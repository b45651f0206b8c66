"""The examples work as they are shipped: the quickstart script, and the Python blocks of README and framework pages."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.llama_index.scripted import AGENTS_WARN

ROOT = Path(__file__).parents[2]
DATA = sorted((ROOT / "examples" / "data").iterdir())

OFFLINE = """
import runpy, socket, sys

class Offline(socket.socket):
    def connect(self, address):
        raise OSError(f"no network in this test: {address}")
    connect_ex = connect

def unresolved(host, *args, **kwargs):
    raise OSError(f"no network in this test: {host}")

socket.socket = Offline
socket.getaddrinfo = socket.gethostbyname = unresolved
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

CLAIMS = [
    "the model sees neither card nor SSN",
    "nor does the reader of the answer",
    "the image that would carry data away is no link any more",
    "the stream says the same as the whole answer",
    "the poisoned page was dropped, the others were kept",
    "personal data was replaced",
    "secrets were replaced",
    "the clean document is untouched",
    "nothing of the values is left",
    "they keep their format",
    "they come back, in other words too",
]


@pytest.mark.integration
def test_the_quickstart_holds_what_it_claims_offline_in_under_30_seconds() -> None:
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = ROOT / "examples" / "quickstart.py"
    # A terminal's colours would split the lines.
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(script)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=120,
    )
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, so that what else the machine does counts for nothing.
    seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[6:].strip() for line in done.stdout.splitlines() if line.startswith("  ok  ")] == CLAIMS
    for shown in ("dropped: web_page.md", "prompt_injection: PROMPT_INJECTION", "llm_prompt", "ingestion", "defanged"):
        assert shown in done.stdout
    assert seconds < 30


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.name)
def test_no_secret_stands_in_the_example_data(path: Path) -> None:
    """Push protection and secret scanners look at files: placeholders become secrets in memory only."""
    from guardrails_plugin import Engine

    text = re.sub(r"\{\w+:\d+\}", "", path.read_text("utf-8"))
    result = Engine().check(text, stage="prompt", overrides={"prompt_injection": {"disabled": True}})

    assert [f.entity_type for f in result.findings if f.detector == "secrets" and f.score >= 0.9] == []


EXECUTED = ("agents", "injection", "langchain", "llama_index", "own_detectors", "recipes", "scanners", "topics")

PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{page}.md" for page in EXECUTED),
]


def blocks(page: Path) -> list[tuple[Path, int, str]]:
    """Page, line and code of every Python block."""
    text = page.read_text("utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(page, text.count("\n", 0, match.start()) + 2, match[1]) for match in found]


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:The class `InMemoryChatMessageHistory`", "ignore:RunnableWithMessageHistory")
@pytest.mark.filterwarnings(*(mark.args[0] for mark in AGENTS_WARN))
@pytest.mark.parametrize(
    ("page", "line", "code"),
    [pytest.param(*block, id=f"{page.stem}-{block[1]}") for page in PAGES for block in blocks(page)],
)
def test_every_python_block_runs_and_prints_what_it_says(  # noqa: PLR0917 - fixtures
    page: Path,
    line: int,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    # LlamaIndex counts tokens on the thread's event loop; one that it makes itself it leaves open.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        # Padded, so that a traceback names the line of the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec", dont_inherit=True), {"__name__": "__main__"})
    finally:
        asyncio.set_event_loop(None)
        loop.close()

    printed = capsys.readouterr().out.splitlines()
    for promised in re.findall(r"^ *print\(.*\)(?:  # .*)?\n *# (.*)$", code, re.MULTILINE):
        assert promised in printed


def test_the_readme_has_an_example_for_each_framework() -> None:
    code = "\n".join(block for _, _, block in blocks(PAGES[0]))

    assert "from guardrails_plugin.langchain import Guard" in code
    assert "from guardrails_plugin.llama_index import GuardTransform" in code
