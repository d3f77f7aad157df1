"""Conversations in the format of each API."""

from __future__ import annotations

import copy
from base64 import b64encode
from typing import Any

import pytest
from call_modes import BASIC_CALL_MODES, model_at
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from unit_tests.wire.request_sender import (
    BYPASS,
    CHAT,
    GATEWAY,
    HI,
    NATIVE,
    Json,
    RequestSender,
    ai_calls,
    chat_call,
    function_call,
    native_call,
    native_result,
    text,
    user,
)

TRUNCATION_NOTE = "(The beginning of this conversation was left out.)"
PNG = "iVBORw0KGgo="
DATA = {
    "image/png": PNG,
    "application/pdf": b64encode(b"%PDF-1.7").decode(),
    "audio/wav": b64encode(b"RIFF\x24\0\0\0WAVEfmt ").decode(),
    "audio/mpeg": b64encode(b"ID3\4\0\0\0").decode(),
    "video/mp4": b64encode(b"\0\0\0\x18ftypisom\0\0\2\0isommp42").decode(),
}
"""The first bytes of each type."""
PDF, WAV, MP3, MP4 = (DATA[t] for t in [*DATA][1:])
URL = "https://example.com/cat.png"

IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
URL_PART = {"type": "image_url", "image_url": {"url": URL}}


def media(mime: str) -> tuple[list[Json], list[Json]]:
    """An inline file in the formats of `chat_completions` and `generate_content`."""
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
    """A row of a URL; without a type in the block, the extension of the URL decides."""
    file = {"file_uri": URL, "mime_type": mime}
    return (
        name,
        [HumanMessage([block])],
        [{"role": "user", "content": [URL_PART]}],
        [user({"file_data": file})],
    )


FOUND = {
    "type": "search_result",
    "source": "https://a.example",
    "title": "Rain",
    "content": [{"type": "text", "text": "It rains."}],
    "citations": {"enabled": True},
}

TRANSCRIPT = {"id": "audio_1", "data": WAV, "expires_at": 1, "transcript": "It rains."}
SPOKEN = {
    "of an answer": AIMessage("", additional_kwargs={"audio": TRANSCRIPT}),
    "without data": AIMessage([], additional_kwargs={"audio": {"transcript": "It rains."}}),
    "with the same text": AIMessage("It rains.", additional_kwargs={"audio": TRANSCRIPT}),
    "in a block with an id": AIMessage(
        [{"type": "audio", "id": "audio_1", "transcript": "It rains."}],
        additional_kwargs={"audio": TRANSCRIPT},
    ),
    "in a block": AIMessage([{"type": "output_audio", "transcript": "It rains."}]),
    "in a block of another provider": AIMessage(
        [{"type": "non_standard", "value": {"type": "output_audio", "transcript": "It rains."}}]
    ),
}

