"""Requests that the native API rejects, and the messages."""

from __future__ import annotations

import pytest

from unit_tests.emulator.emulator_client import ADDER, WEATHER, declaration, function_tool

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
BYPASS = "skip_thought_signature_validator"
CALL = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": BYPASS}
RESPONSE = {"functionResponse": {"name": "f", "response": {"result": "42"}}}
MODEL = {"role": "model", "parts": [CALL]}
RESULTS = {"role": "user", "parts": [RESPONSE]}


def declared(**schema):
    function = {"name": "f", "description": "d", "parameters": {"type": "OBJECT", **schema}}
    return {"tools": [{"functionDeclarations": [function]}]}


def turns(*contents):
    return {"contents": list(contents)}


def parts(*content):
    return turns({"role": "user", "parts": list(content)})


def choice(mode, *names):
    config = {"mode": mode, "allowedFunctionNames": list(names)}
    return {"tools": [declaration(ADDER)], "toolConfig": {"functionCallingConfig": config}}


def config(**settings):
    return {"generationConfig": settings}


PARAMETERS = "tools[0].function_declarations[0].parameters"
GOOGLE_FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc"
JSON_ANSWER = {"responseMimeType": "application/json"}
CALL_TURN = (
    "Please ensure that function call turn comes immediately after a user turn or after a "
    "function response turn."
)

REJECTED = {
    "no contents": (400, "contents is not specified", {"contents": []}),
    "unknown role": (422, "valid role", turns({"role": "assistant", "parts": [{"text": "x"}]})),
    "no role": (422, "valid role", turns({"parts": [{"text": "x"}]})),
    "no parts": (400, "must not be empty", turns({"role": "user", "parts": []})),
    "empty text": (422, "cannot be empty", parts({"text": ""})),
    "empty part": (400, "required oneof field", parts({})),
    "two fields in one part": (400, "already set", parts({"text": "x", "inlineData": {}})),
    "unknown field": (
        400,
        'Invalid JSON payload received. Unknown name "messages": Cannot find field.',
        {"messages": []},
    ),
    "unknown field in a part": (
        400,
        "Unknown name \"type\" at 'contents[0].parts[0]': Cannot find field.",
        parts({"type": "text", "text": "x"}),
    ),
    "unknown setting": (
        400,
        "Unknown name \"maxTokens\" at 'generation_config': Cannot find field.",
        config(maxTokens=1),
    ),
    "unknown tool": (400, "Unknown name \"type\" at 'tools[0]'", {"tools": [WEATHER]}),
    "wrong type": (400, "Invalid value at 'stream' (TYPE_BOOL)", {"stream": "yes"}),
    "additionalProperties": (
        400,
        f"Unknown name \"additionalProperties\" at '{PARAMETERS}': Cannot find field.",
        declared(additionalProperties=False),
    ),
    "reference": (
        400,
        f"Unknown name \"$ref\" at '{PARAMETERS}.properties[0].value': Cannot find field.",
        declared(properties={"x": {"$ref": "#/$defs/X"}}),
    ),
    **{
        f"keyword {keyword}": (
            400,
            f'Unknown name "{keyword}"',
            config(**JSON_ANSWER, responseSchema={"type": "STRING", keyword: []}),
        )
        for keyword in ("$defs", "const", "oneOf", "allOf", "exclusiveMinimum", "uniqueItems")
    },
    "invalid type": (
        400,
        f"Invalid value at '{PARAMETERS}.properties[0].value.type'",
        declared(properties={"x": {"type": "strin"}}),
    ),
    "type array": (
        400,
        f"Invalid value at '{PARAMETERS}.properties[0].value.type'",
        declared(properties={"x": {"type": ["string", "null"]}}),
    ),
    "enum of numbers": (
        400,
        f"Invalid value at '{PARAMETERS}.properties[0].value.enum[0]' (TYPE_STRING), 1",
        declared(properties={"x": {"type": "INTEGER", "enum": [1]}}),
    ),
    "parameters that are not an object": (400, "type OBJECT", declared(type="STRING")),
    "function without a description": (
        422,
        "description",
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]},
    ),
    "invalid function name": (
        400,
        "Invalid function name",
        {"tools": [declaration(function_tool("a b", ""))]},
    ),
    "duplicate function": (400, "Duplicate", {"tools": [declaration(ADDER), declaration(ADDER)]}),
    "choice of an undeclared function": (400, "not a declared function", choice("ANY", "g")),
    "allowed names without mode ANY": (
        400,
        "only when function calling mode is ANY",
        choice("AUTO", "add_numbers"),
    ),
    "search with functions": (
        400,
        "Tool use with function calling is unsupported",
        {"tools": [{"googleSearch": {}}, declaration(ADDER)]},
    ),
    "functions with a schema": (
        400,
        "Function calling with a response mime type: 'application/json' is unsupported",
        {"tools": [declaration(ADDER)], **config(**JSON_ANSWER)},
    ),
    "schema without a mime type": (
        400,
        "response_mime_type",
        config(responseSchema={"type": "STRING"}),
    ),
    "undocumented thinking level": (
        422,
        "low, high",
        config(thinkingConfig={"thinkingLevel": "medium"}),
    ),
    "call in the first content": (400, CALL_TURN, turns(MODEL, RESULTS)),
    "call after a turn of the model": (
        400,
        CALL_TURN,
        turns(HELLO, {"role": "model", "parts": [{"text": "x"}]}, MODEL, RESULTS),
    ),
    "call without a response": (400, "number of function response", turns(HELLO, MODEL)),
    "too few responses": (
        400,
        "number of function response",
        turns(HELLO, {"role": "model", "parts": [CALL, CALL]}, RESULTS),
    ),
    "response of another function": (
        400,
        "number of function response",
        turns(HELLO, MODEL, {"role": "user", "parts": [{"functionResponse": {"name": "g"}}]}),
    ),
    "response without a call": (
        400,
        "comes immediately after a function call turn",
        turns(HELLO, RESULTS),
    ),
    "call by the user": (400, "role model", turns({"role": "user", "parts": [CALL]})),
    "response by the model": (400, "role user", turns({"role": "model", "parts": [RESPONSE]})),
    "invalid base64": (
        400,
        "Base64",
        parts({"inlineData": {"mimeType": "image/png", "data": "???"}}),
    ),
    "data of an unsupported type": (
        400,
        "The file mime type is not supported by Gemini",
        parts({"inline_data": {"mime_type": "application/zip", "data": "aGVsbG8="}}),
    ),
    "unreachable file": (
        400,
        "image download failed",
        parts({"file_data": {"mime_type": "image/png", "file_uri": "https://else.example/a.png"}}),
    ),
    "file of the Files API": (
        400,
        "image download failed: HTTP 403: Forbidden",
        parts({"fileData": {"mimeType": "image/png", "fileUri": GOOGLE_FILE}}),
    ),
}


