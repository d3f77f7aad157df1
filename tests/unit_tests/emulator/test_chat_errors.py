"""Requests that the chat completions API rejects, and the messages."""

from __future__ import annotations

import base64

import httpx
import pytest

from unit_tests.emulator.emulator_client import ADDER, PNG, SEARCH, STRING, WEATHER, function_tool

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
INVALID_CALL = CALL | {"function": {"name": "f", "arguments": "[]"}}
ASSISTANT = {"role": "assistant", "content": "", "tool_calls": [CALL]}
TOOL = {"role": "tool", "tool_call_id": "c1", "content": "42"}


def messages(*turns):
    return {"messages": list(turns)}


def parts(*content):
    return messages({"role": "user", "content": list(content)})


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
        "riskFlags": {"type": "array", "items": {"type": "object", "properties": {"type": STRING}}}
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

REJECTED = {
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
    "unknown part type": (422, "type", parts({"type": "tool_use", "id": "x"})),
    "image without a URL": (422, "url", parts({"type": "image_url", "image_url": "x"})),
    "invalid stream": (422, "'stream'", {"stream": "yes"}),
    "invalid temperature": (422, "'temperature'", {"temperature": True}),
    "invalid stop": (422, "'stop'", {"stop": [1]}),
    "undocumented effort": (422, "low, high", {"reasoning_effort": "medium"}),
    "invalid tool choice": (422, "'tool_choice'", {"tool_choice": "sometimes"}),
    "native tool": (422, "tools[0]", {"tools": [{"google_search": {}}]}),
    "tool without a name": (422, "name", {"tools": [{"type": "function", "function": {}}]}),
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
    "invalid schema": (400, "Invalid schema", answer_in({"type": "strin"})),
    "unresolvable reference": (400, "$ref", answer_in({"$ref": "#/$defs/Gone"})),
    "format without a schema": (422, "schema", {"response_format": {"type": "json_schema"}}),
    "unknown format": (422, "response_format", {"response_format": {"type": "xml"}}),
    "invalid function name": (400, "Invalid function name", {"tools": [function_tool("1st", "d")]}),
    "duplicate function": (400, "Duplicate", {"tools": [WEATHER, WEATHER]}),
    "choice of an undeclared function": (
        400,
        "not a declared function",
        {"tools": [WEATHER], "tool_choice": ADDER},
    ),
    "search with functions": (400, "unsupported", {"tools": [SEARCH, WEATHER]}),
    "functions with a schema": (
        400,
        "unsupported",
        {"tools": [ADDER], **answer_in({"type": "object"})},
    ),
    "only a system message": (400, "contents", messages({"role": "system", "content": "x"})),
    "result without a call": (400, RESPONSE_TURN, messages(USER, TOOL)),
    "result without an id": (
        422,
        "tool_call_id",
        messages(USER, ASSISTANT, {"role": "tool", "content": "42"}),
    ),
    "result of another call": (
        400,
        RESPONSE_TURN,
        messages(USER, ASSISTANT, TOOL | {"tool_call_id": "c2"}),
    ),
    "call without a result": (400, "number of function response", messages(USER, ASSISTANT)),
    "user before the result": (
        400,
        "number of function response",
        messages(USER, ASSISTANT, USER, TOOL),
    ),
    "call in the first message": (400, CALL_TURN, messages(ASSISTANT, TOOL)),
    "arguments that are not an object": (
        422,
        "arguments",
        messages(USER, ASSISTANT | {"tool_calls": [INVALID_CALL]}),
    ),
    "unreachable image": (
        400,
        f"The image URL https://elsewhere.example/a.png {FORBIDDEN}",
        image("https://elsewhere.example/a.png"),
    ),
    "image with an unsupported scheme": (400, FORBIDDEN, image("gs://bucket/a.png")),
    "image with an invalid URL": (400, FORBIDDEN, image("http://[")),
    "file of an unknown type": (400, MIME, image("https://files.example/blob")),
    "data of an unknown type": (400, MIME, data_url("application/octet-stream")),
    "YouTube video": (
        400,
        "image download failed: HTTP 429: Too Many Requests",
        image("https://www.youtube.com/watch?v=abc"),
    ),
    "file of the Files API": (
        400,
        FORBIDDEN,
        image("https://generativelanguage.googleapis.com/v1beta/files/abc"),
    ),
    "image declared as audio": (400, MIME, data_url("audio/mpeg", PNG_BASE64)),
    "invalid base64": (400, "Base64", data_url("image/png", "!!!")),
    "data url without base64": (400, "base64", image("data:image/png,hello")),
}