# Name, messages, `messages` of `chat_completions`, `contents` of `generate_content`, and the parts
# of the system instruction, if there are any.
MESSAGES: list[tuple[Any, ...]] = [
    ("a string", [HI], [{"role": "user", "content": "hi"}], [user(text("hi"))]),
    ("one text part", [HumanMessage([{"type": "text", "text": "hi"}])],
     [{"role": "user", "content": "hi"}], [user(text("hi"))]),
    ("two text parts", [HumanMessage([{"type": "text", "text": "a"}, "b"])],
     [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
     [user(text("a"), text("b"))]),
    ("an empty part, which is omitted", [HumanMessage([{"type": "text", "text": ""}, "b"])],
     [{"role": "user", "content": "b"}], [user(text("b"))]),
    ("a name", [HumanMessage("hi", name="ann")],
     [{"role": "user", "content": "hi", "name": "ann"}], [user(text("ann:"), text("hi"))]),
    ("several messages of one role", [HI, AIMessage("yes?"), HumanMessage("a"), HumanMessage("b")],
     [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"},
      {"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
     [user(text("hi")), {"role": "model", "parts": [text("yes?")]}, user(text("a")),
      user(text("b"))]),
    ("a system message", [SystemMessage("be kind"), HI],
     [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
     [user(text("hi"))], [text("be kind")]),
    ("several system messages",
     [SystemMessage("a"), SystemMessage([{"type": "text", "text": "b"}]), HI, SystemMessage("c")],
     [{"role": "system", "content": "a"}, {"role": "system", "content": "b"},
      {"role": "user", "content": "hi"}, {"role": "system", "content": "c"}],
     [user(text("hi"))], [text("a"), text("b"), text("c")]),
    ("an empty system message, which is omitted", [SystemMessage(""), HI],
     [{"role": "user", "content": "hi"}], [user(text("hi"))]),
    ("chat messages with a role", [ChatMessage(role="developer", content="a"),
     ChatMessage(role="user", content="b"), ChatMessage(role="assistant", content="c")],
     [{"role": "system", "content": "a"}, {"role": "user", "content": "b"},
      {"role": "assistant", "content": "c"}],
     [user(text("b")), {"role": "model", "parts": [text("c")]}], [text("a")]),
    ("an empty AI message, which is omitted", [HI, AIMessage(""), HumanMessage("well?")],
     [{"role": "user", "content": "hi"}, {"role": "user", "content": "well?"}],
     [user(text("hi")), user(text("well?"))]),
    ("text and an image", [HumanMessage([
        {"type": "text", "text": "what is"}, {"type": "image", "base64": PNG,
         "mime_type": "image/png"}, {"type": "text", "text": "this?"}])],
     [{"role": "user", "content": [{"type": "text", "text": "what is"}, IMAGE_PART,
                                   {"type": "text", "text": "this?"}]}],
     [user(text("what is"), *media("image/png")[1], text("this?"))]),
    block_row("a v1 image", {"type": "image", "base64": PNG, "mime_type": "image/png"}),
    block_row("a v0 image", {"type": "image", "source_type": "base64", "data": PNG,
                             "mime_type": "image/png"}),
    block_row("an image_url with a data URL", IMAGE_PART),
    block_row("an image_url as a string", {
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
    *(
        (f"OpenAI's audio, {name}", [HI, answer, HI],
         [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "It rains."},
          {"role": "user", "content": "hi"}],
         [user(text("hi")), {"role": "model", "parts": [text("It rains.")]}, user(text("hi"))])
        for name, answer in SPOKEN.items()
    ),
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
    ("an answer before a call", [HI, AIMessage("a"), AIMessage(""), ai_calls("c0", text="b"),
                                 ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": [{"type": "text", "text": part} for part in "ab"],
       "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")),
      {"role": "model", "parts": [text("a"), text("b"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("an answer in two texts", [HI, AIMessage([{"type": "text", "text": "a"}, "b"]), HI],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": [{"type": "text", "text": part} for part in "ab"]},
      {"role": "user", "content": "hi"}],
     [user(text("hi")), {"role": "model", "parts": [text("ab")]}, user(text("hi"))]),
    ("a call first", [AIMessage("a"), ai_calls("c0"), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": TRUNCATION_NOTE},
      {"role": "assistant", "content": [{"type": "text", "text": "a"}],
       "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text(TRUNCATION_NOTE)),
      {"role": "model", "parts": [text("a"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("results in another order than the calls",
     [HI, ai_calls("c0", "c1"), ToolMessage("b", tool_call_id="c1"),
      ToolMessage("a", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0), chat_call("c1", 1)]},
      {"role": "tool", "tool_call_id": "c0", "content": "a"},
      {"role": "tool", "tool_call_id": "c1", "content": "b"}],
     [user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS), native_call("c1", 1)]},
      user(native_result("c0", {"output": "a"}), native_result("c1", {"output": "b"}))]),
    ("a user message between calls and results",
     [HI, ai_calls("c0"), HumanMessage("hurry"), ToolMessage("a", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "a"},
      {"role": "user", "content": "hurry"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "a"})), user(text("hurry"))]),
    ("a failed result", [HI, ai_calls("c0"),
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
    ("an empty result", [HI, ai_calls("c0"), ToolMessage("", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": '""'}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": ""}))]),
    ("a result in parts, with an image", [HI, ai_calls("c0"), ToolMessage(
        ["see ", {"type": "text", "text": "this"},
         {"type": "image", "base64": PNG, "mime_type": "image/png"}], tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0",
       "content": "see \nthis\n[attached below as result 1]"},
      {"role": "user", "content": [{"type": "text", "text": "[result 1]"}, IMAGE_PART]}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "see \nthis"}), *media("image/png")[1])]),
    ("an invalid tool call, answered by an error", [HI, AIMessage(
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
    ("an answer of OpenAI", [HI, AIMessage(
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
    ("an answer of Anthropic, without its thinking", [HI, AIMessage(
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
    ("an answer of Google, without its signatures", [HI, AIMessage(
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
    ("an answer of Anthropic and its results, as Anthropic has them", [HI, AIMessage(
        [{"type": "tool_use", "id": "c0", "name": "f", "input": {"i": 0}},
         {"type": "tool_use", "id": "c1", "name": "f", "input": {"i": 1}}]),
        HumanMessage([
            {"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True},
            {"type": "tool_result", "tool_use_id": "c0", "content": [
                {"type": "text", "text": "4"}]},
            {"type": "text", "text": "go on"}])],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0), chat_call("c1", 1)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"},
      {"role": "tool", "tool_call_id": "c1", "content": '{"error":"no"}'},
      {"role": "user", "content": "go on"}],
     [user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS), native_call("c1", 1)]},
      user(native_result("c0", {"output": "4"}), native_result("c1", {"error": "no"})),
      user(text("go on"))]),
    ("answers of two agents that ran at once, then their results", [HI,
        ai_calls("c0", text="a"), ai_calls("c1", "c0", text="b"),
        *(ToolMessage(x, tool_call_id=i) for i, x in (("c0", "4"), ("c1", "5"), ("c0", "6")))],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "a", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"},
      {"role": "assistant", "content": "b", "tool_calls": [chat_call("c1", 0), chat_call("c0", 1)]},
      {"role": "tool", "tool_call_id": "c1", "content": "5"},
      {"role": "tool", "tool_call_id": "c0", "content": "6"}],
     [user(text("hi")), {"role": "model", "parts": [text("a"), native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"})),
      {"role": "model", "parts": [text("b"), native_call("c1", 0, BYPASS), native_call("c0", 1)]},
      user(native_result("c1", {"output": "5"}), native_result("c0", {"output": "6"}))]),
    ("OpenAI's older function call and its result", [HI, function_call('{"i":0}'),
        FunctionMessage("4", name="f"), HumanMessage("go on")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("function_call_1", 0)]},
      {"role": "tool", "tool_call_id": "function_call_1", "content": "4"},
      {"role": "user", "content": "go on"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("function_call_1", 0, BYPASS)]},
      user(native_result("function_call_1", {"output": "4"})), user(text("go on"))]),
    ("a function call whose arguments are not UTF-8", [HI, function_call('{"i":0,"j":"\ud83c"}'),
                                                       FunctionMessage("4", name="f")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [
          {"id": "function_call_1", "type": "function",
           "function": {"name": "f", "arguments": '{"i":0,"j":"?"}'}}]},
      {"role": "tool", "tool_call_id": "function_call_1", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [
         {"functionCall": {"name": "f", "args": {"i": 0, "j": "?"}, "id": "function_call_1"},
          "thoughtSignature": BYPASS}]},
      user(native_result("function_call_1", {"output": "4"}))]),
    ("a function call with invalid arguments", [HI, function_call('{"i'),
        FunctionMessage("4", name="f")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [
          {"id": "function_call_1", "type": "function",
           "function": {"name": "f", "arguments": '{"invalid_json":"{\\"i"}'}}]},
      {"role": "tool", "tool_call_id": "function_call_1", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [{"functionCall": {
         "name": "f", "args": {"invalid_json": '{"i'}, "id": "function_call_1"},
         "thoughtSignature": BYPASS}]},
      user(native_result("function_call_1", {"output": "4"}))]),
    ("function messages for tool calls", [HI, ai_calls("c0", "c1"),
        FunctionMessage("4", name="f"), FunctionMessage("5", name="f")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0), chat_call("c1", 1)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"},
      {"role": "tool", "tool_call_id": "c1", "content": "5"}],
     [user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS), native_call("c1", 1)]},
      user(native_result("c0", {"output": "4"}), native_result("c1", {"output": "5"}))]),
    ("a copy of a tool call that was removed, as Google's packages have it", [HI, AIMessage(
        "wait", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}},
        response_metadata={"model_provider": "google_genai"}), HI],
     [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "wait"},
      {"role": "user", "content": "hi"}],
     [user(text("hi")), {"role": "model", "parts": [text("wait")]}, user(text("hi"))]),
    ("Anthropic's result, alone", [HI, ai_calls("c0"), HumanMessage([
        {"type": "tool_result", "tool_use_id": "c0"}])],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": '""'}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": ""}))]),
    ("Anthropic's search result", [HI, ai_calls("c0"), ToolMessage([FOUND], tool_call_id="c0"),
                                   HumanMessage([FOUND])],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "Rain\nhttps://a.example\nIt rains."},
      {"role": "user", "content": [
          {"type": "text", "text": line} for line in ("Rain", "https://a.example", "It rains.")]}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "Rain\nhttps://a.example\nIt rains."})),
      user(text("Rain"), text("https://a.example"), text("It rains."))]),
    ("an image of another model", [HI, AIMessage([
        {"type": "image", "base64": PNG, "mime_type": "image/png"}]), HumanMessage("more")],
     [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [IMAGE_PART]},
      {"role": "user", "content": "more"}],
     [user(text("hi")), {"role": "model", "parts": media("image/png")[1]}, user(text("more"))]),
    ("characters of every plane", [HumanMessage('aé\u2028🌤\x00"\\')],
     [{"role": "user", "content": 'aé\u2028🌤\x00"\\'}], [user(text('aé\u2028🌤\x00"\\'))]),
]  # fmt: skip


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row[0])
def test_messages_are_sent_in_the_format_of_each_api(
    row: tuple[Any, ...], send: RequestSender
) -> None:
    """wire.md 2.1-1, 2.1-2, 2.2-1, 2.2-4, 5-2, 9-1, 9-3: media, calls and results."""
    _, messages, chat_messages, contents, *system = row
    before = [copy.deepcopy(vars(message)) for message in messages]
    assert send(messages) == {"messages": chat_messages, "stream": False}
    assert send.path == "/gemini-3-flash/v1/chat/completions"
    model = GATEWAY["model"]
    assert send(messages, fields=GATEWAY) == {
        "model": model,
        "messages": chat_messages,
        "stream": False,
    }
    assert send.path == "/v1/chat/completions"
    expected = {"contents": contents, "stream": True}
    if system:
        expected["systemInstruction"] = {"parts": system[0]}
    assert send(messages, model=NATIVE) == expected
    assert send.path == "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent?alt=sse"
    assert [vars(message) for message in messages] == before


