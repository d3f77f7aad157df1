"""Messages and options in, request out: what really goes over the wire, in each dialect."""

from __future__ import annotations

import copy
from base64 import b64encode
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypedDict

import httpx
import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from scripted_server import sse

from langchain_kie import ChatKieGemini, KieConfigurationError
from langchain_kie.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import ScriptedServer

Json = dict[str, Any]

CHAT = "gemini-3-flash"
NATIVE = "gemini-3.5-flash"
GATEWAY = {"model": "gemini-3.1-flash-lite-preview", "api": "gateway"}

PNG = "iVBORw0KGgo="
DATA = {
    "image/png": PNG,
    "application/pdf": b64encode(b"%PDF-1.7").decode(),
    "audio/wav": b64encode(b"RIFF\x24\0\0\0WAVEfmt ").decode(),
    "audio/mpeg": b64encode(b"ID3\4\0\0\0").decode(),
    "video/mp4": b64encode(b"\0\0\0\x18ftypisom\0\0\2\0isommp42").decode(),
}
"""What the bytes of a type begin with."""
PDF, WAV, MP3, MP4 = (DATA[t] for t in [*DATA][1:])
URL = "https://example.com/cat.png"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """Answers everything; both dialects can read it."""
    with server_sending(fixture("chat_whole.json")) as answering:
        yield answering


class Asked:
    """Asks, and tells what went out."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server

    def __call__(self, messages: Any, /, model: str = CHAT, **options: Any) -> Json:
        fields = {"model": model, **options.pop("fields", {})}
        return self.body_of(model_at(self.server, **fields), messages, **options)

    def body_of(self, runnable: Any, messages: Any, **options: Any) -> Json:
        self.server.requests.clear()
        runnable.invoke(messages, **options)
        (request,) = self.server.requests
        self.path = request.path
        self.headers = request.headers
        return request.json

    def nothing(self, messages: Any, match: str, model: str = CHAT, **options: Any) -> None:
        """Asking raises a ValueError that says `match`, and nothing goes out."""
        self.server.requests.clear()
        fields = {"model": model, **options.pop("fields", {})}
        with pytest.raises((ValueError, KieConfigurationError), match=match):
            model_at(self.server, **fields).invoke(messages, **options)
        assert self.server.requests == []


@pytest.fixture
def asked(server: ScriptedServer) -> Asked:
    server.requests.clear()
    return Asked(server)


# --- messages --------------------------------------------------------------------------------


def ai_calls(*ids: str, text: str = "", **fields: Any) -> AIMessage:
    calls = [{"name": "f", "args": {"i": i}, "id": id_} for i, id_ in enumerate(ids)]
    return AIMessage(content=text, tool_calls=calls, **fields)


def chat_call(call_id: str, i: int, **extra: Any) -> Json:
    function = {"name": "f", "arguments": f'{{"i":{i}}}'}
    return {"id": call_id, "type": "function", "function": function, **extra}


def native_call(call_id: str, i: int, signature: str | None = None) -> Json:
    part = {"functionCall": {"name": "f", "args": {"i": i}, "id": call_id}}
    return {**part, "thoughtSignature": signature} if signature else part


def native_result(call_id: str, response: Json) -> Json:
    return {"functionResponse": {"name": "f", "response": response, "id": call_id}}


def user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


def text(value: str) -> Json:
    return {"text": value}


BYPASS = "skip_thought_signature_validator"
HI = HumanMessage("hi")
IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
URL_PART = {"type": "image_url", "image_url": {"url": URL}}


def media(mime: str) -> tuple[list[Json], list[Json]]:
    """One inline medium, as the chat dialect and the native one send it."""
    return (
        [{"type": "image_url", "image_url": {"url": f"data:{mime};base64,{DATA[mime]}"}}],
        [{"inline_data": {"mime_type": mime, "data": DATA[mime]}}],
    )


def block_row(name: str, block: Json, mime: str = "image/png") -> tuple[Any, ...]:
    chat, native = media(mime)
    return (
        name,
        [HumanMessage([block])],
        [{"role": "user", "content": chat}],
        [user(*native)],
    )


def url_row(name: str, block: Json, mime: str = "image/png") -> tuple[Any, ...]:
    """Where the block has no type, the URL's extension tells it."""
    file = {"file_uri": URL, "mime_type": mime}
    return (
        name,
        [HumanMessage([block])],
        [{"role": "user", "content": [URL_PART]}],
        [user({"file_data": file})],
    )


