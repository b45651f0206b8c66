"""The agent example runs as it is shipped; its exit code holds what it claims."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "langgraph_agent.py"


@pytest.mark.integration
def test_the_agent_example_runs_offline(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    shown = capsys.readouterr().out
    assert not ended.value.code
    assert "bank was told:   536-90-4399" in shown
    assert "fetch:           The tool call was blocked by policy" in shown
    assert "[removed by policy] -> I cannot help with that." in shown
    assert "hunter22" not in shown
