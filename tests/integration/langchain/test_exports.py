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


def test_what_is_loaded_at_first_use_is_listed() -> None:
    assert set(ours.__all__) <= set(dir(ours))


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({packages!r}))
try:
    from guardrails_plugin.{module} import {name}
except ImportError as error:
    print(error)
"""
"""Python takes a module that is None for one that is not installed."""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "packages", "needs"),
    [
        ("langchain.Guard", ["langchain_core"], 'langchain_core: pip install "guardrails-plugin[langchain]"'),
        ("langchain.GuardMiddleware", ["langchain"], 'langchain: pip install "guardrails-plugin[langchain-agents]"'),
        (
            "langchain.tool_node_wrappers",
            ["langgraph", "langchain"],
            'langgraph: pip install "guardrails-plugin[langchain-agents]"',
        ),
        (
            "langchain.GuardMCPInterceptor",
            ["langchain_mcp_adapters"],
            'langchain_mcp_adapters: pip install "guardrails-plugin[mcp]"',
        ),
        ("llama_index.guard_llm", ["llama_index"], 'llama_index: pip install "guardrails-plugin[llama-index]"'),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_what_installs_it(
    name: str, packages: list[str], needs: str
) -> None:
    module, _, wanted = name.partition(".")
    code = WITHOUT.format(packages=packages, module=module, name=wanted)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    who = f"guardrails_plugin.{module}" if wanted in {"Guard", "guard_llm"} else wanted
    assert done.stdout.strip() == f"{who} needs {needs}"
