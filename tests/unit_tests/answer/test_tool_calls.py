"""Tool calls: fragments of every kind become the same calls in every call mode."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, events_of, model_at, model_reading, server_sending
from scripted_server import sse

from langchain_kie._conversation.thought_signatures import digest_of
from unit_tests.answer.rows import (
    F1,
    F2,
    G2,
    GENERATED,
    NATIVE_CALLS,
    SIGNATURE,
    Row,
    blocked,
    chat_row,
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

CHAT = [
    chat_row("one fragment", fragments(fragment("f", '{"i":1}', index=0, id="c1")), calls=[F1]),
    chat_row(
        "one fragment that repeats two calls, and a call without arguments",
        fragments(
            fragment("f", '{"i":1}'),
            fragment("f", '{"i":2}'),
            fragment("f", '{"i":1}{"i":2}'),
            fragment("g"),
        ),
        calls=[*GENERATED, ("g", {}, None)],
    ),
    chat_row(
        "a call that goes on after its end, during the next one",
        sse(
            delta(
                tool_calls=[
                    fragment("f", '{"i":1}', index=0, id="c1"),
                    fragment("g", '{"i"', index=1, id="c2"),
                    fragment(None, "}", index=0),
                    fragment(None, ":2}", index=1),
                ]
            ),
            delta("tool_calls"),
            "[DONE]",
        ),
        calls=[G2],
        invalid=[("f", '{"i":1}}')],
    ),
    chat_row(
        "further members, the same in each fragment",
        fragments(
            {"index": 0, "id": "c1", "x": 1, "function": {"name": "f", "arguments": '{"i', "y": 2}},
            {"index": 0, "id": "c1", "x": 1, "function": {"arguments": '":1}', "y": 2}},
        ),
        calls=[F1],
        extra=signed(
            "gemini-3-flash",
            {"type": "tool_call", "id": "c1", "extra": {"x": 1, "function": {"y": 2}}},
        ),
    ),
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
        fragments(
            fragment("f", '{"i', index=0),
            fragment(None, '":', index=0, id="c1"),
            fragment(None, "1}", index=0, id="c1"),
        ),
        calls=GENERATED[:1],
    ),
    chat_row(
        "an id before the name",
        fragments(fragment(None, '{"i', index=0, id="c1"), fragment("f", '":1}', index=0)),
        calls=[F1],
    ),
    chat_row(
        "an id with the name, after the start of the arguments",
        fragments(fragment(None, '{"i', index=0), fragment("f", '":1}', index=0, id="c1")),
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
        "white space after complete arguments, in a chunk with another call",
        sse(
            delta(
                tool_calls=[
                    fragment("f", '{"i":1}', index=0, id="c1"),
                    fragment("g", '{"i"', index=1, id="c2"),
                    fragment(None, " ", index=0),
                    fragment(None, ":2}", index=1),
                ]
            ),
            delta("tool_calls"),
        ),
        calls=[F1, G2],
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
CUT = {
    "length": {"metadata": ended("length", id="x")},
    "content_filter": blocked("content_filter", id="x"),
    "malformed_function_call": {"metadata": ended("malformed_function_call", id="x")},
}
"""How an answer is cut, and what a message has of it."""
EMPTY: tuple[dict[str, Any], ...] = (
    fragment("f", "", index=0, id="c1"),
    fragment("f", index=0, id="c1"),
)
WITHOUT_ARGUMENTS = [
    *(
        chat_row(
            f"{call['function']}, cut by {reason}, {name}",
            body,
            invalid=[("f", "{")],
            **expected,
        )
        for reason, expected in CUT.items()
        for call in EMPTY
        for name, body in {
            "a stream": fragments(call, finish_reason=reason),
            "a completion": completion(reason, content="", tool_calls=[call]),
        }.items()
    ),
    *(
        chat_row(
            f"{arguments!r}, before the answer was cut",
            completion("length", content="", tool_calls=[fragment("f", arguments, id="c1")]),
            calls=[("f", {}, "c1")],
            metadata=ended("length", id="x"),
        )
        for arguments in ("{}", {})
    ),
    chat_row(
        "a completion, two calls",
        completion("tool_calls", tool_calls=[EMPTY[1], fragment("f", '{"i":2}', id="c2")]),
        calls=[("f", {}, "c1"), F2],
    ),
    native_row(
        "a native call with an empty object, before the answer was cut",
        sse(native({"functionCall": {"name": "f", "args": {}, "id": "c1"}}, finish="MAX_TOKENS")),
        calls=[("f", {}, "c1")],
        metadata=ended("length", "MAX_TOKENS"),
    ),
]
NATIVE_F1, NATIVE_F2 = ({"functionCall": {"name": "f", "args": {"i": i}}} for i in (1, 2))
NAMED_F1, NAMED_F2 = ({"functionCall": {"name": "f", "args": {"i": i}, "id": "f"}} for i in (1, 2))
SIGNED, SIGNED_TOO = ({**NATIVE_F1, "thoughtSignature": signature} for signature in ("S==", "T=="))
ID_IS_NAME = [("f", {"i": 1}, "f"), GENERATED[1]]
NATIVE_REPEATED = {
    "two at once": ([[NATIVE_F1, NATIVE_F2]] * 2, GENERATED),
    "two, then both at once": ([[NATIVE_F1], [NATIVE_F2], [NATIVE_F1, NATIVE_F2]], GENERATED),
    "with its signature": ([[SIGNED, NATIVE_F2]] * 2, GENERATED),
    "at first without its signature": ([[NATIVE_F1, NATIVE_F2], [SIGNED, NATIVE_F2]], GENERATED),
    "with the name as id": ([[NAMED_F1, NAMED_F2]] * 2, ID_IS_NAME),
    "with the name as id, the first": ([[NAMED_F1], [NAMED_F2], [NAMED_F1]], ID_IS_NAME),
    "only as equal ones of one event": ([[NATIVE_F1, NATIVE_F1]], GENERATED[:1] * 2),
    "only as equal ones with other signatures": ([[SIGNED], [SIGNED_TOO]], GENERATED[:1] * 2),
}
"""Native calls, in the events in which they come, and the calls that they are."""

NATIVE = [
    *(
        native_row(
            f"calls that are repeated, {name}",
            sse(*(native(*parts) for parts in events), native(finish="STOP")),
            calls=calls,
            metadata=NATIVE_CALLS,
            extra={"thought_signatures": ...} if "signature" in name else {},
        )
        for name, (events, calls) in NATIVE_REPEATED.items()
    ),
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


@each(CHAT, NATIVE, WITHOUT_ARGUMENTS)
async def test_tool_calls_are_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 5-2, 11-3, 11-6, 11-7, 11-19, 11-20, 11-22: fragments of every kind."""
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


