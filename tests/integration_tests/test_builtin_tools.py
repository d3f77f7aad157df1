"""The built-in tools of Gemini: search, code execution and web pages."""

from __future__ import annotations

import pytest
from call_modes import ainvoke, astream, events, invoke, stream

from langchain_kie import ChatKieGemini

CALL_MODES = [(mode, None) for mode in (invoke, ainvoke, stream, astream, events)]
CALL_MODES += [(mode, "v1") for mode in (invoke, stream)]
every_call_mode = pytest.mark.parametrize(
    ("call_mode", "version"), CALL_MODES, ids=lambda value: getattr(value, "__name__", value)
)
NATIVE = ("gemini-3.5-flash", "generate_content")
PROMPTS = [f"What is new about {topic}?" for topic in ("Zürich", "北京 and 🏯", "tides")]


async def answer_with(name, api, tool, prompt, call_mode=invoke, version=None):
    """The answer of a model that may use a built-in tool."""
    model = ChatKieGemini(model=name, api=api, output_version=version)
    return await call_mode(model.bind_tools([{tool: {}}]), prompt)


def blocks(message, kind):
    return [block for block in message.content_blocks if block["type"] == kind]


@pytest.mark.parametrize("prompt", PROMPTS)
@every_call_mode
async def test_a_native_search_cites_its_sources(call_mode, version, prompt):
    message = await answer_with(*NATIVE, "google_search", prompt, call_mode, version)
    (text,) = blocks(message, "text")
    assert text["text"] == message.text
    assert text["annotations"]
    for citation in text["annotations"]:
        assert citation["type"] == "citation"
        assert citation["url"].startswith("https://")
        cited = message.text[citation["start_index"] : citation["end_index"]]
        assert cited == citation["cited_text"]
    (call,) = blocks(message, "server_tool_call")
    (result,) = blocks(message, "server_tool_result")
    assert call["name"] == "web_search"
    assert call["args"]["queries"]
    assert result["tool_call_id"] == call["id"]
    assert {note["url"] for note in text["annotations"]} <= {s["url"] for s in result["output"]}


@pytest.mark.parametrize("call_mode", [invoke, ainvoke])
async def test_a_native_search_always_requests_a_stream(service, call_mode):
    if not service:
        pytest.skip("only the emulator shows the request")
    await answer_with(*NATIVE, "google_search", PROMPTS[0], call_mode)
    assert service.requests[-1].body["stream"] is True
    assert service.requests[-1].body["tools"] == [{"googleSearch": {}}]


@every_call_mode
@pytest.mark.parametrize("api", ["chat_completions", "gateway"])
async def test_a_search_with_chat_completions_has_its_sources_in_the_text(api, call_mode, version):
    message = await answer_with(
        "gemini-3-flash", api, "google_search", PROMPTS[0], call_mode, version
    )
    assert "](https://" in message.text
    assert not blocks(message, "server_tool_call")


@every_call_mode
async def test_code_execution_is_a_server_tool_call(call_mode, version):
    prompt = "Compute 6*7 with code."
    message = await answer_with(*NATIVE, "code_execution", prompt, call_mode, version)
    (call,) = blocks(message, "server_tool_call")
    (result,) = blocks(message, "server_tool_result")
    assert call["name"] == "code_interpreter"
    assert "6" in call["args"]["code"]
    assert result["tool_call_id"] == call["id"]
    assert result["status"] == "success"
    assert "42" in result["output"]
    assert "42" in message.text


@every_call_mode
async def test_a_page_that_gemini_reads_is_a_server_tool_call(call_mode, version):
    url = "https://example.com/"
    prompt = f"What does {url} say?"
    message = await answer_with(*NATIVE, "url_context", prompt, call_mode, version)
    (call,) = blocks(message, "server_tool_call")
    (result,) = blocks(message, "server_tool_result")
    assert call["name"] == "web_fetch"
    assert call["args"] == {"urls": [url]}
    assert [page["url"] for page in result["output"]] == [url]
    assert message.text


async def test_a_conversation_goes_on_after_a_search(service):
    """The sources are not sent back, the text is."""
    model = ChatKieGemini(model="gemini-3.5-flash", output_version="v1")
    answer = await answer_with(*NATIVE, "google_search", PROMPTS[0], stream, "v1")
    following = model.invoke([("human", PROMPTS[0]), answer, ("human", "Say 'thanks'.")])
    assert following.text
    if service:
        role, parts = service.requests[-1].body["contents"][1].values()
        assert role == "model"
        assert "".join(part["text"] for part in parts) == answer.text
