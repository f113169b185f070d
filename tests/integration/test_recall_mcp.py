"""The MCP server, asked by the official client over standard input and output."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.events import header, message
from tests.support.moon import ROOT, Moon
from tests.support.stores import JsonlStoreBuilder


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path)
    lines = [message("e1", "The ferry leaves at 7."), message("e2", "Then let us meet at six.", "assistant")]
    JsonlStoreBuilder(made.state_dir).put("agent:main:main", "s1", [header("s1"), *lines])
    made.ok("archive", "--all")
    made.ok("index", "--all")
    return made


async def talk(moon: Moon, calls: list[tuple[str, dict[str, Any]]]) -> tuple[list[str], list[Any]]:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(command=str(ROOT / "bin" / "moon-recall"), args=["--mcp"], env=moon.env)
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        return tools, [await session.call_tool(name, arguments) for name, arguments in calls]


def ask(moon: Moon, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    return asyncio.run(asyncio.wait_for(talk(moon, list(calls)), 100))


def test_search_and_read_around(moon: Moon) -> None:
    tools, (search, around) = ask(
        moon,
        ("search_history", {"query": "When does the ferry leave?"}),
        ("read_around", {"event_id": "e1", "after": 1}),
    )
    assert tools == ["search_history", "read_around"]
    assert json.loads(search.content[0].text)["results"][0]["event_id"] == "e1"
    texts = [each["text"] for each in json.loads(around.content[0].text)["messages"]]
    assert texts == ["The ferry leaves at 7.", "Then let us meet at six."]


def test_bad_calls_are_told_and_the_server_goes_on(moon: Moon) -> None:
    _, (unknown, wrong, fine) = ask(
        moon,
        ("read_around", {"event_id": "nope"}),
        ("search_history", {"query": "ferry", "limit": 0}),
        ("search_history", {"query": "ferry"}),
    )
    assert "nope" in unknown.content[0].text
    assert "limit" in wrong.content[0].text
    assert json.loads(fine.content[0].text)["results"]
