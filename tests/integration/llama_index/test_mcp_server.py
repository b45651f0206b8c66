"""`guard_mcp_client` round LlamaIndex's own client, tools made by its ``McpToolSpec``, and a real server over stdio."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from llama_index.core.tools import FunctionTool
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

from guardrails_plugin.llama_index import guard_mcp_client

SERVER = Path(__file__).parents[3] / "examples" / "mcp_tools.py"
SSN = "536-90-4399"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def tools() -> dict[str, FunctionTool]:
    client = guard_mcp_client(BasicMCPClient(sys.executable, args=[str(SERVER), "serve"]))
    return {tool.metadata.get_name(): tool for tool in await McpToolSpec(client=client).to_tool_list_async()}


async def test_a_real_client_and_server_show_the_model_nothing_raw() -> None:
    offered = await tools()
    assert set(offered) == {"customer", "review"}  # the third one's description is poisoned
    found = await offered["customer"].acall(number=1)
    assert "<US_SSN>" in str(found.content)
    assert SSN not in repr(found)
    with pytest.raises(Exception, match="blocked") as caught:
        await offered["review"].acall(number=1)
    assert "Ignore all" not in repr(caught.value)
