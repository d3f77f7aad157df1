"""A message, or its part in a stream event, of the OpenAI-compatible APIs.

Pure. Sources: docs/wire.md 3 to 5.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_kie._answer.event import ToolCallDelta
from langchain_kie._conversation.thought_signatures import has_signature
from langchain_kie._wire import common

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._json import Json

_CALL_MEMBERS = frozenset({"index", "id", "type", "function"})
_FUNCTION_MEMBERS = frozenset({"name", "arguments"})
_SIGNED_MEMBERS = (
    "reasoning_details",
    "thought_signature",
    "thoughtSignature",
    "provider_specific_fields",
)
"""The members that can have signatures, as different servers name them (docs/wire.md 6)."""
_THOUGHT_TYPES = ("reasoning", "thought", "thinking")


def parse_message(message: Json, parsed: AnswerEvent) -> None:
    """Add the content and the members of a message to an event."""
    content = message.get("content")
    if isinstance(content, str):
        if content:
            parsed.outputs.append(content)
            if _MEMBERS.isdisjoint(message):
                return
    else:
        for part in [content] if isinstance(content, dict) else content or []:
            _parse_content_part(part, parsed)
    for name in _MEMBER_PARSERS:
        if name in message and (value := message[name]):
            _MEMBER_PARSERS[name](value, parsed)


def _parse_content_part(part: str | Json, parsed: AnswerEvent) -> None:
    """Parse a part of a content that is a list (docs/wire.md 3)."""
    if isinstance(part, str) or part is None:
        if part:
            parsed.outputs.append(part)
    elif part.get("type") in _THOUGHT_TYPES:
        parsed.reasoning += _thought_text(part)
    elif part.get("type") == "refusal":
        parsed.refusal += common.require_text(part.get("refusal") or part.get("text") or "")
    elif part.get("text"):
        parsed.outputs.append(common.require_text(part["text"]))
    elif part.get("image_url"):
        parsed.outputs.append(_image_block(part["image_url"]))
    elif "text" not in part:
        parsed.outputs.append({"type": "non_standard", "value": part})


def _thought_text(thought: Any) -> str:
    """The text of a thought, which may be a part of a content or a list of parts."""
    if isinstance(thought, list):
        return "".join(map(_thought_text, thought))
    if isinstance(thought, dict):
        if "type" not in thought:
            raise TypeError("a thought has no type")
        texts = (thought[key] for key in ("text", *_THOUGHT_TYPES) if thought.get(key))
        return _thought_text(next(texts, ""))
    return common.require_text(thought)


def _image_block(image: str | Json) -> Json:
    url = common.require_text(image["url"] if isinstance(image, dict) else image)
    head, is_inline, data = url.partition(";base64,")
    if is_inline and head[:5].lower() == "data:":
        return {"type": "image", "base64": data, "mime_type": head[5:].partition(";")[0]}
    return {"type": "image", "url": url}


def _parse_reasoning_content(thought: Any, parsed: AnswerEvent) -> None:
    parsed.reasoning += _thought_text(thought)


def _parse_reasoning(thought: Any, parsed: AnswerEvent) -> None:
    """Parse the name that other servers have for `reasoning_content`; some send both."""
    parsed.other_reasoning = _thought_text(thought)


def _parse_refusal(refusal: Any, parsed: AnswerEvent) -> None:
    parsed.refusal = common.require_text(refusal)


def _parse_annotations(annotations: Any, parsed: AnswerEvent) -> None:
    parsed.metadata["annotations"] = annotations


def _parse_extra_content(extra: Any, parsed: AnswerEvent) -> None:
    """Parse Google's additional members: the mark of a thought, or a signature."""
    google = extra.get("google")
    if isinstance(google, dict) and google.get("thought") is True:
        parsed.is_tagged_thought = True
        extra = {**extra, "google": {k: v for k, v in google.items() if k != "thought"}}
    if extra != {"google": {}}:
        _keep_member("extra_content", extra, parsed)


def _keep_member(name: str, value: Any, parsed: AnswerEvent) -> None:
    """Keep a member in the metadata, and to be sent back if it has a signature."""
    parsed.metadata[name] = value
    if has_signature({name: value}):
        parsed.message_extra = {**(parsed.message_extra or {}), name: value}


def _parse_images(images: Any, parsed: AnswerEvent) -> None:
    for image in images:
        part = {"image_url": image} if isinstance(image, str) else image
        _parse_content_part(part, parsed)


def _parse_tool_calls(calls: Any, parsed: AnswerEvent) -> None:
    for call in calls:
        if call is not None:
            parsed.outputs.append(_parse_tool_call(call, is_complete=parsed.is_message))


def _parse_function_call(function: Any, parsed: AnswerEvent) -> None:
    """Parse OpenAI's older form of a tool call; some servers send it with the newer one."""
    if not any(isinstance(output, ToolCallDelta) for output in parsed.outputs):
        _parse_tool_calls([{"function": function}], parsed)


_MEMBER_PARSERS: Mapping[str, Callable[[Any, AnswerEvent], None]] = {
    "reasoning_content": _parse_reasoning_content,
    "reasoning": _parse_reasoning,
    "refusal": _parse_refusal,
    "annotations": _parse_annotations,
    **{name: partial(_keep_member, name) for name in _SIGNED_MEMBERS},
    "extra_content": _parse_extra_content,
    "images": _parse_images,
    "tool_calls": _parse_tool_calls,
    "function_call": _parse_function_call,
}
"""The members of a message after its content, in the order in which they are read."""

_MEMBERS = frozenset(_MEMBER_PARSERS)


def _parse_tool_call(call: Json, *, is_complete: bool) -> ToolCallDelta:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    extra = {k: v for k, v in call.items() if k not in _CALL_MEMBERS}
    if inner := {k: v for k, v in function.items() if k not in _FUNCTION_MEMBERS}:
        extra["function"] = inner
    return ToolCallDelta(
        name=function.get("name") or None,
        args=common.arguments_text(arguments),
        id=common.id_text(call.get("id")),
        index=call.get("index"),
        is_complete=is_complete or isinstance(arguments, dict),
        extra=extra or None,
    )
