"""Tool calls: fragments of every kind become the same calls in every call mode."""

from __future__ import annotations

from typing import Any

import call_modes
import orjson
import pytest
from call_modes import BASIC_CALL_MODES, model_at, server_sending
from langchain_core.messages import (
    HumanMessage,
    ToolMessage,
    message_to_dict,
    messages_from_dict,
)
from scripted_server import sse

from langchain_kie._conversation.thought_signatures import digest_of
from unit_tests.answer.rows import (
    CALLS,
    NATIVE_CALLS,
    NATIVE_MODEL,
    STOP,
    Row,
    check_every_call_mode,
    completion,
    delta,
    each,
    ended,
    fragment,
    fragments,
    native,
    native_row,
    signed,
)


def chat_row(name: str, body: bytes, **expected: Any) -> Row:
    return Row(name, body, **{"metadata": CALLS, **expected})


F1, F2, G2 = ("f", {"i": 1}, "c1"), ("f", {"i": 2}, "c2"), ("g", {"i": 2}, "c2")
GENERATED = [("f", {"i": 1}, None), ("f", {"i": 2}, None)]
SIGNATURE = {"extra_content": {"google": {"thought_signature": "Sg=="}}}

CHAT = [
    chat_row("one fragment", fragments(fragment("f", '{"i":1}', index=0, id="c1")), calls=[F1]),
    chat_row(
        "text before the call",
        sse(
            delta(content="Wait."),
            delta(tool_calls=[fragment("f", '{"i":1}', index=0, id="c1")]),
            delta("tool_calls"),
        ),
        text="Wait.",
        calls=[F1],
    ),
    chat_row(
        "two calls whose fragments alternate",
        fragments(
            fragment("f", '{"i', index=0, id="c1"),
            fragment("g", '{"i', index=1, id="c2"),
            fragment(None, '":1}', index=0),
            fragment(None, '":2}', index=1),
        ),
        calls=[F1, G2],
    ),
    chat_row(
        "no index, with ids",
        fragments(fragment("f", '{"i":1}', id="c1"), fragment("f", '{"i":2}', id="c2")),
        calls=[F1, F2],
    ),
    chat_row(
        "no index, fragments, the id in each",
        fragments(
            fragment("f", '{"i', id="c1"),
            fragment(None, '":1}', id="c1"),
            fragment("f", '{"i', id="c2"),
            fragment(None, '":2}', id="c2"),
        ),
        calls=[F1, F2],
    ),
    chat_row(
        "no index, fragments, the id in the first",
        fragments(
            fragment("f", '{"i', id="c1"),
            fragment(None, '":1}'),
            fragment("f", '{"i', id="c2"),
            fragment(None, '":2}'),
        ),
        calls=[F1, F2],
    ),
    chat_row(
        "index 0 for all, fragments, different ids",
        fragments(
            fragment("f", '{"i', index=0, id="c1"),
            fragment(None, '":1}', index=0),
            fragment("f", '{"i', index=0, id="c2"),
            fragment(None, '":2}', index=0),
        ),
        calls=[F1, F2],
    ),
    chat_row(
        "index 0 for all, no ids",
        fragments(fragment("f", '{"i":1}', index=0), fragment("f", '{"i":2}', index=0)),
        calls=GENERATED,
    ),
    chat_row(
        "an empty id",
        fragments(fragment("f", '{"i":1}', index=0, id="")),
        calls=GENERATED[:1],
    ),
    chat_row(
        "an id in a later fragment",
        fragments(fragment("f", '{"i', index=0), fragment(None, '":1}', index=0, id="c1")),
        calls=[F1],
    ),
    chat_row(
        "id and name in each fragment",
        fragments(*(fragment("f", part, index=0, id="c1") for part in ('{"i', '":', "1}"))),
        calls=[F1],
    ),
    chat_row(
        "an empty id and name in a later fragment",
        fragments(fragment("f", '{"i', index=0, id="c1"), fragment("", '":1}', index=0, id="")),
        calls=[F1],
    ),
    chat_row(
        "one id for two calls",
        fragments(
            fragment("f", '{"i":1}', index=0, id="c1"), fragment("f", '{"i":2}', index=1, id="c1")
        ),
        calls=[F1, GENERATED[1]],
    ),
    chat_row(
        "arguments that are an object",
        fragments(
            fragment("f", {"i": 1}, index=0, id="c1"), fragment("f", {"i": 2}, index=0, id="c2")
        ),
        calls=[F1, F2],
    ),
    chat_row(
        "several calls in one chunk",
        sse(
            delta(
                tool_calls=[fragment("f", '{"i":1}', id="c1"), fragment("g", '{"i":2}', id="c2")]
            ),
            delta("tool_calls"),
        ),
        calls=[F1, G2],
    ),
    chat_row(
        "two fragments of one call in one chunk",
        sse(
            delta(tool_calls=[fragment("f", '{"i"', index=0), fragment(None, ":1}", index=0)]),
            delta("tool_calls"),
        ),
        calls=GENERATED[:1],
    ),
    chat_row(
        "two calls in one chunk, index 0 for both, no ids",
        sse(
            delta(tool_calls=[fragment("f", '{"i":1}', index=0), fragment("g", "", index=0)]),
            delta("tool_calls"),
        ),
        calls=[GENERATED[0], ("g", {}, None)],
    ),
    chat_row(
        "neither arguments nor ids, index 0 for all",
        fragments(fragment("f", "", index=0), fragment("g", "", index=0)),
        calls=[("f", {}, None), ("g", {}, None)],
    ),
    chat_row(
        "a finish reason of stop, in a completion; one call without arguments",
        completion(tool_calls=[fragment("f", '{"i":1}', id="c1"), fragment("g")]),
        calls=[F1, ("g", {}, None)],
        metadata=ended("tool_calls", "stop", id="x"),
    ),
    chat_row(
        "no finish reason",
        sse(delta(tool_calls=[fragment("f", "{}", index=0, id="c1")]), "[DONE]"),
        calls=[("f", {}, "c1")],
        metadata={"id": "x", "finish_reason": "tool_calls"},
    ),
    chat_row(
        "arguments that are empty, null or absent",
        fragments(
            fragment("f", "", index=0, id="c1"),
            {"index": 1, "id": "c2", "function": {"name": "f", "arguments": None}},
            fragment("f", index=2, id="c3"),
        ),
        calls=[("f", {}, "c1"), ("f", {}, "c2"), ("f", {}, "c3")],
    ),
    chat_row(
        "fifty calls",
        fragments(*(fragment("f", f'{{"i":{i}}}', index=i, id=f"c{i}") for i in range(50))),
        calls=[("f", {"i": i}, f"c{i}") for i in range(50)],
    ),
    chat_row(
        "undocumented members",
        fragments(fragment("f", '{"i":1}', index=0, id="c1", **SIGNATURE)),
        calls=[F1],
        extra=signed(
            "gemini-3-flash",
            {
                "type": "tool_call",
                "id": "c1",
                "extra": SIGNATURE,
                "digest": digest_of("f", {"i": 1}),
            },
        ),
    ),
    *(
        chat_row(
            f"invalid arguments: {arguments}",
            fragments(fragment("f", arguments, index=0, id="c1")),
            invalid=[("f", arguments)],
        )
        for arguments in (
            '{"i": ',
            '{"i": tru}',
            "[1, 2",
            "1e999",
            '{"a": NaN}',
            '"a"',
            '"[1]"',
            '"{\\"a\\": 1',
        )
    ),
    chat_row(
        "invalid and valid arguments",
        fragments(
            fragment("f", '{"i":1}', index=0, id="c1"), fragment("f", '{"i"', index=1, id="c2")
        ),
        calls=[F1],
        invalid=[("f", '{"i"')],
    ),
]
QUOTED = orjson.dumps('{"i":1}').decode()
OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'
HALVES = r'{"a":"\ud83c\uD83C\uDF24\udf24\\ud83c","b":"\ud83c"}'
CITIES = [("f", {"city": "Oslo"}, "c1"), ("f", {"city": "Rome"}, None)]
OTHER_SERVERS = [
    *(
        chat_row(
            f"arguments that are {arguments!r}",
            fragments({"index": 0, "id": "c1", "function": {"name": "f", "arguments": arguments}}),
            calls=[("f", {}, "c1")],
        )
        for arguments in ("null", " ", "\n null", "", None)
    ),
    chat_row(
        "null and white space inside arguments",
        fragments(
            fragment("f", " ", index=0, id="c1"),
            *(fragment(None, piece, index=0) for piece in ('{"a":', "null", ',"b":"x', " ", '"}')),
        ),
        calls=[("f", {"a": None, "b": "x "}, "c1")],
    ),
    chat_row(
        "an object after an object, without id and name",
        fragments(
            fragment("f", "", index=0, id="c1"),
            fragment("", OSLO, index=0),
            fragment("", ROME, index=0),
        ),
        calls=CITIES,
    ),
    chat_row(
        "fragments of an object after an object, without id and name",
        fragments(
            fragment("f", OSLO, index=0, id="c1"),
            fragment(None, '{"city"', index=0),
            fragment(None, ':"Rome"}', index=0),
        ),
        calls=CITIES,
    ),
    chat_row(
        "an object after an object, with the same id",
        fragments(fragment("f", OSLO, index=0, id="c1"), fragment("f", ROME, index=0, id="c1")),
        calls=CITIES,
    ),
    chat_row(
        "a call that is null",
        fragments(fragment("f", OSLO, index=0, id="c1")).replace(
            b'"tool_calls":[{', b'"tool_calls":[null,{'
        ),
        calls=CITIES[:1],
    ),
    Row("only a call that is null", completion(content="a", tool_calls=[None]), text="a"),
    *(
        chat_row(
            f"an object in a string, {name}",
            fragments(
                fragment("f", pieces[0], index=0, id="c1"),
                *(fragment(None, piece, index=0) for piece in pieces[1:]),
            ),
            calls=[F1],
        )
        for name, pieces in {
            "at once": [QUOTED],
            "in fragments": [QUOTED[:3], QUOTED[3:6], QUOTED[6:]],
            "after white space, character by character": ["", " ", *QUOTED],
            "repeated": [QUOTED, QUOTED],
        }.items()
    ),
    chat_row(
        "an object in a string, then the same object",
        fragments(
            fragment("f", QUOTED, index=0, id="c1"), fragment("f", '{"i":1}', index=0, id="c1")
        ),
        calls=[F1],
    ),
    *(
        chat_row(
            f"two objects in one fragment, {name}",
            fragments(
                fragment("f", pieces[0], index=0, id="c1"),
                *(fragment(None, piece, index=0) for piece in pieces[1:]),
            ),
            calls=CITIES,
        )
        for name, pieces in {
            "at once": [OSLO + ROME],
            "on two lines": [f"{OSLO}\n{ROME}\n"],
            "the end of one and the start of the other": [OSLO[:5], OSLO[5:] + ROME[:4], ROME[4:]],
            "with a space": [OSLO[:-1], f"}} {ROME}"],
            "the second twice": [OSLO + ROME, ROME],
        }.items()
    ),
    chat_row(
        "two objects in a completion, without an id",
        completion("tool_calls", tool_calls=[fragment("f", '{"i":1}{"i":2}')]),
        calls=GENERATED,
    ),
    chat_row(
        "an object and the start of another",
        fragments(fragment("f", '{"i":1}{"i', index=0, id="c1")),
        calls=[F1],
        invalid=[("f", '{"i')],
    ),
    chat_row(
        "braces in a text, which are no other object",
        fragments(
            fragment("f", '{"a": "}{", "b": [{}', index=0, id="c1"),
            fragment(None, ', {}], "c": {"d": {}} }', index=0),
        ),
        calls=[("f", {"a": "}{", "b": [{}, {}], "c": {"d": {}}}, "c1")],
    ),
    *(
        chat_row(
            f"half a surrogate pair, {size} characters at once",
            fragments(
                fragment("f", HALVES[:size], index=0, id="c1"),
                *(
                    fragment(None, HALVES[start : start + size], index=0)
                    for start in range(size, len(HALVES), size)
                ),
            ),
            calls=[("f", {"a": "\ufffd🌤\ufffd\\ud83c", "b": "\ufffd"}, "c1")],
        )
        for size in (1, 2, 3, 5, 7, 100)
    ),
    *(
        chat_row(
            f"a call that is repeated, {name}",
            fragments(fragment("f", OSLO, index=0, id="c1"), repeated),
            calls=CITIES[:1],
        )
        for name, repeated in {
            "with its id": fragment("f", '{"city": "Oslo"}', index=0, id="c1"),
            "without an id": fragment("f", OSLO, index=0),
            "without an index": fragment("f", OSLO, id="c1"),
            "with another index": fragment("f", OSLO, index=5, id="c1"),
            "without a name": fragment(None, OSLO, index=0),
            "as an object": fragment("f", {"city": "Oslo"}, index=0, id="c1"),
        }.items()
    ),
    chat_row(
        "a call without arguments that is repeated",
        fragments(fragment("f", "{}", index=0, id="c1"), fragment("f", "null", index=0, id="c1")),
        calls=[("f", {}, "c1")],
    ),
    chat_row(
        "fragments, then a summary of the call",
        fragments(
            fragment("f", '{"ci', index=0, id="c1"),
            fragment(None, 'ty":"Oslo"}', index=0),
            fragment("f", OSLO, index=0, id="c1", type="function"),
        ),
        calls=CITIES[:1],
    ),
    chat_row(
        "fragments, then the complete message",
        sse(
            delta(content="Wait."),
            delta(tool_calls=[fragment("f", '{"ci', index=0, id="c1")]),
            delta(tool_calls=[fragment(None, 'ty":"Oslo"}', index=0)]),
            orjson.loads(
                completion("tool_calls", content="Wait.", tool_calls=[fragment("f", OSLO, id="c1")])
            ),
        ),
        text="Wait.",
        calls=CITIES[:1],
    ),
    chat_row(
        "text in pieces, then the call in the complete message",
        sse(
            delta(content="Wait."),
            orjson.loads(
                completion("tool_calls", content="Wait.", tool_calls=[fragment("f", OSLO, id="c1")])
            ),
        ),
        text="Wait.",
        calls=CITIES[:1],
    ),
    chat_row(
        "an index that is text, and ids that are numbers",
        fragments(
            fragment("f", '{"i', index="0", id=7),
            fragment(None, '":1}', index=0),
            fragment("f", '{"i":2}', index="1", id=8),
        ),
        calls=[("f", {"i": 1}, "7"), ("f", {"i": 2}, "8")],
    ),
    chat_row(
        "the older function_call, in fragments",
        sse(
            delta(function_call={"name": "f", "arguments": ""}),
            delta(function_call={"arguments": '{"city"'}),
            delta(function_call={"arguments": ':"Oslo"}'}),
            delta("function_call"),
        ),
        calls=[("f", {"city": "Oslo"}, None)],
        metadata=ended("tool_calls", "function_call", id="x"),
    ),
    chat_row(
        "the older function_call in a completion, next to tool_calls",
        completion(
            "tool_calls",
            tool_calls=[fragment("f", OSLO, id="c1")],
            function_call={"name": "f", "arguments": OSLO},
        ),
        calls=CITIES[:1],
    ),
    chat_row(
        "a name that comes late, and a call that never has one",
        fragments(
            fragment(None, '{"city"', index=0, id="c1"),
            fragment(None, "{}", index=1, id="c2", **SIGNATURE),
            fragment("f", ':"Oslo"}', index=0),
        ),
        calls=CITIES[:1],
    ),
    Row(
        "only a call without a name",
        fragments(fragment(None, OSLO, index=0, id="c1"), finish_reason="stop"),
        metadata={**STOP, "empty_answer": True},
    ),
]


