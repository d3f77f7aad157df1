"""The keywords of the emulator, and the behaviour that differs between models."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from limits import MAX_STALL, MAX_WAIT

from langchain_kie.emulator import Emulator
from unit_tests.emulator.emulator_client import (
    WEATHER,
    EmulatorClient,
    contents_of,
    declaration,
    function_tool,
    payloads,
)

NATIVE = "/gemini/v1/models/gemini-3-8-flash"
STORY = "Write a story of 300 sentences"


def parts_of(answer):
    return answer["candidates"][0]["content"]["parts"]


def message_of(answer):
    return answer["choices"][0]["message"]


HANGING = {
    "a native body": ("streamGenerateContent", {"stream": False}),
    "the other native method": ("generateContent", {}),
}


@pytest.mark.parametrize(("method", "body"), HANGING.values(), ids=HANGING.keys())
def test_hang_on_stream_false(isolated, method, body):
    """Streams and chat completions are answered; waiting requests do not delay the end."""
    isolated.emulator.hang_on_stream_false = True
    request = {"contents": contents_of("Hello"), **body}
    with pytest.raises(httpx.ReadTimeout):
        isolated.http.post(f"{NATIVE}:{method}", json=request, timeout=0.3)
    assert payloads(isolated.native_stream("Hello"))
    assert message_of(isolated.chat("Hello", stream=False))
    isolated.emulator.hang_on_stream_false = False
    assert isolated.post(f"{NATIVE}:{method}", request)["candidates"]


def test_stops_while_a_request_hangs():
    """The client sees the end of the connection, or an empty body."""
    with ThreadPoolExecutor(1) as pool:
        with Emulator(hang_on_stream_false=True) as emulator:
            client = EmulatorClient(emulator)
            request = {"contents": contents_of("Hello"), "stream": False}
            hanging = pool.submit(
                client.http.post, f"{NATIVE}:generateContent", json=request, timeout=MAX_WAIT
            )
            while not emulator.requests:
                time.sleep(0.01)
            start = time.monotonic()
        assert time.monotonic() - start < MAX_STALL
        assert hanging.exception(MAX_WAIT) or not hanging.result().content
        client.http.close()


NULLABLE = {
    "text": ({"type": "STRING", "nullable": True}, ""),
    "text of a minimal length": (
        {"type": "STRING", "nullable": True, "minLength": 3},
        "this",
    ),
    "a member of an enum": ({"type": "STRING", "nullable": True, "enum": ["x", "y"]}, "x"),
    "a member that says null": (
        {"type": "STRING", "nullable": True, "enum": ["x", "null"]},
        "null",
    ),
    "a branch that says null": (
        {"anyOf": [{"type": "INTEGER"}, {"type": "STRING", "enum": ["null"]}], "nullable": True},
        "null",
    ),
    "a number": ({"type": "INTEGER", "nullable": True}, 1),
    "a list": ({"type": "ARRAY", "nullable": True, "items": {"type": "STRING"}}, ["this"]),
    "an object": (
        {
            "type": "OBJECT",
            "nullable": True,
            "properties": {"a": {"type": "STRING", "nullable": True}},
            "required": ["a"],
        },
        {"a": ""},
    ),
}


@pytest.mark.parametrize(("schema", "value"), NULLABLE.values(), ids=NULLABLE.keys())
def test_ignore_nullable(client, monkeypatch, schema, value):
    """A required value is never null, and one that is not required can be absent."""
    monkeypatch.setattr(client.emulator, "ignore_nullable", True)

    def ask(required):
        nullable = {"type": "OBJECT", "properties": {"note": schema}, "required": required}
        config = {"responseMimeType": "application/json", "responseSchema": nullable}
        answer = client.native("this", generationConfig=config)
        return json.loads(parts_of(answer)[-1]["text"])

    assert ask(["note"]) == {"note": value}
    assert ask([]) == {}


def test_nullable_value_in_the_prompt(client, monkeypatch):
    """It is in the answer and in the arguments, whether the value is required or not."""
    monkeypatch.setattr(client.emulator, "ignore_nullable", True)
    nullable = {"type": "STRING", "nullable": True}
    schema = {"type": "OBJECT", "properties": {"note": nullable, "mood": nullable}}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    answer = client.native("The note is 'hi'.", generationConfig=config)
    assert json.loads(parts_of(answer)[-1]["text"]) == {"note": "hi"}
    tool = function_tool("save", "Save a note.", note=nullable, mood=nullable)
    answer = client.native("Save the note 'hi'.", tools=[declaration(tool)])
    (call,) = [part["functionCall"] for part in parts_of(answer) if "functionCall" in part]
    assert call["args"] == {"note": "hi", "mood": ""}


NULL_BRANCH = {"anyOf": [{"type": "STRING"}, {"type": "NULL"}]}
WITH_NULL_BRANCH = {
    "of a property": {"type": "OBJECT", "properties": {"x": NULL_BRANCH}, "required": ["x"]},
    "in a list": {"type": "OBJECT", "properties": {"x": {"type": "ARRAY", "items": NULL_BRANCH}}},
    "in a branch": {"type": "OBJECT", "properties": {"x": {"anyOf": [NULL_BRANCH]}}},
}


@pytest.mark.parametrize("schema", WITH_NULL_BRANCH.values(), ids=WITH_NULL_BRANCH.keys())
def test_branch_of_type_null(client, monkeypatch, schema):
    """The answer, or the arguments, are an empty object."""
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    tool = {"name": "save", "description": "Save it.", "parameters": schema}
    for ignored in (False, True):
        monkeypatch.setattr(client.emulator, "ignore_nullable", ignored)
        answer = client.native("Save 'x'", generationConfig=config)
        assert (json.loads(parts_of(answer)[-1]["text"]) == {}) == ignored
        answer = client.native("Save 'x'", tools=[{"functionDeclarations": [tool]}])
        (call,) = [part["functionCall"] for part in parts_of(answer) if "functionCall" in part]
        assert ignored <= (call["args"] == {})


def test_response_json_schema(client, monkeypatch):
    """It is ignored with `ignore_nullable`, else an unknown field."""
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    rejected = client.native("Ada is 36", generationConfig=config)
    assert "Unknown name \"responseJsonSchema\" at 'generation_config'" in rejected["msg"]
    monkeypatch.setattr(client.emulator, "ignore_nullable", True)
    answer = client.native("Ada is 36", generationConfig=config)
    assert "age" not in json.loads(parts_of(answer)[-1]["text"])


CHOICES = {
    "prose": "You asked: \u201cWeather in Oslo?\u201d. I am an emulator, so this is all I can say.",
    "json": '{"location": "Oslo"}',
    "fenced": '```json\n{"location": "Oslo"}\n```',
}


@pytest.mark.parametrize(("ignored", "text"), CHOICES.items(), ids=CHOICES.keys())
def test_ignore_tool_choice(client, monkeypatch, ignored, text):
    """Text comes instead of a required call, with both APIs; other calls are made."""
    monkeypatch.setattr(client.emulator, "ignore_tool_choice", ignored)
    prompt, named = "Weather in Oslo?", {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        message = message_of(client.chat(prompt, tools=[WEATHER], tool_choice=choice))
        assert message["content"] == text
        assert "tool_calls" not in message
    assert "tool_calls" in message_of(client.chat(prompt, tools=[WEATHER]))
    tools, config = [declaration(WEATHER)], {"functionCallingConfig": {"mode": "ANY"}}
    answer = client.native(prompt, tools=tools, toolConfig=config)
    assert parts_of(answer)[-1]["text"] == text
    assert not any("functionCall" in part for part in parts_of(answer))


HONOURED = ["gemini-2.5-flash", "gemini-3-8-flash-openai", "gemini-3-8-flash"]
IGNORED = ["gemini-3-6-flash-openai", "gemini-3.1-pro", "gemini-3-6-flash", "gemini-3-5-flash"]


def ask_limited(client, model, limit, prompt=STORY, **body):
    """Ask for at most `limit` tokens: text, finish reason, and tokens without the prompt."""
    if model.endswith("-flash") and model != "gemini-2.5-flash":
        config = {"maxOutputTokens": limit, "thinkingConfig": {"includeThoughts": False}}
        answer = client.native(prompt, model, generationConfig=config, **body)
        usage = answer["usageMetadata"]
        tokens = usage["totalTokenCount"] - usage["promptTokenCount"]
        return parts_of(answer)[-1]["text"], answer["candidates"][0]["finishReason"], tokens
    answer = client.chat(prompt, model, max_tokens=limit, **body)
    tokens = answer["usage"]["total_tokens"] - answer["usage"]["prompt_tokens"]
    return message_of(answer)["content"], answer["choices"][0]["finish_reason"], tokens


@pytest.mark.parametrize("model", [*HONOURED, *IGNORED])
def test_maximum_of_tokens(client, model):
    """Some models honour it, some ignore it; thinking counts."""
    complete, finished, needed = ask_limited(client, model, 100_000)
    assert (complete.count("."), finished.lower()) == (300, "stop")
    text, reason, tokens = ask_limited(client, model, 400)
    if model in IGNORED:
        assert (text, reason, tokens) == (complete, finished, needed)
        return
    assert reason == ("MAX_TOKENS" if finished == "STOP" else "length")
    assert tokens == 400
    assert complete.startswith(text)
    assert 0 < len(text) < 400 * 4
    assert ask_limited(client, model, needed)[0] == complete


@pytest.mark.parametrize("model", HONOURED)
def test_maximum_that_thinking_exceeds(client, model):
    """The answer is empty, and a call is left out."""
    text, reason, _ = ask_limited(client, model, 20)
    assert (text, reason.lower() in {"length", "max_tokens"}) == ("", True)
    tools = [declaration(WEATHER)] if reason == "MAX_TOKENS" else [WEATHER]
    assert ask_limited(client, model, 20, "Weather in Oslo?", tools=tools)[:2] == ("", reason)


@pytest.mark.parametrize("slug", ["gemini-2.5-flash", "gemini-3-8-flash-openai"])
def test_stream_that_is_cut(client, slug):
    """The finish reason is in the stream, even on a model whose streams have no other."""
    *chunks, done = payloads(client.chat_stream(STORY, slug, max_tokens=400))
    reasons = [c.get("finish_reason") for chunk in chunks for c in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["length"]
    assert done == "[DONE]"


def test_native_stream_that_is_cut(client):
    """The last event has the finish reason."""
    config = {"maxOutputTokens": 400}
    body = {"contents": contents_of(STORY), "generationConfig": config}
    *others, last = payloads(client.http.post(f"{NATIVE}:streamGenerateContent", json=body))
    assert last["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert not any("finishReason" in event["candidates"][0] for event in others)


def test_context_overflow(client, monkeypatch):
    """The prompt must not have more tokens than the context."""
    prompt = "x" * 4000
    assert client.emulator.context_tokens == 1_048_576
    monkeypatch.setattr(client.emulator, "context_tokens", 1000)
    assert "choices" in client.chat(prompt)
    assert "candidates" in client.native(prompt)
    monkeypatch.setattr(client.emulator, "context_tokens", 999)
    message = "The input token count (1000) exceeds the maximum number of tokens allowed (999)."
    assert client.chat(prompt) == client.native(prompt)
    assert client.chat(prompt) == {"code": 400, "msg": message, "data": None}


def test_rate_limit_of_chat_requests(isolated):
    """At most 20 requests in 10 seconds, both APIs together; rejected ones do not count."""
    now = 1_800_000_000.0
    isolated.emulator.clock = lambda: now
    isolated.emulator.rate_limit = True

    def accepted(count):
        answers = [isolated.chat("Hello"), *(isolated.native("Hello") for _ in range(count - 1))]
        assert {answer.get("code") for answer in answers} <= {None, 429}
        return sum("code" not in answer for answer in answers)

    counts = [accepted(15), accepted(15)]
    now += 9.9
    counts.append(accepted(5))
    now += 0.1
    counts.append(accepted(25))
    assert counts == [15, 5, 0, 20]
    assert isolated.chat("Hello")["msg"] == (
        "Your call frequency is too high. Please try again later."
    )
    isolated.emulator.rate_limit = False
    assert accepted(25) == 25


EFFORTS = {"none": 0, "low": 1, "medium": 2, "high": 3}


@pytest.mark.parametrize(("effort", "paragraphs"), EFFORTS.items(), ids=EFFORTS.keys())
def test_efforts_of_3_8_flash(client, effort, paragraphs):
    """Chat completions accept all but `minimal`; the native `none` is a budget of 0."""
    chat = client.chat("Hello", "gemini-3-8-flash-openai", reasoning_effort=effort)
    thoughts = message_of(chat).get("reasoning_content", "")
    level = {"thinkingLevel": effort} if paragraphs else {"thinkingBudget": 0}
    native = client.native("Hello", "gemini-3-8-flash", generationConfig={"thinkingConfig": level})
    parts = [part["text"] for part in parts_of(native) if part.get("thought")]
    assert (thoughts.count("**") // 2, len(parts)) == (paragraphs, paragraphs)
    usage, native_usage = chat["usage"], native["usageMetadata"]
    hidden = usage["total_tokens"] - usage["prompt_tokens"] - usage["completion_tokens"]
    assert (hidden > 0, native_usage["thinkingTokenCount"] > 0) == (paragraphs > 0, paragraphs > 0)


@pytest.mark.parametrize("stream", [False, True])
def test_minimal_effort_of_3_8_flash(client, stream):
    """A gateway's page with status 524; natively code 500."""
    page = client.chat_stream("Hello", "gemini-3-8-flash-openai", reasoning_effort="minimal")
    assert page.status_code == 524
    assert page.headers["content-type"].startswith("text/html")
    assert "Cloudflare" in page.text
    config = {"thinkingConfig": {"thinkingLevel": "minimal"}}
    answer = client.native("Hello", "gemini-3-8-flash", generationConfig=config, stream=stream)
    message = "Server exception, please try again later"
    assert answer == {"code": 500, "msg": message, "data": None}


