"""However the bytes of an answer are cut into pieces, and framed, the items are the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import answer, astream, fixture, invoke, model_at, stream
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripted_server import Scripted, ScriptedServer

from langchain_kie._http.sse import DONE, EventParser
from langchain_kie.errors import KieError, KieProtocolError

STREAMS = [
    "shape_a.sse",
    "shape_b.sse",
    "shape_c.sse",
    "native.sse",
    "native_call.sse",
    "chat_call.sse",
]
DOCUMENTS = ["chat_whole.json", "chat_docs.json", "native_whole.json", "native_docs_call.json"]

many = settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def values_of(pieces: list[bytes]) -> list[Any]:
    """What a parser makes of a body in pieces; an error is the last value."""
    parser = EventParser()
    values: list[Any] = []
    for parse, *piece in (*((parser.feed, piece) for piece in pieces), (parser.close,)):
        for value in parse(*piece):
            if isinstance(value, KieProtocolError):
                return [*values, type(value)]
            values.append(value)
    return values


def items_of(pieces: list[bytes]) -> list[Any]:
    """What the guard lets through of a body in pieces; an error is the last item."""
    guard = answer()
    items: list[Any] = []
    try:
        for piece in pieces:
            items.extend(guard.feed(piece))
        items.extend(guard.close())
    except KieError as error:
        items.append((type(error), error.message))
    return items


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """`body` in pieces, cut at `places`."""
    ends = sorted({place % (len(body) + 1) for place in places} | {len(body)})
    starts = [0, *ends[:-1]]
    return [body[start:end] for start, end in zip(starts, ends, strict=True)]


def dressed(body: bytes, newline: bytes, dress: str) -> bytes:
    """The same events, framed in another way that the specification of SSE allows."""
    blocks = body.decode().strip("\n").split("\n\n")
    around = {
        "plain": lambda block: block,
        "comments": lambda block: f": keep-alive\n{block}\n:",
        "comment blocks": lambda block: f": keep-alive\n\n{block}",
        "no space": lambda block: block.replace("data: ", "data:", 1),
        "fields": lambda block: f"id: 7\nretry: 10\nevent: message\nunknown\n{block}",
        "id after": lambda block: f"{block}\nid: 8",
        "empty data": lambda block: f"data:\n\ndata\n\n{block}",
        "blank lines": lambda block: f"\n\n{block}\n",
        "bom": lambda block: block,
    }[dress]
    text = "\n\n".join(around(block) for block in blocks) + "\n\n"
    return (b"\xef\xbb\xbf" if dress == "bom" else b"") + text.encode().replace(b"\n", newline)


NEWLINES = [b"\n", b"\r\n", b"\r"]
DRESSES = [
    "plain",
    "comments",
    "comment blocks",
    "no space",
    "fields",
    "id after",
    "empty data",
    "blank lines",
    "bom",
]
PLAIN = {name: values_of([fixture(name)]) for name in STREAMS + DOCUMENTS}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_its_events_and_perhaps_the_mark_of_the_end(name: str) -> None:
    lines = [line.removeprefix(b"data: ") for line in fixture(name).splitlines() if line]
    expected = [DONE if line == b"[DONE]" else orjson.loads(line) for line in lines]
    assert PLAIN[name] == expected


@pytest.mark.parametrize("newline", NEWLINES, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("name", STREAMS)
def test_every_cut_in_two_of_every_framing_gives_the_same_values(
    name: str, dress: str, newline: bytes
) -> None:
    body = dressed(fixture(name), newline, dress)
    step = 1 if dress in {"plain", "bom"} else 7
    for place in range(0, len(body) + 1, step):
        assert values_of([body[:place], body[place:]]) == PLAIN[name], place


@many
@given(
    st.sampled_from(STREAMS + DOCUMENTS),
    st.sampled_from(NEWLINES),
    st.sampled_from(DRESSES),
    st.lists(st.integers(0, 5000), max_size=40),
)
def test_any_cut_of_any_framing_gives_the_same_values(
    name: str, newline: bytes, dress: str, places: list[int]
) -> None:
    body = fixture(name)
    if name in STREAMS:
        body = dressed(body, newline, dress)
    assert values_of(cut(body, places)) == PLAIN[name]
    assert items_of(cut(body, places)) == items_of([fixture(name)])


PAIRS = [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\r\n", b"\r\n\n", b"\r\n\r"]


@many
@given(
    st.sampled_from(STREAMS),
    st.lists(st.sampled_from(PAIRS), min_size=12, max_size=12),
    st.lists(st.integers(0, 5000), max_size=20),
)
def test_mixed_line_ends_are_line_ends(name: str, pairs: list[bytes], places: list[int]) -> None:
    events = fixture(name).removesuffix(b"\n\n").split(b"\n\n")
    body = b"".join(event + pair for event, pair in zip(events, pairs, strict=False))
    assert values_of(cut(body, places)) == PLAIN[name]


def test_a_last_line_end_that_is_a_lone_cr_ends_the_last_event() -> None:
    """No LF can follow it any more when the body is over."""
    assert values_of([b'data: {"a":1}\r\r']) == [{"a": 1}]


@pytest.mark.parametrize("end", [b"[DONE]", b"[DONE] ", b"[DONE]\t", b" [DONE]", b"[DONE]\x0b"])
def test_an_end_is_one_wherever_the_pieces_end(end: bytes) -> None:
    first, last = b'data: {"a":1}\n\n', b"data: " + end + b"\n\n"
    apart, together = values_of([first, last]), values_of([first + last])
    assert [*map(repr, apart)] == [*map(repr, together)]
    assert (DONE in apart) is (end == b"[DONE]")


SOUP = st.lists(
    st.sampled_from(
        [
            b"data:",
            b"data: ",
            b'{"choices":[]}',
            b'{"a":"\xe2\x80\xa8"}',
            b"[DONE]",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b": c",
            b"id: 1",
            b"event: e",
            b"retry: 5",
            b"\xef\xbb\xbf",
            b"\xf0\x9f\x8c",
            b"\xa4",
            b"\xff",
            b"\x00",
            b"{",
            b"[",
            b"}",
            b"]",
            b" ",
            b"1",
            b'"',
        ]
    ),
    max_size=30,
)


@settings(many, max_examples=3000)
@given(SOUP, st.lists(st.integers(0, 300), max_size=10))
@example([b"data: 1\r", b"\r", b"\ndata: 2", b"\n\n"], [8, 9])
@example([b"\xef\xbb\xbf", b"\xef\xbb\xbf", b"data: 1\n\n"], [1, 4])
def test_any_bytes_are_values_or_a_protocol_error_wherever_they_are_cut(
    soup: list[bytes], places: list[int]
) -> None:
    """Garbage never raises anything else, and the cuts never decide what it is."""
    body = b"".join(soup)
    assert values_of(cut(body, places)) == values_of([body])


WIRE_KEYS = [
    "choices",
    "delta",
    "message",
    "content",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "index",
    "id",
    "usage",
    "prompt_tokens",
    "completion_tokens_details",
    "finish_reason",
    "candidates",
    "parts",
    "text",
    "functionCall",
    "args",
    "thought",
    "thoughtSignature",
    "usageMetadata",
    "promptTokenCount",
    "promptFeedback",
    "blockReason",
    "finishReason",
    "credits_consumed",
    "code",
    "msg",
    "error",
    "data",
    "type",
    "reasoning_content",
    "refusal",
    "inlineData",
    "executableCode",
    "groundingMetadata",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WIRE_KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(many, max_examples=1200)
@given(st.lists(JSON, min_size=1, max_size=3))
@example([{"choices": {"a": 1}}])
@example([{"choices": [1]}])
@example([{"choices": [{"delta": {"content": 5}}]}])
@example([{"choices": [{"delta": {"content": [None]}}]}])
@example([{"choices": [{"delta": {"reasoning_content": {"a": 1}}}]}])
@example([{"choices": [{"delta": {"tool_calls": [{"function": {"name": ["x"]}}]}}]}])
@example([{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": 5}}]}}]}])
@example([{"choices": [{"delta": {"tool_calls": [{"id": 5, "function": {"name": "f"}}]}}]}])
@example([{"choices": [], "usage": {"prompt_tokens": "5"}}])
@example([{"candidates": [{"content": {"parts": [{"text": 5}]}, "finishReason": 5}]}])
@example([{"candidates": [], "credits_consumed": "much"}])
@example([{"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"thinkingTokenCount": 1.5}}])
def test_any_json_is_items_or_a_kie_error(values: list[Any]) -> None:
    """And what is let through makes a message: only `KieError` ever escapes."""
    from langchain_kie._answer.assembler import MessageAssembler  # noqa: PLC0415
    from langchain_kie._answer.messages import merge_chunks  # noqa: PLC0415

    body = b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values)
    guard = answer()
    reader = MessageAssembler("gemini-3-flash", "gemini-3-flash")
    try:
        chunks = [reader.feed(item) for item in guard.feed(body)]
        chunks += [reader.feed(item) for item in guard.close()]
        merge_chunks([*(chunk for chunk in chunks if chunk), reader.finish()])
    except KieError:
        pass


@pytest.mark.parametrize(
    "char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]
)
def test_only_cr_and_lf_end_a_line(char: str) -> None:
    """Raw in the JSON text, as servers send those that JSON allows; the others escaped."""
    event = {"choices": [{"index": 0, "delta": {"content": f"a{char}b"}}]}
    body = b"data: " + orjson.dumps(event) + b"\n\n"
    for place in range(len(body) + 1):
        assert values_of([body[:place], body[place:]]) == [event]


@pytest.mark.parametrize("garbage", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f\x8c"])
def test_bytes_that_are_not_utf8_are_a_protocol_error_not_a_replacement_character(
    garbage: bytes,
) -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a%sb"}}]}\n\n' % garbage
    for place in range(len(event) + 1):
        assert values_of([event[:place], event[place:]]) == [KieProtocolError]
    document = b'{"choices":[{"message":{"content":"a%sb"}}]}' % garbage
    assert values_of([document]) == [KieProtocolError]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'data: {"a":\ndata: 1}\n\n', [{"a": 1}]),
        (b'data:  {"a":1}\n\n', [{"a": 1}]),
        (b'data: {"a":1}\n', []),
        (b'data: {"a":1}', []),
        (b'data: {"a":1}\n\ndata: {"b":2}\n', [{"a": 1}]),
        (b"data: [DONE]\n\n", [DONE]),
        (b"", []),
        (b"\n\n", []),
        (b": hello\n\n: again\n\n", []),
        (b"data: nonsense\n\n", [KieProtocolError]),
        (b"data: NaN\n\n", [KieProtocolError]),
        (b"data: " + b"9" * 5000 + b"\n\n", [KieProtocolError]),
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
def test_framing_that_is_odd_or_wrong(body: bytes, expected: list[Any]) -> None:
    for pieces in ([body], [body[: len(body) // 2], body[len(body) // 2 :]]):
        assert values_of(pieces) == expected


def test_an_event_or_a_body_without_end_is_refused_at_a_bound(monkeypatch) -> None:
    monkeypatch.setattr("langchain_kie._http.sse.MAX_EVENT_CHARS", 1000)
    monkeypatch.setattr("langchain_kie._http.sse.MAX_BODY_BYTES", 5000)
    assert values_of([b"data: " + b"x" * 50 + b"\n"] * 30) == [KieProtocolError]
    assert values_of([b'{"a": "' + b"x" * 50] * 200) == [KieProtocolError]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("newline", NEWLINES, ids=["LF", "CRLF", "CR"])
async def test_on_a_real_socket_the_framing_does_not_matter_either(
    name: str, newline: bytes
) -> None:
    plain, other = fixture(name), dressed(fixture(name), newline, "fields")
    pieces = [other[i : i + 97] for i in range(0, len(other), 97)]
    with ScriptedServer(Scripted([plain]), Scripted(pieces)) as server:
        model = model_at(server)
        expected = await invoke(model)
        for ask in (invoke, stream, astream):
            message = await ask(model)
            assert message.model_dump(exclude={"id"}) == expected.model_dump(exclude={"id"})
