"""JSON that is longer than one piece, and fragments that are encoded once."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from typing import Any

import orjson
import pytest
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage

from langchain_kie import KieProtocolError
from langchain_kie._conversation.media import _is_base64
from langchain_kie._http.sse import EventParser
from langchain_kie._json import (
    MAX_DEPTH,
    PIECE_BYTES,
    JsonPieces,
    LongText,
    RawJson,
    json_key,
    json_list,
    parse_event_json,
    parse_json,
    to_json,
    to_json_pieces,
)

LONG = base64.b64encode(bytes(PIECE_BYTES)).decode()
ROWS: dict[str, tuple[Any, Any]] = {
    "a short text": (LongText("", "abcd"), "abcd"),
    "a part of a text": (
        LongText("data:a/b;base64,", "data:;base64,abcd", 13),
        "data:a/b;base64,abcd",
    ),
    "a long text": ({"a": LongText("x", LONG), "b": 1}, {"a": f"x{LONG}", "b": 1}),
    "several": ([LongText("", LONG), LongText("", "b"), "c"], [LONG, "b", "c"]),
    "a long fragment": ([1, RawJson(orjson.dumps([LONG])), 2], [1, [LONG], 2]),
    "a short fragment": ([1, RawJson(b"[2]")], [1, [2]]),
    "a text that is not media": (
        {"a": "\0" + LONG, "b": LongText("", "c")},
        {"a": "\0" + LONG, "b": "c"},
    ),
    "a long integer": ({"a": 1 << 70, "b": LongText("x", "c")}, {"a": 1 << 70, "b": "xc"}),
    "a long integer and fragments": ([1 << 70, *json_list([b"1", b"[2]"])], [1 << 70, 1, [2]]),
    "a list of encoded values": (json_list([b"1", b"2"]), [1, 2]),
    "a list with a long one": (json_list([b"1", orjson.dumps(LONG)]), [1, LONG]),
    "a list with objects": (json_list([b"1", {"a": RawJson(b"2")}]), [1, {"a": 2}]),
}


@pytest.mark.parametrize(("value", "expected"), ROWS.values(), ids=ROWS)
def test_the_pieces_are_the_json(value: Any, expected: Any) -> None:
    pieces = to_json_pieces(value)
    assert json.loads(bytes(pieces)) == expected
    assert len(pieces) == len(bytes(pieces)) == len(to_json(value))
    if not isinstance(pieces, bytes):
        assert max(map(len, pieces)) < 2 * PIECE_BYTES
        assert bytes(pieces) == b"".join(pieces)


def test_a_text_of_just_one_piece_is_sent_as_one() -> None:
    assert [*JsonPieces([b"x" * PIECE_BYTES], [])] == [b"x" * PIECE_BYTES]


def test_equal_values_have_the_same_key() -> None:
    for number in (1, 10**30):
        value = {"b": "é", "a": [number]}
        assert json_key(value) == json_key({"a": [number], "b": "é"})
        assert json_key(value) != json_key({"a": [number + 1], "b": "é"})


def test_what_cannot_be_encoded_is_an_error() -> None:
    with pytest.raises(ValueError, match="set"):
        to_json_pieces({"a": LongText("", "x"), "b": {1}})


@pytest.mark.parametrize(
    "form",
    ["[{}]", '{{"a":{}}}', '{{"n":12345678901234567890,"a":{}}}', '{{"half":"\\ud83dx","a":{}}}'],
)
def test_json_may_be_nested_to_a_limit(form: str) -> None:
    """Deeper JSON is an error before anything that is recursive reads it."""
    allowed, deep, deeper = (
        form.format("[" * levels + "]" * levels).encode()
        for levels in (MAX_DEPTH - 1, MAX_DEPTH, 5000)
    )
    value = parse_json(allowed)
    assert json.loads(to_json(value)) == value
    call = {"name": "f", "args": {"value": value}, "id": "c"}
    message = AIMessage("", tool_calls=[call])
    assert loads(dumps([message]), allowed_objects="messages") == [message]
    for text in (deep, deeper):
        is_event = isinstance(value, dict)
        assert EventParser().feed(b"data: " + allowed + b"\n\n") == [value] * is_event
        for values in (
            EventParser().feed(b"data: " + text + b"\n\n"),
            [*(document := EventParser()).feed(b" " + text), *document.close()],
        ):
            assert [type(value) for value in values] == [KieProtocolError]
        with pytest.raises(ValueError):
            parse_json(text)


def test_many_brackets_are_not_deep() -> None:
    for text in (json.dumps("[" * 1000), json.dumps([[]] * 1000), json.dumps([{"a": {}}] * 1000)):
        assert parse_json(text.encode()) == json.loads(text)


def test_a_value_that_is_nested_too_deeply_cannot_be_sent() -> None:
    value: Any = None
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        to_json(value)


RFC_4648 = re.compile("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
VALID = (1, 2, 3, 4, 300, PIECE_BYTES)
CHANGES = ("", "=", "==", "====", "\n", "-", "é", "A", "AB", "=A")


@pytest.mark.parametrize("size", VALID)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_base64_is_checked_as_rfc_4648_says(size: int, change: str, place: str) -> None:
    data = base64.b64encode(os.urandom(size)).decode()
    at = {"start": 0, "middle": len(data) // 2, "end": len(data)}[place]
    text = data[:at] + change + data[at:]
    expected = bool(RFC_4648.fullmatch(text))
    assert not expected or binascii.a2b_base64(text, strict_mode=True)
    assert _is_base64(text, 0) == expected
    assert _is_base64("data:" + text, 5) == expected


@pytest.mark.parametrize("number", ["1e400", "-1E+400", "9e999", "9" * 309 + ".5"])
@pytest.mark.parametrize("other", ["1", "12345678901234567890123", '"\\ud800"'])
def test_a_number_that_no_float_can_hold_is_no_json_but_an_event_has_it(number, other) -> None:
    text = f'{{"a": {other}, "b": [{number}, 1.5]}}'.encode()
    with pytest.raises(ValueError, match=r"infinity|too large"):
        parse_json(text)
    assert parse_event_json(text)["b"] == [float(number), 1.5]
    deep = b"[" * 300
    for part in (b"NaN", deep, deep + b"]" * 300, b""):
        broken = text.replace(b"1.5", part)
        with pytest.raises(ValueError, match=r"."):
            parse_event_json(broken)
