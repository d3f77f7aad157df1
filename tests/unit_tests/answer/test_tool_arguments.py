"""Arguments of tool calls: their types, their digits, how they are streamed and sent back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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

from unit_tests.answer.rows import (
    NATIVE_MODEL,
    completion,
    delta,
    fragment,
    fragments,
    native,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'


def bound_to(server: Any, **types: str) -> Any:
    """A model with a tool whose arguments have these types."""
    schema = {"type": "object", "properties": {name: {"type": t} for name, t in types.items()}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    return model_at(server).bind_tools(tools)


NAMED_AGAIN: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "at the end": ([fragment("f", "", index=0)], []),
    "twice": ([fragment("f", "", index=0), fragment("f", index=0)], []),
    "without an index": ([fragment("f", "")], []),
    "before other arguments": ([fragment("f", "", index=0), fragment(None, ROME, index=0)], [ROME]),
    "before pieces of other arguments": (
        [fragment("f", "", index=0), *(fragment(None, p, index=0) for p in (ROME[:5], ROME[5:]))],
        [ROME],
    ),
    "with another index": (
        [fragment("f", "", index=1), fragment(None, ROME, index=1)],
        [ROME],
    ),
    "with another id": (
        [fragment("f", "", index=0, id="c2"), fragment(None, ROME, index=0)],
        [ROME],
    ),
}
"""Fragments after a complete call, and the arguments of the calls that they add."""


@pytest.mark.parametrize("is_one_event", [False, True])
@pytest.mark.parametrize(("later", "added"), NAMED_AGAIN.values(), ids=NAMED_AGAIN)
async def test_a_name_that_is_repeated_adds_no_call_that_lacks_arguments(
    later: list[dict[str, Any]], added: list[str], *, is_one_event: bool
) -> None:
    calls = [fragment("f", OSLO, index=0, id="c1"), *later]
    chunk = sse(delta(tool_calls=calls), delta("tool_calls"), "[DONE]")
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    for schema, kept in (({**city, "required": ["city"]}, added), (city, None)):
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        with server_sending(chunk if is_one_event else fragments(*calls)) as server:
            for call_mode in BASIC_CALL_MODES:
                message = await call_mode(model_at(server).bind_tools([tool]))
                arguments = [call["args"] for call in message.tool_calls]
                if kept is not None:
                    assert arguments == [*map(orjson.loads, [OSLO, *kept])]
                else:
                    assert len(arguments) > 1


async def test_a_native_name_that_is_repeated_adds_no_call_that_lacks_arguments() -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": city}}
    call = {"name": "f", "args": {"city": "Oslo"}, "id": "c1"}
    parts = [{"functionCall": call}, {"functionCall": {"name": "f"}}]
    with server_sending(sse(*map(native, parts), native(finish="STOP"))) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server).bind_tools([tool]))
            assert [call["args"] for call in message.tool_calls] == [{"city": "Oslo"}]


def native_call(args: dict[str, Any]) -> bytes:
    part = {"functionCall": {"name": "f", "args": args, "id": "c1"}}
    return b"data: " + json.dumps(native(part, finish="STOP")).encode() + b"\n\n"


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


TEXT_ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ('{"a": 7}', {"a": "7"}),
    ('{"a":"x","b":10115, "c": "y"}', {"a": "x", "b": "10115", "c": "y"}),
    ('{"a": 1.5, "b": 2}', {"a": "1.5", "b": "2"}),
    ('{"a" : "x" ,\n "b" :\n  7, "a2": true}', {"a": "x", "b": "7", "a2": True}),
    ('{"a": "x", "b": {"c": "d"}}', {"a": "x", "b": {"c": "d"}}),
    ('{"a": "{\\"n\\": 7, \\"m\\": [1]}", "b": 7}', {"a": '{"n": 7, "m": [1]}', "b": "7"}),
    ('{"a": ": 7", "b": 8}', {"a": ": 7", "b": "8"}),
    ('{"a": 12345678901234567890123}', {"a": "12345678901234567890123"}),
    ('{"a": "\\u00e9\\ud83d\\ude00", "b": -1}', {"a": "\u00e9\U0001f600", "b": "-1"}),
]


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
@pytest.mark.parametrize(("sent", "expected"), TEXT_ARGUMENTS)
async def test_a_tool_that_takes_only_text_gets_text(sent, expected, size) -> None:
    """However the arguments arrive."""
    first, *rest = (sent[i : i + size] for i in range(0, len(sent), size))
    pieces = [fragment(None, piece, index=0) for piece in rest]
    chat = fragments(fragment("f", first, index=0, id="c1"), *pieces)
    at_once = completion(content="", tool_calls=[fragment("f", sent, id="c1")])
    for body in (chat, at_once, native_call(json.loads(sent))):
        with server_sending(body) as server:
            model = bound_to(server, a="string", b="string", c="string")
            for call_mode in BASIC_CALL_MODES:
                message = await call_mode(model)
                assert [call["args"] for call in message.tool_calls] == [expected]


@pytest.mark.parametrize(
    ("sent", "start"), [('{"a": "x", "b": 7', '{"a": "x", "b": '), ('{"a": 7', '{"a": ')]
)
async def test_arguments_that_are_cut_in_a_number_are_invalid(sent: str, start: str) -> None:
    chat = fragments(fragment("f", start, index=0, id="c1"), fragment(None, "7", index=0))
    with server_sending(chat) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(bound_to(server, a="string", b="string"))
            assert not message.tool_calls
            (call,) = message.invalid_tool_calls
            assert call["args"].startswith(sent)


@pytest.mark.parametrize("name", ["a", "other"])
async def test_arguments_that_are_nested_too_deeply_are_invalid(name: str) -> None:
    """Nothing that keeps messages could write them."""
    sent = f'{{"n": "1", "{name}": {"[" * 1000}{"]" * 1000}}}'
    chat = fragments(fragment("f", sent, index=0, id="c1"))
    with server_sending(chat) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(bound_to(server, n="integer", a="array"))
            assert not message.tool_calls
            (call,) = message.invalid_tool_calls
            assert call["args"].startswith(sent)


INFINITE = [
    '{"x": 1e400}',
    '{"n": 12345678901234567890123, "x": 1e400}',
    '{"n": "12345678901234567890123", "x": [-1e400]}',
    '{"a": "\\ud800", "x": 1e400}',
    f'{{"x": {"9" * 309}.5}}',
    f'{{"x": -{"9" * 400}.0, "n": 1}}',
    f'{{"x": {"9" * 400}e0}}',
    f'{{"x": [{"9" * 5000}]}}',
]


def bodies_with(arguments: str) -> dict[str, bytes]:
    """A call with these arguments, as text and as an object, complete and in a stream."""
    piece = fragment("f", arguments, index=0, id="c1")
    as_object = fragment("f", "ARGS", index=0, id="c1")
    part = {"functionCall": {"name": "f", "args": "ARGS", "id": "c1"}}
    bodies = {
        "chat, text": fragments(piece),
        "chat, text of a completion": completion(content="", tool_calls=[piece]),
        "chat, object": fragments(as_object),
        "chat, object of a completion": completion(content="", tool_calls=[as_object]),
        "native": sse(native(part, finish="STOP")),
        "native, not streamed": orjson.dumps(native(part, finish="STOP")),
        "native, a list": orjson.dumps([native(part, finish="STOP")]),
    }
    return {
        name: body.replace(b'"ARGS"', arguments.encode()) if b'"ARGS"' in body else body
        for name, body in bodies.items()
    }


@pytest.mark.parametrize("is_bound", [False, True])
@pytest.mark.parametrize("sent", INFINITE)
async def test_a_number_that_no_float_can_hold_makes_a_call_invalid(
    sent: str, is_bound: bool
) -> None:
    for body in bodies_with(sent).values():
        with server_sending(body) as server:
            model = bound_to(server, n="integer", x="number") if is_bound else model_at(server)
            for call_mode in BASIC_CALL_MODES:
                message = await call_mode(model)
                assert not message.tool_calls
                (call,) = message.invalid_tool_calls
                assert (call["name"], call["id"]) == ("f", "c1")
                original = message.additional_kwargs["invalid_arguments"]["c1"]
                assert any(text in original for text in ("1e400", "Infinity", "9" * 309))
                history = [HumanMessage("hi"), message, ToolMessage("no", tool_call_id="c1")]
                await call_mode(model_at(server), history)


async def test_text_that_is_a_number_which_no_float_can_hold_stays_text() -> None:
    for body in bodies_with('{"x": "1e400"}').values():
        with server_sending(body) as server:
            for call_mode in BASIC_CALL_MODES:
                (call,) = (await call_mode(bound_to(server, x="number"))).tool_calls
                assert call["args"] == {"x": "1e400"}


def test_text_is_streamed_in_pieces_also_if_it_has_json_in_it() -> None:
    sent = ['{"a": "{', '\\"n\\": 7,', ' \\"m\\": true', '}"}']
    first, *rest = sent
    pieces = [fragment(None, piece, index=0) for piece in rest]
    with server_sending(fragments(fragment("f", first, index=0, id="c1"), *pieces)) as server:
        chunks = [*bound_to(server, a="string").stream("hi")]
    texts = [call["args"] for chunk in chunks for call in chunk.tool_call_chunks]
    assert [text for text in texts if text] == sent


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
PIECES = [
    native({"functionCall": {**call, "willContinue": True}})
    for call in (
        {"name": "f"},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Os", "willContinue": True}]},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "lo"}]},
    )
]
END_OF_PIECES = native({"functionCall": {}})
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
    "chat, fragments without ids": sse(
        delta(content="a"),
        delta(tool_calls=[fragment("f", '{"city":', index=0)]),
        delta(tool_calls=[fragment(None, '"Oslo"}', index=0)]),
        delta(tool_calls=[fragment("f", ROME, index=1, id="")]),
        delta("tool_calls"),
    ),
    "chat, ids after the names": sse(
        delta(content="a"),
        delta(tool_calls=[fragment("f", '{"city":', index=0)]),
        delta(tool_calls=[fragment(None, '"Oslo"}', index=0, id="O")]),
        delta(tool_calls=[fragment("f", "", index=1)]),
        delta(tool_calls=[fragment(None, ROME, index=1, id="R")]),
        delta("tool_calls"),
    ),
    "chat, neither ids nor indexes": sse(
        delta(content="a"),
        delta(tool_calls=[fragment("f", OSLO)]),
        delta(tool_calls=[fragment("f", ROME)]),
        delta("tool_calls"),
    ),
    "native, without ids": sse(
        native({"text": "a"}),
        native({"functionCall": {"name": "f", "args": {"city": "Oslo"}}}),
        native({"functionCall": {"name": "f", "args": {"city": "Rome"}}}, finish="STOP"),
    ),
    "native, pieces without ids": sse(
        native({"text": "a"}),
        *PIECES,
        END_OF_PIECES,
        native({"functionCall": {"name": "f", "args": {"city": "Rome"}}}, finish="STOP"),
    ),
}


@pytest.mark.parametrize("body", STREAMED.values(), ids=STREAMED)
async def test_a_call_is_streamed_as_its_name_and_then_its_arguments(body: bytes) -> None:
    """As AG-UI reads a stream: one call a chunk, and nothing next to it."""
    with server_sending(body) as server:
        complete = model_at(server).invoke("hi")
        for call_mode in (call_modes.stream, call_modes.astream):
            chunks: list[Any] = []
            message = await call_mode(model_at(server), "hi", chunks)
            assert _without_ids(message.tool_calls) == _without_ids(complete.tool_calls)
            assert message.text == complete.text == "a"
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
                    assert call["id"] is None
                    current[1] += call["args"]
            found = [(k, name, orjson.loads(args)) for k, (name, args) in read.items()]
            assert found == [(c["id"], c["name"], c["args"]) for c in message.tool_calls]
            assert [args["city"] for _, _, args in found] == ["Oslo", "Rome"]


def _without_ids(calls: list[Any]) -> list[Any]:
    """Calls without the ids that are generated for each answer."""
    return [
        {k: v for k, v in call.items() if k != "id" or not v.startswith("call_")} for call in calls
    ]


def native_now(**members: Any) -> bytes:
    return sse(native({"functionCall": {"name": "now", **members}}, finish="STOP"))


NOW, LATER = fragment("now", "", index=0, id="N"), fragment("f", OSLO, index=1, id="O")
INDEXES: list[dict[str, Any]] = [{"index": 0}, {"index": 1}]
ORDERS = {
    "after two names": ["f", "g", "f1", "g1", "f2", "g2"],
    "after two names, the second first": ["f", "g", "g1", "f1", "g2", "f2"],
    "after two names, the second at once": ["f", "g", "g1", "g2", "f1", "f2"],
    "with the names": ["f+", "g+", "f2", "g2"],
    "with the names, the second first": ["f+", "g+", "g2", "f2"],
}
"""The name of a call (`f`), its name with the first half of its arguments (`f+`), or a half of them
(`f1`, `f2`), in the order in which they come."""


def _pieces(members: list[dict[str, Any]], order: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Fragments of the calls of `f` and `g`, each with the members of its call."""
    halves = {"f": (OSLO[:8], OSLO[8:]), "g": (ROME[:8], ROME[8:])}
    for name, *part in order:
        text = halves[name][part == ["2"]] if part else ""
        yield fragment(None if part in (["1"], ["2"]) else name, text, **members["fg".index(name)])


