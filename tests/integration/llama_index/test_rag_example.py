"""examples/llama_index_rag.py holds what it claims, without a network."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "examples" / "llama_index_rag.py"


@pytest.mark.integration
def test_the_rag_example_holds_what_it_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert runpy.run_path(str(SCRIPT))["main"]() == 0
    printed = capsys.readouterr().out
    assert printed.count("  ok  ") == 4
    assert "left out:  web_page.md" in printed
    assert len(SCRIPT.read_text("utf-8").splitlines()) < 100