def pieces(*partial: dict[str, Any], more: bool = True, **members: Any) -> dict[str, Any]:
    """An event with arguments in pieces, as Vertex AI sends them."""
    call = {**members, "partialArgs": list(partial), "willContinue": more}
    return native({"functionCall": {k: v for k, v in call.items() if v}})


def piece(path: str, kind: str | None = None, value: Any = None, **members: Any) -> dict[str, Any]:
    return {"jsonPath": path, **({kind: value} if kind else {}), **members}


PARTIAL = [
    pieces(name="f", id="c1"),
    pieces(piece("$.city", "stringValue", "Os", willContinue=True)),
    pieces(piece("$.city", "stringValue", "lo", willContinue=True)),
    pieces(piece("$.city", willContinue=False), piece("$.stops[0].n", "numberValue", 1)),
    pieces(piece("$.stops[1]['a b']", "boolValue", False), piece("$.x", "nullValue", "NULL_VALUE")),
]
PARTIAL_CALL = ("f", {"city": "Oslo", "stops": [{"n": 1}, {"a b": False}], "x": None}, "c1")
STOPPED = native(finish="STOP")


def partial_row(name: str, *events: dict[str, Any], **expected: Any) -> Row:
    return native_row(name, sse(*events, STOPPED), **{"metadata": NATIVE_CALLS, **expected})


