"""Content blocks of any provenance to text and media, the two things a dialect can carry.

Knows LangChain's block forms. Knows nothing of dialects, opens no file and fetches no URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,(.*)", re.DOTALL)
_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound, video or document: inline base64 `data`, or a `url`.

    `index` tells the blocks of one answer apart.
    """

    mime_type: str | None
    data: str | None = None
    url: str | None = None
    index: str | None = None


Part: TypeAlias = str | Media


def parts_of(message: BaseMessage) -> list[Part]:
    """The text and media of a message, in order, without empty text.

    Of an AI message, whoever wrote it, only text and media are sent: reasoning and what the
    provider's own tools did mean nothing to another turn or model, and its tool calls are read
    from `tool_calls` instead. What a tool gave back that is no block is sent as JSON.

    Raises:
        ValueError: A block cannot be sent; the message says which and why.
    """
    content = message.content
    if isinstance(content, str):
        return [content] if content else []
    parts: list[Part] = []
    for block in content:
        if isinstance(block, str):
            parts.append(block)
            continue
        kind = block.get("type") or _untyped(block)
        reader = _READERS.get(kind or "")
        try:
            parts.extend(reader(block) if reader else _unknown(block, message))
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"cannot send a malformed content block {_shown(block)}") from None
    return [part for part in parts if part != ""]


def _unknown(block: dict[str, Any], message: BaseMessage) -> Iterator[Part]:
    """What can be sent of a block of no known kind, by whose message it is in."""
    if isinstance(message, ToolMessage):
        value = block.get("json", block.get("value", block))
        yield orjson.dumps(value, default=str).decode()
    elif not isinstance(message, AIMessage):
        raise ValueError(f"{message.type} message: cannot send a content block {_shown(block)}")


def text_of(parts: list[Part], separator: str = "\n") -> str:
    """The text among `parts`."""
    return separator.join(part for part in parts if isinstance(part, str))


def _untyped(block: dict[str, Any]) -> str | None:
    """The kind of a block that tells it by its only key, as Bedrock's and Gemini's do."""
    return next((key for key in ("text", "inline_data", "file_data") if key in block), None)


def _text(block: dict[str, Any]) -> Iterator[Part]:
    yield block.get("text") or ""


def _refusal(block: dict[str, Any]) -> Iterator[Part]:
    yield block.get("refusal") or ""


def _image_url(block: dict[str, Any]) -> Iterator[Part]:
    image = block.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    yield _at(url, None, block)


def _data(block: dict[str, Any]) -> Iterator[Part]:
    """LangChain's own media blocks, Anthropic's with `source`, and OpenAI's `file`."""
    source = block.get("source")
    if isinstance(source, dict):
        if source.get("type") == "text":
            yield str(source["data"])
            return
        block = {**source, "type": block.get("type"), "mime_type": source.get("media_type")}
    file = block.get("file")
    if isinstance(file, dict):
        block = {"url": file.get("file_data"), "file_id": file.get("file_id"), **block}
    mime_type = block.get("mime_type")
    data = block.get("base64") or block.get("data")
    if isinstance(data, str):
        yield _inline(data, mime_type, block)
    elif block.get("text") and block["type"] == "text-plain":
        yield str(block["text"])
    else:
        yield _at(block.get("url") or block.get("file_uri"), mime_type, block)


def _input_audio(block: dict[str, Any]) -> Iterator[Part]:
    audio = block["input_audio"]
    yield _inline(audio["data"], f"audio/{audio.get('format', 'wav')}", block)


def _drawn(block: dict[str, Any]) -> Iterator[Part]:
    """A picture that an OpenAI model drew."""
    if result := block.get("result"):
        yield _inline(result, f"image/{block.get('output_format') or 'png'}", block)


def _gemini_inline(block: dict[str, Any]) -> Iterator[Part]:
    inline = block.get("inline_data") or {}
    yield _inline(inline.get("data") or "", inline.get("mime_type"), block)


def _gemini_file(block: dict[str, Any]) -> Iterator[Part]:
    file = block.get("file_data") or {}
    yield _at(file.get("file_uri"), file.get("mime_type"), block)


_READERS: dict[str, Callable[[dict[str, Any]], Iterator[Part]]] = {
    "text": _text,
    "output_text": _text,
    "input_text": _text,
    "refusal": _refusal,
    "image_url": _image_url,
    "image": _data,
    "audio": _data,
    "video": _data,
    "file": _data,
    "document": _data,
    "media": _data,
    "text-plain": _data,
    "input_audio": _input_audio,
    "image_generation_call": _drawn,
    "inline_data": _gemini_inline,
    "file_data": _gemini_file,
}


def _inline(data: str, mime_type: str | None, block: dict[str, Any]) -> Media:
    if data.startswith("data:"):
        return _at(data, mime_type, block)
    if not data or not mime_type:
        missing = "mime_type" if data else "data"
        raise ValueError(f"a content block without {missing} cannot be sent: {_shown(block)}")
    return Media(mime_type, data=data, index=block.get("index"))


def _at(url: Any, mime_type: str | None, block: dict[str, Any]) -> Media:
    if isinstance(url, str):
        if inline := _DATA_URL.fullmatch(url):
            return _inline(inline[2], inline[1] or mime_type, block)
        if _URL.match(url):
            return Media(mime_type, url=url, index=block.get("index"))
    raise ValueError(
        f"cannot send {_shown(block)}: media must be base64 data, a data: URL or an http(s) URL"
    )


def _shown(block: dict[str, Any]) -> str:
    """A block as an error may show it: its type and keys, not its contents."""
    return f"of type {block.get('type')!r} with keys {sorted(map(str, block))}"
