"""Tool calls whose arguments come in pieces with JSON paths, and rare forms of native calls."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, model_at, server_sending
from scripted_server import sse

from langchain_kie import KieToolCallMissingError
from langchain_kie._answer.partial_args import is_start_of
from unit_tests.answer.rows import (
    F1,
    F2,
    NATIVE_CALLS,
    Row,
    check_every_call_mode,
    each,
    ended,
    native,
    native_row,
)


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


ARGS = PARTIAL_CALL[1]


def complete(args: Any, **members: Any) -> dict[str, Any]:
    return native({"functionCall": {**members, "args": args}})


BROKEN = [*PARTIAL[:2], pieces(piece("$.a[3]", "numberValue", 1))]
THEN_COMPLETE: dict[str, tuple[list[dict[str, Any]], list[Any]]] = {
    "all pieces, with the id": ([*PARTIAL, complete(ARGS, name="f", id="c1")], [PARTIAL_CALL]),
    "all pieces, without the id": ([*PARTIAL, complete(ARGS, name="f")], [PARTIAL_CALL]),
    "all pieces, without id and name": ([*PARTIAL, complete(ARGS)], [PARTIAL_CALL]),
    "all pieces and an end": (
        [*PARTIAL, native({"functionCall": {}}), complete(ARGS, name="f")],
        [PARTIAL_CALL],
    ),
    "some pieces, with the id": ([*PARTIAL[:2], complete(ARGS, name="f", id="c1")], [PARTIAL_CALL]),
    "some pieces, without the id": ([*PARTIAL[:4], complete(ARGS, name="f")], [PARTIAL_CALL]),
    "some pieces, and then an end": (
        [*PARTIAL[:2], complete(ARGS, name="f"), native({"functionCall": {}})],
        [PARTIAL_CALL],
    ),
    "no pieces but the start": ([PARTIAL[0], complete(ARGS, name="f")], [PARTIAL_CALL]),
    "pieces without an id": (
        [pieces(name="f"), *PARTIAL[1:3], complete(ARGS, name="f", id="c1")],
        [("f", ARGS, None)],
    ),
    "other pieces, with the id": ([*PARTIAL, complete({"i": 1}, name="f", id="c1")], [F1]),
    "other pieces, without the id": (
        [*PARTIAL, complete({"i": 1}, name="f")],
        [PARTIAL_CALL, ("f", {"i": 1}, None)],
    ),
    "pieces that cannot be placed": ([*BROKEN, complete(ARGS, name="f", id="c1")], [PARTIAL_CALL]),
    "text": (
        [*PARTIAL[:2], complete(orjson.dumps(ARGS).decode(), name="f", id="c1")],
        [PARTIAL_CALL],
    ),
    "pieces of two calls": (
        [
            *PARTIAL[:3],
            pieces(name="f", id="c2"),
            pieces(piece("$.i", "numberValue", 2)),
            complete(ARGS, name="f"),
            complete({"i": 2}, name="f"),
        ],
        [PARTIAL_CALL, F2],
    ),
}
"""Arguments in pieces, after which the call comes with complete arguments, and the calls."""

F_1, F_2 = ({"functionCall": {"name": "f", "id": f"c{i}"}} for i in (1, 2))
ARGS_1, ARGS_2 = ({"functionCall": {"args": {"i": i}}} for i in (1, 2))
WITH_IDS = [{"functionCall": {"args": {"i": i}, "id": f"c{i}"}} for i in (1, 2)]
NAMELESS: dict[str, tuple[list[dict[str, Any]], list[Any]]] = {
    "in the next event": ([native(F_1), native(ARGS_1)], [F1]),
    "in the same event": ([native(F_1, ARGS_1)], [F1]),
    "repeated": ([native(F_1), native(ARGS_1), native(ARGS_1)], [F1]),
    "of two calls": ([native(F_1), native(ARGS_1), native(F_2), native(ARGS_2)], [F1, F2]),
    "of two calls, with ids": ([native(F_1, F_2), native(*WITH_IDS)], [F1, F2]),
    "then a call with its name": (
        [native(F_1), complete({"i": 1}, name="f")],
        [("f", {}, "c1"), ("f", {"i": 1}, None)],
    ),
    "then the arguments of another": (
        [native(F_1), native(ARGS_1), native(ARGS_2)],
        [F1, ("f", {"i": 2}, None)],
    ),
}
"""Events with a name and its arguments one after the other, and the calls that they are."""

NATIVE_PARTIAL = [
    native_row(
        "a call without arguments, cut at max_tokens",
        sse(native(F_1, finish="MAX_TOKENS")),
        invalid=[("f", "{")],
        metadata=ended("length", "MAX_TOKENS"),
    ),
    *(
        partial_row(f"{name}, then the complete arguments", *events, calls=calls)
        for name, (events, calls) in THEN_COMPLETE.items()
    ),
    partial_row(
        "arguments in pieces", *PARTIAL, native({"functionCall": {}}), calls=[PARTIAL_CALL]
    ),
    partial_row("arguments in pieces, without an end", *PARTIAL, calls=[PARTIAL_CALL]),
    partial_row(
        "arguments in pieces that end with the name",
        *PARTIAL,
        native({"functionCall": {"name": "f"}}),
        calls=[PARTIAL_CALL],
    ),
    partial_row(
        "an end without a call before it, and one that is repeated",
        native({"functionCall": {}}),
        native({"functionCall": {"name": "f", "args": {"i": 1}, "id": "c1"}}),
        *[native({"functionCall": {}})] * 2,
        calls=[F1],
    ),
    native_row(
        "arguments in pieces, cut at max_tokens between two of them",
        sse(*PARTIAL, native(finish="MAX_TOKENS")),
        invalid=[("f", orjson.dumps(PARTIAL_CALL[1]).decode()[:-1])],
        metadata=ended("length", "MAX_TOKENS"),
    ),
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
    *(
        partial_row(
            f"the path {path!r} after a number",
            PARTIAL[0],
            pieces(piece("$.a", "numberValue", 1)),
            pieces(piece(path, "numberValue", 2)),
            native({"functionCall": {}}),
            invalid=[("f", '{"a":1')],
        )
        for path in ("$", "$.a.b", "$.a[0]", "$[0]")
    ),
    *(
        partial_row(
            f"complete arguments next to {[*members]}",
            native({"functionCall": {"name": "f", "args": {"i": 1}, "id": "c1", **members}}),
            native({"functionCall": {}}),
            calls=[F1],
        )
        for members in ({"willContinue": True}, {"partialArgs": []})
    ),
    *(
        partial_row(
            f"a piece with {member}",
            pieces(piece("$.a", "numberValue", 1), piece("$.b", member, {}), name="f", id="c1"),
            native({"functionCall": {}}),
            invalid=[("f", '{"a":1')],
        )
        for member in ("structValue", "listValue")
    ),
    *(
        partial_row(
            f"the path {path}",
            pieces(piece(path, "numberValue", 1), more=False, name="f", id="c1"),
            calls=[("f", {key: 1}, "c1")],
        )
        for path, key in {
            r"$['ci\'ty']": "ci'ty",
            r"$['a\\']": "a\\",
            r"""$['"\"\'']""": '""\'',
            r'$["a\"\u00e9.]"]': 'a"é.]',
            "$['']": "",
        }.items()
    ),
    partial_row(
        "a path with an unknown escape",
        pieces(piece(r"$['a\x']", "numberValue", 1), more=False, name="f", id="c1"),
        invalid=[("f", "{")],
    ),
    *(
        partial_row(f"the arguments without a name, {name}", *events, calls=calls)
        for name, (events, calls) in NAMELESS.items()
    ),
    native_row(
        "a number that no float can hold",
        sse(
            pieces(piece("$.x", "numberValue", "LARGE"), more=False, name="f", id="c1"), STOPPED
        ).replace(b'"LARGE"', b"1e400"),
        invalid=[("f", '{"x": Infinity}')],
        metadata=NATIVE_CALLS,
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


@each(NATIVE_PARTIAL)
async def test_arguments_in_pieces_are_the_same_in_every_call_mode(row: Row) -> None:
    """Each piece is placed by its path."""
    await check_every_call_mode(row)


ENDS = {
    "an empty call": [native({"functionCall": {}})],
    "an empty call in another spelling": [native({"function_call": {}})],
    "the name": [native({"functionCall": {"name": "f"}})],
    "the complete arguments": [complete({"city": "Oslo"}, name="f")],
    "none": [],
}
SCHEMA = {"title": "f", "type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "f", "parameters": SCHEMA}
OTHER = {"name": "g", "parameters": {"type": "object", "properties": {}}}
OSLO_IN_PIECES = [*PARTIAL[:3], pieces(piece("$.city", willContinue=False))]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_required_call_can_have_arguments_in_pieces(end: list[dict[str, Any]]) -> None:
    with server_sending(sse(*OSLO_IN_PIECES, *end, STOPPED)) as server:
        for api in ("generate_content", "chat_completions", "gateway"):
            model = model_at(server, api=api)
            for choice in (None, "any", "f"):
                bound = model.bind_tools([FUNCTION], tool_choice=choice)
                for call_mode in BASIC_CALL_MODES:
                    message = await call_mode(bound)
                    assert [call["args"] for call in message.tool_calls] == [{"city": "Oslo"}]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_the_answer_can_be_a_call_with_arguments_in_pieces(end: list[dict[str, Any]]) -> None:
    """Of the answer function, or of the name of the schema."""
    with server_sending(sse(*OSLO_IN_PIECES, *end, STOPPED)) as server:
        model = model_at(server, api="generate_content")
        for tools in ([], [OTHER]):
            for bound in (
                model.bind_tools(tools, response_format=SCHEMA),
                model.bind_tools(tools, response_format=SCHEMA, require_tool_call=False),
            ):
                for call_mode in BASIC_CALL_MODES:
                    message = await call_mode(bound)
                    assert (message.text, message.tool_calls) == ('{"city":"Oslo"}', [])


async def test_a_required_call_that_is_cut_between_two_pieces_is_missing() -> None:
    with server_sending(sse(*OSLO_IN_PIECES, native(finish="MAX_TOKENS"))) as server:
        model = model_at(server, api="generate_content").bind_tools([FUNCTION], tool_choice="any")
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieToolCallMissingError, match="cut at max_tokens"):
                await call_mode(model)


@pytest.mark.parametrize(
    ("value", "other", "expected"),
    [
        ({"a": {"b": ["x"]}}, {"a": {"b": ["xy", 2]}, "c": 1}, True),
        ({}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": 1}, 5, False),
        ([1, 2], [1], False),
        ([1], {"a": 1}, False),
        ("x", ["x"], False),
        (1, 1.0, True),
    ],
)
def test_a_value_may_be_the_start_of_another(value: Any, other: Any, expected: bool) -> None:
    assert is_start_of(value, other) is expected
