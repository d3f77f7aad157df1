"""The OpenAI-shaped dialect: `/{slug}/v1/chat/completions`, and the shared gateway.

Pure. Sources: docs/wire.md 1 to 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.event import AnswerEvent, ToolCallDelta
from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME
from langchain_kie._conversation.content import text_and_media
from langchain_kie._conversation.thought_signatures import stored_extras
from langchain_kie._conversation.turns import NO_MESSAGE_TO_SEND, TRUNCATION_NOTE, ToolTurn, Turn
from langchain_kie._json import RawJson, raw_list, to_json
from langchain_kie._json_schema.normalize import for_chat_completions
from langchain_kie._wire.common import (
    args_text,
    as_text,
    cached_json,
    first_choice,
    first_set,
    merged,
    usage_of,
    without_none,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._conversation.content import Part
    from langchain_kie._conversation.media import Media
    from langchain_kie._options import Options
    from langchain_kie._tools.cache import Function
    from langchain_kie._tools.choice import ToolChoice

_CALL_MEMBERS = frozenset({"index", "id", "type", "function"})
_FUNCTION_MEMBERS = frozenset({"name", "arguments"})
_THOUGHT_KINDS = frozenset({"reasoning", "thought", "thinking"})


# --- messages and options to a body ---------------------------------------------------------


def build_request(
    turns: Sequence[Turn], options: Options, target: ResolvedModel, *, stream: bool
) -> tuple[str, dict[str, Any]]:
    """A request to a model's own path; the path chooses the model.

    Raises:
        ValueError: A part of the conversation cannot be sent.
    """
    body = without_none(
        messages=_messages(turns, target),
        stream=stream,
        include_thoughts=options.include_thoughts,
        reasoning_effort=options.reasoning_effort,
        temperature=options.temperature,
        top_p=options.top_p,
        max_tokens=options.max_tokens,
        stop=list(options.stop) or None,
        tools=_tools(options),
        tool_choice=_tool_choice(options.tool_choice),
        parallel_tool_calls=options.parallel_tool_calls,
        response_format=_response_format(options.response_format),
    )
    return target.path, merged(body, options.extra)


def build_gateway_request(
    turns: Sequence[Turn], options: Options, target: ResolvedModel, *, stream: bool
) -> tuple[str, dict[str, Any]]:
    """A request to the shared path, where the body names the model."""
    path, body = build_request(turns, options, target, stream=stream)
    return path, {"model": target.route.model, **body}


def _messages(turns: Sequence[Turn], target: ResolvedModel) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = []
    for turn in turns:
        if turn.tools:
            _add_calls(encoded, turn, target)
            encoded += _results(turn.tools)
        elif turn.parts:
            encoded.append(_said(turn))
        elif turn.role == "user":
            raise ValueError("a human message is empty, and KIE refuses empty text")
    if all(message["role"] == "system" for message in encoded):
        raise ValueError(NO_MESSAGE_TO_SEND)
    return encoded


def _said(turn: Turn) -> dict[str, Any]:
    said = {"role": turn.role, "content": _content(turn.parts) if turn.parts else ""}
    name = turn.message.name
    return said if name is None else {**said, "name": name}


def _add_calls(encoded: list[dict[str, Any]], turn: Turn, target: ResolvedModel) -> None:
    """Add an answer that calls, which takes up what the model had just said.

    Gemini refuses a call that does not come right after a human's turn or a result.
    """
    extras = stored_extras(turn.message, target.name)
    calls = [_call(tool, extras.get(tool.call["id"])) for tool in turn.tools]
    message = {**_said(turn), "tool_calls": calls}
    while (last := _last_said(encoded)) and last["role"] == "assistant":
        encoded[:] = [m for m in encoded if m is not last]
        message["content"] = _parts(last["content"]) + _parts(message["content"])
    if last is None:
        encoded.append({"role": "user", "content": TRUNCATION_NOTE})
    encoded.append(message)


def _last_said(encoded: list[dict[str, Any]]) -> Any:
    """The last message that is no instruction."""
    for message in reversed(encoded):
        if message["role"] != "system":
            return message
    return None


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A content as parts, of which none is empty."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _content(parts: list[Part]) -> str | list[dict[str, Any]]:
    """One text as a string, anything else as parts: every medium is an `image_url` here."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": _url(part)}}
        for part in parts
    ]


def _url(media: Media) -> str:
    return media.url or f"data:{media.mime_type};base64,{media.data}"


def _call(turn: ToolTurn, extra: dict[str, Any] | None) -> dict[str, Any]:
    """A call as it came: with what the wire had put beside it."""
    function = {"name": turn.call["name"], "arguments": args_text(turn.call["args"])}
    call = {"id": turn.id, "type": "function", "function": function}
    if extra:
        call |= {**extra, "function": {**function, **extra.get("function", {})}}
    return call


def _results(tool_turns: Sequence[ToolTurn]) -> list[dict[str, Any]]:
    """Tool messages, then a user message with the media that they cannot hold."""
    encoded: list[dict[str, Any]] = []
    attached: list[Part] = []
    for number, turn in enumerate(tool_turns, start=1):
        text, media = text_and_media(turn.parts)
        if media:
            text = "\n".join(filter(None, (text, f"[attached below as result {number}]")))
            attached += [f"[result {number}]", *media]
        if turn.result.status == "error":
            text = args_text({"error": text})
        encoded.append({"role": "tool", "tool_call_id": turn.id, "content": text or '""'})
    if attached:
        encoded.append({"role": "user", "content": _content(attached)})
    return encoded


