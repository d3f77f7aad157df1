"""Conversations that a caller may send, and what the request for each must contain."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from fuzz.bodies import JSON, words
from fuzz.laws import PNG
from fuzz.shapes import ARGS, IDENTIFIER, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable

_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["", " ", "\x00", "\u2028", "é🌤", "{", '{"a": 1}', "null", "[DONE]", "data: x", "</b>", "%s"]
)
_NAMES = st.text(min_size=1, max_size=9) | st.sampled_from(
    ["f", "get_weather", "../x", "a b", "__class__", "googleSearch", "\u202ex", "n" * 80, "é", "1"]
)
_HEADS = [("image/png", PNG), ("application/pdf", b"%PDF-1.7\n"), ("audio/mpeg", b"ID3\x03")]
_HEADS += [("text/plain", b"plain ")]


@dataclass
class History:
    """A conversation.

    Attributes:
        messages: The messages.
        ordered_texts: Texts of user and AI messages, which must be sent in this order.
        sent: What else must be sent.
        count: The number of marks.
    """

    messages: list[BaseMessage] = field(default_factory=list)
    ordered_texts: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    count: int = 0

    def mark(self) -> str:
        """A unique word."""
        self.count += 1
        return f"<m{self.count}>"


def _text_forms(text: str) -> list[Any]:
    """The forms of text in a content."""
    source = {"type": "text", "data": text, "media_type": "text/plain"}
    typed = [{"type": kind, "text": text} for kind in ("text", "output_text", "input_text")]
    extra = {"type": "text", "text": text, "annotations": [], "index": 0, "id": "b"}
    plain = {"type": "text-plain", "text": text, "mime_type": "text/plain"}
    return [text, *typed, extra, plain, {"text": text}, {"type": "document", "source": source}]


def _data_forms(data: str, mime_type: str) -> list[dict[str, Any]]:
    """Data in the forms of LangChain, OpenAI, Anthropic and Gemini."""
    url = f"data:{mime_type};base64,{data}"
    top = mime_type.partition("/")[0]
    kind = top if top in {"image", "audio"} else "file"
    mime = {"mime_type": mime_type}
    source = {"type": "base64", "data": data, "media_type": mime_type}
    return [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": kind, "base64": data, **mime},
        {"type": kind, "source_type": "base64", "data": data, **mime},
        {"type": "media", "data": data, **mime},
        {"type": kind, "url": url},
        {"type": "file", "file": {"file_data": url, "filename": "x"}},
        {"type": "document", "source": source},
        {"inline_data": {"data": data, **mime}},
    ]


def _url_forms(url: str) -> list[dict[str, Any]]:
    """The URL of an image, in the same forms."""
    return [
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "image", "url": url},
        {"type": "image", "source_type": "url", "url": url},
        {"type": "image", "source": {"type": "url", "url": url}},
        {"type": "media", "file_uri": url, "mime_type": "image/png"},
        {"file_data": {"file_uri": url, "mime_type": "image/png"}},
    ]


_NOT_SENT: list[dict[str, Any]] = [
    {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "s"}},
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "non_standard", "value": {"a": 1}},
    {"type": "server_tool_call", "id": "s", "name": "web_search", "args": {}},
    {"type": "server_tool_result", "tool_call_id": "s", "status": "success", "output": []},
    {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    {"type": "text", "text": ""},
]
"""Blocks of an AI message that are not sent back."""


def _content(draw: st.DrawFn, history: History, texts: list[str], others: Any = ()) -> Any:
    """Text, or blocks, of which the first is text."""
    blocks: list[Any] = []
    for n in range(draw(st.integers(1, 4))):
        mark = history.mark()
        kind = draw(st.integers(0, 2 + bool(others))) if n else 0
        if kind in {0, 1}:
            texts.append(draw(_WORDS) + mark + draw(_WORDS))
            blocks.append(draw(st.sampled_from(_text_forms(texts[-1]))))
        elif kind == 2 and draw(st.booleans()):
            mime_type, head = draw(st.sampled_from(_HEADS))
            history.sent.append(base64.b64encode(head + mark.encode()).decode())
            blocks.append(draw(st.sampled_from(_data_forms(history.sent[-1], mime_type))))
        elif kind == 2:
            history.sent.append(f"https://media.example/{mark[1:-1]}.png")
            blocks.append(draw(st.sampled_from(_url_forms(history.sent[-1]))))
        else:
            blocks.append(draw(st.sampled_from(others)))
    return blocks[0] if len(blocks) == 1 and isinstance(blocks[0], str) else blocks


def _ai_messages(draw: st.DrawFn, history: History) -> list[BaseMessage]:
    """An AI message and its tool results, sometimes with a user message among them."""
    content = (
        _content(draw, history, history.ordered_texts, _NOT_SENT) if draw(st.integers(0, 3)) else ""
    )
    ids = [f"{draw(IDENTIFIER)}{history.mark()}" for _ in range(draw(st.integers(0, 3)))]
    history.sent += ids
    calls = [{"id": i, "name": draw(_NAMES), "args": {**draw(ARGS), "m": i}} for i in ids]
    entries = [{"type": "text", "start": 0, "end": 1, "signature": draw(SIGNATURE)}]
    entries += [{"type": "tool_call", "id": i, "at": 0, "signature": "c"} for i in ids]
    signed = {"thought_signatures": {"gemini-9": entries}} if draw(st.booleans()) else {}
    copied = {"function_call": {"name": "f"}} if ids else {}
    origin = draw(st.sampled_from(["kie", "openai"]))
    message = AIMessage(
        content,
        tool_calls=calls,
        name=draw(st.none() | IDENTIFIER),
        response_metadata={"model_provider": origin},
        additional_kwargs={"refusal": "no", "audio": {"transcript": "hm"}, **signed, **copied},
    )
    results: list[BaseMessage] = []
    for i in draw(st.permutations(ids)):
        status = draw(st.sampled_from(["success", "error"]))
        content = _content(draw, history, history.sent)
        results.append(ToolMessage(content, tool_call_id=i, status=status))
    if results and draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(results)))
        results[place:place] = _user_messages(draw, history)
    return [message, *results]


def _user_messages(draw: st.DrawFn, history: History) -> list[BaseMessage]:
    content = _content(draw, history, history.ordered_texts)
    if draw(st.integers(0, 5)) == 0:
        return [ChatMessage(content, role=draw(st.sampled_from(["user", "human"])))]
    return [HumanMessage(content, name=draw(st.none() | IDENTIFIER))]


def _system_messages(draw: st.DrawFn, history: History) -> list[BaseMessage]:
    history.sent.append(draw(_WORDS) + history.mark())
    return [SystemMessage(draw(st.sampled_from(_text_forms(history.sent[-1])[:1])))]


_TURNS: list[Callable[[st.DrawFn, History], list[BaseMessage]]] = [
    _user_messages,
    _ai_messages,
    _system_messages,
]


@st.composite
def valid(draw: st.DrawFn) -> History:
    """A conversation that LangChain could produce."""
    history = History()
    for _ in range(draw(st.integers(0, 4))):
        history.messages += draw(st.sampled_from(_TURNS))(draw, history)
    history.messages += _user_messages(draw, history)
    return history


_KINDS = words("""text image image_url file audio video media document refusal input_audio
    output_audio text-plain non_standard reasoning tool_use input_file output_text json
    image_generation_call""")
_MEMBERS = words("""text url data base64 mime_type source file image_url file_id input_audio path
    inline_data file_data file_uri index id name media_type source_type result refusal format
    transcript audio extras""")
_VALUES = words("""AAAA AA-_ data:image/png;base64,AAAA data:,x https://x.example file:///etc/passwd
    /etc/passwd http://[ image/png a/b gs://b/o https://youtu.be/x base64 url""")

