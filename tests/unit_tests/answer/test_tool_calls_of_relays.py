"""Tool calls as relays and other servers send them."""

from __future__ import annotations

from typing import Any

import orjson
from scripted_server import sse

from unit_tests.answer.rows import (
    F1,
    GENERATED,
    SIGNATURE,
    STOP,
    Row,
    chat_row,
    check_every_call_mode,
    completion,
    delta,
    each,
    ended,
    fragment,
    fragments,
)

QUOTED = orjson.dumps('{"i":1}').decode()
OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'
HALVES = r'{"a":"\ud83c\uD83C\uDF24\udf24\\ud83c","b":"\ud83c"}'
CITIES = [("f", {"city": "Oslo"}, "c1"), ("f", {"city": "Rome"}, None)]
C1 = {"id": "c1"}
IDS = {OSLO: "c1", ROME: "c2"}
TWO = [("f", {"city": "Oslo"}, "c1"), ("f", {"city": "Rome"}, "c2")]


def two_calls(index: int | None) -> list[dict[str, Any]]:
    """Two calls; the index of the second."""
    indexes = [{}, {}] if index is None else [{"index": 0}, {"index": index}]
    calls = zip((OSLO, ROME), ("c1", "c2"), indexes, strict=True)
    return [fragment("f", args, id=call_id, **members) for args, call_id, members in calls]


A, B = fragment("f", OSLO), fragment("f", ROME)
A_0, B_0 = fragment("f", OSLO, index=0), fragment("f", ROME, index=0)
A_C1, B_C1, F_C1 = (fragment("f", args, id="c1") for args in (OSLO, ROME, '{"i":1}'))
A_0_C1 = fragment("f", OSLO, index=0, id="c1")
TWO_IN_ONE = fragment("f", OSLO + ROME, index=0, id="c1")
NOW = fragment("now", "")
BOTH = [("f", {"city": "Oslo"}, None), ("f", {"city": "Rome"}, None)]
REPEATED: dict[str, tuple[list[list[dict[str, Any]]], list[Any]]] = {
    "two at once": ([[A, B], [A, B]], BOTH),
    "two at once, three times": ([[A, B]] * 3, BOTH),
    "two, then both at once": ([[A], [B], [A, B]], BOTH),
    "two in turns": ([[A], [B], [A], [B]], BOTH),
    "two, index 0 for all": ([[A_0], [B_0], [A_0, B_0]], BOTH),
    "two without an index, then with one": ([[A, B], [A_0, fragment("f", ROME, index=1)]], BOTH),
    "two with an id, then without": ([two_calls(1), [A, B]], TWO),
    "one in fragments": ([[fragment("f", OSLO[:4])], [fragment(None, OSLO[4:])], [A]], BOTH[:1]),
    "and another": ([[A], [A, B]], BOTH),
    "objects in strings": ([[fragment("f", f" {QUOTED}"), A]] * 2, [GENERATED[0], BOTH[0]]),
    "two in one fragment": ([[TWO_IN_ONE], [TWO_IN_ONE]], CITIES),
    "two in one fragment, then each": ([[TWO_IN_ONE], two_calls(None)], CITIES),
    "two with one id, the first again": ([[A_0_C1], [B_0], [A_0_C1]], CITIES),
    "three with one id": ([[A_C1, B_C1, F_C1]] * 2, [*CITIES, GENERATED[0]]),
    "two with one id, no name in the second": (
        [[A_0_C1], [fragment(None, ROME, index=0)], [A_0_C1], [fragment("f", ROME, id="c1")]],
        CITIES,
    ),
    "only as an object among the arguments of the next one": (
        [
            [fragment("f", "{}", id="c1")],
            *([fragment("f", p, id="c1")] for p in ('{"a":', "{}", "}")),
        ],
        [("f", {}, "c1"), ("f", {"a": {}}, None)],
    ),
    "two equal ones": ([[A, A], [A, A]], BOTH[:1] * 2),
    "only as equal ones of one event": ([[A, A]], BOTH[:1] * 2),
    "only as equal ones of one event, index 0 for all": ([[A_0, A_0]], BOTH[:1] * 2),
    "only as equal ones of one event, without arguments": ([[NOW, NOW]], [("now", {}, None)] * 2),
    "without arguments": ([[A, fragment("now", "{}")]] * 2, [BOTH[0], ("now", {}, None)]),
}
"""Complete calls, in the events in which they come, and the calls that they are."""

