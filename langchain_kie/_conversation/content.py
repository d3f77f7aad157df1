"""Content blocks to parts: text and media, the only content that KIE's APIs accept.

Pure. Reads the content blocks of LangChain, OpenAI, Anthropic and Gemini; opens no file and
fetches no URL.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_kie._conversation.media import (
    LOCAL_FILE_HINT,
    LOCAL_PATH,
    Media,
    media_from_data,
    media_from_url,
)
from langchain_kie._conversation.mime_types import MEDIA_KINDS, media_kind
from langchain_kie._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_kie._json import Json

Part: TypeAlias = str | Media

_DATA_KEYS = frozenset({"base64", "data", "file_data"})
_MAX_VALUE_CHARS = 500
_JSON_KEYS = (str, int, float, NoneType)


def parse_content(message: BaseMessage) -> list[Part]:
    """The text and media of a message, in order, without empty text.

    AI messages are reduced to their text and media: reasoning and server tools mean
    nothing to another turn or model, and tool calls are read from `tool_calls`. In a tool result,
    a block of an unknown type is sent as JSON. A block that cannot be sent is replaced with JSON
    that states the reason, with a warning, because a saved conversation must be able to continue.

    Raises:
        ValueError: A block of another message cannot be sent.
    """
    content = message.content
    if isinstance(content, str):
        return [content] if content else []
    parts: list[Part] = []
    try:
        for block in content:
            parts += [block] if isinstance(block, str) else _parse_block(block, message)
    except RecursionError:
        raise ValueError(f"{message.type} message: its content is nested too deeply") from None
    return [part for part in parts if part != ""]


def _parse_block(block: Json, message: BaseMessage) -> list[Part]:
    """The parts of one block.

    Raises:
        ValueError: The block cannot be sent.
    """
    is_tool_result = isinstance(message, ToolMessage)
    try:
        wrapped = block.get("value") if block.get("type") == "non_standard" else None
        for candidate in (wrapped, block):
            if isinstance(candidate, dict) and (parser := _parser_for(candidate)):
                return _checked(parser(candidate))
        if isinstance(message, AIMessage):
            return []
        reason = "blocks of this type cannot be sent"
    except (LookupError, TypeError, AttributeError):
        reason = f"malformed: it has neither text, data nor a URL; {LOCAL_FILE_HINT}"
    except ValueError as error:
        reason = str(error)
        if is_tool_result:
            warn(f"sent as JSON: {_block_summary(block, message)}: {reason}")
            return [_to_json_text({"not sent": reason, "block": _without_data(block)})]
    if is_tool_result:
        return [_to_json_text(block.get("json", block.get("value", block)))]
    raise ValueError(f"{_block_summary(block, message)}: {reason}")


def _checked(parts: Iterator[Part]) -> list[Part]:
    """Parts as a list; raises a `TypeError` for one that is neither text nor media."""
    found = [*parts]
    if not all(isinstance(part, (str, Media)) for part in found):
        raise TypeError("text must be a string")
    return found


def _parser_for(block: Json) -> Callable[[Json], Iterator[Part]] | None:
    """The parser for the type of a block; Bedrock's and Gemini's have a key instead of a type."""
    block_type = block.get("type") or next((k for k in _TYPE_KEYS if k in block), "")
    return _PARSERS.get(block_type)


def _block_summary(block: Json, message: BaseMessage) -> str:
    """A block for an error message: its type and keys, never its values."""
    keys = sorted(map(str, block))
    return f"{message.type} message, content block of type {block.get('type')!r} with keys {keys}"


def _to_json_text(value: Any) -> str:
    """Any value as JSON; text that is not valid UTF-8 is escaped, which orjson cannot do."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return json.dumps(_with_json_keys(value), default=str)


def _with_json_keys(value: Any) -> Any:
    """A value whose keys JSON has; others, such as tuples, become their text."""
    if isinstance(value, dict):
        return {
            key if isinstance(key, _JSON_KEYS) else str(key): _with_json_keys(inner)
            for key, inner in value.items()
        }
    return [*map(_with_json_keys, value)] if isinstance(value, (list, tuple)) else value


def _without_data(value: Any) -> Any:
    """A block without base64 data, its other values truncated."""
    if isinstance(value, dict):
        return {key: _without_data(inner) for key, inner in value.items() if key not in _DATA_KEYS}
    if isinstance(value, list):
        return [_without_data(inner) for inner in value]
    return value[:_MAX_VALUE_CHARS] if isinstance(value, (str, bytes)) else value