# The indexes and arguments of fragments with text after each, and what is sent.
SENT = {
    "one call after another": (
        [(0, '{"i":1}'), (1, '{"i"'), (1, ":2}"), (2, "{}")],
        [(0, '{"i":1}'), "0", (1, '{"i"'), "1", (1, ":2}"), "2", (2, "{}"), "3"],
    ),
    "a call waits for the one before it": (
        [(0, '{"i"'), (1, '{"i":2}'), (0, ":1}"), (2, "{}")],
        [(0, '{"i"'), "0", "1", (0, ":1}"), (1, '{"i":2}'), "2", (2, "{}"), "3"],
    ),
    "calls wait for one another": (
        [(0, '{"i"'), (1, '{"i"'), (2, "{}"), (0, ":1}"), (1, ":2}")],
        [(0, '{"i"'), "0", "1", "2", (0, ":1}"), (1, '{"i"'), "3", (1, ":2}"), (2, "{}"), "4"],
    ),
}


@pytest.mark.parametrize(("pieces", "expected"), SENT.values(), ids=SENT)
def test_a_call_is_sent_as_soon_as_the_one_before_it_is_complete(pieces, expected) -> None:
    deltas, named = [], set()
    for at, (index, args) in enumerate(pieces):
        name = None if index in named else "f"
        named.add(index)
        deltas += [delta(tool_calls=[fragment(name, args, index=index)]), delta(content=str(at))]
    body = sse(*deltas, delta("tool_calls"), "[DONE]")
    sent: list[Any] = []
    for chunk in model_reading(*events_of(body)).stream("hi"):
        sent += [(c["index"], c["args"]) for c in chunk.tool_call_chunks if c["args"]]
        sent += [chunk.text] if chunk.text else []
    assert sent == expected