NOW_1 = fragment("now", "", index=0, id="c1")
SUMMARIES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], list[Any]]] = {
    "a call without arguments": ([fragment("f", "", index=0, id="c1")], [A], CITIES[:1]),
    "a call with neither arguments nor id": ([fragment("f", "", index=0)], [A], BOTH[:1]),
    "two calls without arguments": (
        [fragment("f", "", index=0, id="c1"), fragment("f", "", index=1, id="c2")],
        [A, B],
        TWO,
    ),
    "a call that is not complete": ([fragment("f", OSLO[:9], index=0, id="c1")], [A], CITIES[:1]),
    "a call that is not complete, with its id": (
        [fragment("f", OSLO[:9], index=0, id="c1")],
        [fragment("f", OSLO, id="c1")],
        CITIES[:1],
    ),
    "half an escape": (
        [fragment("f", '{"a":"\\u00', index=0, id="c1")],
        [fragment("f", '{"a":"\\u00e9"}')],
        [("f", {"a": "\u00e9"}, "c1")],
    ),
    "a complete call": ([A_0_C1], [A], CITIES[:1]),
    "a complete call, then another": ([A_0_C1], [A, B], CITIES),
    "another call": ([A_0_C1], [B], CITIES),
    "a call that has no arguments": ([NOW_1], [NOW], [("now", {}, "c1")]),
    "a call whose arguments are empty": (
        [fragment("now", "{}", index=0, id="c1")],
        [NOW],
        [("now", {}, "c1")],
    ),
    "its signature": ([A_0_C1], [{**A, **SIGNATURE}], CITIES[:1]),
}
"""Fragments of calls, the calls of the message after them, and the calls that they are."""