def repaired_for_langchain(message: BaseMessage) -> BaseMessage:
    """The message with blocks that langchain-core processes correctly before it calls a model.

    langchain-core 1.7.2 raises for a base64 image without a MIME type (`_format_for_tracing`) and
    for v0 text blocks, and labels every file in OpenAI's form as a PDF (`_normalize_messages`).
    Remove this function when no supported langchain-core does any of this.
    """
    content = [_repaired(block) if isinstance(block, dict) else block for block in message.content]
    is_same = all(new is old for new, old in zip(content, message.content, strict=True))
    return message if is_same else message.model_copy(update={"content": content})


def _repaired(block: Json) -> Json:
    block_type, source = block.get("type"), block.get("source_type")
    if block_type == "file" and source == "text" and "text" in block:
        return {"type": "text-plain", "text": block["text"], "mime_type": "text/plain"}
    is_image = block_type == "image" and ("base64" in block or source == "base64")
    is_openai_file = block_type == "file" and isinstance(block.get("file"), dict)
    if is_openai_file or (is_image and not block.get("mime_type")):
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            part = next(_PARSERS[block["type"]](block), None)
            if isinstance(part, Media) and part.data:
                named = {"filename": part.name} if part.name else {}
                source = {"base64": part.base64, "mime_type": part.mime_type}
                return {"type": block_type, **source, **named}
    return block


def transcript_of(audio: Any) -> str:
    """The transcript of audio in OpenAI's form, or of a block with it; empty if there is none."""
    if not isinstance(audio, dict):
        return ""
    holders = (audio, *map(audio.get, ("audio", "input_audio", "extras")))
    names = ("transcript", "audio_transcript")
    texts = (holder.get(name) for holder in holders if isinstance(holder, dict) for name in names)
    return next((text for text in texts if text and isinstance(text, str)), "")


def text_and_media(parts: list[Part]) -> tuple[str, list[Media]]:
    """The text among `parts`, joined with newlines, and the media."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0], []
    text = "\n".join(part for part in parts if isinstance(part, str))
    return text, [part for part in parts if isinstance(part, Media)]


# --- parsers: one for each form of a block -----------------------------------------------------


def _text_block(block: Json) -> Iterator[Part]:
    """Text in LangChain's and OpenAI's form; a refusal is text, too."""
    text = block["refusal" if block.get("type") == "refusal" else "text"] or ""
    if not isinstance(text, str):
        raise TypeError("text must be a string")
    yield text


def _image_url(block: Json) -> Iterator[Part]:
    """OpenAI's image, in the form of either of its APIs."""
    image = block.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    yield _media_part(block, "image", url=url, file_id=block.get("file_id"))


def _langchain_block(block: Json) -> Iterator[Part]:
    """LangChain's text and media blocks of v0 and v1, and Google's `media`."""
    is_text = block.get("source_type", block["type"]) in _TEXT_TYPES
    if is_text and isinstance(text := block.get("text"), str):
        yield text
        return
    data, name = block.get("base64"), _file_name(block)
    if isinstance(data, bytes):
        data = data.decode("ascii", errors="replace")
    data = data or block.get("data")
    default_type = "text/plain" if is_text and data and not name else None
    yield _media_part(
        block,
        block["type"] if block["type"] in MEDIA_KINDS else "file",
        data=data,
        url=block.get("url") or block.get("file_uri"),
        file_id=block.get("file_id") or (block.get("id") if "source_type" in block else None),
        mime_type=block.get("mime_type") or default_type,
        name=name,
    )


def _file_name(block: Json) -> Any:
    """The file name: in the block itself, in v0's `metadata`, or in v1's `extras`.

    LangChain moves v0's `metadata` into `extras` (langchain-core 1.8.3).
    """
    extras = block.get("extras") or {}
    inner = (block, block.get("metadata") or {}, extras, extras.get("metadata") or {})
    return next((where["filename"] for where in inner if "filename" in where), None)


def _anthropic_block(block: Json) -> Iterator[Part]:
    """Anthropic's form of a block, which has a `source`; otherwise LangChain's."""
    source = block.get("source")
    if not isinstance(source, dict):
        yield from _langchain_block(block)
        return
    if source.get("type") in {"text", "content"}:
        yield from (block[key] for key in ("title", "context") if block.get(key))
    if source.get("type") == "text":
        yield str(source["data"])
    elif source.get("type") == "content":
        yield from _inner_blocks(source["content"])
    else:
        common = {"type": block["type"], "mime_type": source.get("media_type")}
        yield from _langchain_block({**source, **common, "filename": block.get("title")})


def _file_block(block: Json) -> Iterator[Part]:
    """OpenAI's form of a file, which has a `file`; otherwise Anthropic's or LangChain's.

    In OpenAI's Responses API, an `input_file` has the keys of `file` in the block itself.
    """
    file = block if block["type"] == "input_file" else block.get("file")
    if not isinstance(file, dict):
        yield from _anthropic_block(block)
        return
    data = file.get("file_data") or ""
    is_url = ":" in data[:8]
    yield _media_part(
        block,
        "file",
        data=None if is_url else data,
        url=data if is_url else file.get("file_url"),
        file_id=file.get("file_id"),
        name=file.get("filename"),
    )