INVALID_BLOCKS = st.builds(
    lambda typed, members: typed | members,
    st.just({}) | st.fixed_dictionaries({"type": st.sampled_from(_KINDS)}),
    st.dictionaries(
        st.sampled_from(_MEMBERS), JSON | st.sampled_from([*_VALUES, "\ud800"]), max_size=4
    ),
)
_INVALID_ARGS: list[Any] = [float("nan"), float("inf"), "\ud800", {"\udfff": 1}, 10**400, {1: 2}]
_INVALID_ARGS += [{None: 1}, b"bytes", {1, 2}, object, "a" * 3000]
_INVALID_CALL = {"type": "invalid_tool_call", "name": "f", "args": "{", "id": "i", "error": None}
_INVALID_MESSAGES = st.one_of(
    st.sampled_from([FunctionMessage("x", name="f"), RemoveMessage(id="1")]),
    st.just(AIMessage("", invalid_tool_calls=[_INVALID_CALL])),
    st.builds(ChatMessage, st.text(max_size=3), role=st.text(max_size=3)),
    st.builds(ToolMessage, st.text(max_size=3), tool_call_id=st.sampled_from(["", "i", "x"])),
    st.builds(HumanMessage, st.text(max_size=2)),
    st.builds(SystemMessage, st.lists(INVALID_BLOCKS, max_size=2)),
)


_ENTRY_MEMBERS = words("type id at start end signature digest digests index part extra args")
_ENTRY_TYPES = st.sampled_from(words("text content tool_call block message"))
_ENTRIES = st.builds(
    dict,
    st.dictionaries(st.sampled_from(_ENTRY_MEMBERS), JSON, max_size=6),
    type=_ENTRY_TYPES | JSON,
)
_SIGNATURES = st.dictionaries(
    st.sampled_from(words("gemini-3.1-pro gemini-3.5-flash gemini-3-flash")),
    st.lists(_ENTRIES, max_size=4),
)


@st.composite
def invalid(draw: st.DrawFn) -> list[BaseMessage]:
    """A conversation with something invalid in it that LangChain's types accept."""
    messages = draw(valid()).messages
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(messages) - 1)) if messages else 0
        replacements = {
            "content": draw(st.lists(st.text(max_size=3) | INVALID_BLOCKS, max_size=3)),
            "name": draw(st.text(max_size=5)),
            "additional_kwargs": {"thought_signatures": draw(JSON | _SIGNATURES)},
        }
        change = draw(st.sampled_from(["delete", "double", "add", "call", *replacements]))
        if change == "delete" or not messages:
            del messages[place : place + 1]
        elif change in replacements:
            messages[place] = messages[place].model_copy(update={change: replacements[change]})
        elif change == "call":
            args = {"x": draw(st.sampled_from(_INVALID_ARGS) | st.text())}
            call = {"name": draw(_NAMES), "args": args, "id": draw(st.sampled_from([None, "i"]))}
            called = AIMessage("", tool_calls=[{"type": "tool_call", **call}])
            messages[place:place] = [called, ToolMessage("done", tool_call_id="i")]
        else:
            messages.insert(place, messages[0] if change == "double" else draw(_INVALID_MESSAGES))
    return messages


def texts_in(value: Any) -> list[str]:
    """Every text in a body, in order, also those inside JSON text."""
    if isinstance(value, dict):
        return [text for pair in value.items() for inner in pair for text in texts_in(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts_in(inner)]
    if not isinstance(value, str):
        return []
    try:
        inner = orjson.loads(value) if value[:1] in {"{", "["} else None
    except orjson.JSONDecodeError:
        inner = None
    return [value, *texts_in(inner)]
