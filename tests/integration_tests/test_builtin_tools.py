"""Gemini's own tools on the service: search, code execution and web pages."""

from __future__ import annotations

import pytest

from langchain_kie import ChatKieGemini

CALL_MODES = ["invoke", "ainvoke", "stream", "astream", "events", "v1", "v1_stream"]
PLACES = [
    "What is new about Zürich?",
    "What is new about 北京 and 🏯?",
    "What is new about tides?",
]


async def ask(model: str, api: str, tool: str, prompt: str, call_mode: str = "invoke"):
    """What the model answers, with one of its own tools, in one of the ways to ask."""
    version = "v1" if call_mode.startswith("v1") else None
    made = ChatKieGemini(model=model, api=api, output_version=version).bind_tools([{tool: {}}])
    if call_mode == "ainvoke":
        return await made.ainvoke(prompt)
    if call_mode == "events":
        return made.stream_events(prompt, version="v3").output
    if call_mode == "astream":
        first, *rest = [chunk async for chunk in made.astream(prompt)]
        return first + rest
    if call_mode.endswith("stream"):
        first, *rest = made.stream(prompt)
        return first + rest
    return made.invoke(prompt)


def blocks(message, kind):
    return [block for block in message.content_blocks if block["type"] == kind]


@pytest.mark.parametrize("prompt", PLACES)
@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_a_native_search_cites_its_sources(call_mode, prompt):
    message = await ask("gemini-3.5-flash", "generate_content", "google_search", prompt, call_mode)
    (text,) = blocks(message, "text")
    assert text["text"] == message.text
    assert text["annotations"]
    for citation in text["annotations"]:
        assert citation["type"] == "citation"
        assert citation["url"].startswith("https://")
        stretch = message.text[citation["start_index"] : citation["end_index"]]
        assert stretch == citation["cited_text"]
    (call,) = blocks(message, "server_tool_call")
    (result,) = blocks(message, "server_tool_result")
    assert call["name"] == "web_search"
    assert call["args"]["queries"]
    assert result["tool_call_id"] == call["id"]
    assert {note["url"] for note in text["annotations"]} <= {s["url"] for s in result["output"]}


@pytest.mark.parametrize("call_mode", ["invoke", "ainvoke"])
async def test_a_native_search_streams_inside(service, call_mode):
    if not service:
        pytest.skip("only the emulator tells what it was asked")
    await ask("gemini-3.5-flash", "generate_content", "google_search", PLACES[0], call_mode)
    assert service.requests[-1].body["stream"] is True
    assert service.requests[-1].body["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize("api", ["chat_completions", "gateway"])
async def test_a_search_on_the_chat_dialect_has_its_sources_in_the_text(api, call_mode):
    message = await ask("gemini-3-flash", api, "google_search", PLACES[0], call_mode)
    assert "](https://" in message.text
    assert not blocks(message, "server_tool_call")


@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_code_that_gemini_runs_is_a_server_tool_call(call_mode):
    prompt = "Compute 6*7 with code."
    message = await ask("gemini-3.5-flash", "generate_content", "code_execution", prompt, call_mode)
    (call,) = blocks(message, "server_tool_call")
    (result,) = blocks(message, "server_tool_result")
    assert call["name"] == "code_execution"
    assert "6" in call["args"]["code"]
    assert result["tool_call_id"] == call["id"]
    assert result["status"] == "success"
    assert "42" in result["output"]
    assert "42" in message.text


@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_pages_that_gemini_reads_are_a_server_tool_call(call_mode):
    url = "https://example.com/"
    prompt = f"What does {url} say?"
    message = await ask("gemini-3.5-flash", "generate_content", "url_context", prompt, call_mode)
    (call,) = blocks(message, "server_tool_call")
    (result,) = blocks(message, "server_tool_result")
    assert call["name"] == "web_fetch"
    assert call["args"] == {"urls": [url]}
    assert [page["url"] for page in result["output"]] == [url]
    assert message.text


async def test_a_searched_answer_can_be_answered(service):
    """The sources stay behind; the conversation goes on."""
    model = ChatKieGemini(model="gemini-3.5-flash", output_version="v1")
    said = await ask(
        "gemini-3.5-flash", "generate_content", "google_search", PLACES[0], "v1_stream"
    )
    again = model.invoke([("human", PLACES[0]), said, ("human", "Say 'thanks'.")])
    assert again.text
    if service:
        role, parts = service.requests[-1].body["contents"][1].values()
        assert role == "model"
        assert "".join(part["text"] for part in parts) == said.text
