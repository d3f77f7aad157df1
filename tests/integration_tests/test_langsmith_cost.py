"""The documented tracer sends LangSmith what KIE charged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages.ai import add_usage
from langsmith import Client
from scripted_server import Scripted, ScriptedServer

from langchain_kie import ChatKieGemini

PAGE = Path(__file__).parents[2] / "docs" / "usage-and-credits.md"


def documented_tracer() -> Any:
    """The class in the documentation."""
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (snippet,) = (text for text in snippets if "class KieCostTracer" in text)
    names: dict[str, Any] = {"__name__": "documented"}
    exec(snippet.partition("\nmodel = ")[0], names)
    return names["KieCostTracer"]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
async def test_traces_have_the_cost_and_usage_can_be_added_up(api: Any) -> None:
    with ScriptedServer(Scripted([b"{}"], status=202)) as server:
        client = Client(api_url=server.base_url, api_key="k", auto_batch_tracing=False)
        model = ChatKieGemini(model="gemini-3.5-flash", api=api, cache=InMemoryCache())
        config = {"callbacks": [documented_tracer()(client=client)]}
        first = model.invoke("Hello!", config)
        second = await model.ainvoke("Good evening!", config)
        model.invoke("Hello!", config)
        client.cleanup()
    ends = [request.json for request in server.requests if request.method == "PATCH"]
    costs = [end["extra"]["metadata"]["usage_metadata"]["total_cost"] for end in ends]
    paid = [answer.response_metadata["cost_usd"] for answer in (first, second)]
    assert costs == [*paid, 0]
    assert 0 < paid[0] == paid[1]
    tokens = sum(answer.usage_metadata["total_tokens"] for answer in (first, second))
    assert add_usage(first.usage_metadata, second.usage_metadata)["total_tokens"] == tokens
