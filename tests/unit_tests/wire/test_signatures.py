"""Thought signatures: the next request has them on the parts that they came with."""

from __future__ import annotations

import warnings
from copy import deepcopy
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from call_modes import fixture, model_at, server_sending
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from scripted_server import sse

from langchain_kie._json import parse_json, to_json
from unit_tests.answer.rows import completion, delta, native
from unit_tests.wire.request_sender import (
    BYPASS,
    CHAT,
    HI,
    NATIVE,
    Json,
    RequestSender,
    ai_calls,
    chat_call,
    native_call,
    native_result,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripted_server import ScriptedServer


def replayed(body: bytes, name: str, send: RequestSender) -> tuple[AIMessage, Json]:
    """The answer that `body` is, and the body of the next request, which contains it."""
    with server_sending(body) as server:
        answer = model_at(server, model=name).invoke("hi")
    results = [ToolMessage("ok", tool_call_id=call["id"]) for call in answer.tool_calls]
    return answer, send([HI, answer, *results, HumanMessage("go on")], model=name)


def code(written: str) -> Json:
    return {"executableCode": {"language": "PYTHON", "code": written}}


def code_result(outcome: str, output: str) -> Json:
    return {"codeExecutionResult": {"outcome": f"OUTCOME_{outcome}", "output": output}}


CODE, RESULT = code("1+1"), code_result("OK", "2")
SEARCH = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a"]}, "id": "s1"}}
FOUND = {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {}, "id": "s1"}}
PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
SENT_PNG = {"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}}
LARGER_PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgr/+w=="}}
SIGNED = {"thoughtSignature": "S=="}
SIGNED_TOO = {"thoughtSignature": "T/+=="}

REPLAYED: dict[str, tuple[list[Json], list[Json] | None]] = {
    "on the first call of a batch": ([native_call("c0", 0, "S/+=="), native_call("c1", 1)], None),
    "on text in the middle": (
        [text("ab"), {"text": "cd", "thoughtSignature": "S=="}, text("ef")],
        None,
    ),
    "on a call between two texts": (
        [text("one "), native_call("c0", 0, "S=="), text("two")],
        None,
    ),
    "on an empty last part": ([text("ab"), {"text": "", "thoughtSignature": "S=="}], None),
    "none, and two texts, which are joined": ([text("ab"), text("cd")], [text("abcd")]),
    "a thought, which is not sent back": (
        [{"text": "hm", "thought": True}, {"text": "ab", "thoughtSignature": "S=="}],
        [{"text": "ab", "thoughtSignature": "S=="}],
    ),
    "on a call next to text": (
        [{**text("ab"), **native_call("c0", 0, "S==")}],
        [text("ab"), native_call("c0", 0, "S==")],
    ),
    "on code, whose result has none": (
        [text("ab"), {**CODE, **SIGNED}, RESULT, text("cd")],
        None,
    ),
    "on a result, next to text that is null": (
        [{"text": None, **CODE, **SIGNED}, {"text": None, **RESULT, **SIGNED}, text("a")],
        [{**CODE, **SIGNED}, {**RESULT, **SIGNED}, text("a")],
    ),
    "on code, before an image without one": (
        [{**CODE, **SIGNED}, RESULT, PNG, text("ab")],
        [{**CODE, **SIGNED}, RESULT, SENT_PNG, text("ab")],
    ),
    "on the second of two images": (
        [PNG, text("ab"), {**PNG, **SIGNED}, text("cd")],
        [SENT_PNG, text("ab"), {**SENT_PNG, **SIGNED}, text("cd")],
    ),
    "none, on code, which is not sent back": ([CODE, RESULT, text("ab")], [text("ab")]),
    "on a server-side tool, before a call": (
        [{**SEARCH, **SIGNED}, {**FOUND, **SIGNED}, text("ab"), native_call("c0", 0, "S==")],
        None,
    ),
    "none, on a server-side tool": ([SEARCH, FOUND, text("ab")], None),
    "on a call, before code": (
        [native_call("c0", 0, "S=="), {**CODE, **SIGNED_TOO}, RESULT, text("ab")],
        None,
    ),
    "on code, before a call": (
        [{**CODE, **SIGNED_TOO}, RESULT, native_call("c0", 0, "S=="), text("ab")],
        None,
    ),
    "on calls before, in and after code": (
        [
            text("ab"),
            native_call("c0", 0, "S=="),
            {**CODE, **SIGNED_TOO},
            native_call("c1", 1, "U=="),
            RESULT,
            native_call("c2", 2, "V=="),
            text("cd"),
        ],
        None,
    ),
    "on a call, before an image": (
        [native_call("c0", 0, "S=="), {**PNG, **SIGNED_TOO}],
        [native_call("c0", 0, "S=="), {**SENT_PNG, **SIGNED_TOO}],
    ),
    "on text, before a call and code": (
        [{"text": "ab", **SIGNED}, native_call("c0", 0, "T=="), {**CODE, **SIGNED_TOO}, RESULT],
        None,
    ),
}
"""The parts of an answer, and those of the next request, if they are not the same."""


@pytest.mark.parametrize(("parts", "expected"), REPLAYED.values(), ids=REPLAYED)
def test_a_signature_is_sent_back_on_its_part(
    parts: list[Json], expected: list[Json] | None, send: RequestSender
) -> None:
    """wire.md 6-1: unchanged, and in order."""
    *others, last = parts
    for events in (
        [native(*parts, finish="STOP")],
        [*map(native, others), native(last, finish="STOP")],
    ):
        _, body = replayed(sse(*events), NATIVE, send)
        assert body["contents"][1] == {"role": "model", "parts": expected or parts}


CALL_ENTRY = {"type": "tool_call", "id": "c0", "at": 0, "signature": "S=="}
MALFORMED: list[Any] = [
    "S==",
    [],
    {NATIVE: "S=="},
    {NATIVE: {"type": "text"}},
    {NATIVE: [None, 5, "S==", [], {}, {"type": "secret"}, {"type": ["text"]}]},
    {NATIVE: [{"type": "text", "signature": "S=="}, {"type": "content"}]},
    {NATIVE: [{"type": "text", "start": "0", "end": 1, "signature": "S=="}]},
    {NATIVE: [{"type": "block"}, {"type": "block", "index": 0, "part": {}}]},
    {NATIVE: [{**CALL_ENTRY, "at": None}, {**CALL_ENTRY, "id": 0}]},
    {NATIVE: [{key: CALL_ENTRY[key] for key in ("type", "id", "signature")}]},
    {NATIVE: [{**CALL_ENTRY, "signature": ["S=="]}, {**CALL_ENTRY, "digest": 5}]},
    {CHAT: [{"type": "message"}, {"type": "message", "extra": []}]},
    {CHAT: [{"type": "message", "extra": {"a": "S=="}, "digests": []}]},
    {CHAT: [{"type": "tool_call", "id": "c0", "extra": "S=="}]},
]


@pytest.mark.parametrize("stored", MALFORMED, ids=str)
@pytest.mark.parametrize("model", [NATIVE, CHAT])
def test_malformed_signatures_of_a_stored_message_are_not_sent(
    stored: Any, model: str, send: RequestSender
) -> None:
    answer = ai_calls("c0")
    answer.additional_kwargs = {"thought_signatures": stored}
    body = send([HI, answer, ToolMessage("ok", tool_call_id="c0")], model=model)
    assert "S==" not in str(body)


def test_arguments_of_a_signed_call_that_are_nested_too_deeply_are_rejected(
    send: RequestSender,
) -> None:
    args: Json = {}
    for _ in range(5_000):
        args = {"a": args}
    history = signed_history(NATIVE)
    history[1] = changed(history[1], args)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"arguments of a call of .* are nested too deeply"):
        send(history, model=NATIVE)
    assert send.server.requests == []