OTHER_SERVERS = [
    *(
        chat_row(
            f"fragments, then a message with {name}",
            sse(
                *(delta(tool_calls=[one]) for one in pieces),
                orjson.loads(completion("tool_calls", tool_calls=message)),
            ),
            calls=calls,
            extra={"thought_signatures": ...} if "signature" in name else {},
        )
        for name, (pieces, message, calls) in SUMMARIES.items()
    ),
    chat_row(
        "a call that is cut, also in the message",
        sse(
            delta(tool_calls=[fragment("f", OSLO[:9], index=0, id="c1")]),
            orjson.loads(completion("length", tool_calls=[fragment("f", OSLO[:9])])),
        ),
        invalid=[("f", OSLO[:9])],
        metadata=ended("length", id="x"),
    ),
    *(
        chat_row(
            f"calls that are repeated, {name}",
            sse(*(delta(tool_calls=event) for event in events), delta("tool_calls")),
            calls=calls,
        )
        for name, (events, calls) in REPEATED.items()
    ),
    *(
        chat_row(
            f"arguments that are {arguments!r}",
            fragments({"index": 0, "id": "c1", "function": {"name": "f", "arguments": arguments}}),
            calls=[("f", {}, "c1")],
        )
        for arguments in ("null", " ", "\n null", "", None)
    ),
    *(
        chat_row(
            f"arguments that are {arguments!r}, in pieces",
            fragments(
                fragment("f", "", index=0, id="c1"),
                *(fragment(None, piece, index=0) for piece in arguments),
            ),
            calls=[("f", {}, "c1")],
        )
        for arguments in (["nu", "ll"], [" ", "n", "ull "], ["[", "]"])
    ),
    chat_row(
        "a list as arguments, in pieces",
        fragments(
            fragment("f", "", index=0, id="c1"),
            *(fragment(None, piece, index=0) for piece in ("[1", ",2", "]")),
        ),
        invalid=[("f", "[1,2]")],
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
        "null after complete arguments",
        fragments(
            fragment("f", OSLO, index=0, id="c1"),
            fragment(None, "null", index=0),
            fragment("f", "null", index=0, id="c1"),
        ),
        calls=CITIES[:1],
    ),
    *(
        chat_row(
            f"two calls, and both again with the index 0, the second at first with {index}",
            fragments(*two_calls(index), *two_calls(0)),
            calls=TWO,
        )
        for index in (0, 1)
    ),
    chat_row(
        "a message that has the arguments, and another call",
        sse(
            delta(tool_calls=[fragment("f", "", index=0, id="c1")]),
            orjson.loads(completion("tool_calls", tool_calls=two_calls(None))),
        ),
        calls=TWO,
    ),
    chat_row(
        "a call in the old form, then in the new one",
        sse(
            delta(function_call={"name": "f", "arguments": OSLO}),
            delta(tool_calls=[fragment("f", OSLO, index=0, id="c1")]),
            delta("tool_calls"),
        ),
        calls=[("f", {"city": "Oslo"}, None)],
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
        "braces in a text, then another object",
        fragments(fragment("f", '{"a":"}{"}{"a":"b"}', index=0, id="c1")),
        calls=[("f", {"a": "}{"}, "c1"), ("f", {"a": "b"}, None)],
    ),
    *(
        chat_row(
            f"{escape} that is cut, then another object",
            fragments(
                fragment("f", f'{{"a":"{start}', index=0, id="c1"),
                fragment(None, f'{end}"}}{{"a":"b"}}', index=0),
            ),
            calls=[("f", {"a": char}, "c1"), ("f", {"a": "b"}, None)],
        )
        for escape, start, end, char in (
            ("a quote", "\\", '"', '"'),
            ("a backslash", "\\", "\\", "\\"),
            ("a code unit", "\\u00", "e9", "\u00e9"),
        )
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
    *(
        chat_row(
            f"a name after {name}",
            fragments(
                *(fragment(None, piece, index=0, **C1) for piece in pieces),
                fragment("f", *args, index=0, **C1),
            ),
            calls=calls,
        )
        for name, pieces, args, calls in (
            ("two objects", [OSLO, ROME], [], CITIES),
            ("two objects in one fragment", [OSLO + ROME], [], CITIES),
            ("the start of the second object", [OSLO, ROME[:4]], [ROME[4:]], CITIES),
            ("an object that is cut, and another", [OSLO[:8], OSLO[8:] + ROME], [], CITIES),
            ("an object, with another", [OSLO], [ROME], CITIES),
            ("an object, with the same", [OSLO], [OSLO], CITIES[:1]),
            ("an object, with null", [OSLO], ["null"], CITIES[:1]),
            (
                "an object with braces in a text",
                ['{"city":"} {"}'],
                [],
                [("f", {"city": "} {"}, "c1")],
            ),
        )
    ),
    *(
        chat_row(
            f"index 0 for all, ids, fragments that alternate, the name in {name}",
            fragments(
                *(fragment("f", args[:8], index=0, id=one) for args, one in IDS.items()),
                *(fragment(later, args[8:], index=0, id=one) for args, one in IDS.items()),
            ),
            calls=TWO,
        )
        for name, later in {"the first": None, "each": "f"}.items()
    ),
    chat_row(
        "an id for all, fragments that alternate",
        fragments(
            *(fragment("f", args[:8], index=i, **C1) for i, args in enumerate(IDS)),
            *(fragment(None, args[8:], index=i, **C1) for i, args in enumerate(IDS)),
        ),
        calls=CITIES,
    ),
    Row(
        "only a call without a name",
        fragments(fragment(None, OSLO, index=0, id="c1"), finish_reason="stop"),
        metadata={**STOP, "empty_answer": True},
    ),
]


@each(OTHER_SERVERS)
async def test_tool_calls_of_other_servers_are_the_same_in_every_call_mode(row: Row) -> None:
    await check_every_call_mode(row)
