"""What the OpenAI-shaped path refuses, and in which words."""

from __future__ import annotations

import base64

import httpx
import pytest

from unit_tests.emulator.emulator_client import ADDER, PNG, SEARCH, STRING, WEATHER, function_tool

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "42"}


def parts(*content):
    return {"messages": [{"role": "user", "content": list(content)}]}


def image(url):
    return parts({"type": "image_url", "image_url": {"url": url}})


def data_url(mime_type, data="aGVsbG8="):
    return image(f"data:{mime_type};base64,{data}")


def answer_in(schema):
    named = {"name": "structured_output", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


RISK = {
    "type": "object",
    "properties": {
        "riskFlags": {
            "type": "array",
            "items": {"type": "object", "properties": {"type": STRING}},
        }
    },
}
NULLABLE = {"type": "object", "properties": {"x": {"type": ["string", "null"]}}}
SCHEMA_PATH = "$.response_format.json_schema.schema"
FORBIDDEN = "image download failed: HTTP 403: Forbidden"
PNG_BASE64 = base64.b64encode(PNG).decode()
MIME = "The file mime type is not supported by Gemini, please convert or change the file"
RESPONSE_TURN = "function response turn comes immediately after a function call turn"
CALL_TURN = (
    "Please ensure that function call turn comes immediately after a user turn or after a "
    "function response turn."
)

REFUSALS = {
    "no messages": (422, "'messages'", {"messages": []}),
    "messages missing": (422, "'messages'", {"messages": None}),
    "messages of a wrong type": (422, "'messages'", {"messages": "Hello"}),
    "unknown model": (422, "The model is not supported", {"model": "gpt-5-2"}),
    "unknown role": (422, "role", {"messages": [{"role": "robot", "content": "Hi"}]}),
    "empty text part": (
        422,
        "The 'text' field within the message content cannot be empty.",
        parts({"type": "text", "text": ""}),
    ),
    "empty content": (422, "content", {"messages": [{"role": "user", "content": []}]}),
    "part of no known type": (422, "type", parts({"type": "tool_use", "id": "x"})),
    "image without a url": (422, "url", parts({"type": "image_url", "image_url": "x"})),
    "stream of a wrong type": (422, "'stream'", {"stream": "yes"}),
    "temperature of a wrong type": (422, "'temperature'", {"temperature": True}),
    "stop of a wrong type": (422, "'stop'", {"stop": [1]}),
    "effort that is not documented": (422, "low, high", {"reasoning_effort": "medium"}),
    "tool choice that is none": (422, "'tool_choice'", {"tool_choice": "sometimes"}),
    "native tool": (422, "tools[0]", {"tools": [{"google_search": {}}]}),
    "nameless tool": (422, "name", {"tools": [{"type": "function", "function": {}}]}),
    "property named type": (
        422,
        f"{SCHEMA_PATH}.properties.riskFlags.items.properties.type must be string or array",
        answer_in(RISK),
    ),
    "type array": (
        400,
        "The 'type' property must be a single string, not an array",
        answer_in(NULLABLE),
    ),
    "type array in a function": (
        400,
        "must be a single string",
        {"tools": [function_tool("f", "d", x={"type": ["string", "null"]})]},
    ),
    "schema of no known type": (400, "Invalid schema", answer_in({"type": "strin"})),
    "reference to nowhere": (400, "$ref", answer_in({"$ref": "#/$defs/Gone"})),
    "format without a schema": (422, "schema", {"response_format": {"type": "json_schema"}}),
    "format of no known type": (422, "response_format", {"response_format": {"type": "xml"}}),
    "bad function name": (400, "Invalid function name", {"tools": [function_tool("1st", "d")]}),
    "function given twice": (400, "Duplicate", {"tools": [WEATHER, WEATHER]}),
    "forced stranger": (
        400,
        "not a declared function",
        {
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "function": {"name": "get_time"}},
        },
    ),
    "search with functions": (400, "unsupported", {"tools": [SEARCH, WEATHER]}),
    "functions with a schema": (
        400,
        "unsupported",
        {
            "tools": [ADDER],
            **answer_in(
                RISK["properties"]["riskFlags"]["items"] | {"properties": {"kind": STRING}}
            ),
        },
    ),
    "only a system message": (400, "contents", {"messages": [{"role": "system", "content": "x"}]}),
    "result out of the blue": (400, RESPONSE_TURN, {"messages": [USER, ANSWERED]}),
    "result without an id": (
        422,
        "tool_call_id",
        {"messages": [USER, ASKED, {"role": "tool", "content": "42"}]},
    ),
    "result of another call": (
        400,
        RESPONSE_TURN,
        {"messages": [USER, ASKED, ANSWERED | {"tool_call_id": "c2"}]},
    ),
    "call without a result": (400, "number of function response", {"messages": [USER, ASKED]}),
    "user before the result": (
        400,
        "number of function response",
        {"messages": [USER, ASKED, USER, ANSWERED]},
    ),
    "call at the beginning": (400, CALL_TURN, {"messages": [ASKED, ANSWERED]}),
    "arguments that are no object": (
        422,
        "arguments",
        {
            "messages": [
                USER,
                ASKED | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": "[]"}}]},
            ]
        },
    ),
    "foreign image": (
        400,
        f"The image URL https://elsewhere.example/a.png {FORBIDDEN}",
        image("https://elsewhere.example/a.png"),
    ),
    "image of no scheme": (400, FORBIDDEN, image("gs://bucket/a.png")),
    "image of no url at all": (400, FORBIDDEN, image("http://[")),
    "file of no known type": (400, MIME, image("https://files.example/blob")),
    "data of no known type": (400, MIME, data_url("application/octet-stream")),
    "video of YouTube's": (
        400,
        "image download failed: HTTP 429: Too Many Requests",
        image("https://www.youtube.com/watch?v=abc"),
    ),
    "file of Google's": (
        400,
        FORBIDDEN,
        image("https://generativelanguage.googleapis.com/v1beta/files/abc"),
    ),
    "picture that is said to be sound": (400, MIME, data_url("audio/mpeg", PNG_BASE64)),
    "data that is not base64": (400, "Base64", data_url("image/png", "!!!")),
    "data url without base64": (400, "base64", image("data:image/png,hello")),
}


