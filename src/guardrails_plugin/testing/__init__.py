"""Leak assertions and test doubles for the test suites of applications.

`assert_no_leak` needs the framework of the application it is handed, nothing else; models that say what a test wants
are in `guardrails_plugin.testing.langchain` (LlamaIndex brings its own: ``MockFunctionCallingLLM``).
"""

from guardrails_plugin.testing.leaks import assert_no_leak as assert_no_leak
from guardrails_plugin.testing.leaks import find_leaks as find_leaks
from guardrails_plugin.testing.report import CALLER_INPUT as CALLER_INPUT
from guardrails_plugin.testing.report import GRAPH_INPUT as GRAPH_INPUT
from guardrails_plugin.testing.report import Allow as Allow
from guardrails_plugin.testing.report import Leak as Leak
from guardrails_plugin.testing.report import LeakReport as LeakReport
from guardrails_plugin.testing.report import inner_runs as inner_runs

__all__ = ["CALLER_INPUT", "GRAPH_INPUT", "Allow", "Leak", "LeakReport", "assert_no_leak", "find_leaks", "inner_runs"]
