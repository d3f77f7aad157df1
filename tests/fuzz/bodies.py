"""Bodies that a server may send: mutated recordings, any JSON, and noise."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FOLDERS = (Path(__file__).parent / "answers", Path(__file__).parents[1] / "unit_tests/fixtures")
"""Invented answers with every member of both formats, and the recordings."""

_TOKENS = rb"""
data:| data:|data: |data|event: e|id: 1|retry: 5|: c|unknown: 1|{"choices":[]}|{"a":1}|[DONE]
|1|null|NaN|{|[|}|]|"|,| |[[|data: 1|{"code":1,|"msg":""}
"""
SOUP = st.lists(
    st.sampled_from(_TOKENS.strip(b"\n").replace(b"\n", b"").split(b"|"))
    | st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r"])
    | st.sampled_from(
        [b"\xef\xbb\xbf", b"\xf0\x9f\x8c", b"\xa4", b"\xff", b'"\xe2\x80\xa8"', b"\x00"]
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)

PLACES = st.lists(st.integers(0, 1 << 16), max_size=12)


def words(text: str) -> list[str]:
    """Split a text into its words."""
    return text.split()


def with_long_integers(body: bytes) -> bytes:
    """JSON in which a word is replaced by an integer that orjson cannot write."""
    return body.replace(orjson.dumps(LONG_INTEGER), b"1" + b"0" * 400)


def as_json(value: Any) -> bytes:
    """A value that was read from JSON, as JSON; it may have integers that orjson cannot write."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut `body` at `places` into pieces that are not empty."""
    ends = sorted({place % (len(body) + 1) for place in places} | {len(body)})
    pieces = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [piece for piece in pieces if piece]


def _values(path: Path) -> list[Any]:
    """The values of an answer; a document is one value."""
    if path.suffix == ".json":
        return [orjson.loads(path.read_bytes())]
    lines = [line.removeprefix("data: ") for line in path.read_text().splitlines() if line]
    return [line if line == "[DONE]" else orjson.loads(line) for line in lines]


RECORDED = [
    _values(path)
    for folder in _FOLDERS
    for path in sorted(folder.iterdir())
    if path.suffix in {".sse", ".json"}
]


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


_UNRECORDED = words("""error msg status data detail thought_signature reasoning images image_url
    function_call reasoning_details extra_content logprobs logprobsResult toolCall toolResponse
    partialArgs jsonPath stringValue willContinue executableCode codeExecutionResult""")
_KEYS = sorted({*_keys(RECORDED), *_UNRECORDED})
LONG_INTEGER = "an integer that is no float"
_WORDS = [
    LONG_INTEGER,
    *words("""stop length STOP SAFETY MALFORMED_FUNCTION_CALL tool_calls text thought function
    null $.a[0] ```json {} {"a":1} {"a image/png OUTCOME_OK error call_1 get_weather url_citation
    AAAA web_search_1"""),
]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-2, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "Internal error.", *_WORDS])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS) | st.text("ab_", max_size=3), inner, max_size=4)
    ),
    max_leaves=14,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container inside a value, with each of its keys or indexes."""
    items = [*(value.items() if isinstance(value, dict) else enumerate(value))]
    inside = [
        place for _, inner in items if isinstance(inner, (dict, list)) for place in _places(inner)
    ]
    return [*((value, key) for key, _ in items), *inside]


def _put(holder: Any, key: Any, value: Any) -> None:
    """Insert a value next to another one."""
    if isinstance(holder, list):
        holder.insert(key, value)
    else:
        holder[f"{key}_"] = value


def _retype(value: Any) -> Any:
    return [*value[:4]] if isinstance(value, str) else as_json(value).decode()


_MUTATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "delete": lambda holder, key, _: holder.pop(key),
    "replace": lambda holder, key, other: holder.__setitem__(key, other),
    "double": lambda holder, key, _: _put(holder, key, copy.deepcopy(holder[key])),
    "add": _put,
    "list": lambda holder, key, _: holder.__setitem__(key, [holder[key]]),
    "wrap": lambda holder, key, _: holder.__setitem__(key, {"data": holder[key]}),
    "long": lambda holder, key, _: holder.__setitem__(key, LONG_INTEGER),
    "retype": lambda holder, key, _: holder.__setitem__(key, _retype(holder[key])),
    "rename": lambda holder, key, other: (
        _put(holder, other, holder.pop(key)) if isinstance(holder, dict) else holder.reverse()
    ),
}


@st.composite
def mutated(draw: st.DrawFn) -> list[Any]:
    """The values of one or two recordings after some mutations."""
    values = copy.deepcopy(draw(st.sampled_from(RECORDED)))
    if draw(st.integers(0, 5)) == 0:
        values += copy.deepcopy(draw(st.sampled_from(RECORDED)))
    for _ in range(draw(st.integers(1, 3))):
        if places := _places(values):
            holder, key = draw(st.sampled_from(places))
            other = draw(JSON | st.sampled_from(_KEYS))
            _MUTATIONS[draw(st.sampled_from(sorted(_MUTATIONS)))](holder, key, other)
    return values


SENT = st.integers(0, 7).flatmap(lambda n: mutated() if n else st.lists(JSON, max_size=3))