@pytest.mark.parametrize(("code", "words", "body"), REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_refusals_are_envelopes(wire, code, words, body, stream):
    """A refusal is HTTP 200 with one JSON document, also where a stream was asked for."""
    response = wire.http.post(
        "/gemini-2.5-pro/v1/chat/completions",
        json={"messages": [USER], "stream": stream, **body},
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    envelope = response.json()
    assert envelope.keys() == {"code", "msg", "data"}
    assert (envelope["code"], envelope["data"]) == (code, None)
    assert words in envelope["msg"]


UNAUTHORIZED = {
    "code": 401,
    "msg": "Unauthorized \u2013 Authentication failed. Please check that your Authorization and "
    "Content-Type headers are correctly set.",
}


@pytest.mark.parametrize(
    "path",
    [
        "/gemini-3-flash/v1/chat/completions",
        "/v1/chat/completions",
        "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent",
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "kie-emulator-key"},
        {"Content-Type": "text/plain"},
        {"X-Goog-Api-Key": "kie-emulator-key", "Authorization": ""},
    ],
)
def test_bad_headers_are_refused_in_the_recorded_words(wire, path, headers):
    """A wrong key or content type gives the recorded envelope, without `data`."""
    response = wire.http.post(path, json={"messages": [USER]}, headers=headers)
    assert response.status_code == 200
    assert response.json() == UNAUTHORIZED


@pytest.mark.parametrize(
    "slug",
    ["gemini-2-5-flash", "gemini-3.6-flash-openai", "gemini-3.5-flash", "gemini-3-5-flash", "gpt"],
)
def test_slugs_are_exact(wire, slug):
    """Dots and dashes are not interchangeable, and friendly names are not slugs."""
    assert wire.chat("Hello", slug) == {
        "code": 422,
        "msg": "The model is not supported",
        "data": None,
    }


@pytest.mark.parametrize(
    "model", ["gemini-2.5-pro", "gemini-2.5-pro-openai", "gemini-3-5-flash-thinking"]
)
def test_known_models_in_the_body_are_ignored(wire, model):
    """The slug chooses the model; a known name in the body does no harm."""
    assert "choices" in wire.chat("Hello", "gemini-2.5-pro", model=model)


def test_unknown_keys_are_ignored(wire):
    """KIE validates only what it knows."""
    body = wire.chat("Hello", logit_bias={}, max_tokens=1, seed=7, n=1, top_p=0.5, user=None)
    assert body["choices"][0]["message"]["content"].startswith("Hello!")


def test_flash_2_5_ignores_effort(wire):
    """The one model without `reasoning_effort` does not look at it."""
    assert "choices" in wire.chat("Hello", "gemini-2.5-flash", reasoning_effort="medium")


def test_a_property_named_type_is_fine_in_a_function(wire):
    """Only the answer's schema is known to be refused."""
    body = wire.chat("Call f", tools=[function_tool("f", "d", type=STRING)])
    assert "choices" in body


def test_search_goes_with_a_schema(wire):
    """KIE's own sample sends both (kie/docs 002)."""
    body = wire.chat(
        "News about tides",
        "gemini-2.5-pro",
        tools=[SEARCH],
        **answer_in({"type": "object", "properties": {"response": STRING}}),
    )
    assert "response" in body["choices"][0]["message"]["content"]


def test_other_media_parts_vanish(wire):
    """`video_url`, `input_audio` and files are dropped without a word."""
    content = [
        {"type": "text", "text": "Hello"},
        {"type": "video_url", "video_url": {"url": "https://elsewhere.example/a.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "x"}},
    ]
    body = wire.chat([{"role": "user", "content": content}])
    assert "received" not in body["choices"][0]["message"]["content"]


def test_media_are_described(wire):
    """Inline data, the emulator's internet, and a file told by its first bytes."""
    pdf = base64.b64encode(b"%PDF-1.7 hello").decode()
    content = [
        {"type": "text", "text": "What are these?"},
        {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{pdf}"}},
        {"type": "image_url", "image_url": {"url": "https://files.example/cat.png"}},
        {"type": "image_url", "image_url": {"url": "https://files.example/unnamed"}},
    ]
    body = wire.chat([{"role": "user", "content": content}])
    answer = body["choices"][0]["message"]["content"]
    assert answer.startswith(
        "I received 3 files: "
        "application/pdf (14 bytes), image/png (16 bytes), image/png (16 bytes)."
    )
    assert body["usage"]["prompt_tokens"] > 3 * 258


def test_loopback_is_fetched(wire):
    """Files on this machine are really downloaded, and their statuses told."""
    url = f"{wire.emulator.base_url}/missing.png"
    envelope = wire.chat([{"role": "user", "content": image(url)["messages"][0]["content"]}])
    assert envelope["msg"] == f"The image URL {url} image download failed: HTTP 404: Not Found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/gemini-3-flash/v1/chat/completions"),
        ("POST", "/gemini-3-flash/chat/completions"),
        ("POST", "/gemini/models/gemini-3-5-flash:streamGenerateContent"),
        ("POST", "/gemini/v1/models/gemini-3-5-flash:countTokens"),
    ],
)
def test_other_routes_do_not_exist(wire, method, path):
    """What KIE does not serve is a true 404."""
    response = wire.http.request(method, path, json={})
    assert response.status_code == 404
    body = response.json()
    assert body.keys() == {"timestamp", "status", "error", "path"}
    assert (body["status"], body["error"], body["path"]) == (404, "Not Found", path)


def test_a_body_that_is_not_json_is_refused(wire):
    """Half a document is no request."""
    response = wire.http.post(
        "/gemini-3-flash/v1/chat/completions",
        content=b'{"messages":',
        headers={"Content-Type": "application/json"},
    )
    assert response.json()["code"] == 400


def test_no_key_at_all_is_refused(wire):
    """A request without the header is refused like one with a wrong key."""
    url = f"{wire.emulator.base_url}/gemini-3-flash/v1/chat/completions"
    assert httpx.post(url, json={}, trust_env=False).json() == UNAUTHORIZED