LOST = "not carried out: the conversation went on without a result"
WARNED: list[tuple[Any, ...]] = [
    ("a user message instead of the result", r"tool call 'c0' \(f\) has no tool result",
     [HI, ai_calls("c0"), HumanMessage("hurry")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": f'{{"error":"{LOST}"}}'},
      {"role": "user", "content": "hurry"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"error": LOST})), user(text("hurry"))]),
    ("a function call without a result", r"tool call 'function_call_1' \(f\) has no tool result",
     [HI, function_call('{"i":0}'), HumanMessage("hurry")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("function_call_1", 0)]},
      {"role": "tool", "tool_call_id": "function_call_1", "content": f'{{"error":"{LOST}"}}'},
      {"role": "user", "content": "hurry"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("function_call_1", 0, BYPASS)]},
      user(native_result("function_call_1", {"error": LOST})), user(text("hurry"))]),
    ("an answer instead of one of two results", r"tool call 'c0' \(f\) has no tool result",
     [HI, ai_calls("c0", "c1"), ToolMessage("4", tool_call_id="c1"), AIMessage("so"), HI],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0), chat_call("c1", 1)]},
      {"role": "tool", "tool_call_id": "c0", "content": f'{{"error":"{LOST}"}}'},
      {"role": "tool", "tool_call_id": "c1", "content": "4"},
      {"role": "assistant", "content": "so"}, {"role": "user", "content": "hi"}],
     [user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS), native_call("c1", 1)]},
      user(native_result("c0", {"error": LOST}), native_result("c1", {"output": "4"})),
      {"role": "model", "parts": [text("so")]}, user(text("hi"))]),
    ("one of two results", r"tool call 'c1' \(f\) has no tool result",
     [HI, ai_calls("c0", "c1"), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0), chat_call("c1", 1)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"},
      {"role": "tool", "tool_call_id": "c1", "content": f'{{"error":"{LOST}"}}'}],
     [user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS), native_call("c1", 1)]},
      user(native_result("c0", {"output": "4"}), native_result("c1", {"error": LOST}))]),
    ("a call whose id has a later call, too", r"tool call 'c0' \(f\) has no tool result",
     [HI, ai_calls("c0"), HI, ai_calls("c0"), ToolMessage("4", tool_call_id="c0")],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": f'{{"error":"{LOST}"}}'},
      {"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": "4"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"error": LOST})), user(text("hi")),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"output": "4"}))]),
    ("a call without a result after one without an id", r"tool call 'c0' \(f\) has no tool result",
     [HI, AIMessage("", tool_calls=[{"name": "f", "args": {"i": 0}, "id": None}]),
      ToolMessage("4", tool_call_id="x"), ai_calls("c0"), HI],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("x", 0)]},
      {"role": "tool", "tool_call_id": "x", "content": "4"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": f'{{"error":"{LOST}"}}'},
      {"role": "user", "content": "hi"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("x", 0, BYPASS)]},
      user(native_result("x", {"output": "4"})),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"error": LOST})), user(text("hi"))]),
    ("a call without a result after one without ids", r"tool call 'c0' \(f\) has no tool result",
     [HI, AIMessage("", tool_calls=[{"name": "f", "args": {"i": 0}, "id": None}]),
      ToolMessage("4", tool_call_id=""), ai_calls("c0"), HI],
     [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("call_0", 0)]},
      {"role": "tool", "tool_call_id": "call_0", "content": "4"},
      {"role": "assistant", "content": "", "tool_calls": [chat_call("c0", 0)]},
      {"role": "tool", "tool_call_id": "c0", "content": f'{{"error":"{LOST}"}}'},
      {"role": "user", "content": "hi"}],
     [user(text("hi")), {"role": "model", "parts": [native_call("call_0", 0, BYPASS)]},
      user(native_result("call_0", {"output": "4"})),
      {"role": "model", "parts": [native_call("c0", 0, BYPASS)]},
      user(native_result("c0", {"error": LOST})), user(text("hi"))]),
    ("Bedrock's cache point", "cachePoint: KIE has no cache points",
     [HumanMessage([{"type": "text", "text": "hi"}, {"cachePoint": {"type": "default"}}])],
     [{"role": "user", "content": "hi"}], [user(text("hi"))]),
]  # fmt: skip