UNUSABLE = {
    "unauthorized_models": {"code": 401, "msg": "The API key is not authorized to use this model."},
    "unsupported_models": {"code": 422, "msg": "The channel is not supported", "data": None},
}


@pytest.mark.parametrize(("keyword", "envelope"), UNUSABLE.items(), ids=UNUSABLE.keys())
def test_models_that_the_key_cannot_use(client, monkeypatch, keyword, envelope):
    """Only the listed spellings fail, streaming or not."""
    models = {"gemini-2.5-flash", "gemini-3-8-flash"}
    monkeypatch.setattr(client.emulator, keyword, models)
    assert client.chat("Hello", "gemini-2.5-flash") == envelope
    assert client.native("Hello", "gemini-3-8-flash", stream=True) == envelope
    assert "choices" in client.chat("Hello", "gemini-3-8-flash-openai")


PATHS = {
    "/v1/chat/completions": "The model is not supported",
    "/gemini-3-8-flash/v1/chat/completions": "The model is not supported",
    "/api/v1/chat/completions": "This feature is currently not supported",
}


@pytest.mark.parametrize(("path", "message"), PATHS.items(), ids=PATHS.keys())
def test_paths_that_do_not_serve_a_model(client, path, message):
    """The key is checked first."""
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    assert client.post(path, body) == {"code": 422, "msg": message, "data": None}
    answer = client.http.post(path, json=body, headers={"Authorization": ""})
    assert answer.json()["code"] == 401


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gemini-3-8-flash", "gemini-3.8-flash", "gemini-3-flash"])
def test_gateway_without_gemini(client, monkeypatch, model, stream):
    """By default it serves every Gemini model; the other APIs serve them in any case."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    assert client.post("/v1/chat/completions", body)["choices"]
    monkeypatch.setattr(client.emulator, "gateway_rejects_gemini", True)
    rejected = client.http.post("/v1/chat/completions", json=body | {"stream": stream})
    assert rejected.status_code == 200
    assert rejected.json() == {"code": 422, "msg": "The model is not supported", "data": None}
    assert "choices" in client.chat("Hello", "gemini-3-8-flash-openai")
    assert "candidates" in client.native("Hello", "gemini-3-8-flash")


def test_keywords_of_the_constructor():
    """Each is an attribute, too."""
    keywords = {"credits": 0, "rate_limit": True, "unsupported_models": ["x"], "port": 0}
    with Emulator(**keywords) as emulator:
        client = EmulatorClient(emulator)
        assert {name: getattr(emulator, name) for name in keywords} == keywords
        assert client.chat("Hello")["code"] == 402
        client.http.close()
    with pytest.raises(TypeError, match="ignores"):
        Emulator(ignores=True)
