"""What `guardrails_plugin.langchain` offers, and that looking at it imports nothing slow."""

from __future__ import annotations

import subprocess
import sys

import pytest

import guardrails_plugin.langchain as ours


def test_every_exported_name_is_there_and_sorted() -> None:
    assert ours.__all__ == sorted(ours.__all__)
    for name in ours.__all__:
        assert getattr(ours, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = ours.Nothing


@pytest.mark.integration
def test_agents_graphs_and_mcp_are_imported_only_when_they_are_used() -> None:
    code = (
        "import sys; import guardrails_plugin.langchain as g; g.Guard; g.guard_model; g.guard_tools; "
        "heavy = {'langchain', 'langgraph', 'mcp', 'langchain_mcp_adapters'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