def signed_history(model: str) -> list[BaseMessage]:
    """A conversation in which `model` called a tool."""
    with server_sending(sse(native(native_call("c0", 0, "S=="), finish="STOP"))) as server:
        answer = model_at(server, model=model).invoke("hi")
    return [HI, answer, ToolMessage("ok", tool_call_id="c0")]


def test_a_signature_is_not_sent_to_another_model_or_api(send: RequestSender) -> None:
    history = signed_history("gemini-3.5-flash")
    sent = send(history, model="gemini-3.6-flash")["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, BYPASS)]
    with mock.patch("langchain_kie._model_names.warn"):  # KIE does not document it
        sent = send(history, model="gemini-2.5-pro", fields={"api": "generate_content"})
    assert sent["contents"][1]["parts"] == [native_call("c0", 0)]
    sent = send(history, model="gemini-3.5-flash", fields={"api": "chat_completions"})
    assert sent["messages"][1]["tool_calls"] == [chat_call("c0", 0)]
    history[1].content = ["a", "b"]
    sent = send(history, model="gemini-3.6-flash")["contents"][1]["parts"]
    assert sent == [text("ab"), native_call("c0", 0, BYPASS)]


def test_a_signature_is_sent_to_every_spelling_of_its_model(send: RequestSender) -> None:
    history = signed_history("gemini-3-5-flash")
    sent = send(history, model="gemini-3.5-flash")["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, "S==")]


def test_only_gemini_3_gets_a_bypass_for_missing_signatures(send: RequestSender) -> None:
    """wire.md 6-2: Google rejects calls without a signature."""
    history = [HI, ai_calls("c0", "c1"), *(ToolMessage("x", tool_call_id=i) for i in ("c0", "c1"))]
    for name, signature in (("gemini-3.8-flash", BYPASS), ("some-new-model", None)):
        body = send(history, model=name, fields={"api": "generate_content"})
        assert body["contents"][1]["parts"] == [
            native_call("c0", 0, signature),
            native_call("c1", 1),
        ]


def test_chat_completions_gets_no_members_that_it_did_not_send(send: RequestSender) -> None:
    """wire.md 6-3: none is generated."""
    _, body = replayed(fixture("chat_call.sse"), CHAT, send)
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


def test_a_generated_id_is_sent_with_the_call_and_its_result(send: RequestSender) -> None:
    part = {"functionCall": {"name": "f", "args": {"i": 0}}}
    answer, body = replayed(sse(native(part, finish="STOP")), NATIVE, send)
    call_id = answer.tool_calls[0]["id"]
    assert body["contents"][1]["parts"][0]["functionCall"]["id"] == call_id
    assert body["contents"][2]["parts"] == [native_result(call_id, {"output": "ok"})]


def test_a_message_without_its_blocks_sends_no_server_tools(send: RequestSender) -> None:
    parts = [{**CODE, **SIGNED}, RESULT, text("ab")]
    with server_sending(sse(native(*parts, finish="STOP"))) as server:
        answer = model_at(server, model=NATIVE).invoke("hi")
    answer.content = "ab"
    sent = send([HI, answer, HumanMessage("go on")], model=NATIVE)["contents"][1]["parts"]
    assert sent == [text("ab")]


def set_content(content: Any) -> Callable[[Any], Any]:
    return lambda message: setattr(message, "content", content)


def set_block(number: int, **members: Any) -> Callable[[Any], Any]:
    return lambda message: message.content[number].update(members)


def remove_block(number: int) -> Callable[[Any], Any]:
    return lambda message: message.content.pop(number)


def edit_texts(message: Any) -> None:
    message.content[0], message.content[3]["text"] = "a", "efgh"


def edit_query(message: Any) -> None:
    message.content[0]["value"]["toolCall"]["args"]["queries"].append("b")


SIGNED_CODE = [text("ab"), {**CODE, **SIGNED}, {**RESULT, **SIGNED}, text("cd")]
SIGNED_CALLS = [native_call("c1", 1, "T=="), native_call("c2", 2, "U==")]
SIGNED_SEARCH = [{**SEARCH, **SIGNED}, {**FOUND, **SIGNED}, text("ab")]
SIGNED_TEXT = [{"text": "ab", **SIGNED}, text("cd"), native_call("c0", 0, "S=="), text("ef")]

EDITED: dict[str, tuple[list[Json], Callable[[Any], Any], list[Json]]] = {
    "the same text, in blocks": (
        SIGNED_TEXT,
        set_content([text("abc") | {"type": "text"}, "def"]),
        SIGNED_TEXT,
    ),
    "a longer text": (
        SIGNED_TEXT,
        set_content("[REDACTED] and more"),
        [text("[REDACTED] and more"), native_call("c0", 0, "S==")],
    ),
    "a text of the same length": (
        SIGNED_TEXT,
        set_content("ab**ef"),
        [text("ab**ef"), native_call("c0", 0, "S==")],
    ),
    "no text": (SIGNED_TEXT, set_content(""), [native_call("c0", 0, "S==")]),
    "code": (
        SIGNED_CODE,
        lambda message: message.content[1]["args"].update(code="1+2"),
        [text("ab"), code("1+2"), *SIGNED_CODE[2:]],
    ),
    "the name of code, as other versions have it": (
        SIGNED_CODE,
        set_block(1, name="code_execution"),
        SIGNED_CODE,
    ),
    "code without arguments": (
        SIGNED_CODE,
        set_block(1, args={}),
        [text("ab"), code(""), *SIGNED_CODE[2:]],
    ),
    "the text before and after code": (
        SIGNED_CODE,
        edit_texts,
        [text("a"), *SIGNED_CODE[1:3], text("efgh")],
    ),
    "the text before code, in two blocks": (
        SIGNED_CODE,
        lambda message: message.content.__setitem__(slice(1), ["a", "b"]),
        SIGNED_CODE,
    ),
    "an output of code": (
        SIGNED_CODE,
        set_block(2, output="[cleared]"),
        [*SIGNED_CODE[:2], code_result("OK", "[cleared]"), text("cd")],
    ),
    "an output of code, which becomes JSON": (
        SIGNED_CODE,
        set_block(2, output=[{"a": 1}], status="error"),
        [*SIGNED_CODE[:2], code_result("FAILED", '[{"a":1}]'), text("cd")],
    ),
    "a result of code that is removed": (
        SIGNED_CODE,
        remove_block(2),
        [*SIGNED_CODE[:2], text("cd")],
    ),
    "a query of a server-side tool": (
        SIGNED_SEARCH,
        edit_query,
        [
            {"toolCall": {**SEARCH["toolCall"], "args": {"queries": ["a", "b"]}}},
            *SIGNED_SEARCH[1:],
        ],
    ),
    "a result of a server-side tool": (
        SIGNED_SEARCH,
        set_block(1, value={"toolResponse": {"id": "s1"}, **SIGNED}),
        [SIGNED_SEARCH[0], {"toolResponse": {"id": "s1"}}, text("ab")],
    ),
    "a result of a server-side tool that is no part": (
        SIGNED_SEARCH,
        set_block(1, value="[cleared]"),
        [SIGNED_SEARCH[0], text("ab")],
    ),
    "an image": (
        [{**PNG, **SIGNED}],
        set_block(0, base64="iVBORw0KGgox"),
        [{"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgox"}}],
    ),
    "an image, in the other alphabet": (
        [{**LARGER_PNG, **SIGNED}],
        set_block(0, base64="iVBORw0KGgr_-w"),
        [{"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgr/+w=="}, **SIGNED}],
    ),
    "the order of two calls": (
        [native_call("c0", 0, "S=="), native_call("c1", 1, "T==")],
        lambda message: message.tool_calls.reverse(),
        [native_call("c1", 1, "T=="), native_call("c0", 0, "S==")],
    ),
    "the order of three calls, with text between them": (
        [native_call("c0", 0, "S=="), text("ab"), *SIGNED_CALLS],
        lambda message: message.tool_calls.reverse(),
        [native_call("c0", 0, "S=="), text("ab"), *reversed(SIGNED_CALLS)],
    ),
    "the order of calls and of code": (
        [*SIGNED_CODE[1:3], *SIGNED_CALLS],
        lambda message: (message.tool_calls.reverse(), message.content.reverse()),
        [*SIGNED_CODE[1:3], *reversed(SIGNED_CALLS)],
    ),
    "the order of a call and code": (
        [native_call("c1", 1, "T=="), *SIGNED_CODE[1:3]],
        lambda message: message.content.reverse(),
        [native_call("c1", 1, "T=="), *SIGNED_CODE[1:3]],
    ),
    "the order of two codes, whose indexes are changed": (
        [{**code("1"), **SIGNED}, {**code("2"), **SIGNED_TOO}],
        lambda message: (
            message.content.reverse(),
            [block.update(index=f"lc_block_{i}") for i, block in enumerate(message.content)],
        ),
        [code("2"), code("1")],
    ),
    "text where there was none": (
        [native_call("c0", 0, "S=="), native_call("c1", 1)],
        set_content("ab"),
        [text("ab"), native_call("c0", 0, "S=="), native_call("c1", 1)],
    ),
    "a text and a call": (
        SIGNED_TEXT,
        lambda message: (
            message.tool_calls[0]["args"].update(i=9) or setattr(message, "content", "x")
        ),
        [text("x"), native_call("c0", 9, BYPASS)],
    ),
}
"""The parts of an answer, what is changed in the message, and the parts of the next request."""


