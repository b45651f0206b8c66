"""The LangChain examples run as they are shipped, offline; their exit codes hold what they claim."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_examples import OFFLINE

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.integration
def test_the_agent_example_runs_offline(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLES / "langgraph_agent.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert not ended.value.code
    assert "bank was told:   536-90-4399" in shown
    assert "fetch:           The tool call was blocked by policy" in shown
    assert "[removed by policy] -> I cannot help with that." in shown
    assert "hunter22" not in shown


@pytest.mark.integration
def test_the_example_of_reversible_data_holds_what_it_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert runpy.run_path(str(EXAMPLES / "reversible_pii.py"))["main"]() == 0
    shown = capsys.readouterr().out
    assert shown.count("  ok  ") == 6
    assert "536-90-4399" not in shown.split("reader gets:")[0]


@pytest.mark.integration
@pytest.mark.slow
def test_the_mcp_example_holds_what_it_claims_with_a_real_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(EXAMPLES / "mcp_tools.py")],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  ok  ") == 4
    assert "tools:    customer, review" in done.stdout
    assert "hunter22" not in done.stdout