@pytest.mark.parametrize(("code", "words", "body"), REJECTED.values(), ids=REJECTED.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_rejected_requests(client, code, words, body, stream):
    """An error is HTTP 200 with one JSON document, even if a stream was requested."""
    response = client.http.post(
        "/gemini-2.5-pro/v1/chat/completions", json={"messages": [USER], "stream": stream, **body}
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
def test_invalid_headers_are_rejected(client, path, headers):
    """A wrong key or content type gives the recorded envelope, which has no `data`."""
    response = client.http.post(path, json=messages(USER), headers=headers)
    assert response.status_code == 200
    assert response.json() == UNAUTHORIZED


@pytest.mark.parametrize(
    "slug",
    ["gemini-2-5-flash", "gemini-3.6-flash-openai", "gemini-3.5-flash", "gemini-3-5-flash", "gpt"],
)
def test_slug_must_be_exact(client, slug):
    """Dots and dashes are not interchangeable, and Google's names are not slugs."""
    assert client.chat("Hello", slug) == {
        "code": 422,
        "msg": "The model is not supported",
        "data": None,
    }


@pytest.mark.parametrize(
    "model", ["gemini-2.5-pro", "gemini-2.5-pro-openai", "gemini-3-5-flash-thinking"]
)
def test_known_model_in_the_body_is_ignored(client, model):
    """The path selects the model; the body may contain any known name."""
    assert "choices" in client.chat("Hello", "gemini-2.5-pro", model=model)


def test_unknown_fields_are_ignored(client):
    """KIE validates only the fields that it supports."""
    body = client.chat("Hello", logit_bias={}, max_tokens=1, seed=7, n=1, top_p=0.5, user=None)
    assert body["choices"][0]["message"]["content"].startswith("Hello!")


def test_effort_is_ignored_by_2_5_flash(client):
    """It is the only model without `reasoning_effort`."""
    assert "choices" in client.chat("Hello", "gemini-2.5-flash", reasoning_effort="medium")


def test_parameter_named_type_is_accepted(client):
    """KIE rejects such a property only in the schema of an answer."""
    body = client.chat("Call f", tools=[function_tool("f", "d", type=STRING)])
    assert "choices" in body


def test_search_with_a_schema_is_accepted(client):
    """KIE's documentation has an example with both."""
    body = client.chat(
        "News about tides",
        "gemini-2.5-pro",
        tools=[SEARCH],
        **answer_in({"type": "object", "properties": {"response": STRING}}),
    )
    assert "response" in body["choices"][0]["message"]["content"]


def test_unsupported_media_parts_are_ignored(client):
    """`video_url`, `input_audio` and `file` parts cause no error."""
    content = [
        {"type": "text", "text": "Hello"},
        {"type": "video_url", "video_url": {"url": "https://elsewhere.example/a.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "x"}},
    ]
    body = client.chat([{"role": "user", "content": content}])
    assert "received" not in body["choices"][0]["message"]["content"]


def test_answer_describes_media(client):
    """Inline data, a given URL, and a file whose type is guessed from its first bytes."""
    pdf = base64.b64encode(b"%PDF-1.7 hello").decode()
    content = [
        {"type": "text", "text": "What are these?"},
        {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{pdf}"}},
        {"type": "image_url", "image_url": {"url": "https://files.example/cat.png"}},
        {"type": "image_url", "image_url": {"url": "https://files.example/unnamed"}},
    ]
    body = client.chat([{"role": "user", "content": content}])
    answer = body["choices"][0]["message"]["content"]
    assert answer.startswith(
        "I received 3 files: "
        "application/pdf (14 bytes), image/png (16 bytes), image/png (16 bytes)."
    )
    assert body["usage"]["prompt_tokens"] > 3 * 258


def test_loopback_urls_are_fetched(client):
    """The error contains the HTTP status of the download."""
    url = f"{client.emulator.base_url}/missing.png"
    envelope = client.chat([{"role": "user", "content": image(url)["messages"][0]["content"]}])
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
def test_unknown_paths_are_404(client, method, path):
    """Paths that KIE does not serve have the HTTP status 404."""
    response = client.http.request(method, path, json={})
    assert response.status_code == 404
    body = response.json()
    assert body.keys() == {"timestamp", "status", "error", "path"}
    assert (body["status"], body["error"], body["path"]) == (404, "Not Found", path)


def test_invalid_json_is_rejected(client):
    """An incomplete JSON document is an error."""
    response = client.http.post(
        "/gemini-3-flash/v1/chat/completions",
        content=b'{"messages":',
        headers={"Content-Type": "application/json"},
    )
    assert response.json()["code"] == 400


def test_missing_key_is_rejected(client):
    """A missing header and a wrong key are the same error."""
    url = f"{client.emulator.base_url}/gemini-3-flash/v1/chat/completions"
    assert httpx.post(url, json={}, trust_env=False, verify=False).json() == UNAUTHORIZED
