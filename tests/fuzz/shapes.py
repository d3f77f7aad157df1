"""Valid answers: complete, and in the shapes in which KIE streams them (docs/wire.md 3 to 6)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import strategies as st
from scripted_server import sse

from fuzz.bodies import PLACES
from fuzz.laws import CHAT, NATIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie import ChatKieGemini
    from langchain_kie._json import Json

TEXT = st.text(st.sampled_from('ab é🌤\u2028\n"\\{}[]:`,'), min_size=1, max_size=12)
IDENTIFIER = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
SIGNATURE = st.text(st.sampled_from("AZaz09+/=_-"), min_size=1, max_size=12)
_LEAF = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-9, 9) | TEXT
_VALUE = _LEAF | st.lists(_LEAF, max_size=2) | st.dictionaries(st.just("k"), _LEAF)
ARGS = st.dictionaries(st.text(st.sampled_from('abé\u2028"\\ '), max_size=3), _VALUE, max_size=3)


@dataclass(frozen=True)
class Part:
    """Text or a tool call, with its thought signature or its `extra_content`."""

    text: str = ""
    call: Json | None = None
    attached: Any = None


@dataclass(frozen=True)
class Shape:
    """One answer.

    Attributes:
        model: The model.
        thoughts: The thoughts.
        parts: The text and the tool calls in order.
        total: The total tokens.
        document: The answer without streaming.
        events: The answer as a stream.
    """

    model: ChatKieGemini
    thoughts: list[str]
    parts: list[Part]
    total: int
    document: Json
    events: list[Any]

    @property
    def stream(self) -> bytes:
        return sse(*self.events)

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    @property
    def calls(self) -> list[Json]:
        return [part.call for part in self.parts if part.call]

    @property
    def attachments(self) -> list[tuple[str, Any]]:
        """The text or the id of each part with a signature or `extra_content`, and that."""
        return [(p.call["id"] if p.call else p.text, p.attached) for p in self.parts if p.attached]


NAMES = ("reasoning_content", "reasoning", "both", "in turns", "tags")


@dataclass(frozen=True)
class Style:
    """How a server writes an answer of `chat_completions` (docs/wire.md 4 and 11).

    Attributes:
        shape: The end of a stream.
        thoughts: The name of the thoughts, or where they are.
        is_quoted: Whether arguments are encoded twice.
        has_nulls: Whether lists have null members.
        in_turns: Whether the fragments of several calls come in turns.
        is_repeated: Whether the last event before the end has all calls again, without their ids.
    """

    shape: str
    thoughts: str
    is_quoted: bool
    has_nulls: bool
    in_turns: bool
    is_repeated: bool

    def listed(self, item: Json) -> list[Any]:
        return [None, item, None] if self.has_nulls else [item]

    def thought(self, piece: str) -> list[Json]:
        """The deltas of a piece of the thoughts; in tags, of a piece of these."""
        names = {"both": ("reasoning_content", "reasoning")}.get(self.thoughts, (self.thoughts,))
        if self.thoughts == "tags":
            return [{"content": piece, **_MARK}] if piece else []
        if self.thoughts == "in turns":
            return [{"reasoning": piece}, {"reasoning_content": piece}]
        return [dict.fromkeys(names, piece)]


_MARK = {"extra_content": {"google": {"thought": True}}}


@st.composite
def shaped(draw: st.DrawFn) -> Shape:
    """Any valid answer: thoughts, text, then tool calls; on the native API these may alternate."""
    shape = draw(st.sampled_from(["A", "B", "C", "native"]))
    is_native = shape == "native"
    extra = st.builds(lambda text: {"google": {"thought_signature": text}}, SIGNATURE)
    attached = st.none() | (SIGNATURE if is_native else extra)
    signature = st.none() | (SIGNATURE if is_native else st.none())
    parts = draw(st.lists(st.builds(Part, TEXT, attached=signature), max_size=4))
    for call_id in draw(st.lists(IDENTIFIER, unique=True, max_size=4)):
        call = {"id": call_id, "name": draw(IDENTIFIER), "args": draw(ARGS)}
        parts.append(Part(call=call, attached=draw(attached)))
    parts = (draw(st.permutations(parts)) if is_native else parts) or [Part(draw(TEXT))]
    thoughts, counts = draw(st.lists(TEXT, max_size=3)), draw(st.tuples(*[st.integers(1, 99)] * 3))
    render = _native if is_native else _chat
    style = Style(shape, draw(st.sampled_from(NAMES)), *(draw(st.booleans()) for _ in range(4)))
    document, events = render(thoughts, parts, counts, draw(PLACES), style)
    return Shape(NATIVE if is_native else CHAT, thoughts, parts, sum(counts), document, events)


def _cut(text: str, places: Sequence[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    pieces = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [piece for piece in pieces if piece] or [""]


def _native(
    thoughts: list[str], parts: list[Part], counts: Any, places: Sequence[int], style: Style
) -> tuple[Json, list[Any]]:
    """One part in each event; text without a signature is split further."""
    thought = [{"text": text, "thought": True} for text in thoughts]
    complete, pieces = list(thought), list(thought)
    for part in parts:
        signed = {"thoughtSignature": part.attached} if part.attached else {}
        sent = {"functionCall": part.call} if part.call else {"text": part.text}
        complete.append({**sent, **signed})
        is_cut = not (part.call or signed)
        pieces += [{"text": t} for t in _cut(part.text, places)] if is_cut else [complete[-1]]

    def event(parts: list[Json], **more: Any) -> Json:
        return {"candidates": [{"content": {"role": "model", "parts": parts}, **more}]}

    prompt, answer, thinking = counts
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": answer}
    usage |= {"thinkingTokenCount": thinking, "totalTokenCount": sum(counts)}
    end = {"usageMetadata": usage, "credits_consumed": 0.25, "responseId": "r"}
    early_usage = {"usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": 0}}
    events = [{**event([piece]), **early_usage} for piece in pieces]
    if style.is_repeated:
        calls = [{k: v for k, v in p.call.items() if k != "id"} for p in parts if p.call]
        events.append(event([{"functionCall": call} for call in calls]))
    last = {**event([], finishReason="STOP"), **end}
    return {**event(complete, finishReason="STOP"), **end}, [*events, last]


def _chat(
    thoughts: list[str], parts: list[Part], counts: Any, places: Sequence[int], style: Style
) -> tuple[Json, list[Any]]:
    """The text and the arguments of tool calls in pieces."""
    text = "".join(part.text for part in parts)
    thought = "".join(thoughts)
    if style.thoughts == "tags" and thought:
        thought = f"<thought>{thought}</thought>"
    message: Json = {"content": text or None}
    for member in style.thought(thought):
        message |= {**member, "content": member.get("content", "") + text or None}
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for piece in _cut(thought, places):
        deltas += style.thought(piece)
    deltas += [{"content": piece} for piece in _cut(text, places)]
    fragments: list[list[Json]] = []
    for index, part in enumerate(part for part in parts if part.call):
        call = part.call or {}
        args = orjson.dumps(call["args"]).decode()
        args = orjson.dumps(args).decode() if style.is_quoted else args
        extra = {"extra_content": part.attached} if part.attached else {}
        fragments.append([])
        for n, piece in enumerate(_cut(args, places)):
            head = {"id": call["id"], "type": "function", **extra} if n == 0 else {}
            function = {"arguments": piece, **({"name": call["name"]} if n == 0 else {})}
            fragment = {"index": index, **head, "function": function}
            fragments[-1].append({"tool_calls": style.listed(fragment)})
        complete = {
            "id": call["id"],
            "function": {"name": call["name"], "arguments": args},
            **extra,
        }
        message.setdefault("tool_calls", []).extend(style.listed(complete))
    if style.in_turns:
        fragments = [[*filter(None, turn)] for turn in zip_longest(*fragments)]
    deltas += chain.from_iterable(fragments)
    if style.is_repeated and (calls := message.get("tool_calls")):
        repeated = [{"function": call["function"]} for call in calls if call]
        deltas.append({"tool_calls": repeated})
    details = {"reasoning_tokens": counts[2]}
    usage = {"prompt_tokens": counts[0], "completion_tokens": counts[1] + counts[2]}
    usage |= {"total_tokens": sum(counts), "completion_tokens_details": details}
    end = {"usage": usage, "credits_consumed": 0.25}
    events: list[Any] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    stop = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last = {
        "A": [stop, {"choices": [], **end}],
        "B": [{**stop, **end}],
        "C": [{"choices": [], **end}],
    }
    events += last[style.shape]
    for number, event in enumerate(events):
        event["id"] = f"c{number or ''}" if style.shape == "C" else "c"
    finish = {
        "index": 0,
        "message": message,
        "finish_reason": None if style.shape == "C" else "stop",
    }
    return {"id": "c", "choices": [finish], **end}, [*events, "[DONE]"]