@pytest.mark.parametrize(("parts", "edit", "expected"), EDITED.values(), ids=EDITED)
def test_a_part_that_was_edited_is_sent_without_its_signature(
    parts: list[Json],
    edit: Callable[[Any], Any],
    expected: list[Json],
    send: RequestSender,
) -> None:
    """wire.md 6-1: a signature belongs to its part, unchanged."""
    body = sse(*map(native, parts), native(text(""), finish="STOP"))
    with server_sending(body) as server:
        model = model_at(server, model=NATIVE)
        answers = [model.invoke("hi"), reduce(add, model.stream("hi"))]
    for answer in answers:
        results = [ToolMessage("ok", tool_call_id=call["id"]) for call in answer.tool_calls]
        history = [HI, answer, *results, HumanMessage("go on")]
        for _ in range(3):  # noted, kept, used
            send(history, model=NATIVE)
        edit(answer)
        for history_now in (history, deepcopy(history)):
            sent = send(history_now, model=NATIVE)["contents"][1]
            assert sent == {"role": "model", "parts": expected}


def changed(message: AIMessage, args: Json) -> AIMessage:
    calls = [{**call, "args": args} for call in message.tool_calls]
    return message.model_copy(update={"tool_calls": calls})


STORED: list[tuple[Json, Json]] = [
    ({"i": 0, "j": [1]}, {"j": (1,), "i": 0}),
    ({"i": 1.0}, {"i": 1}),
    ({"i": 1}, {"i": 1.0}),
    ({"i": 1e2, "j": [{"k": -0.0}]}, {"i": 100, "j": [{"k": 0}]}),
    ({"i": 1e300}, {"i": 1e300}),
    ({"i": 12345678901234567890123}, {"i": 12345678901234567890123}),
    ({"i": "é☂😀"}, {"i": "é☂😀"}),
    ({"i": "a\ufffdb"}, {"i": "a\ud83db"}),
]
"""Arguments, and the same after they were stored, for example by a program in JavaScript."""
CHANGED: list[tuple[Json, Json]] = [
    ({"i": 0}, {"i": 1}),
    ({"i": 0}, {}),
    ({"i": 0}, {"i": False}),
    ({"i": 1}, {"i": "1"}),
    ({"i": 1.5}, {"i": 1}),
    ({"i": None}, {}),
    ({"i": "a long text"}, {"i": "a long"}),
    ({"i": 12345678901234567890123}, {"i": 12345678901234567890124}),
    ({"i": {"1": 2}}, {"i": {1: 2, "b": 3}}),
]


