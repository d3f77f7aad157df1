"""Tool calls whose arguments come in pieces with JSON paths, and rare forms of native calls."""

from __future__ import annotations

from typing import Any

from scripted_server import sse

from unit_tests.answer.rows import (
    F1,
    F2,
    NATIVE_CALLS,
    Row,
    check_every_call_mode,
    each,
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
