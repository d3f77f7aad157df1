"""Content blocks of any provenance to text and media, the two things a dialect can carry.

Knows the block forms of LangChain, OpenAI, Anthropic and Gemini. Knows nothing of dialects,
opens no file and fetches no URL.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_kie._conversation.media import (
    LOCAL_FILE_HINT,
    LOCAL_PATH,
    Media,
    inline,
    kind_of,
    remote,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Part: TypeAlias = str | Media

Block: TypeAlias = dict[str, Any]

_DATA = frozenset({"base64", "data", "file_data"})
_MOST_SHOWN = 500


def parts_of(message: BaseMessage) -> list[Part]:
    """The text and media of a message, in order, without empty text.

    Of an AI message, whoever wrote it, only text and media are sent: reasoning and what the
    provider's own tools did mean nothing to another turn or model, and its tool calls are read
    from `tool_calls` instead. What a tool gave back that is no block is sent as JSON; so is,
    with the reason and a warning, a block that cannot be sent: the thread must go on.

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
        try:
            parts.extend(_read(block, message))
        except (LookupError, TypeError, AttributeError):
            if not isinstance(message, ToolMessage):
                raise ValueError(
                    f"cannot send a malformed content block {_shown(block)}: "
                    f"it has neither text, data nor a URL; {LOCAL_FILE_HINT}"
                ) from None
            parts.extend(_unknown(block, message))
        except ValueError as error:
            reason = f"{message.type} message, block {_shown(block)}: {error}"
            if not isinstance(message, ToolMessage):
                raise ValueError(reason) from None
            warnings.warn(f"sent as JSON: {reason}", stacklevel=2)
            parts.append(_as_json({"not sent": str(error), "block": _without_data(block)}))
    return [part for part in parts if part != ""]


def _read(block: Block, message: BaseMessage) -> list[Part]:
    """What a block says.

    Raises:
        ValueError: It cannot be sent.
        LookupError: It has not what blocks of its type have; `TypeError` and `AttributeError`
            likewise.
    """
    value = block.get("value")
    if block.get("type") == "non_standard" and isinstance(value, dict):
        block = value if (value.get("type") or _untyped(value)) in _READERS else block
    reader = _READERS.get(block.get("type") or _untyped(block) or "")
    return [*(reader(block) if reader else _unknown(block, message))]


def _unknown(block: Block, message: BaseMessage) -> Iterator[Part]:
    """What can be sent of a block that cannot be read, by whose message it is in."""
    if isinstance(message, ToolMessage):
        yield _as_json(block.get("json", block.get("value", block)))
    elif not isinstance(message, AIMessage):
        raise ValueError("a block of this type cannot be sent")


def _as_json(value: Any) -> str:
    """JSON of anything; what UTF-8 cannot hold is left to the standard library's escapes."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return json.dumps(value, default=str, skipkeys=True)


def _without_data(value: Any) -> Any:
    """A block without its data."""
    if isinstance(value, dict):
        return {key: _without_data(inner) for key, inner in value.items() if key not in _DATA}
    if isinstance(value, list):
        return [_without_data(inner) for inner in value]
    is_long = isinstance(value, (str, bytes)) and len(value) > _MOST_SHOWN
    return value[:_MOST_SHOWN] if is_long else value


def repaired_for_langchain(message: BaseMessage) -> BaseMessage:
    """The message in a form that LangChain can read, which comes before any model does.

    It refuses a base64 image that does not say its type, cannot convert a v0 text, and takes
    every file of OpenAI's form for a PDF.
    """
    if isinstance(message.content, str):
        return message
    content = [_readable(block) if isinstance(block, dict) else block for block in message.content]
    is_same = all(new is old for new, old in zip(content, message.content, strict=True))
    return message if is_same else message.model_copy(update={"content": content})


def _readable(block: Block) -> Block:
    kind, source = block.get("type"), block.get("source_type")
    if kind == "file" and source == "text" and "text" in block:
        return {"type": "text-plain", "text": block["text"], "mime_type": "text/plain"}
    is_image = kind == "image" and ("base64" in block or source == "base64")
    is_openai = kind == "file" and isinstance(block.get("file"), dict)
    if is_openai or (is_image and not block.get("mime_type")):
        try:
            medium = next(_file(block) if is_openai else _data(block))
        except (ValueError, LookupError, TypeError, AttributeError):
            return block
        if isinstance(medium, Media) and medium.data:
            return {"type": kind, "base64": medium.data, "mime_type": medium.mime_type}
    return block


def text_and_media(parts: list[Part]) -> tuple[str, list[Media]]:
    """The text among `parts`, a line each, and the media."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0], []
    text = "\n".join(part for part in parts if isinstance(part, str))
    return text, [part for part in parts if isinstance(part, Media)]


def _untyped(block: Block) -> str | None:
    """The kind of a block that tells it by its only key, as Bedrock's and Gemini's do."""
    return next((key for key in ("text", *_GEMINI) if key in block), None)


def _text(block: Block) -> Iterator[Part]:
    yield _checked_text(block["text"])


def _refusal(block: Block) -> Iterator[Part]:
    yield _checked_text(block["refusal"])


def _checked_text(text: Any) -> str:
    if not isinstance(text or "", str):
        raise TypeError("a text must be a string")
    return text or ""


def _image_url(block: Block) -> Iterator[Part]:
    image = block.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    yield _medium("image", url=url, file_id=block.get("file_id"), block=block)