@pytest.mark.parametrize(
    ("args", "later", "signature"),
    [
        *((args, later, "S==") for args, later in STORED),
        *((args, later, BYPASS) for args, later in CHANGED),
    ],
    ids=str,
)
def test_a_changed_call_is_sent_without_its_signature(
    args: Json, later: Json, signature: str, send: RequestSender
) -> None:
    part = {"functionCall": {"name": "f", "args": args, "id": "c0"}, "thoughtSignature": "S=="}
    call = {"index": 0, **chat_call("c0", 0, **google("S=="), note="x")}
    call["function"]["arguments"] = to_json(args).decode()
    for model, body in (
        (NATIVE, sse(to_json(native(part, finish="STOP")).decode())),
        (CHAT, sse(delta("tool_calls", tool_calls=[call]))),
    ):
        with server_sending(body) as server:
            answers = [model_at(server, model=model).invoke("hi")]
            answers.append(reduce(add, model_at(server, model=model).stream("hi")))
        for answer in answers:
            history = [HI, changed(answer, later), ToolMessage("ok", tool_call_id="c0")]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "the request has text that is not UTF-8")
                sent = send(history, model=model)
            if model == NATIVE:
                (sent_part,) = sent["contents"][1]["parts"]
                assert sent_part["thoughtSignature"] == signature
            else:
                (sent_call,) = sent["messages"][1]["tool_calls"]
                assert sent_call["note"] == "x"
                assert sent_call["extra_content"] == google(signature)["extra_content"]