def _tools(options: Options) -> RawJson | None:
    if configured := [name for name, config in options.builtins if config]:
        raise ValueError(f"{configured}: this dialect takes no settings of built-in tools")
    functions, named = options.functions, options.tool_choice and options.tool_choice.names
    if named and len(named) > 1:  # one is named itself
        functions = [function for function in functions if function["name"] in named]
    tools = [cached_json(function, _tool) for function in functions]
    for name, _ in options.builtins:
        function = {"name": BUILTIN_TOOLS_BY_NAME[name].wire_name}
        tools.append(to_json({"type": "function", "function": function}))
    return raw_list(tools) if tools else None


def _tool(function: Function) -> dict[str, Any]:
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    parameters = for_chat_completions(schema)
    return {"type": "function", "function": {**function, "parameters": parameters}}


def _tool_choice(choice: ToolChoice | None) -> str | dict[str, Any] | None:
    """One function can be named; where several are, only they are offered, and one required."""
    if choice is None:
        return None
    if len(choice.names) == 1:
        return {"type": "function", "function": {"name": choice.names[0]}}
    return choice.mode


def _response_format(response_format: dict[str, Any] | None) -> dict[str, Any] | None:
    if not response_format or response_format.get("type") != "json_schema":
        return response_format
    inner = response_format["json_schema"]
    schema = for_chat_completions(inner["schema"])
    return {"type": "json_schema", "json_schema": {**inner, "schema": schema}}


# --- an event or a whole body to a delta ----------------------------------------------------


def parse_event(event: dict[str, Any]) -> AnswerEvent:
    """Read one chunk of a stream, or a whole completion: both have `choices`."""
    delta = AnswerEvent()
    choices = event.get("choices") or []
    for choice in first_choice(choices):
        message = choice.get("delta") or choice.get("message") or {}
        _read_message(message, delta, whole="delta" not in choice)
        if finish_reason := choice.get("finish_reason"):
            delta.finish_reason = as_text(finish_reason)
    if usage := event.get("usage"):
        delta.parse_usage = _usage
        delta.metadata["token_usage"] = usage
    credits_consumed = event.get("credits_consumed")
    if credits_consumed is not None:
        delta.metadata["credits_consumed"] = float(credits_consumed)
    delta.is_terminal = bool(
        delta.finish_reason or credits_consumed is not None or (usage and not choices)
    )
    if answer_id := event.get("id"):
        delta.metadata["id"] = answer_id
    if model := event.get("model"):
        delta.metadata["model_version"] = model
    return delta


def _read_message(message: dict[str, Any], delta: AnswerEvent, *, whole: bool) -> None:
    content = message.get("content")
    if isinstance(content, str):
        if content:
            delta.outputs.append(content)
    else:
        for part in [content] if isinstance(content, dict) else content or []:
            _read_part(part, delta)
    if reasoning := message.get("reasoning_content"):
        delta.reasoning += reasoning
    if refusal := message.get("refusal"):
        delta.refusal = as_text(refusal)
    if annotations := message.get("annotations"):
        delta.metadata["annotations"] = annotations
    for call in message.get("tool_calls") or []:
        delta.outputs.append(_read_call(call, whole=whole))


def _read_part(part: str | dict[str, Any], delta: AnswerEvent) -> None:
    """A part of a content that is a list: text, or thought (docs/wire.md 3)."""
    if isinstance(part, str):
        if part:
            delta.outputs.append(part)
    elif part.get("type") in _THOUGHT_KINDS:
        text = first_set(part.get(key) for key in ("text", *_THOUGHT_KINDS))
        delta.reasoning += as_text(text or "")
    elif "text" in part:
        delta.outputs.append(as_text(part["text"]))
    else:
        delta.outputs.append({"type": "non_standard", "value": part})


def _read_call(call: dict[str, Any], *, whole: bool) -> ToolCallDelta:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    extra = {k: v for k, v in call.items() if k not in _CALL_MEMBERS}
    if inner := {k: v for k, v in function.items() if k not in _FUNCTION_MEMBERS}:
        extra["function"] = inner
    return ToolCallDelta(
        name=function.get("name") or None,
        args=args_text(arguments),
        id=call.get("id") or None,
        index=call.get("index"),
        is_whole=whole or isinstance(arguments, dict),
        extra=extra or None,
    )


def _usage(usage: dict[str, Any]) -> UsageMetadata:
    """Token counts; what `total_tokens` has beyond the others is hidden thinking."""
    prompt = usage.get("prompt_tokens") or 0
    completion = usage.get("completion_tokens") or 0
    hidden = max(0, (usage.get("total_tokens") or 0) - prompt - completion)
    of_output = usage.get("completion_tokens_details") or {}
    of_input = usage.get("prompt_tokens_details") or {}
    return usage_of(
        input_tokens=prompt,
        output_tokens=completion + hidden,
        reasoning=max(of_output.get("reasoning_tokens") or 0, hidden),
        cache_read=of_input.get("cached_tokens"),
        input_audio=of_input.get("audio_tokens"),
        output_audio=of_output.get("audio_tokens"),
    )