EMPTY: dict[str, tuple[bytes, list[str]]] = {
    "chat, empty": (fragments(NOW), ["{}"]),
    "chat, null": (fragments(fragment("now", "null", index=0)), ["{}"]),
    "chat, absent": (fragments(fragment("now", index=0)), ["{}"]),
    "chat, an object": (fragments(fragment("now", "{}", index=0)), ["{}"]),
    "chat, a completion": (completion(tool_calls=[NOW, LATER]), ["{}", OSLO]),
    "chat, before another call": (fragments(NOW, LATER), ["{}", OSLO]),
    "chat, after another call": (fragments(LATER, NOW), [OSLO, "{}"]),
    "chat, several": (fragments(NOW, {**NOW, "index": 3, "id": "M"}, LATER), ["{}", "{}", OSLO]),
    "chat, not yet": (
        fragments(
            {**LATER, "function": {"name": "f", "arguments": ""}},
            fragment("g", "", index=2, id="R"),
            fragment(None, OSLO, index=1),
            fragment(None, ROME, index=2),
        ),
        [OSLO, ROME],
    ),
    "chat, not yet, in the other order": (
        fragments(
            {**LATER, "function": {"name": "f", "arguments": ""}},
            fragment("g", "", index=2, id="R"),
            fragment(None, ROME, index=2),
            fragment(None, OSLO, index=1),
        ),
        [OSLO, ROME],
    ),
    **{
        f"chat, in turns, {name}": (fragments(*_pieces(INDEXES, order)), [OSLO, ROME])
        for name, order in ORDERS.items()
    },
    "chat, in turns, with ids only": (
        fragments(*_pieces([{"id": "O"}, {"id": "R"}], ORDERS["after two names"])),
        [OSLO, ROME],
    ),
    "chat, in turns, in one chunk": (
        sse(
            *(
                delta(tool_calls=[*_pieces(INDEXES, step)])
                for step in (("f", "g"), ("f1", "g1"), ("f2", "g2"))
            ),
            delta("tool_calls"),
        ),
        [OSLO, ROME],
    ),
    "chat, in turns, three calls": (
        fragments(
            *_pieces(INDEXES, ("f", "g", "f1", "g1")),
            fragment("h", "{", index=2, id="H"),
            *_pieces(INDEXES, ("f2", "g2")),
            fragment(None, "}", index=2),
        ),
        [OSLO, ROME, "{}"],
    ),
    "native, in turns": (
        sse(
            *(
                native({"functionCall": {"name": name, "id": call_id, "willContinue": True}})
                for name, call_id in (("f", "O"), ("g", "R"))
            ),
            *(
                native({"functionCall": {"id": call_id, "partialArgs": [piece]}})
                for call_id, piece in (
                    ("O", {"jsonPath": "$.city", "stringValue": "Oslo"}),
                    ("R", {"jsonPath": "$.city", "stringValue": "Rome"}),
                )
            ),
            native(finish="STOP"),
        ),
        [OSLO, ROME],
    ),
    "native, an object": (native_now(args={}), ["{}"]),
    "native, absent": (native_now(), ["{}"]),
    "native, pieces": (sse(*PIECES[:1], END_OF_PIECES, native(finish="STOP")), ["{}"]),
    "native, pieces without an end": (sse(*PIECES[:1], native(finish="STOP")), ["{}"]),
}


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize(("body", "expected"), EMPTY.values(), ids=EMPTY)
async def test_the_streamed_arguments_of_a_call_are_json(body, expected, api) -> None:
    """Of one without arguments, too; a reader may not have the indexes."""
    with server_sending(body) as server:
        for model in (model_at(server, api=api), bound_to(server, city="string")):
            for call_mode in (call_modes.stream, call_modes.astream):
                chunks: list[Any] = []
                message = await call_mode(model, "hi", chunks)
                calls = [call for chunk in chunks for call in chunk.tool_call_chunks]
                read: list[str] = []
                for call in calls:
                    if call["name"]:
                        read.append("")
                    read[-1] += call["args"]
                assert read == expected
                assert [call["args"] for call in message.tool_calls] == [*map(orjson.loads, read)]
                names = [call["name"] for call in calls if call["name"]]
                assert [call["name"] for call in message.tool_calls] == names
            for call_mode in BASIC_CALL_MODES[:2]:
                message = await call_mode(model)
                assert [call["args"] for call in message.tool_calls] == [*map(orjson.loads, read)]
                assert [call["name"] for call in message.tool_calls] == names


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