NATIVE_PARTIAL = [
    partial_row(
        "arguments in pieces", *PARTIAL, native({"functionCall": {}}), calls=[PARTIAL_CALL]
    ),
    partial_row("arguments in pieces, without an end", *PARTIAL, calls=[PARTIAL_CALL]),
    partial_row(
        "two calls whose arguments come in pieces",
        *PARTIAL,
        native({"functionCall": {}}),
        pieces(piece("$.i", "numberValue", 2), more=False, name="f", id="c2"),
        calls=[PARTIAL_CALL, F2],
    ),
    partial_row(
        "two calls, the first without an end",
        *PARTIAL,
        native({"functionCall": {"name": "f", "args": {"i": 2}, "id": "c2"}}),
        calls=[PARTIAL_CALL, F2],
    ),
    partial_row(
        "arguments in pieces that are cut in a text",
        *PARTIAL[:2],
        invalid=[("f", '{"city":"Os"')],
    ),
    partial_row(
        "a path that cannot be followed",
        PARTIAL[0],
        pieces(piece("$.a[3]", "numberValue", 1)),
        native({"functionCall": {}}),
        invalid=[("f", '{"a":[]')],
    ),
    native_row(
        "a call that never has a name",
        sse(native({"functionCall": {"args": {"i": 1}}}), native({"text": "a"}, finish="STOP")),
        text="a",
    ),
    partial_row(
        "a call that is repeated with its id",
        *[native({"functionCall": {"name": "f", "args": {"i": 1}, "id": "c1"}})] * 2,
        calls=[F1],
    ),
    partial_row(
        "an id that is a number",
        native({"functionCall": {"name": "f", "args": {"i": 1}, "id": 7}}),
        calls=[("f", {"i": 1}, "7")],
    ),
]
NATIVE = [
    native_row(
        "no ids, one signature",
        sse(
            native(
                {"functionCall": {"name": "f", "args": {"i": 1}}, "thoughtSignature": "S=="},
                {"functionCall": {"name": "f", "args": {"i": 2}}},
                finish="STOP",
            )
        ),
        calls=GENERATED,
        metadata=NATIVE_CALLS,
        extra={"thought_signatures": ...},
    ),
    native_row(
        "no arguments",
        sse(native({"functionCall": {"name": "now", "id": "n1"}}, finish="STOP")),
        calls=[("now", {}, "n1")],
        metadata=NATIVE_CALLS,
    ),
    native_row(
        "a function call in a part that is a thought",
        sse(
            native(
                {"thought": True, "functionCall": {"name": "f", "args": {"i": 1}, "id": "c1"}},
                finish="STOP",
            )
        ),
        calls=[F1],
        metadata=NATIVE_CALLS,
    ),
    native_row(
        "parts that are null, and arguments that are text",
        sse(
            native(
                None,
                {"functionCall": {"name": "f", "args": '{"i":1}', "id": "c1"}},
                {
                    "functionCall": {
                        "name": "g",
                        "args": orjson.dumps('{"i":2}').decode(),
                        "id": "c2",
                    }
                },
                None,
                finish="STOP",
            )
        ),
        calls=[F1, G2],
        metadata=NATIVE_CALLS,
    ),
]