@pytest.mark.parametrize(("code", "words", "body"), REJECTED.values(), ids=REJECTED.keys())
def test_rejected_requests(client, code, words, body):
    """An error is HTTP 200 with one JSON document, although a stream was requested."""
    response = client.http.post(
        "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent?alt=sse",
        json={"contents": [HELLO], **body},
    )
    assert response.status_code == 200
    envelope = response.json()
    assert (envelope["code"], envelope["data"]) == (code, None)
    assert words in envelope["msg"]


@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-3.5-flash", "gemini-2.5-pro", "x"])
def test_model_must_be_exact(client, model):
    """Only the spellings of the native API are accepted."""
    assert client.native("Hello", model)["code"] == 422


def test_snake_case_and_camel_case_are_accepted(client):
    """KIE's documentation has snake_case, Google's has camelCase."""
    snake = {
        "contents": [
            {"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}]}
        ],
        "system_instruction": {"parts": [{"text": "Be kind."}]},
        "generation_config": {"thinking_config": {"include_thoughts": False}},
        "tool_config": {"function_calling_config": {"mode": "AUTO"}},
        "safety_settings": [{"category": "X", "threshold": "Y"}],
        "stream": False,
    }
    body = client.post("/gemini/v1/models/gemini-3-5-flash:generateContent", snake)
    (part,) = body["candidates"][0]["content"]["parts"]
    assert part["text"] == "I received 1 file: image/png (2 bytes)."


def test_all_schema_keywords_are_accepted(client):
    """The schema contains every keyword that Gemini supports."""
    schema = {
        "type": "OBJECT",
        "title": "T",
        "description": "d",
        "propertyOrdering": ["b", "a"],
        "required": ["a"],
        "minProperties": "1",
        "maxProperties": 9,
        "properties": {
            "a": {"type": "string", "minLength": 1, "maxLength": "20", "pattern": "^.+$"},
            "b": {"type": "ARRAY", "minItems": 2, "maxItems": 3, "items": {"type": "INTEGER"}},
            "c": {"anyOf": [{"type": "NUMBER", "minimum": 5, "maximum": 6}, {"type": "NULL"}]},
            "d": {"type": "STRING", "format": "enum", "enum": ["x", "y"], "nullable": True},
            "e": {"type": "BOOLEAN", "default": True, "example": False},
        },
    }
    body = client.native("Hello", **config(**JSON_ANSWER, responseSchema=schema))
    assert "candidates" in body