# Name, messages, `messages` of the chat dialect, `contents` of the native one, and the system
# instruction's parts, where there are any.
MESSAGES: list[tuple[Any, ...]] = [
    ("a string is one text", [HI], [{"role": "user", "content": "hi"}], [user(text("hi"))]),
    ("one text part is a string", [HumanMessage([{"type": "text", "text": "hi"}])],
     [{"role": "user", "content": "hi"}], [user(text("hi"))]),
    ("two text parts are two", [HumanMessage([{"type": "text", "text": "a"}, "b"])],
     [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
     [user(text("a"), text("b"))]),
    ("an empty part is left out", [HumanMessage([{"type": "text", "text": ""}, "b"])],
     [{"role": "user", "content": "b"}], [user(text("b"))]),
    ("a name goes where it can", [HumanMessage("hi", name="ann")],
     [{"role": "user", "content": "hi", "name": "ann"}], [user(text("ann:"), text("hi"))]),
    ("roles alternate as they come", [HI, AIMessage("yes?"), HumanMessage("a"), HumanMessage("b")],
     [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"},
      {"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
     [user(text("hi")), {"role": "model", "parts": [text("yes?")]}, user(text("a")),
      user(text("b"))]),
    ("a system message", [SystemMessage("be kind"), HI],
     [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
     [user(text("hi"))], [text("be kind")]),
    ("several system messages, one of them late",
     [SystemMessage("a"), SystemMessage([{"type": "text", "text": "b"}]), HI, SystemMessage("c")],
     [{"role": "system", "content": "a"}, {"role": "system", "content": "b"},
      {"role": "user", "content": "hi"}, {"role": "system", "content": "c"}],
     [user(text("hi"))], [text("a"), text("b"), text("c")]),
    ("an empty system message is left out", [SystemMessage(""), HI],
     [{"role": "user", "content": "hi"}], [user(text("hi"))]),
    ("chat messages with a role", [ChatMessage(role="developer", content="a"),
     ChatMessage(role="user", content="b"), ChatMessage(role="assistant", content="c")],
     [{"role": "system", "content": "a"}, {"role": "user", "content": "b"},
      {"role": "assistant", "content": "c"}],
     [user(text("b")), {"role": "model", "parts": [text("c")]}], [text("a")]),
    ("an AI message that says nothing is left out", [HI, AIMessage(""), HumanMessage("well?")],
     [{"role": "user", "content": "hi"}, {"role": "user", "content": "well?"}],
     [user(text("hi")), user(text("well?"))]),
    ("text and a picture in order", [HumanMessage([
        {"type": "text", "text": "what is"}, {"type": "image", "base64": PNG,
         "mime_type": "image/png"}, {"type": "text", "text": "this?"}])],
     [{"role": "user", "content": [{"type": "text", "text": "what is"}, IMAGE_PART,
                                   {"type": "text", "text": "this?"}]}],
     [user(text("what is"), *media("image/png")[1], text("this?"))]),
    block_row("a v1 image", {"type": "image", "base64": PNG, "mime_type": "image/png"}),
    block_row("a v0 image", {"type": "image", "source_type": "base64", "data": PNG,
                             "mime_type": "image/png"}),
    block_row("an image_url that is a data URL", IMAGE_PART),
    block_row("an image_url that is a string", {
        "type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}),
    block_row("a data URL with parameters", {
        "type": "image_url", "image_url": {"url": f"data:image/png;charset=x;base64,{PNG}"}}),
    block_row("an Anthropic source", {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": PNG}}),
    block_row("a Gemini part", {"inline_data": {"mime_type": "image/png", "data": PNG}}),
    block_row("a PDF", {"type": "file", "base64": PDF, "mime_type": "application/pdf"},
              "application/pdf"),
    block_row("an OpenAI file", {"type": "file", "file": {
        "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        "application/pdf"),
    block_row("an Anthropic document", {"type": "document", "source": {
        "type": "base64", "media_type": "application/pdf", "data": PDF}}, "application/pdf"),
    block_row("sound", {"type": "audio", "base64": WAV, "mime_type": "audio/wav"}, "audio/wav"),
    block_row("OpenAI's sound", {"type": "input_audio", "input_audio": {
        "data": MP3, "format": "mp3"}}, "audio/mpeg"),
    block_row("a video", {"type": "video", "base64": MP4, "mime_type": "video/mp4"}, "video/mp4"),
    block_row("Google's media", {"type": "media", "mime_type": "video/mp4", "data": MP4},
              "video/mp4"),
    url_row("an image by URL", URL_PART),
    url_row("a v1 image by URL", {"type": "image", "url": URL}),
    url_row("a v1 image by URL, with a type",
            {"type": "image", "url": URL, "mime_type": "image/png"}, "image/png"),
    url_row("a v0 image by URL", {"type": "image", "source_type": "url", "url": URL}),
    url_row("an Anthropic image by URL", {"type": "image", "source": {"type": "url", "url": URL}}),
    url_row("Google's media by URL",
            {"type": "media", "mime_type": "video/mp4", "file_uri": URL}, "video/mp4"),
    url_row("a video by URL", {"type": "video", "url": URL, "mime_type": "video/mp4"},
            "video/mp4"),
    ("a text document", [HumanMessage([{"type": "text-plain", "text": "body",
                                        "mime_type": "text/plain"}])],
     [{"role": "user", "content": "body"}], [user(text("body"))]),
    ("a call and its result", [HI, ai_calls("c0"), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("text before a call", [HI, ai_calls("c0", text="wait"), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "wait", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [text("wait"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("results come in the order of the calls, and only the first call of a batch is signed",
     [HI, ai_calls("c0", "c1"), ToolMessage("b", tool_call_id="c1"),
      ToolMessage("a", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0), chat_call("c1", 1)]},
      {"role": "tool", "tool_call_id": "c0", "content": "a"},
      {"role": "tool", "tool_call_id": "c1", "content": "b"}],
     [user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS), native_call("c1", 1)]},
      user(native_result("c0", {"output": "a"}), native_result("c1", {"output": "b"}))]),
    ("what the user said between calls and results follows the results",
     [HI, ai_calls("c0"), HumanMessage("hurry"), ToolMessage("a", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "a"},
      {"role": "user", "content": "hurry"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "a"})), user(text("hurry"))]),
    ("a result that failed", [HI, ai_calls("c0"),
     ToolMessage("no", tool_call_id="c0", status="error")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": '{"error":"no"}'}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"error": "no"}))]),
    ("a result that is an object", [HI, ai_calls("c0"),
     ToolMessage('{"n": 4}', tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": '{"n": 4}'}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"n": 4}))]),
    ("a result that is empty", [HI, ai_calls("c0"), ToolMessage("", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": '""'}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": ""}))]),
    ("a result in parts, with a picture", [HI, ai_calls("c0"), ToolMessage(
        ["see ", {"type": "text", "text": "this"},
         {"type": "image", "base64": PNG, "mime_type": "image/png"}], tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0",
       "content": "see \nthis\n[attached below as result 1]"},
      {"role": "user", "content": [{"type": "text", "text": "[result 1]"}, IMAGE_PART]}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "see \nthis"}), *media("image/png")[1])]),
    ("a call whose arguments could not be parsed, answered by an error", [HI, AIMessage(
        "", invalid_tool_calls=[{"name": "f", "args": '{"i', "id": "c0", "error": None}]),
        ToolMessage("bad", tool_call_id="c0", status="error")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [
          {"id": "c0", "type": "function",
           "function": {"name": "f", "arguments": '{"invalid_json":"{\\"i"}'}}]},
      {"role": "tool", "tool_call_id": "c0", "content": '{"error":"bad"}'}],
     [user(text("hi")), {"role": "model", "parts": [{"functionCall": {
         "name": "f", "args": {"invalid_json": '{"i'}, "id": "c0"}, "thoughtSignature": BYPASS}]},
      user(native_result("c0", {"error": "bad"}))]),
    ("OpenAI's answer keeps its text and calls", [HI, AIMessage(
        [{"type": "reasoning", "id": "rs_1", "summary": []},
         {"type": "text", "text": "wait", "annotations": []},
         {"type": "function_call", "call_id": "c0", "name": "f", "arguments": "{}", "id": "fc"}],
        tool_calls=[{"name": "f", "args": {"i": 0}, "id": "c0"}],
        response_metadata={"model_provider": "openai"}), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "wait", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [text("wait"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("Anthropic's answer loses its thinking", [HI, AIMessage(
        [{"type": "thinking", "thinking": "hm", "signature": "A=="},
         {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "wait"},
         {"type": "tool_use", "id": "c0", "name": "f", "input": {"i": 0}}],
        tool_calls=[{"name": "f", "args": {"i": 0}, "id": "c0"}],
        response_metadata={"model_provider": "anthropic"}), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "wait", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [text("wait"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("Google's answer loses its signatures", [HI, AIMessage(
        [{"type": "thinking", "thinking": "hm"},
         {"type": "text", "text": "wait", "extras": {"signature": "G=="}}],
        additional_kwargs={"__gemini_function_call_thought_signatures__": {"c0": "G=="}},
        tool_calls=[{"name": "f", "args": {"i": 0}, "id": "c0"}],
        response_metadata={"model_provider": "google_genai"}), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "wait", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [text("wait"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("a picture that another model drew", [HI, AIMessage([
        {"type": "image", "base64": PNG, "mime_type": "image/png"}]), HumanMessage("more")],
     [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [IMAGE_PART]},
      {"role": "user", "content": "more"}],
     [user(text("hi")), {"role": "model", "parts": media("image/png")[1]}, user(text("more"))]),
    ("characters of every plane", [HumanMessage('aé\u2028🌤\x00"\\')],
     [{"role": "user", "content": 'aé\u2028🌤\x00"\\'}], [user(text('aé\u2028🌤\x00"\\'))]),
]  # fmt: skip


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row[0])
def test_messages_go_out_on_the_chat_path(row: tuple[Any, ...], asked: Asked) -> None:
    messages = row[1]
    before = copy.deepcopy(messages)
    body = asked(messages, model="gemini-3-flash")
    assert body == {"messages": row[2], "stream": False}
    assert asked.path == "/gemini-3-flash/v1/chat/completions"
    assert messages == before
    assert [vars(m) for m in messages] == [vars(m) for m in before]


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row[0])
def test_messages_go_out_on_the_native_path(row: tuple[Any, ...], asked: Asked) -> None:
    messages = row[1]
    before = copy.deepcopy(messages)
    body = asked(messages, model=NATIVE)
    expected = {"contents": row[3], "stream": False}
    if len(row) > 4:
        expected["systemInstruction"] = {"parts": row[4]}
    assert body == expected
    assert asked.path == "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent"
    assert [vars(m) for m in messages] == [vars(m) for m in before]


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row[0])
def test_messages_go_out_on_the_gateway_with_the_model_in_the_body(
    row: tuple[Any, ...], asked: Asked
) -> None:
    body = asked(row[1], fields=GATEWAY)
    assert body == {"model": GATEWAY["model"], "messages": row[2], "stream": False}
    assert asked.path == "/v1/chat/completions"


@pytest.mark.parametrize("model", [CHAT, NATIVE])
def test_a_prompt_in_any_of_langchain_s_forms_is_the_same_request(model, asked: Asked) -> None:
    expected = asked([HumanMessage("hi")], model=model)
    assert asked("hi", model=model) == expected
    assert asked([("human", "hi")], model=model) == expected
    assert asked([{"role": "user", "content": "hi"}], model=model) == expected


async def test_every_way_of_asking_sends_the_same_but_for_stream(asked: Asked) -> None:
    for name in (CHAT, NATIVE):
        asked.server.requests.clear()
        model = model_at(asked.server, model=name, temperature=0.5)
        for ask in BASIC_CALL_MODES:
            await ask(model, [SystemMessage("s"), HI])
        bodies = [request.json for request in asked.server.requests]
        assert [body.pop("stream") for body in bodies] == [False, False, True, True]
        assert all(body == bodies[0] for body in bodies)
        queries = [request.path.partition("?")[2] for request in asked.server.requests]
        assert queries == (["", "", "alt=sse", "alt=sse"] if name == NATIVE else [""] * 4)
        for request in asked.server.requests:
            assert request.method == "POST"
            assert request.headers["authorization"] == "Bearer test-key"
            assert request.headers["content-type"] == "application/json"
            assert "x-goog-api-key" not in request.headers


# --- signatures ------------------------------------------------------------------------------


def replayed(body: bytes, name: str, asked: Asked, **fields: Any) -> tuple[AIMessage, Json]:
    """An answer read from `body`, and the next turn with it in the history."""
    with server_sending(body) as first:
        answer = model_at(first, model=name, **fields).invoke("hi")
    results = [ToolMessage("ok", tool_call_id=call["id"]) for call in answer.tool_calls]
    return answer, asked([HI, answer, *results, HumanMessage("go on")], model=name)


def native_event(*parts: Json, finish: str | None = None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [{**candidate, "finishReason": finish} if finish else candidate]}


SIGNED: list[tuple[str, list[Json], list[Json]]] = [
    (
        "on a call",
        [native_call("c0", 0, "Sig/+==")],
        [native_call("c0", 0, "Sig/+==")],
    ),
    (
        "on the first of a batch",
        [native_call("c0", 0, "S1=="), native_call("c1", 1)],
        [native_call("c0", 0, "S1=="), native_call("c1", 1)],
    ),
    (
        "on each of two calls",
        [native_call("c0", 0, "S1=="), native_call("c1", 1, "S2==")],
        [native_call("c0", 0, "S1=="), native_call("c1", 1, "S2==")],
    ),
    (
        "on text, in the middle",
        [text("ab"), {"text": "cd", "thoughtSignature": "S=="}, text("ef")],
        [text("ab"), {"text": "cd", "thoughtSignature": "S=="}, text("ef")],
    ),
    (
        "on an empty last part",
        [text("ab"), {"text": "", "thoughtSignature": "S=="}],
        [text("ab"), {"text": "", "thoughtSignature": "S=="}],
    ),
    (
        "on text, and on the call behind it",
        [{"text": "wait", "thoughtSignature": "S1=="}, native_call("c0", 0, "S2==")],
        [{"text": "wait", "thoughtSignature": "S1=="}, native_call("c0", 0, "S2==")],
    ),
    (
        "on a call between two texts",
        [text("one "), native_call("c0", 0, "S=="), text("two")],
        [text("one "), native_call("c0", 0, "S=="), text("two")],
    ),
    (
        "none on text alone",
        [text("ab"), text("cd")],
        [text("abcd")],
    ),
    (
        "thoughts are not replayed",
        [{"text": "hm", "thought": True}, {"text": "ab", "thoughtSignature": "S=="}],
        [{"text": "ab", "thoughtSignature": "S=="}],
    ),
]


@pytest.mark.parametrize(("parts", "expected"), [r[1:] for r in SIGNED], ids=[r[0] for r in SIGNED])
async def test_a_signature_goes_back_on_its_own_part_whatever_happened_to_the_message(
    parts: list[Json], expected: list[Json], asked: Asked
) -> None:
    """Byte for byte, whichever way the answer came, through JSON, pickle and a copy too."""
    import pickle  # noqa: PLC0415

    from call_modes import CALL_MODES  # noqa: PLC0415
    from langchain_core.load import dumps, loads  # noqa: PLC0415
    from langchain_core.messages import messages_from_dict, messages_to_dict  # noqa: PLC0415

    keeps = [
        lambda message: message,
        lambda message: pickle.loads(pickle.dumps(message)),
        lambda message: loads(dumps(message), allowed_objects="messages"),
        lambda message: messages_from_dict(orjson.loads(orjson.dumps(messages_to_dict([message]))))[
            0
        ],
        lambda message: message.model_copy(deep=True),
        lambda message: AIMessage(**message.model_dump(exclude={"type"})),
    ]
    single = [native_event(part) for part in parts[:-1]]
    for body in (
        sse(native_event(*parts, finish="STOP")),
        sse(*single, native_event(parts[-1], finish="STOP")),
    ):
        with server_sending(body) as first:
            for ask in CALL_MODES:
                answer = await ask(model_at(first, model=NATIVE))
                results = [ToolMessage("ok", tool_call_id=c["id"]) for c in answer.tool_calls]
                for keep in keeps:
                    history = [HI, keep(answer), *results, HumanMessage("go on")]
                    sent = asked(history, model=NATIVE)["contents"][1]
                    assert sent == {"role": "model", "parts": expected}, ask.__name__


async def test_a_summed_chunk_in_the_history_is_its_message(asked: Asked) -> None:
    with server_sending(fixture("native_call.sse")) as first:
        answer, *rest = model_at(first, model="gemini-3-flash-v1betamodels").stream("hi")
    for chunk in rest:
        answer += chunk
    history = [HI, answer, *(ToolMessage("x", tool_call_id=c["id"]) for c in answer.tool_calls)]
    body = asked(history, model="gemini-3-flash-v1betamodels")
    assert body["contents"][1]["parts"] == [
        {"text": "One moment."},
        {
            "functionCall": {
                "name": "get_weather_forecast",
                "args": {"location": "Beijing"},
                "id": "gp737npz",
            },
            "thoughtSignature": "Es8CCswCAb4example",
        },
        {
            "functionCall": {
                "name": "get_weather_forecast",
                "args": {"location": "Oslo"},
                "id": "gp737nq0",
            }
        },
    ]


def test_another_model_s_signatures_stay_behind(asked: Asked) -> None:
    with server_sending(sse(native_event(native_call("c0", 0, "S=="), finish="STOP"))) as first:
        answer = model_at(first, model="gemini-3.5-flash").invoke("hi")
    history = [HI, answer, ToolMessage("ok", tool_call_id="c0")]
    sent = asked(history, model="gemini-3.6-flash")["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, BYPASS)]
    sent = asked(history, model="gemini-2.5-pro", fields={"api": "generate_content"})
    assert sent["contents"][1]["parts"] == [native_call("c0", 0)]
    sent = asked(history, model="gemini-3.5-flash", fields={"api": "chat_completions"})
    assert sent["messages"][1]["tool_calls"] == [chat_call("c0", 0)]


def test_both_spellings_of_a_model_are_one_model_to_its_signatures(asked: Asked) -> None:
    with server_sending(sse(native_event(native_call("c0", 0, "S=="), finish="STOP"))) as first:
        answer = model_at(first, model="gemini-3-5-flash").invoke("hi")
    history = [HI, answer, ToolMessage("ok", tool_call_id="c0")]
    sent = asked(history, model="gemini-3.5-flash")["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, "S==")]


def test_a_history_without_signatures_is_bypassed_for_gemini_3_only(asked: Asked) -> None:
    history = [HI, ai_calls("c0", "c1"), *(ToolMessage("x", tool_call_id=i) for i in ("c0", "c1"))]
    for name, signature in (("gemini-3.8-flash", BYPASS), ("some-new-model", None)):
        body = asked(history, model=name, fields={"api": "generate_content"})
        assert body["contents"][1]["parts"] == [
            native_call("c0", 0, signature),
            native_call("c1", 1),
        ]


async def test_what_stood_beside_a_call_on_the_chat_path_is_echoed_beside_it(asked: Asked) -> None:
    from call_modes import CALL_MODES  # noqa: PLC0415

    extra = {"extra_content": {"google": {"thought_signature": "Sg/+=="}}}
    inside = {"name": "f", "arguments": '{"i":1}', "thought_signature": "In=="}
    calls = [chat_call("c0", 0, **extra), {"id": "c1", "type": "function", "function": inside}]
    deltas = [{"index": i, **call} for i, call in enumerate(calls)]
    stream = [{"choices": [{"delta": {"tool_calls": [delta]}}]} for delta in deltas]
    message = {"content": None, "tool_calls": calls}
    whole = orjson.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    for body in (whole, sse(*stream, "[DONE]")):
        with server_sending(body) as first:
            for ask in CALL_MODES:
                answer = await ask(model_at(first))
                results = [ToolMessage("x", tool_call_id=i) for i in ("c0", "c1")]
                assert asked([HI, answer, *results])["messages"][1]["tool_calls"] == calls


def test_nothing_is_invented_beside_a_call_on_the_chat_path(asked: Asked) -> None:
    _, body = replayed(fixture("chat_call.sse"), CHAT, asked)
    assert body["messages"][1] == {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": "get_weather", "arguments": f'{{"location":"{city}"}}'},
            }
            for i, city in ((1, "Beijing"), (2, "Oslo"))
        ],
    }


def test_made_up_ids_are_echoed_so_that_results_find_their_calls(asked: Asked) -> None:
    part = {"functionCall": {"name": "f", "args": {"i": 0}}}
    answer, body = replayed(sse(native_event(part, finish="STOP")), NATIVE, asked)
    call_id = answer.tool_calls[0]["id"]
    assert body["contents"][1]["parts"][0]["functionCall"]["id"] == call_id
    assert body["contents"][2]["parts"] == [native_result(call_id, {"output": "ok"})]


# --- options ---------------------------------------------------------------------------------

OPTIONS: list[tuple[Json, Json, Json]] = [
    ({}, {}, {}),
    ({"temperature": 0.0}, {"temperature": 0.0}, {"generationConfig": {"temperature": 0.0}}),
    ({"top_p": 0.5}, {"top_p": 0.5}, {"generationConfig": {"topP": 0.5}}),
    ({"max_tokens": 9}, {"max_tokens": 9}, {"generationConfig": {"maxOutputTokens": 9}}),
    ({"max_output_tokens": 9}, {"max_tokens": 9}, {"generationConfig": {"maxOutputTokens": 9}}),
    ({"stop": ["a", "b"]}, {"stop": ["a", "b"]},
     {"generationConfig": {"stopSequences": ["a", "b"]}}),
    ({"stop_sequences": ["a"]}, {"stop": ["a"]}, {"generationConfig": {"stopSequences": ["a"]}}),
    ({"reasoning_effort": "low"}, {"reasoning_effort": "low"},
     {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}),
    ({"thinking_level": "high"}, {"reasoning_effort": "high"},
     {"generationConfig": {"thinkingConfig": {"thinkingLevel": "high"}}}),
    ({"include_thoughts": False}, {"include_thoughts": False},
     {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}),
    ({"include_thoughts": True, "reasoning_effort": "low", "temperature": 1.0},
     {"include_thoughts": True, "reasoning_effort": "low", "temperature": 1.0},
     {"generationConfig": {"temperature": 1.0, "thinkingConfig": {
         "includeThoughts": True, "thinkingLevel": "low"}}}),
    ({"model_kwargs": {"seed": 7}}, {"seed": 7}, {"seed": 7}),
]  # fmt: skip


@pytest.mark.parametrize("where", ["field", "call"])
@pytest.mark.parametrize(("options", "chat", "native"), OPTIONS, ids=lambda value: str(value)[:40])
def test_options_have_their_place_in_each_dialect_and_unset_ones_are_absent(
    where: str, options: Json, chat: Json, native: Json, asked: Asked
) -> None:
    given: Json = {"fields": options} if where == "field" else options
    expected: AbstractContextManager[Any] = nullcontext()
    if where == "call" and "model_kwargs" in options:
        given = options["model_kwargs"]
        expected = pytest.warns(UserWarning, match="no option of a call")
    with expected:
        assert asked([HI], model=CHAT, **copy.deepcopy(given)) == {
            "messages": [{"role": "user", "content": "hi"}],
            "stream": False,
            **chat,
        }
        assert asked([HI], model=NATIVE, **copy.deepcopy(given)) == {
            "contents": [user(text("hi"))],
            "stream": False,
            **native,
        }


def test_a_call_s_options_go_before_the_model_s_own(asked: Asked) -> None:
    own = {"temperature": 0.1, "max_tokens": 5, "stop": ["x"], "reasoning_effort": "low",
           "model_kwargs": {"seed": 1, "k": 2}}  # fmt: skip
    asking = {"temperature": 0.9, "stop": ["y"], "reasoning_effort": "high", "seed": 3}
    with pytest.warns(UserWarning, match="seed: no option of a call"):
        body = asked([HI], fields=own, **asking)
    assert body == {
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "temperature": 0.9,
        "max_tokens": 5,
        "stop": ["y"],
        "reasoning_effort": "high",
        "seed": 3,
        "k": 2,
    }


def test_an_option_given_as_none_falls_back_to_the_model_s_own(asked: Asked) -> None:
    assert asked([HI], fields={"temperature": 0.1}, temperature=None)["temperature"] == 0.1


def test_a_model_given_with_the_call_reaches_the_url_the_body_and_the_metadata(
    asked: Asked,
) -> None:
    model = model_at(asked.server, model=CHAT)
    for options, path in (
        ({"model": "gemini-2.5-pro"}, "/gemini-2.5-pro/v1/chat/completions"),
        ({"model_name": "gemini-3.1-pro"}, "/gemini-3.1-pro/v1/chat/completions"),
        ({"model": NATIVE}, "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent"),
        ({"api": "generate_content"},
         "/gemini/v1/models/gemini-3-flash-v1betamodels:streamGenerateContent"),
        ({"api": "gateway", "model": "m"}, "/v1/chat/completions"),
    ):  # fmt: skip
        asked.server.requests.clear()
        answer = model.invoke("hi", **options)
        assert asked.server.requests[0].path == path
        name = options.get("model") or options.get("model_name") or CHAT
        assert answer.response_metadata["model_name"] == name
        asked.server.requests.clear()
        bound = model.bind(**options).invoke("hi")
        assert asked.server.requests[0].path == path
        assert bound.response_metadata["model_name"] == name


@pytest.mark.parametrize(
    ("effort", "sent"),
    [("minimal", "low"), ("none", "low"), ("medium", "high"), ("max", "high"), ("xhigh", "high")],
)
def test_an_effort_that_kie_does_not_document_is_the_nearest_with_a_warning(
    effort: str, sent: str, asked: Asked
) -> None:
    with pytest.warns(UserWarning, match=effort):
        assert asked([HI], reasoning_effort=effort)["reasoning_effort"] == sent
    with pytest.warns(UserWarning, match=effort):
        body = asked([HI], model=NATIVE, fields={"reasoning_effort": effort})
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": sent}


def test_an_effort_is_not_sent_where_there_is_none_and_is_raw_where_nothing_is_known(
    asked: Asked,
) -> None:
    with pytest.warns(UserWarning, match=r"gemini-2\.5-flash"):
        assert "reasoning_effort" not in asked(
            [HI], model="gemini-2.5-flash", reasoning_effort="low"
        )
    assert asked([HI], model="gemini-9", reasoning_effort="medium")["reasoning_effort"] == "medium"
    raw = {"model_kwargs": {"reasoning_effort": "medium"}}
    assert asked([HI], fields=raw)["reasoning_effort"] == "medium"
    asked.nothing([HI], "reasoning_effort 'huge'", reasoning_effort="huge")


def test_the_package_names_itself(asked: Asked) -> None:
    asked([HI])
    assert asked.headers["user-agent"].startswith("langchain-kie/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Trace", "7"),
        ("User-Agent", "mine"),
        ("user-agent", "mine"),
        ("Host", "gateway.example"),
        ("host", "gateway.example"),
        ("ACCEPT", "*/*"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("accept-encoding", "identity;q=1"),
        ("X-Empty", ""),
    ],
)
async def test_a_header_of_the_user_goes_out_instead_of_the_package_s(name, value) -> None:
    own = httpx.Client(), httpx.AsyncClient()
    with server_sending(fixture("shape_a.sse")) as server, own[0]:
        async with own[1]:
            clients = {"http_client": own[0], "http_async_client": own[1]}
            for fields in ({}, clients):
                for ask in BASIC_CALL_MODES:
                    await ask(model_at(server, default_headers={name: value}, **fields))
                    assert server.requests[-1].headers[name.lower()] == value


# --- tools -----------------------------------------------------------------------------------


@tool
def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather."""
    return city * days


class GetWeather(BaseModel):
    """Tell the weather."""

    city: str = Field(description="where")


class Weather(TypedDict):
    """Tell the weather."""

    city: str


def tell(city: str) -> str:
    """Tell the weather."""
    return city


SCHEMA = {
    "title": "tell",
    "description": "Tell the weather.",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
OPENAI_TOOL = {
    "type": "function",
    "function": {
        "name": "tell",
        "description": "Tell the weather.",
        "parameters": {k: SCHEMA[k] for k in ("type", "properties", "required")},
    },
}
NATIVE_TOOL = {
    "functionDeclarations": [
        {
            "name": "tell",
            "description": "Tell the weather.",
            "parameters": {
                "type": "OBJECT",
                "properties": {"city": {"type": "STRING"}},
                "required": ["city"],
            },
        }
    ]
}


@pytest.mark.parametrize(
    "given",
    [
        tell,
        SCHEMA,
        OPENAI_TOOL,
        OPENAI_TOOL["function"],
        tool(tell),
        {"name": "tell", "description": "Tell the weather.", "input_schema": {
            k: SCHEMA[k] for k in ("type", "properties", "required")}},
        {"functionDeclarations": [OPENAI_TOOL["function"]]},
        {"function_declarations": [OPENAI_TOOL["function"]]},
    ],
    ids=["function", "schema", "openai", "openai function", "tool", "anthropic", "gemini", "snake"],
)  # fmt: skip
def test_a_tool_in_any_form_is_one_function(given: Any, asked: Asked) -> None:
    before = copy.deepcopy(given) if isinstance(given, dict) else None
    for name, tools in ((CHAT, [OPENAI_TOOL]), (NATIVE, [NATIVE_TOOL])):
        bound = model_at(asked.server, model=name).bind_tools([given])
        assert asked.body_of(bound, "hi")["tools"] == tools
        body = asked([HI], model=name, tools=[given])
        assert body["tools"] == tools
    assert before is None or given == before


def test_classes_and_tools_with_defaults_are_functions_too(asked: Asked) -> None:
    bound = model_at(asked.server).bind_tools([get_weather, GetWeather, Weather])
    functions = [t["function"] for t in asked.body_of(bound, "hi")["tools"]]
    assert [f["name"] for f in functions] == ["get_weather", "GetWeather", "Weather"]
    assert functions[0]["parameters"]["required"] == ["city"]
    assert functions[1]["parameters"]["properties"]["city"]["description"] == "where"


BUILTINS = [
    ("google_search", "googleSearch"),
    ("code_execution", "codeExecution"),
    ("url_context", "urlContext"),
]


@pytest.mark.parametrize(("name", "wire"), BUILTINS)
def test_a_built_in_tool_in_any_form_is_the_dialect_s_own(name, wire, asked: Asked) -> None:
    for given in (
        {name: {}},
        {wire: {}},
        {"type": name},
        {"type": wire},
        {"type": "function", "function": {"name": wire}},
        {"type": "function", "function": {"name": name}},
    ):
        for model, expected in (
            (CHAT, [{"type": "function", "function": {"name": wire}}]),
            (NATIVE, [{wire: {}}]),
        ):
            bound = model_at(asked.server, model=model).bind_tools([given])
            assert asked.body_of(bound, "hi")["tools"] == expected
        body = asked([HI], fields=GATEWAY, tools=[given])
        assert body["tools"] == [{"type": "function", "function": {"name": wire}}]


def test_a_native_search_streams_even_for_invoke_because_its_sources_would_be_lost(
    asked: Asked,
) -> None:
    body = asked([HI], model=NATIVE, tools=[{"google_search": {}}])
    assert body["stream"] is True
    assert asked.path.endswith("?alt=sse")
    assert asked([HI], model=NATIVE, tools=[{"url_context": {}}])["stream"] is False
    assert asked([HI], model=CHAT, tools=[{"google_search": {}}])["stream"] is False


CHOICES: list[tuple[Any, Any, Json]] = [
    ("auto", "auto", {"mode": "AUTO"}),
    ("none", "none", {"mode": "NONE"}),
    ("any", "required", {"mode": "ANY"}),
    ("required", "required", {"mode": "ANY"}),
    (True, "required", {"mode": "ANY"}),
    (False, "none", {"mode": "NONE"}),
    ("tell", {"type": "function", "function": {"name": "tell"}},
     {"mode": "ANY", "allowedFunctionNames": ["tell"]}),
    (["tell"], {"type": "function", "function": {"name": "tell"}},
     {"mode": "ANY", "allowedFunctionNames": ["tell"]}),
    (["tell", "get_weather"], "required",
     {"mode": "ANY", "allowedFunctionNames": ["tell", "get_weather"]}),
    ({"type": "function", "function": {"name": "tell"}},
     {"type": "function", "function": {"name": "tell"}},
     {"mode": "ANY", "allowedFunctionNames": ["tell"]}),
    ({"type": "tool", "name": "tell"}, {"type": "function", "function": {"name": "tell"}},
     {"mode": "ANY", "allowedFunctionNames": ["tell"]}),
    ({"type": "any"}, "required", {"mode": "ANY"}),
    ({"type": "auto"}, "auto", {"mode": "AUTO"}),
    ({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["tell"]}},
     {"type": "function", "function": {"name": "tell"}},
     {"mode": "ANY", "allowedFunctionNames": ["tell"]}),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "chat", "native"), CHOICES, ids=lambda value: str(value)[:40])
def test_a_tool_choice_in_any_form(choice: Any, chat: Any, native: Json, asked: Asked) -> None:
    for name, member, expected in (
        (CHAT, "tool_choice", chat),
        (NATIVE, "toolConfig", {"functionCallingConfig": native}),
    ):
        bound = model_at(asked.server, model=name).bind_tools(
            [tell, get_weather], tool_choice=choice
        )
        assert asked.body_of(bound, "hi")[member] == expected
        body = asked([HI], model=name, tools=[tell, get_weather], tool_choice=choice)
        assert body[member] == expected


def test_a_tool_choice_that_names_no_tool_is_refused(asked: Asked) -> None:
    model = model_at(asked.server)
    with pytest.raises(ValueError, match="nobody"):
        model.bind_tools([tell], tool_choice="nobody")
    asked.nothing([HI], "nobody", tools=[tell], tool_choice=["tell", "nobody"])
    asked.nothing([HI], "no known form", tools=[tell], tool_choice=5)


def test_no_tools_no_tool_choice(asked: Asked) -> None:
    for name in (CHAT, NATIVE):
        bound = model_at(asked.server, model=name).bind_tools([])
        assert set(asked.body_of(bound, "hi")) == set(asked([HI], model=name))


def test_strict_and_parallel_go_where_the_dialect_has_a_place(asked: Asked) -> None:
    model = model_at(asked.server)
    body = asked.body_of(model.bind_tools([tell], strict=True, parallel_tool_calls=False), "hi")
    assert body["tools"][0]["function"]["strict"] is True
    assert body["parallel_tool_calls"] is False
    body = asked.body_of(model.bind_tools([tell]), "hi")
    assert "strict" not in body["tools"][0]["function"]
    assert "parallel_tool_calls" not in body


def test_two_tools_of_one_name_and_forbidden_pairs_are_refused(asked: Asked) -> None:
    other = {**SCHEMA, "description": "Another."}
    asked.nothing([HI], "two tools are named 'tell'", tools=[tell, other])
    pro = "gemini-2.5-pro"
    asked.nothing([HI], "search", model=pro, tools=[tell, {"google_search": {}}])
    json_mode = {"type": "json_object"}
    asked.nothing([HI], "response_format", model=pro, tools=[tell], response_format=json_mode)
    body = asked([HI], model=pro, tools=[{"google_search": {}}], response_format=SCHEMA)
    assert len(body["tools"]) == 1


FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "tell", "schema": SCHEMA},
}


@pytest.mark.parametrize("given", [SCHEMA, FORMAT], ids=["schema", "response_format"])
def test_a_response_format_in_each_dialect(given: Json, asked: Asked) -> None:
    before = copy.deepcopy(given)
    for body in (
        asked([HI], response_format=given),
        asked.body_of(model_at(asked.server).bind_tools([], response_format=given), "hi"),
    ):
        assert body["response_format"]["type"] == "json_schema"
        inner = body["response_format"]["json_schema"]
        assert inner["name"] == "tell"
        assert inner["schema"]["properties"] == SCHEMA["properties"]
    config = asked([HI], model=NATIVE, response_format=given)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"]["properties"] == {"city": {"type": "STRING"}}
    assert config["responseSchema"]["required"] == ["city"]
    assert given == before


def test_json_mode_in_each_dialect(asked: Asked) -> None:
    given = {"type": "json_object"}
    assert asked([HI], response_format=given)["response_format"] == given
    config = asked([HI], model=NATIVE, response_format=given)["generationConfig"]
    assert config == {"responseMimeType": "application/json"}


def test_a_schema_says_unions_and_references_as_each_dialect_can(asked: Asked) -> None:
    schema = {
        "title": "t",
        "type": "object",
        "properties": {
            "maybe": {"type": ["string", "null"], "maxLength": 5},
            "many": {"type": ["array", "null"], "items": {"$ref": "#/$defs/x"}},
            "one": {"const": "a"},
            "when": {"type": "string", "format": "date"},
        },
        "$defs": {"x": {"type": "integer"}},
    }
    before = copy.deepcopy(schema)
    sent = asked([HI], response_format=schema)["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["maybe"] == {
        "anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]
    }
    assert sent["properties"]["many"] == {
        "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]
    }
    assert "$defs" not in sent
    config = asked([HI], model=NATIVE, response_format=schema)["generationConfig"]
    native = config["responseSchema"]["properties"]
    assert native["maybe"] == {"type": "STRING", "maxLength": 5, "nullable": True}
    assert native["many"] == {"type": "ARRAY", "items": {"type": "INTEGER"}, "nullable": True}
    assert native["one"] == {"type": "STRING", "enum": ["a"]}
    assert native["when"] == {"type": "STRING", "description": "Format: date."}
    assert schema == before


@pytest.mark.parametrize(
    "properties",
    [
        {"risks": {"type": "array", "items": {"properties": {"type": {"type": "string"}}}}},
        {"prices": {"type": "object", "additionalProperties": {"type": "number"}}},
    ],
    ids=["a property named type", "a map"],
)
@pytest.mark.parametrize("model", [CHAT, NATIVE])
def test_what_a_response_format_cannot_carry_goes_as_a_function(
    properties: Json, model: str, asked: Asked
) -> None:
    """docs/wire.md 2: KIE refuses a property named `type` there, and loses maps."""
    schema = {"title": "report", "type": "object", "properties": properties}
    body = asked([HI], model=model, response_format=schema)
    assert "response_format" not in body
    assert "responseSchema" not in body.get("generationConfig", {})
    if model == CHAT:
        assert body["tools"][0]["function"]["name"] == "report"
        assert body["tool_choice"] == "required"
    else:
        assert body["tools"][0]["functionDeclarations"][0]["name"] == "report"
        assert body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
    raw = asked([HI], model=model, response_format=schema, check_combinations=False)
    assert "response_format" in raw or "responseSchema" in raw["generationConfig"]


def test_a_response_format_beside_functions_goes_as_one_of_them(asked: Asked) -> None:
    body = asked([HI], model="gemini-3-pro", tools=[tell], response_format=FORMAT)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["tell", "answer_tell"]
    assert "response_format" not in body
    forbidden = asked(
        [HI], model="gemini-3-pro", tools=[tell], response_format=FORMAT, tool_choice="none"
    )
    assert "tools" not in forbidden
    assert "response_format" in forbidden


# --- refusals --------------------------------------------------------------------------------

REFUSED: list[tuple[str, list[BaseMessage], str]] = [
    ("no messages", [], "no user or assistant"),
    ("only an empty answer", [AIMessage("")], "no user or assistant"),
    ("only thoughts", [SystemMessage("s"), AIMessage([{"type": "reasoning", "reasoning": "hm"}])],
     "no user or assistant"),
    ("only a system message", [SystemMessage("be kind")], "no user or assistant"),
    ("an empty human message", [HumanMessage("")], "empty"),
    ("an empty text part", [HumanMessage([{"type": "text", "text": ""}])], "empty"),
    ("an unknown block", [HumanMessage([{"type": "hologram", "x": 1}])], "hologram"),
    ("a path as a picture",
     [HumanMessage([{"type": "image_url", "image_url": {"url": "/etc/passwd"}}])], "image_url"),
    ("a file: URL", [HumanMessage([{"type": "image", "url": "file:///etc/passwd"}])], "image"),
    ("a picture of no type", [HumanMessage([{"type": "image", "base64": "aGk="}])], "mime_type"),
    ("a file of another service", [HumanMessage([{"type": "file", "file_id": "f-1"}])], "file"),
    ("a result without its call", [HI, ToolMessage("x", tool_call_id="c-lost")], "c-lost"),
    ("a result of another call",
     [HI, ai_calls("c0"), *(ToolMessage("x", tool_call_id=i) for i in ("c0", "c-lost"))], "c-lost"),
    ("two results of one call",
     [HI, ai_calls("c0"), *(ToolMessage("x", tool_call_id="c0") for _ in range(2))], "c0"),
    ("a call without its result", [HI, ai_calls("c0", "c-open"),
     ToolMessage("x", tool_call_id="c0")], "c-open"),
    ("a call at the end", [HI, ai_calls("c-open")], "c-open"),
    ("a role that nobody has", [ChatMessage(role="narrator", content="x")], "narrator"),
    ("a function message", [HI, FunctionMessage("x", name="f")], "function"),
    ("a remove message", [HI, RemoveMessage(id="1")], "remove"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
@pytest.mark.parametrize("fields", [{"model": CHAT}, {"model": NATIVE}, GATEWAY], ids=str)
async def test_what_cannot_be_sent_is_refused_by_name_before_anything_is(
    row: tuple[str, list[BaseMessage], str], fields: Json, asked: Asked
) -> None:
    asked.nothing(row[1], row[2], fields=fields)
    model = model_at(asked.server, **fields)
    with pytest.raises(ValueError, match=row[2]):
        await model.ainvoke(row[1])
    with pytest.raises(ValueError, match=row[2]):
        [*model.stream(row[1])]
    assert asked.server.requests == []


@pytest.mark.parametrize(
    "block",
    [{"type": "hologram", "secret": "SECRET-DATA"}, {"type": "image", "base64": "SECRET-DATA"}],
)
def test_a_refusal_does_not_show_what_the_block_holds(block: Json, asked: Asked) -> None:
    with pytest.raises(ValueError) as caught:
        asked([HumanMessage([block])])
    assert "SECRET-DATA" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../admin",
        "a/b",
        "a?x=1",
        "a#b",
        "a b",
        "a\nb",
        "a%2fb",
        "..",
        "a..b",
        "é",
        "a\\b",
        "a;b",
    ],
)
def test_a_model_name_that_would_change_the_url_is_refused(name: str, asked: Asked) -> None:
    for api in (None, "chat_completions", "generate_content"):
        with pytest.raises(KieConfigurationError, match="cannot be a model's name"):
            ChatKieGemini(model=name, api_key="k", api=api)
    if name:
        with pytest.raises(KieConfigurationError, match="cannot be a model's name"):
            model_at(asked.server).invoke("hi", model=name)
        assert asked.server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kie.ai",
        "api.kie.ai",
        "ftp://api.kie.ai",
        "https://",
        "https://user@api.kie.ai",
        "https://user:secret@api.kie.ai",
        "https://api.kie.ai?x=1",
        "https://api.kie.ai#x",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "",
    ],
)
def test_a_base_url_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(KieConfigurationError, match="base_url") as caught:
        ChatKieGemini(model=CHAT, api_key="k", base_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://api.kie.ai", "https://relay.example/kie", "http://localhost:1", "http://127.0.0.1:1"],
)
def test_a_base_url_may_end_with_a_slash(url: str) -> None:
    for written in (url, url + "/", f" {url} "):
        assert ChatKieGemini(model=CHAT, api_key="k", base_url=written).base_url == url


def test_a_path_in_the_base_url_stays_before_the_dialect_s(asked: Asked) -> None:
    model = ChatKieGemini(model=CHAT, api_key="k", base_url=asked.server.base_url + "/kie/")
    asked.body_of(model, "hi")
    assert asked.path == "/kie/gemini-3-flash/v1/chat/completions"


def test_an_unknown_api_is_refused() -> None:
    with pytest.raises(ValueError, match="api"):
        ChatKieGemini(model=CHAT, api_key="k", api="soap")


def test_a_body_that_is_no_json_is_refused_by_name(asked: Asked) -> None:
    with pytest.warns(UserWarning, match="thing"):
        asked.nothing([HI], "JSON", thing=object())


@pytest.mark.parametrize("model", [CHAT, NATIVE])
@pytest.mark.parametrize(
    "history",
    [
        [HumanMessage("a\ud800b")],
        [HI, AIMessage("a\ud800b"), HI],
        [
            HI,
            AIMessage("", tool_calls=[{"name": "f", "args": {"x": "\ud800"}, "id": "c"}]),
            ToolMessage("x", tool_call_id="c"),
        ],
    ],
    ids=["said", "answered", "called with"],
)
def test_text_that_is_not_utf8_is_refused_as_such(
    model: str, history: list[BaseMessage], asked: Asked
) -> None:
    asked.nothing(history, "JSON", model=model)


@pytest.mark.parametrize("number", [2**64, 10**30, -(10**30)])
def test_a_number_beyond_64_bits_goes_out_as_it_is(number: int, asked: Asked) -> None:
    call = {"name": "f", "args": {"x": number}, "id": "c"}
    history = [HI, AIMessage("", tool_calls=[call]), ToolMessage("x", tool_call_id="c")]
    counted = {"type": "object", "properties": {"x": {"type": "integer", "maximum": number}}}
    tools = [{"name": "f", "parameters": counted}, {"name": "g"}]
    for model in (CHAT, NATIVE):
        asked(history, model=model, tools=tools)
        request = asked.server.requests[-1]
        assert request.body.count(str(number).encode()) >= 1
        assert b'"g"' in request.body


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
def test_a_bound_tool_that_is_changed_in_place_goes_out_changed(api: str) -> None:
    with server_sending(fixture("chat_whole.json")) as server:
        offered = [{"name": "f", "parameters": {}}, {"name": "g"}]
        model = model_at(server, api=api).bind_tools(offered)
        told = model.kwargs["tools"]
        model.invoke("hi")
        told[0]["function"]["description"] = "Anew."
        model.invoke("hi")
        del told[1]
        model.invoke("hi")
        told[0]["function"]["parameters"]["properties"] = {"city": {"type": "string"}}
        model.invoke("hi")
    bodies = [request.body for request in server.requests]
    assert [b'"Anew."' in body for body in bodies] == [False, True, True, True]
    assert [b'"g"' in body for body in bodies] == [True, True, False, False]
    assert [b'"city"' in body for body in bodies] == [False, False, False, True]


@pytest.mark.parametrize(
    ("messages", "options", "match"),
    [
        ([HumanMessage("")], {}, "empty"),
        ([], {"model_kwargs": {"x": {1, 2}}}, "JSON"),
        ([], {"tools": [{"google_search": {"x": 1}}]}, "settings"),
        ([ToolMessage("x", tool_call_id="none")], {}, "matches no earlier tool call"),
    ],
    ids=["empty", "no JSON", "settings", "no call"],
)
@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_nothing_is_uploaded_beside_what_cannot_be_sent(ask, messages, options, match):
    picture = {"type": "image", "base64": b64encode(b"\x89PNG" + bytes(2_000_000)).decode()}
    kwargs = options.get("model_kwargs", {})
    options = {name: value for name, value in options.items() if name != "model_kwargs"}
    with Emulator() as emulator:
        model = ChatKieGemini(
            model="gemini-3-flash",
            api="chat_completions",
            base_url=emulator.base_url,
            api_key=emulator.api_key,
            model_kwargs=kwargs,
        )
        history = [HumanMessage([{**picture, "mime_type": "image/png"}]), *messages]
        with pytest.raises(ValueError, match=match):
            await ask(model.bind(**options), history)
        assert emulator.requests == []