@pytest.mark.parametrize("row", WARNED, ids=lambda row: row[0])
def test_what_is_added_or_left_out_is_warned_of(row: tuple[Any, ...], send: RequestSender) -> None:
    """wire.md 5-6: a call whose result is missing, for example."""
    _, match, messages, chat_messages, contents = row
    for fields, body in (
        ({"model": CHAT}, {"messages": chat_messages, "stream": False}),
        (GATEWAY, {"model": GATEWAY["model"], "messages": chat_messages, "stream": False}),
        ({"model": NATIVE}, {"contents": contents, "stream": True}),
    ):
        with pytest.warns(UserWarning, match=match) as caught:
            assert send(messages, fields=fields) == body
        assert len(caught) == 1


@pytest.mark.parametrize("model", [CHAT, NATIVE])
def test_a_prompt_in_every_form_of_langchain_is_the_same_request(
    model, send: RequestSender
) -> None:
    expected = send([HumanMessage("hi")], model=model)
    assert send("hi", model=model) == expected
    assert send([("human", "hi")], model=model) == expected
    assert send([{"role": "user", "content": "hi"}], model=model) == expected


async def test_every_call_mode_sends_the_same_except_stream(send: RequestSender) -> None:
    """wire.md 1-1, 1-2, 2.1-3, 2.2-2: the headers, and `stream` always."""
    for name in (CHAT, NATIVE):
        send.server.requests.clear()
        model = model_at(send.server, model=name, temperature=0.5)
        for call_mode in BASIC_CALL_MODES:
            await call_mode(model, [SystemMessage("s"), HI])
        bodies = [request.json for request in send.server.requests]
        streams = [True] * 4 if name == NATIVE else [False, False, True, True]
        assert [body.pop("stream") for body in bodies] == streams
        assert all(body == bodies[0] for body in bodies)
        queries = [request.path.partition("?")[2] for request in send.server.requests]
        assert queries == ["alt=sse" if name == NATIVE else ""] * 4
        for request in send.server.requests:
            assert request.method == "POST"
            assert request.headers["authorization"] == "Bearer test-key"
            assert request.headers["content-type"] == "application/json"
            assert "x-goog-api-key" not in request.headers