def _audio(block: Json) -> Iterator[Part]:
    """Audio in OpenAI's or LangChain's form, then its transcript.

    Of an answer in OpenAI's form, whose type is not known, only the transcript if there is one.
    """
    transcript = transcript_of(block)
    try:
        if block["type"] == "input_audio":
            audio = block["input_audio"]
            mime_type = f"audio/{audio.get('format') or 'wav'}"
            yield _media_part(block, "audio", data=audio["data"], mime_type=mime_type)
        elif block["type"] == "audio":
            yield from _anthropic_block(block)
        elif not transcript:
            yield _media_part(block, "audio", data=block.get("data"))
    except LookupError:
        if not transcript:
            raise
    yield transcript


def _inner_blocks(inner: str | list[Json]) -> Iterator[Part]:
    for part in [{"type": "text", "text": inner}] if isinstance(inner, str) else inner:
        yield from _PARSERS[part["type"]](part)


def _search_result(block: Json) -> Iterator[Part]:
    """Anthropic's search result: a title, a source and text."""
    yield from (str(block[key]) for key in ("title", "source") if block.get(key))
    yield from _inner_blocks(block["content"])


def _cache_point(_block: Json) -> Iterator[Part]:
    """Bedrock's cache point, which is no content."""
    warn("cachePoint: KIE has no cache points; the block is not sent")
    yield from ()


def _image_generation_call(block: Json) -> Iterator[Part]:
    """An image that an OpenAI model generated."""
    if result := block.get("result"):
        mime_type = f"image/{block.get('output_format') or 'png'}"
        yield _media_part(block, "image", data=result, mime_type=mime_type)


def _gemini_part(block: Json) -> Iterator[Part]:
    """Gemini's media parts, in snake case or camel case."""
    inner = next((block[key] for key in _GEMINI_KEYS if key in block), block)
    yield _media_part(
        block,
        "file",
        data=inner.get("data"),
        url=inner.get("file_uri") or inner.get("fileUri"),
        mime_type=inner.get("mime_type") or inner.get("mimeType"),
        name=inner.get("display_name") or inner.get("displayName"),
    )


_CACHE_POINT = "cachePoint"
_GEMINI_KEYS = ("inline_data", "inlineData", "file_data", "fileData")
_TYPE_KEYS = ("text", *_GEMINI_KEYS, _CACHE_POINT)
_TEXT_TYPES = frozenset({"text", "text-plain"})

_PARSERS: dict[str, Callable[[Json], Iterator[Part]]] = {
    **dict.fromkeys(("text", "output_text", "input_text", "refusal"), _text_block),
    **dict.fromkeys(("image_url", "input_image"), _image_url),
    **dict.fromkeys((*MEDIA_KINDS, "document", "media"), _anthropic_block),
    **dict.fromkeys(_GEMINI_KEYS, _gemini_part),
    **dict.fromkeys(("file", "input_file"), _file_block),
    "text-plain": _langchain_block,
    "search_result": _search_result,
    _CACHE_POINT: _cache_point,
    **dict.fromkeys(("audio", "input_audio", "output_audio"), _audio),
    "image_generation_call": _image_generation_call,
}


def _media_part(
    block: Json,
    kind: str,
    *,
    data: Any = None,
    url: Any = None,
    file_id: Any = None,
    mime_type: str | None = None,
    name: str | None = None,
) -> Media:
    """The media part for whichever the block has: a local path, `data`, `url` or `file_id`.

    Raises:
        LookupError: The block has none of them.
        ValueError: KIE cannot read it.
    """
    for key in ("video_metadata", "videoMetadata"):
        if block.get(key):
            raise ValueError(f"{key} cannot be sent; send only that section of the video")
    path = block.get(LOCAL_PATH)
    if isinstance(path, Path):
        part = Media(media_kind(mime_type, kind), mime_type, path=path)
    elif path is not None:
        raise ValueError(LOCAL_FILE_HINT)
    elif data:
        is_url = isinstance(data, str) and data[:5].lower() == "data:"
        part = (media_from_url if is_url else media_from_data)(data, mime_type, kind, name)
    elif url or (isinstance(file_id, str) and file_id.startswith(("http://", "https://"))):
        part = media_from_url(str(url or file_id), mime_type, kind, name)
    elif file_id:
        raise ValueError(
            "KIE cannot read files by id; upload the file with langchain_kie.KieFiles and send "
            "its block()"
        )
    else:
        raise LookupError("neither data nor a URL")
    part.name, part.index = name, block.get("index")
    return part