WITH_TYPES = {
    "name": "f",
    "parameters": {
        "type": "object",
        "properties": {"i": {"type": "integer"}, "t": {"type": "string"}},
    },
}


@pytest.mark.parametrize(
    ("written", "converted"),
    [
        ({"i": "2"}, {"i": 2}),
        ({"i": 2, "t": 10115}, {"i": 2, "t": "10115"}),
        ({"t": 2**64 - 1}, {"t": "18446744073709551615"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("later", [None, {"i": 3}], ids=["unchanged", "changed"])
def test_converted_arguments_are_sent_back_as_the_model_signed_them(
    later: Json | None, written: Json, converted: Json, send: RequestSender
) -> None:
    part = {"functionCall": {"name": "f", "args": written, "id": "c0"}, "thoughtSignature": "S=="}
    call = {"index": 0, **chat_call("c0", 0, **google("S=="))}
    call["function"] |= {"arguments": to_json(written).decode(), "note": "x"}
    expected, signature = (written, "S==") if later is None else (later, BYPASS)
    for model, body in (
        (NATIVE, sse(to_json(native(part, finish="STOP")).decode())),
        (CHAT, sse(delta("tool_calls", tool_calls=[call]))),
    ):
        with server_sending(body) as server:
            with_tool = model_at(server, model=model).bind_tools([WITH_TYPES])
            answers = [with_tool.invoke("hi"), reduce(add, with_tool.stream("hi"))]
        for answer in answers:
            assert answer.tool_calls[0]["args"] == converted
            message = changed(answer, converted if later is None else later)
            sent = send([HI, message, ToolMessage("ok", tool_call_id="c0")], model=model)
            if model == NATIVE:
                (sent_part,) = sent["contents"][1]["parts"]
                assert sent_part["functionCall"]["args"] == expected
                assert sent_part["thoughtSignature"] == signature
            else:
                (sent_call,) = sent["messages"][1]["tool_calls"]
                assert parse_json(sent_call["function"]["arguments"].encode()) == expected
                assert sent_call["function"]["note"] == "x"
                assert sent_call["extra_content"] == google(signature)["extra_content"]


def test_a_call_of_another_function_is_sent_without_its_signature(send: RequestSender) -> None:
    hi, answer, result = signed_history("gemini-3.5-flash")
    assert isinstance(answer, AIMessage)
    calls = [{**answer.tool_calls[0], "name": "g"}]
    other = answer.model_copy(update={"tool_calls": calls})
    (part,) = send([hi, other, result], model=NATIVE)["contents"][1]["parts"]
    assert part["functionCall"]["name"] == "g"
    assert part["thoughtSignature"] == BYPASS


def test_a_call_that_lost_its_id_is_signed_by_the_id_of_its_result(send: RequestSender) -> None:
    hi, answer, result = signed_history("gemini-3.5-flash")
    assert isinstance(answer, AIMessage)
    calls = [{**call, "id": None} for call in answer.tool_calls]
    edited = answer.model_copy(update={"tool_calls": calls})
    sent = send([hi, edited, result], model=NATIVE)["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, "S==")]


def test_a_changed_call_of_an_older_message_keeps_its_signature(send: RequestSender) -> None:
    hi, answer, result = signed_history("gemini-3.5-flash")
    assert isinstance(answer, AIMessage)
    entry, _ = entries = answer.additional_kwargs["thought_signatures"]["gemini-3.5-flash"]
    del entry["digest"], entries[1]
    sent = send([hi, changed(answer, {"i": 1}), result], model=NATIVE)["contents"][1]["parts"]
    assert sent == [native_call("c0", 1, "S==")]


def google(signature: str) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def test_signatures_next_to_the_content_are_sent_back(send: RequestSender) -> None:
    """wire.md 11-5, 11-10: to the same model."""
    details = [{"type": "reasoning.encrypted", "data": f"{i}==", "index": i} for i in range(2)]
    body = sse(
        delta(content="a", reasoning_details=details[:1]),
        delta("stop", content="b", reasoning_details=details[1:], **google("S==")),
    )
    answer, sent = replayed(body, CHAT, send)
    expected = {"role": "assistant", "content": "ab", "reasoning_details": details}
    assert sent["messages"][1] == {**expected, **google("S==")}
    other = send([HI, answer, HumanMessage("go on")], model="gemini-3-pro")
    assert other["messages"][1] == {"role": "assistant", "content": "ab"}


def test_of_two_signatures_of_a_message_the_last_is_sent_back(send: RequestSender) -> None:
    body = sse(
        delta(content="a", thought_signature="R=="),
        delta("stop", content="b", thought_signature="S=="),
    )
    assert replayed(body, CHAT, send)[1]["messages"][1]["thought_signature"] == "S=="


ENCRYPTED = {"type": "reasoning.encrypted", "data": "S==", "id": "c0", "index": 0}
MESSAGE_MEMBERS: list[Json] = [
    {"reasoning_details": [ENCRYPTED]},
    {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "S=="}]},
    google("S=="),
    {"thought_signature": "S=="},
    {"thoughtSignature": "S=="},
    {"provider_specific_fields": {"thought_signatures": ["R==", "S=="]}},
]
"""The members next to the content that have a signature."""


@pytest.mark.parametrize("members", MESSAGE_MEMBERS, ids=str)
def test_a_signature_next_to_text_is_sent_back_until_that_is_changed(
    members: Json, send: RequestSender
) -> None:
    """In a message that follows its pieces, it is a repetition."""
    first, last = delta(content="ab", **members), delta("stop")
    message = completion(content="ab", **members).decode()
    for events in ([first, last], [message], [first, message]):
        answer, sent = replayed(sse(*events), CHAT, send)
        assert sent["messages"][1] == {"role": "assistant", "content": "ab", **members}
        answer.content = "a*"
        sent = send([HI, answer, HumanMessage("go on")])
        assert sent["messages"][1] == {"role": "assistant", "content": "a*"}


def test_the_signature_of_a_call_that_got_no_name_is_not_kept(send: RequestSender) -> None:
    call = {"index": 0, "function": {"arguments": "{"}, **google("S==")}
    answer, sent = replayed(sse(delta("stop", content="a", tool_calls=[call])), CHAT, send)
    assert answer.additional_kwargs == {}
    assert sent["messages"][1] == {"role": "assistant", "content": "a"}


def test_a_signature_next_to_a_refusal_is_sent_back(send: RequestSender) -> None:
    _, sent = replayed(sse(delta("stop", refusal="No.", **google("S=="))), CHAT, send)
    assert sent["messages"][1] == {"role": "assistant", "content": "No.", **google("S==")}


@pytest.mark.parametrize("model", [CHAT, "gateway"])
@pytest.mark.parametrize("members", MESSAGE_MEMBERS, ids=str)
def test_a_signature_next_to_calls_is_sent_back_until_one_is_changed(
    members: Json, model: str, send: RequestSender
) -> None:
    """wire.md 11-5, 11-10."""
    calls = [{"index": i, **chat_call(f"c{i}", i)} for i in range(2)]
    name, fields = (CHAT, {"api": "gateway"}) if model == "gateway" else (model, {})
    with server_sending(sse(delta("tool_calls", tool_calls=calls, **members))) as server:
        kie = model_at(server, model=name, **fields)
        answers = [kie.invoke("hi"), reduce(add, kie.stream("hi"))]
    results = [ToolMessage("ok", tool_call_id=f"c{i}") for i in range(2)]
    for answer in answers:
        _, first, *_ = send([HI, answer, *results], model=name, fields=fields)["messages"]
        assert {key: first.get(key) for key in members} == members
        for number in range(2):
            edited = answer.model_copy(deep=True)
            edited.content = "The text has no signature."
            _, sent, *_ = send([HI, edited, *results], model=name, fields=fields)["messages"]
            assert {key: sent.get(key) for key in members} == members
            edited.tool_calls[number]["args"] = {"i": 9}
            _, sent, *_ = send([HI, edited, *results], model=name, fields=fields)["messages"]
            assert sent.keys() == {"role", "content", "tool_calls"}


@pytest.mark.parametrize(
    "result",
    [
        '{"balance": 12345678901234567890123, "rate": 1.10, "a": "\\u00e9"}',
        ' {"a":\n 1}',
    ],
)
def test_a_result_that_is_an_object_is_sent_as_it_was_written(
    result: str, server: ScriptedServer
) -> None:
    server.requests.clear()
    history = [HI, ai_calls("c0"), ToolMessage(result, tool_call_id="c0")]
    model_at(server, model=NATIVE).invoke(history)
    assert f'"response":{result},'.encode() in server.requests[-1].body


def test_a_result_that_is_no_object_is_sent_as_output(send: RequestSender) -> None:
    for result in ("{", '{"a": NaN}', "[1]", "12345678901234567890123", '{"a": 1} x'):
        history = [HI, ai_calls("c0"), ToolMessage(result, tool_call_id="c0")]
        sent = send(history, model=NATIVE)["contents"][2]["parts"]
        assert sent == [native_result("c0", {"output": result})]
