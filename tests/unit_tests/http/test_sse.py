"""Event streams: their values do not depend on the framing, nor on where the pieces end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import STREAMS, fixture

from langchain_kie._http.sse import DONE, EventParser
from langchain_kie._json import MAX_DEPTH
from langchain_kie.errors import KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

NEWLINES = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
FRAMINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda block: block,
    "comments": lambda block: f": keep-alive\n{block}\n:",
    "comment blocks": lambda block: f": keep-alive\n\n{block}",
    "no space": lambda block: block.replace("data: ", "data:", 1),
    "fields": lambda block: f"id: 7\nretry: 10\nevent: message\nunknown\n{block}",
    "id after": lambda block: f"{block}\nid: 8",
    "empty data": lambda block: f"data:\n\ndata\n\n{block}",
    "blank lines": lambda block: f"\n\n{block}\n",
    "BOM": lambda block: block,
}


def parse(*pieces: bytes) -> list[Any]:
    """Return the values of a body; an error is the last one, as its class."""
    parser = EventParser()
    values = [value for piece in pieces for value in parser.feed(piece)] + parser.close()
    for position, value in enumerate(values):
        if isinstance(value, KieProtocolError):
            return [*values[:position], KieProtocolError]
    return values


def expected_values(name: str) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in fixture(name).splitlines() if line]
    return [DONE if line == b"[DONE]" else orjson.loads(line) for line in lines]


@pytest.mark.parametrize("newline", NEWLINES)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_in_pieces_has_the_same_values(name: str, framing: str, newline: str) -> None:
    blocks = map(FRAMINGS[framing], fixture(name).decode().strip("\n").split("\n\n"))
    text = "\ufeff" * (framing == "BOM") + "\n\n".join(blocks) + "\n\n"
    body = text.encode().replace(b"\n", NEWLINES[newline])
    expected = expected_values(name)
    for place in range(0, len(body) + 1, 1 if framing in {"plain", "BOM"} else 7):
        assert parse(body[:place], body[place:]) == expected, place
    assert parse(*(body[place : place + 1] for place in range(len(body)))) == expected


@pytest.mark.parametrize("end", [b"[DONE]", b"[DONE] ", b"[DONE]\t", b" [DONE]", b"\ndata: [DONE]"])
def test_done_may_have_white_space_wherever_the_pieces_end(end: bytes) -> None:
    first, last = b'data: {"a":1}\n\n', b"data:" + end + b"\n\n"
    assert parse(first, last) == parse(first + last) == [{"a": 1}, DONE]


@pytest.mark.parametrize("line", [b"data: [DONE]\n", b"data:[DONE] \t\n", b"data:  [DONE]\r\n"])
def test_done_is_known_before_a_blank_line(line: bytes) -> None:
    assert EventParser().feed(line) == [DONE]


@pytest.mark.parametrize(
    "char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]
)
def test_only_cr_and_lf_end_a_line(char: str) -> None:
    """JSON text has some of these characters unescaped."""
    event = {"choices": [{"index": 0, "delta": {"content": f"a{char}b"}}]}
    body = b"data: " + orjson.dumps(event) + b"\n\n"
    for place in range(len(body) + 1):
        assert parse(body[:place], body[place:]) == [event]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_last_event_that_is_not_complete_is_ignored_wherever_the_pieces_end(end: bytes) -> None:
    body = b"data: {}\n\ndata: null" + end + b"data: null" + end
    for cut in range(len(body) + 1):
        assert parse(body[:cut], body[cut:]) == [{}]


@pytest.mark.parametrize("invalid", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f\x8c"])
def test_invalid_utf8_is_an_error_and_not_replaced(invalid: bytes) -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a%sb"}}]}\n\n' % invalid
    for place in range(len(event) + 1):
        assert parse(event[:place], event[place:]) == [KieProtocolError]
    document = b'{"choices":[{"message":{"content":"a%sb"}}]}' % invalid
    assert parse(document) == [KieProtocolError]


ERROR = {"code": 402, "msg": 'a {" [b'}
ERROR_402 = {"code": 402, "msg": "m"}
A = {"choices": [{"delta": {"content": "a"}}]}
A_TEXT = orjson.dumps(A)
COSTS = {"usage": {"total_tokens": 3}, "credits_consumed": 0.5}
COSTS_TEXT = orjson.dumps(COSTS)
WRAPPED = {"code": 200, "data": {**A, **COSTS}}
WRAPPED_TEXT = orjson.dumps(WRAPPED)
CUT = A_TEXT[:-4]
CORRUPT = [
    body.replace(b"A", A_TEXT)
    for body in (
        b"A\n%s\nA\n",
        b"data: A\n\n%s\n\ndata: A\n\n",
        b"data: A\n\n  %s\n\n: x\n\ndata: [DONE]\n\n",
        b"data: A\n\n%s]}]}\n\n: x\n\ndata: [DONE]\n\n",
        b"[A,\n%s,\nA]",
    )
]
"""Events with a corrupt one among them; no `data:` is before it."""
LISTS = [
    b"[A,\nA",
    b"A,\nA,\n",
    b"[\nA,\nA\n]\n: bye",
    b'[\n  {"type": "ping"},\n  A,\n  A\n]\n: bye',
    b"[A,A]\n\n: bye\n\n",
    b": x\n\n[A,A]",
    b": x\n\n[A,\nA]",
    b": x\n\n[\n  A,\n  A\n]\n",
    b": x\n\n[ A ,\n  A ]\n",
    b'[A,\n\n{"type":"ping"},\n\nA',
]
"""Events in a list that is not complete, or is within a stream."""
PRETTY = orjson.dumps(ERROR, option=orjson.OPT_INDENT_2)
"""An error in several lines, none of which has a field name."""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'data: {"a":\ndata: 1}\n\n', [{"a": 1}]),
        (b'data:  {"a":1}\n\n', [{"a": 1}]),
        (b'data: {"a":1}\r\r', [{"a": 1}]),
        (b'unknown: 7\n\ndata: {"a":1}\n\n', [{"a": 1}]),
        (b'data: {"a":1}\n', [{"a": 1}]),
        (b'data: {"a":1}', [{"a": 1}]),
        (b'data: {"a":1}\n\ndata: {"b":2}\n', [{"a": 1}, {"b": 2}]),
        (b'data: {"a":1}\n\ndata: {"b":2', [{"a": 1}]),
        (b'data: {"a":\ndata: 1}', [{"a": 1}]),
        (b'data: {"a":\ndata: 1}\n', [{"a": 1}]),
        (b'data: {"a":\ndata: 1\n', []),
        (b'data: {"a":\ndata: {"b":1}\ndata: }\n\n', [{"a": {"b": 1}}]),
        (b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]', [{"a": 1}, {"b": 2}, DONE]),
        (b'data: {"a":1}\rdata: {"b":2}\r', [{"a": 1}, {"b": 2}]),
        (b'data: {"a":1}\ndata: {"b":2}\n\ndata: {"c":3}\n\n', [{"a": 1}, {"b": 2}, {"c": 3}]),
        (b'data: {"a":1}\n: x\nid: 7\ndata: {"b":2}\n', [{"a": 1}, {"b": 2}]),
        (b'data: {"a":1}\ndata: {"b"\n\n', [{"a": 1}, KieProtocolError]),
        (b'data: {"a":1}\ndata: {"b"', [{"a": 1}]),
        (b': x\n\n{"code":402,"msg":"m"}\n\n', [{"code": 402, "msg": "m"}]),
        (b': x\n\n{"code":402,"msg":"m"}', [{"code": 402, "msg": "m"}]),
        (b'data: {}\n\n{"error":{}}\r\ndata: {}\n\n', [{}, {"error": {}}, {}]),
        (b'data: {}\n\n[{"error":"m"}]\n', [{}, {"error": "m"}]),
        (
            b'event: error\n{"code":500,"message":"12345678901234567890"}\n\n',
            [{"code": 500, "message": "12345678901234567890"}],
        ),
        (b'data: {}\n\n{"code":402}\n{"a":1}\n{"code":402,"msg":\n{\n[]\n\n', [{}]),
        (b'data: {"a":\n{"code":402,"msg":"m"}\n', [{"code": 402, "msg": "m"}]),
        *(
            (before + PRETTY + after, [*first, ERROR, *last])
            for before, first in ((b"", []), (b": x\n\n", []), (b"data: {}\n\n", [{}]))
            for after, last in ((b"", []), (b"\n", []), (b"\n\ndata: [DONE]\n\n", [DONE]))
        ),
        (b"event: error\n" + PRETTY.replace(b"\n", b"\r\n\r\n: x\r\n"), [ERROR]),
        (b": x\n[" + PRETTY + b"]\n", [ERROR]),
        (b': x\n{"choices":\n[]}\n{"candidates":[\n]}', [{"choices": []}, {"candidates": []}]),
        (b': x\n{"choices":[]}\n', [{"choices": []}]),
        (b'{"choices":[]}\n{"choices":\n[]}\n{"choi', [{"choices": []}, {"choices": []}]),
        (b'data: {}\n\n{\n "a": 1\n}\n' + PRETTY, [{}, ERROR]),
        (b'data: {}\n\n{\n{"code":402,"msg":"m"}\n', [{}, {"code": 402, "msg": "m"}]),
        (b"data: {}\n\n{\n]\n" + PRETTY, [{}, ERROR]),
        (b": x\n\n" + PRETTY[:-1], []),
        (b': x\n{"error":"m","a":\n {"code":402,"msg":"m"}\n}', [{"error": "m", "a": ERROR_402}]),
        (PRETTY + b"\n{", [ERROR]),
        (A_TEXT + b"\n" + COSTS_TEXT + b"\n", [A, COSTS]),
        *(
            (before + WRAPPED_TEXT + after, [WRAPPED])
            for before in (b"", b": x\n\n")
            for after in (b"", b"\n\n: x\n")
        ),
        *((body % CUT, [A, KieProtocolError]) for body in CORRUPT),
        *((body.replace(b"A", A_TEXT), [A, A]) for body in LISTS),
        (b"%s,%s,\n%s\n" % (A_TEXT, A_TEXT, A_TEXT), [KieProtocolError]),
        (b'data: {}\n\n[info] x\n{x}\n{\nfoo: 1\n["a\n  {a\n\ndata: {}\n\n', [{}, {}]),
        (PRETTY + b"{", [KieProtocolError]),
        (b'data: null\n\ndata: ""\n\ndata: []\n\n', []),
        (b'data: {}\n\ndata: null\n\ndata: "a"\n\ndata: [1,{}]\n\n', [{}, {}]),
        (b'data: "a"\n\n', [KieProtocolError]),
        (b'data: "[DONE]"\n\ndata: [done]\n\ndata: DONE\n\ndata: {}\n\n', [{}]),
        (b"data: [DONE]\n\n", [DONE]),
        (b"data: [DONE]", [DONE]),
        (b"data: [DON", []),
        (b"data: \x0b[DONE]\n\n", [KieProtocolError]),
        (b'data: \x0b{"a":1}\n\n', [KieProtocolError]),
        (b"", []),
        (b"\n\n", []),
        (b": hello\n\n: again\n\n", []),
        (b"data: nonsense\n\n", [KieProtocolError]),
        (b"data: NaN\n\n", [KieProtocolError]),
        (b'data: {"a":' + b"9" * 5000 + b"}\n\n", [{"a": math.inf}]),
        (b"data: " + b"[" * 100_000 + b"\n\n", [KieProtocolError]),
        (b'data: {"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n", [KieProtocolError]),
        (b"[" * 100_000 + b"]" * 100_000, [KieProtocolError]),
        (b'{"a":1}{"b":2}', [KieProtocolError]),
        (b'{"a":1', [KieProtocolError]),
        (b'[{"a":1},{"b":2}]', [{"a": 1}, {"b": 2}]),
        (b"[]", []),
        (b"<!DOCTYPE html><html></html>", [KieProtocolError]),
        (b"upstream connect error", [KieProtocolError]),
    ],
)
def test_an_unusual_or_invalid_body(body: bytes, expected: list[Any]) -> None:
    """wire.md 4-4, 11-16: arrays, and events without a blank line."""
    half = len(body) // 2
    assert parse(body) == parse(body[:half], body[half:]) == expected


LONG = 12_345_678_901_234_567_890_123
JSON_VALUES: list[tuple[str, Any]] = [
    (str(LONG), LONG),
    (str(-LONG), -LONG),
    (str(2**64), 2**64),
    (str(2**64 - 1), 2**64 - 1),
    (str(-(2**63) - 1), -(2**63) - 1),
    ("9" * 400, int("9" * 400)),
    (f'[{LONG}, 1.5, "{LONG}"]', [LONG, 1.5, str(LONG)]),
    (f'[{LONG}, "\\ud83c\\udf24 \\ud83c \\\\ud83c"]', [LONG, "🌤 \ufffd \\ud83c"]),
    ('"\\ud83c\\udf24"', "🌤"),
    ('"a\\ud83c "', "a\ufffd "),
    ('"\\udf24\\ud83c b"', "\ufffd\ufffd b"),
    ('"\\ud83c\\ud83c\\udf24"', "\ufffd🌤"),
    ('"\\\\ud83c \\uD83C "', "\\ud83c \ufffd "),
    ('"1234567890123456789012345"', "1234567890123456789012345"),
    (f'["{"x" * 5000}", {LONG}]', ["x" * 5000, LONG]),
    ("0.1234567890123456789012345", 0.1234567890123456789012345),
]


@pytest.mark.parametrize(("text", "value"), JSON_VALUES, ids=lambda value: str(value)[:30])
def test_long_integers_are_exact_and_half_surrogate_pairs_are_replaced(text, value) -> None:
    """A reader of JSON is exact in a document, in an event, and in one of several lines."""
    body = f'{{"a": {text}}}'.encode()
    first, lines = b'data: {"a":0}\n\n', b"data: " + body[:4] + b"\ndata: " + body[4:]
    for framed in (body, b"data: " + body + b"\n\n", b"data: " + body, lines + b"\n\n"):
        [parsed] = parse(framed)
        assert (parsed, type(parsed["a"])) == ({"a": value}, type(value))
    assert parse(first, b"data: " + body + b"\n\n") == [{"a": 0}, {"a": value}]


SPLIT_PAIRS: list[tuple[list[str], list[Any]]] = [
    (['"a\\ud83c"', '"\\udf24b"'], ["a", "🌤b"]),
    (['"a\\uD83C"', '"b"', '"\\uDF24"'], ["a", "b", "🌤"]),
    (['"a\\ud83c"', '"b\\udf24"'], ["a", "b\ufffd"]),
    (['"a\\ud83c"', '"\\"\\udf24"'], ["a", '"\ufffd']),
    (['"a\\ud83c"'], ["a"]),
    (['"a\\\\ud83c"', '"\\udf24"'], ["a\\ud83c", "\ufffd"]),
    (['"\\ud83c\\udf24"', '"\\udf24"'], ["🌤", "\ufffd"]),
]


@pytest.mark.parametrize(("texts", "values"), SPLIT_PAIRS, ids=str)
@pytest.mark.parametrize("form", ["data: %s\n\n", "data: %s\r\n\r\n", "data: %s\n", "array"])
@pytest.mark.parametrize("before", ["x", "chatcmpl-2026112903123456789"])
def test_a_surrogate_pair_may_be_split_between_two_events(before, form, texts, values) -> None:
    """wire.md 11-18: a stream cut between the halves, each an escape of its own.

    Many digits in the same read, as in the id of a relay, change nothing.
    """
    events = [f'{{"a": {text}}}' for text in (f'"{before}"', *texts)]
    body = f"[{','.join(events)}]"
    if form != "array":
        body = "".join(form % event for event in events)
    expected = [{"a": value} for value in values]
    assert parse(body.encode())[-len(texts) :] == expected
    assert parse(*(body.encode()[i : i + 1] for i in range(len(body))))[-len(texts) :] == expected


def test_the_halves_of_a_pair_in_two_values_of_one_event_are_not_joined() -> None:
    event = b'data: {"\\ud83c" : "a\\ud83c", "b": "\\udf24c"}\n\n'
    assert parse(event) == [{"\ufffd": "a", "b": "\ufffdc"}]


@pytest.mark.parametrize(
    "invalid", ["NaN", "Infinity", "[" * 100_000 + "]" * 100_000, "01", '"\xff']
)
def test_invalid_json_with_a_long_integer_is_an_error(invalid: str) -> None:
    text = f'{{"n":{LONG},"s":"\\ud83c","a":{invalid}}}'.encode("latin-1")
    assert parse(text) == parse(b"data: " + text + b"\n\n") == [KieProtocolError]


def test_the_error_of_an_unreadable_body_is_of_its_start() -> None:
    parser = EventParser()
    for piece in (b"<html>" + b" " * 600, b"<title>Bad gateway</title>"):
        assert parser.feed(piece) == []
    [error] = parser.close()
    assert error.message.endswith("an HTML page")


def test_the_error_of_a_text_without_events_has_its_lines_but_no_part_of_a_field() -> None:
    parser = EventParser()
    assert parser.feed(b"upstream\nconnect error\ndat\n" + b"x" * 600 + b"\nnot kept\n") == []
    assert parser.noise == b"upstream\nconnect error\n" + b"x" * 512 + b"\n"
    [error] = parser.close()
    assert "upstream" in error.message
    assert "connect error" in error.message
    parser = EventParser()
    assert parser.feed(b": x\n{foo\nbar}\nhello\n") == []
    assert parser.noise == b"{foo\nbar}\nhello\n"


@pytest.mark.parametrize(
    "start",
    [b'data: {"a"', b"data:{", b'data: {"a":1,\n', b': x\n{"code":402,\n', b': x\n[{"a":1},\n{\n'],
)
def test_a_body_that_is_cut_in_json_is_cut_in_an_event(start: bytes) -> None:
    parser = EventParser()
    assert not parser.is_in_event()
    parser.feed(start)
    assert parser.is_in_event()
    assert parser.close() == []
    assert parser.ends_in_event


@pytest.mark.parametrize(
    "body", [b"", b": x", b"data:", b"data: \n", b'data: {"a":1}', b"data: [DONE]\n"]
)
def test_a_body_that_is_cut_elsewhere_does_not_end_in_an_event(body: bytes) -> None:
    parser = EventParser()
    parser.feed(body)
    parser.close()
    assert not parser.ends_in_event


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_json_is_read_up_to_a_depth(start: str, end: str) -> None:
    """An event, the only line of a read or not, and a document have the same limit."""
    first = b'data: {"a":0}\n\n'
    for inside, is_read in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False)):
        text = f'{{"a":{start * inside}1{end * inside}}}'.encode()
        event = b"data: " + text + b"\n\n"
        expected = [orjson.loads(text)] if is_read else [KieProtocolError]
        assert parse(text) == parse(event) == parse(first + event)[1:] == expected


def test_the_limit_of_an_event_is_not_one_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_kie._http.sse.MAX_EVENT_BYTES", 60)
    event = b'data: {"a":1}\n\n'
    assert parse(*[event[:9], event[9:]] * 20) == [{"a": 1}] * 20
    assert parse(event, b"data: " + b" " * 30, b" " * 30) == [{"a": 1}, KieProtocolError]