def _data(block: Block) -> Iterator[Part]:
    """LangChain's own media blocks, of both versions, and those that resemble them."""
    is_text = block.get("source_type", block["type"]) in _TEXTS
    if is_text and isinstance(text := block.get("text"), str):
        yield text
        return
    is_v0 = "source_type" in block
    data, name = _ascii(block.get("base64")) or block.get("data"), _name_of(block)
    default = "text/plain" if is_text and data and not name else None
    yield _medium(
        _KINDS.get(block["type"], "file"),
        data=data,
        url=block.get("url") or block.get("file_uri"),
        path=block.get(LOCAL_PATH),
        file_id=block.get("file_id") or (block.get("id") if is_v0 else None),
        mime_type=block.get("mime_type") or default,
        name=name,
        block=block,
    )


def _ascii(data: Any) -> Any:
    try:
        return data.decode("ascii") if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise ValueError(
            "its base64 holds the bytes themselves; make the block with langchain_kie.media_block"
        ) from None


def _name_of(block: Block) -> Any:
    """The name that LangChain's blocks of either version, or its conversion, have for a file."""
    inner = (block, block.get("metadata") or {}, block.get("extras") or {})
    return next((where["filename"] for where in inner if "filename" in where), None)


def _anthropic_block(block: Block) -> Iterator[Part]:
    """Anthropic's form of a block, where it is one."""
    source = block.get("source")
    if not isinstance(source, dict):
        yield from _data(block)
        return
    if source.get("type") in {"text", "content"}:
        yield from (block[key] for key in ("title", "context") if block.get(key))
    if source.get("type") == "text":
        yield str(source["data"])
    elif source.get("type") == "content":
        inner = source["content"]
        for part in [{"type": "text", "text": inner}] if isinstance(inner, str) else inner:
            yield from _READERS[part["type"]](part)
    else:
        own = {"type": block["type"], "mime_type": source.get("media_type")}
        yield from _data({**source, **own, "filename": block.get("title")})


def _file(block: Block) -> Iterator[Part]:
    """OpenAI's form of a file, where it is one."""
    file = block.get("file")
    if not isinstance(file, dict):
        yield from _anthropic_block(block)
        return
    data = file.get("file_data") or ""
    is_url = ":" in data[:8]
    yield _medium(
        "file",
        data=None if is_url else data,
        url=data if is_url else file.get("file_url"),
        file_id=file.get("file_id"),
        name=file.get("filename"),
        block=block,
    )


def _input_file(block: Block) -> Iterator[Part]:
    """The same in OpenAI's Responses API, which has its members one level up."""
    yield from _file({"file": block})


def _input_audio(block: Block) -> Iterator[Part]:
    audio = block["input_audio"]
    mime_type = f"audio/{audio.get('format') or 'wav'}"
    yield _medium("audio", data=audio["data"], mime_type=mime_type, block=block)


def _image_generation_call(block: Block) -> Iterator[Part]:
    """A picture that an OpenAI model drew."""
    if result := block.get("result"):
        mime_type = f"image/{block.get('output_format') or 'png'}"
        yield _medium("image", data=result, mime_type=mime_type, block=block)


def _gemini(block: Block) -> Iterator[Part]:
    """A part as Gemini writes it, in either of its spellings."""
    inner = next((block[key] for key in _GEMINI if key in block), block)
    yield _medium(
        "file",
        data=inner.get("data"),
        url=inner.get("file_uri") or inner.get("fileUri"),
        mime_type=inner.get("mime_type") or inner.get("mimeType"),
        name=inner.get("display_name") or inner.get("displayName"),
        block=block,
    )


_GEMINI = ("inline_data", "inlineData", "file_data", "fileData")

_KINDS = {"image": "image", "audio": "audio", "video": "video"}

_TEXTS = frozenset({"text", "text-plain"})

_READERS: dict[str, Callable[[Block], Iterator[Part]]] = {
    "text": _text,
    "output_text": _text,
    "input_text": _text,
    "refusal": _refusal,
    "image_url": _image_url,
    "input_image": _image_url,
    "image": _anthropic_block,
    "audio": _anthropic_block,
    "video": _anthropic_block,
    "document": _anthropic_block,
    "media": _anthropic_block,
    "text-plain": _data,
    "file": _file,
    "input_file": _input_file,
    "input_audio": _input_audio,
    "image_generation_call": _image_generation_call,
    **dict.fromkeys(_GEMINI, _gemini),
}

_UNSENDABLE = ("video_metadata", "videoMetadata")


def _medium(
    kind: str,
    *,
    block: Block,
    data: Any = None,
    url: Any = None,
    path: Any = None,
    file_id: Any = None,
    mime_type: str | None = None,
    name: str | None = None,
) -> Media:
    """The medium that a block holds in one of the possible ways.

    Raises:
        LookupError: It holds none.
        ValueError: It holds one that KIE cannot get at.
    """
    if unsendable := [key for key in _UNSENDABLE if block.get(key)]:
        raise ValueError(f"{unsendable[0]} cannot be sent: cut the video instead")
    if isinstance(path, Path):
        medium = Media(kind_of(mime_type, kind), mime_type, path=path)
    elif path is not None:
        raise ValueError(LOCAL_FILE_HINT)
    elif data:
        is_url = isinstance(data, str) and data[:5].lower() == "data:"
        medium = (remote if is_url else inline)(data, mime_type, kind, name)
    elif url or (isinstance(file_id, str) and file_id.startswith(("http://", "https://"))):
        medium = remote(str(url or file_id), mime_type, kind, name)
    elif file_id:
        raise ValueError(
            "KIE has no files by id: upload the file with langchain_kie.KieFiles, "
            "and send the URL that it gives"
        )
    else:
        raise LookupError("neither data nor a URL")
    medium.index = block.get("index")
    return medium


def _shown(block: Block) -> str:
    """A block as an error may show it: its type and keys, not its contents."""
    return f"of type {block.get('type')!r} with keys {sorted(map(str, block))}"