@pytest.mark.parametrize("model", [CHAT, NATIVE])
@pytest.mark.parametrize(
    "history",
    [
        [HumanMessage("a\ud800b")],
        [HI, AIMessage("a\ud800b"), HI],
        [HI, ai_calls("c"), ToolMessage("a\ud800b", tool_call_id="c")],
        [
            HI,
            AIMessage("", tool_calls=[{"name": "f", "args": {"x": "a\ud800b"}, "id": "c"}]),
            ToolMessage("x", tool_call_id="c"),
        ],
    ],
    ids=["user", "assistant", "result", "arguments"],
)
def test_text_that_is_not_utf8_is_sent_with_a_replacement(
    model: str, history: list[BaseMessage], send: RequestSender
) -> None:
    """wire.md 11-18: from an answer of another model, or from the name of a file."""
    with pytest.warns(UserWarning, match="not UTF-8"):
        body = send(history, model=model)
    assert "a\ufffdb" in str(body)


@pytest.mark.parametrize("number", [2**64, 10**30, -(10**30)])
def test_an_integer_beyond_64_bits_is_sent_exactly(number: int, send: RequestSender) -> None:
    call = {"name": "f", "args": {"x": number}, "id": "c"}
    history = [HI, AIMessage("", tool_calls=[call]), ToolMessage("x", tool_call_id="c")]
    counted = {"type": "object", "properties": {"x": {"type": "integer", "maximum": number}}}
    tools = [{"name": "f", "parameters": counted}, {"name": "g"}]
    for model in (CHAT, NATIVE):
        send(history, model=model, tools=tools)
        request = send.server.requests[-1]
        assert request.body.count(str(number).encode()) >= 1
        assert b'"g"' in request.body