@each(CHAT, OTHER_SERVERS, NATIVE, NATIVE_PARTIAL)
async def test_tool_calls_are_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 5-2, 11-3, 11-6, 11-7, 11-19, 11-20: fragments of every kind."""
    await check_every_call_mode(row)


async def test_a_generated_id_is_unique_and_the_same_in_all_chunks_of_a_call() -> None:
    body = fragments(
        fragment("f", '{"i', index=0),
        fragment(None, '":1}', index=0),
        fragment("f", '{"i":2}', index=1),
    )
    with server_sending(body) as server:
        messages = [await call_mode(model_at(server)) for call_mode in BASIC_CALL_MODES]
    ids = [call["id"] for message in messages for call in message.tool_calls]
    assert all(call_id.startswith("call_") for call_id in ids)
    assert len(set(ids)) == 8


def bound_to(server: Any, **types: str) -> Any:
    """A model with a tool whose arguments have these types."""
    schema = {"type": "object", "properties": {name: {"type": t} for name, t in types.items()}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    return model_at(server).bind_tools(tools)


def native_call(args: dict[str, Any]) -> bytes:
    part = {"functionCall": {"name": "f", "args": args, "id": "c1"}}
    return sse(native(part, finish="STOP"))


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('{"n":2.0,"flag":"true","zip":10115}', {"n": 2, "flag": True, "zip": "10115"}),
        ('{"n":"3","flag":false,"zip":"x"}', {"n": 3, "flag": False, "zip": "x"}),
    ],
)
async def test_arguments_are_converted_to_the_types_of_the_tool(sent, expected, size) -> None:
    first, *rest = (sent[i : i + size] for i in range(0, len(sent), size))
    pieces = [fragment(None, piece, index=0) for piece in rest]
    chat = fragments(fragment("f", first, index=0, id="c1"), *pieces)
    for body in (chat, native_call(orjson.loads(sent))):
        with server_sending(body) as server:
            model = bound_to(server, n="integer", flag="boolean", zip="string")
            for call_mode in BASIC_CALL_MODES:
                message = await call_mode(model)
                assert [call["args"] for call in message.tool_calls] == [expected]


def test_a_complete_call_is_converted_for_a_tool_that_takes_only_text() -> None:
    with server_sending(native_call({"zip": 10115})) as server:
        message = bound_to(server, zip="string").invoke("hi")
    assert message.tool_calls[0]["args"] == {"zip": "10115"}


BIG = 12345678901234567890123


@pytest.mark.parametrize("is_bound", [False, True])
@pytest.mark.parametrize("size", [4, 1000])
async def test_the_digits_of_long_integers_are_kept(size: int, is_bound: bool) -> None:
    arguments = f'{{"wei":{BIG},"n":"2","big":"{BIG}"}}'
    first, *rest = (arguments[i : i + size] for i in range(0, len(arguments), size))
    later = [fragment(None, piece, index=0) for piece in rest]
    with server_sending(fragments(fragment("f", first, index=0, id="c1"), *later)) as server:
        model = bound_to(server, wei="integer", n="integer", big="integer")
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model if is_bound else model_at(server))
            others = {"n": 2, "big": BIG} if is_bound else {"n": "2", "big": str(BIG)}
            assert message.tool_calls[0]["args"] == {"wei": BIG, **others}
            history = [HumanMessage("hi"), message, ToolMessage("ok", tool_call_id="c1")]
            await call_mode(model_at(server), history)
            (sent,) = orjson.loads(server.requests[-1].body)["messages"][1]["tool_calls"]
            assert f'"wei":{BIG}' in sent["function"]["arguments"].replace(" ", "")


WAIT = {"thought": True, "text": "hm"}
CALL_A, CALL_B = (
    {"functionCall": {"name": "f", "args": {"city": city}, "id": city[0]}}
    for city in ("Oslo", "Rome")
)
STREAMED: dict[str, bytes] = {
    "native, one event": sse(native(WAIT, {"text": "a"}, CALL_A, CALL_B, finish="STOP")),
    "native, two events": sse(native({**CALL_A, "text": "a"}), native(CALL_B, finish="STOP")),
    "chat, a completion": completion(
        content="a", tool_calls=[fragment("f", OSLO, id="O"), fragment("f", ROME, id="R")]
    ),
    "chat, one chunk": sse(
        delta(
            content="a",
            reasoning_content="hm",
            tool_calls=[fragment("f", OSLO, index=0, id="O"), fragment("f", ROME, index=1, id="R")],
        ),
        delta("tool_calls"),
    ),
    "chat, fragments": sse(
        delta(content="a"),
        delta(tool_calls=[fragment("f", '{"city":', index=0, id="O")]),
        delta(tool_calls=[fragment(None, '"Oslo"}', index=0)]),
        delta(tool_calls=[fragment("f", ROME, index=1, id="R")]),
        delta("tool_calls"),
    ),
}


@pytest.mark.parametrize("body", STREAMED.values(), ids=STREAMED)
async def test_a_call_is_streamed_as_its_name_and_then_its_arguments(body: bytes) -> None:
    """As AG-UI reads a stream: one call a chunk, and nothing next to it."""
    with server_sending(body) as server:
        whole = model_at(server).invoke("hi")
        for call_mode in (call_modes.stream, call_modes.astream):
            chunks: list[Any] = []
            message = await call_mode(model_at(server), "hi", chunks)
            assert message.tool_calls == whole.tool_calls
            assert message.text == whole.text == "a"
            assert "".join(c.text for c in chunks if not c.tool_call_chunks) == "a"
            read: dict[str, list[Any]] = {}
            for chunk in chunks:
                if not chunk.tool_call_chunks:
                    continue
                (call,) = chunk.tool_call_chunks
                assert not chunk.additional_kwargs
                assert "finish_reason" not in chunk.response_metadata
                if call["name"]:
                    assert not call["args"]
                    current = read[call["id"]] = [call["name"], ""]
                else:
                    current[1] += call["args"]
            found = {k: (name, orjson.loads(args)) for k, (name, args) in read.items()}
            assert found == {"O": ("f", {"city": "Oslo"}), "R": ("f", {"city": "Rome"})}


async def test_a_call_that_was_text_is_streamed_as_its_name_and_then_its_arguments() -> None:
    with server_sending(completion(content=OSLO)) as server:
        model = bound_to(server, city="string").bind(tool_choice="required")
        chunks = [*model.stream("hi")]
    calls = [call for chunk in chunks for call in chunk.tool_call_chunks]
    assert [(call["name"], call["args"]) for call in calls] == [("f", ""), (None, OSLO)]
    assert chunks[-1].response_metadata["finish_reason"] == "tool_calls"
    assert not chunks[-1].tool_call_chunks


@pytest.mark.parametrize("model", ["gemini-3-flash", NATIVE_MODEL])
@pytest.mark.parametrize("arguments", ['{"path": "/data/old', '{"a": [1', '{"a": "x\\', "[1, 2]"])
async def test_invalid_arguments_are_sent_back_as_the_model_wrote_them(
    arguments: str, model: str
) -> None:
    body = fragments(fragment("f", arguments, index=0, id="c1"))
    for call_mode in call_modes.CALL_MODES:
        with server_sending(body) as server:
            answer = await call_mode(model_at(server, model=model))
            stored = messages_from_dict([orjson.loads(orjson.dumps(message_to_dict(answer)))])[0]
            result = ToolMessage("Not JSON.", tool_call_id="c1", status="error")
            await call_mode(model_at(server, model=model), [HumanMessage("hi"), stored, result])
            sent = server.requests[-1].json
        if model == NATIVE_MODEL:
            assert sent["contents"][1]["parts"][0]["functionCall"]["args"] == {
                "invalid_json": arguments
            }
        else:
            (call,) = sent["messages"][1]["tool_calls"]
            assert orjson.loads(call["function"]["arguments"]) == {"invalid_json": arguments}
