"""The recorded shapes of streams and bodies, checked in the raw text."""

from __future__ import annotations

import json

import pytest

from langchain_kie.emulator import ToolCallFormat
from langchain_kie.emulator.models import CHAT_ENDPOINTS
from unit_tests.emulator.emulator_client import SEARCH, STRING, WEATHER, declaration, payloads

PROMPT = "Tell me a story about a lighthouse."
WEATHER_PROMPT = "What is the weather in Paris and in Rome?"


def text_of(chunks, key="content"):
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(key) or "" for delta in deltas)


def streamed_calls(client, slug):
    *chunks, _ = payloads(client.chat_stream(WEATHER_PROMPT, slug, tools=[WEATHER]))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


@pytest.mark.parametrize("slug", ["gemini-2.5-flash", "gemini-3-pro", "gemini-3-flash"])
def test_shape_a(client, slug):
    """Role, thoughts, text, finish reason, then a separate chunk with usage and credits."""
    *chunks, done = payloads(client.chat_stream(PROMPT, slug))
    first, *middle, finish, last = chunks
    assert done == "[DONE]"
    assert {chunk["model"] for chunk in chunks} == {slug}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert first["choices"][0]["delta"] == {"content": "", "role": "assistant"}
    assert all(
        set(chunk["choices"][0]["delta"]) <= {"reasoning_content", "content"} for chunk in middle
    )
    assert (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"]) == ({}, "stop")
    assert last["choices"] == []
    assert last["credits_consumed"] >= 0.01
    usage = last["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert not any("usage" in chunk for chunk in chunks[:-1])


def test_shape_b(client):
    """The first thought has the role; the finish reason has usage and credits."""
    *chunks, done = payloads(client.chat_stream(PROMPT, "gemini-3.1-pro"))
    assert done == "[DONE]"
    assert set(chunks[0]["choices"][0]["delta"]) == {"role", "reasoning_content"}
    assert chunks[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert {"usage", "credits_consumed"} <= chunks[-1].keys()
    assert not any("model" in chunk for chunk in chunks)


@pytest.mark.parametrize(
    "slug", [e.model for e in CHAT_ENDPOINTS.values() if e.stream_shape == "C"]
)
def test_shape_c(client, slug):
    """A role in every delta, another id in every chunk, no finish reason, two final chunks."""
    *chunks, done = payloads(client.chat_stream(PROMPT, slug))
    *deltas, empty, last = chunks
    assert done == "[DONE]"
    assert all(chunk["choices"][0]["delta"]["role"] == "assistant" for chunk in deltas)
    assert len({chunk["id"] for chunk in chunks}) == len(chunks)
    assert "finish_reason" not in json.dumps(chunks)
    assert not any("model" in chunk for chunk in chunks)
    assert empty["choices"] == last["choices"] == []
    assert "usage" not in empty
    assert {"usage", "credits_consumed"} <= last.keys()
    usage = last["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}
    assert usage["total_tokens"] > usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("slug", CHAT_ENDPOINTS)
def test_streams_and_bodies_have_the_same_content(client, slug):
    """Text and thoughts are the same, split into several chunks."""
    message = client.chat(PROMPT, slug)["choices"][0]["message"]
    *chunks, _ = payloads(client.chat_stream(PROMPT, slug))
    assert text_of(chunks) == message["content"]
    assert text_of(chunks, "reasoning_content") == message["reasoning_content"]
    assert len(chunks) > 10


FORMATS = {
    "OpenAI's": (ToolCallFormat(), [0, 1]),
    "complete": (ToolCallFormat(in_fragments=False), [0, 1]),
    "no index": (ToolCallFormat("none", in_fragments=False), [None]),
    "index 0": (ToolCallFormat("zero", in_fragments=False), [0]),
    "objects, no index or id": (ToolCallFormat("none", as_object=True, has_id=False), [None]),
}


@pytest.mark.parametrize(("call_format", "indexes"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("slug", ["gemini-3-flash", "gemini-3.1-pro", "gemini-3-8-flash-openai"])
def test_streamed_calls(isolated, slug, call_format, indexes):
    """The deltas, merged, give the complete arguments; every delta has the index."""
    isolated.emulator.tool_call_format = call_format
    calls, arguments = streamed_calls(isolated, slug), []
    for call in calls:
        given = call["function"]["arguments"]
        if "name" in call["function"]:
            arguments.append(given if isinstance(given, str) else json.dumps(given))
            assert ("id" in call) == call_format.has_id
        else:
            arguments[call["index"]] += given
    assert [json.loads(text) for text in arguments] == [{"location": "Paris"}, {"location": "Rome"}]
    assert list(dict.fromkeys(call.get("index") for call in calls)) == indexes
    assert (len(calls) > 2) == (call_format == ToolCallFormat())


@pytest.mark.parametrize(
    ("slug", "finish"),
    [
        ("gemini-3-flash", "tool_calls"),
        ("gemini-3.1-pro", "stop"),
        ("gemini-3-6-flash-openai", "stop"),
    ],
)
def test_finish_reason_of_calls(client, slug, finish):
    """Only models of shape A report `tool_calls`."""
    body = client.chat(WEATHER_PROMPT, slug, tools=[WEATHER])
    assert body["choices"][0]["finish_reason"] == finish


def test_chat_body(client):
    """As recorded: no model, and a total that includes hidden thinking (docs/wire.md 3)."""
    body = client.chat(
        "Say 'pong'", "gemini-3.1-pro", stream=False, include_thoughts=False, reasoning_effort="low"
    )
    assert body.keys() == {"id", "object", "created", "choices", "usage", "credits_consumed"}
    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}
    ]
    usage = body["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}
    assert usage["total_tokens"] > usage["prompt_tokens"] + usage["completion_tokens"]


def test_effort_determines_thoughts(client):
    """`low` has fewer thoughts than `high`; thoughts that are not shown are counted."""
    high = client.chat("Hello", reasoning_effort="high")
    low = client.chat("Hello", reasoning_effort="low")
    hidden = client.chat("Hello", include_thoughts=False)
    thoughts = [
        b["choices"][0]["message"].get("reasoning_content", "") for b in (high, low, hidden)
    ]
    assert len(thoughts[0]) > len(thoughts[1]) > len(thoughts[2]) == 0
    assert hidden["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_native_stream(client):
    """Cumulative counters, and credits and finish reason in the last event."""
    events = payloads(client.native_stream(PROMPT))
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    counts = [event["usageMetadata"] for event in events]
    assert [p.get("thought", False) for p in parts[:4]] == [True, True, True, False]
    assert parts[-1].keys() == {"text", "thoughtSignature"}
    assert parts[-1]["text"] == ""
    assert ["finishReason" in e["candidates"][0] for e in events].index(True) == len(events) - 1
    assert ["credits_consumed" in event for event in events].index(True) == len(events) - 1
    answers = [count["candidatesTokenCount"] for count in counts]
    assert answers == sorted(answers)
    assert all(
        count["totalTokenCount"]
        == count["promptTokenCount"] + count["candidatesTokenCount"] + count["thinkingTokenCount"]
        for count in counts
    )
    text = client.native(PROMPT)["candidates"][0]["content"]["parts"][-1]["text"]
    assert "".join(p["text"] for p in parts if not p.get("thought")) == text


def test_native_body(client):
    """As recorded: no version, no id, and a separate count of thinking (docs/wire.md 3)."""
    body = client.native(
        "Say 'pong'", generationConfig={"thinkingConfig": {"includeThoughts": False}}
    )
    assert body.keys() == {"candidates", "usageMetadata", "credits_consumed"}
    (candidate,) = body["candidates"]
    assert (candidate["finishReason"], candidate["index"]) == ("STOP", 0)
    assert candidate["content"]["parts"][0]["text"] == "pong"
    assert body["usageMetadata"].keys() == {
        "promptTokenCount",
        "candidatesTokenCount",
        "thinkingTokenCount",
        "totalTokenCount",
    }


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_native_stream_option(client, query):
    """`:streamGenerateContent` streams unless `stream` is false; the other method never."""

    def content_type(method, **body):
        response = client.http.post(
            f"/gemini/v1/models/gemini-3-8-flash:{method}{query}",
            json={"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], **body},
        )
        return response.headers["content-type"].partition(";")[0]

    assert content_type("streamGenerateContent") == "text/event-stream"
    assert content_type("streamGenerateContent", stream=True) == "text/event-stream"
    assert content_type("streamGenerateContent", stream=False) == "application/json"
    assert content_type("generateContent") == "application/json"


def test_native_calls(client):
    """Each event has a complete call with an id; the finish reason is STOP."""
    events = payloads(client.native_stream(WEATHER_PROMPT, tools=[declaration(WEATHER)]))
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [call["args"] for call in calls] == [{"location": "Paris"}, {"location": "Rome"}]
    assert len({call["id"] for call in calls}) == 2
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"


def test_grounding(client):
    """Segments count bytes of UTF-8; only streams have grounding metadata."""
    prompt, tools = "What is new about Z\u00fcrich?", [{"googleSearch": {}}]
    events = payloads(client.native_stream(prompt, tools=tools))
    text = "".join(
        part["text"]
        for event in events
        for part in event["candidates"][0]["content"]["parts"]
        if not part.get("thought")
    )
    grounding = events[-1]["candidates"][0]["groundingMetadata"]
    assert grounding["webSearchQueries"] == ["Z\u00fcrich"]
    assert len(grounding["groundingSupports"]) == 2
    for support in grounding["groundingSupports"]:
        segment = support["segment"]
        cut = text.encode()[segment["startIndex"] : segment["endIndex"]].decode()
        assert cut == segment["text"]
        for index in support["groundingChunkIndices"]:
            assert grounding["groundingChunks"][index]["web"].keys() == {"uri", "title"}
    assert "groundingMetadata" not in json.dumps(client.native(prompt, tools=tools))


def test_search_with_chat_completions(client):
    """There are no annotations; sources are Markdown links in the text (docs/wire.md 3)."""
    message = client.chat("What is new about tides?", tools=[SEARCH])["choices"][0]["message"]
    assert "](https://" in message["content"]
    assert message.keys() == {"role", "content", "reasoning_content"}


def test_gateway(client):
    """The body is the documented one, and the stream has shape A."""
    body = {
        "model": "gemini-3.1-flash-lite-preview",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    answer = client.post("/v1/chat/completions", body)
    assert answer.keys() == {"id", "object", "created", "choices", "usage"}
    assert answer["usage"].keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    *chunks, _ = payloads(client.http.post("/v1/chat/completions", json=body | {"stream": True}))
    assert {chunk["model"] for chunk in chunks} == {body["model"]}
    for model in (None, "gpt-5-2"):
        assert client.post("/v1/chat/completions", body | {"model": model})["code"] == 422


def test_gateway_has_builtin_tools(client):
    """Functions of fixed names enable code execution and URL context."""

    def ask(name, prompt):
        body = {
            "model": "gemini-3.5-flash",
            "messages": [{"role": "user", "content": prompt}],
            "tools": [{"type": "function", "function": {"name": name}}],
        }
        return client.post("/v1/chat/completions", body)["choices"][0]["message"]["content"]

    assert "```python\nprint(6 * 7)\n```" in ask("codeExecution", "Compute 6*7")
    assert "Tides rise and fall." in ask("urlContext", "Read https://files.example/page.html")


def test_native_code_execution_and_url_context(client):
    """Code and its result are parts; pages are metadata of the candidate."""
    body = client.native("Compute 6*7", tools=[{"codeExecution": {}}])
    parts = body["candidates"][0]["content"]["parts"]
    assert {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)\n"}} in parts
    assert {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}} in parts
    urls = "https://files.example/page.html and https://elsewhere.example/"
    events = payloads(client.native_stream(f"Read {urls}", tools=[{"urlContext": {}}]))
    metadata = events[-1]["candidates"][0]["urlContextMetadata"]["urlMetadata"]
    assert [page["urlRetrievalStatus"] for page in metadata] == [
        "URL_RETRIEVAL_STATUS_SUCCESS",
        "URL_RETRIEVAL_STATUS_ERROR",
    ]


def test_json_is_split_inside_its_tokens(client):
    """The chunks of a JSON answer are not valid JSON."""
    named = {"name": "x", "schema": {"type": "object", "properties": {"response": STRING}}}
    form = {"type": "json_schema", "json_schema": named}
    *chunks, _ = payloads(client.chat_stream(PROMPT, "gemini-3-flash", response_format=form))
    assert json.loads(text_of(chunks)).keys() == {"response"}
