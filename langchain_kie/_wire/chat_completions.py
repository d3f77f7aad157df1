"""The OpenAI-compatible APIs: `chat_completions`, and `gateway`, whose body names the model.

Pure. Sources: docs/wire.md 1 to 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_kie._answer.event import BLOCKED, LIMIT, STOP, TOOL_CALLS, AnswerEvent
from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME
from langchain_kie._conversation.content import text_and_media
from langchain_kie._conversation.thought_signatures import stored_extras, stored_message_extra
from langchain_kie._conversation.turns import NO_MESSAGE_TO_SEND, TRUNCATION_NOTE
from langchain_kie._error_bodies import raise_if_error
from langchain_kie._json import LongText, RawJson, raw_list, to_json, without_none
from langchain_kie._json_schema.normalize import normalize_schema
from langchain_kie._wire import common
from langchain_kie._wire.chat_message import parse_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._conversation.content import Part
    from langchain_kie._conversation.media import Media
    from langchain_kie._conversation.parsed_message import ToolTurn, Turn
    from langchain_kie._conversation.prefix import Turns
    from langchain_kie._json import Json
    from langchain_kie._options import Options
    from langchain_kie._tools.cache import Function
    from langchain_kie._tools.choice import ToolChoice

_OTHER_COUNTS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
"""Other names of token counts."""

FINISH_REASONS = {
    "stop": STOP,
    "length": LIMIT,
    "tool_calls": TOOL_CALLS,
    "function_call": TOOL_CALLS,
    "content_filter": BLOCKED,
}


# --- messages and options to a body ---------------------------------------------------------


def build_request(
    turns: Turns, options: Options, target: ResolvedModel, *, stream: bool
) -> tuple[str, Json]:
    """Build a request of `chat_completions`; the path contains the model.

    Raises:
        ValueError: A part of the conversation cannot be sent.
    """
    body = without_none(
        messages=common.conversation_json(turns, target, _messages),
        stream=stream,
        include_thoughts=options.include_thoughts,
        reasoning_effort=options.reasoning_effort,
        **options.generation,
        stop=list(options.stop) or None,
        tools=_tools_json(options),
        tool_choice=_tool_choice(options.tool_choice),
        parallel_tool_calls=options.parallel_tool_calls,
        response_format=_response_format(options.response_format),
    )
    return target.path, common.deep_merged(body, options.extra)


def build_gateway_request(
    turns: Turns, options: Options, target: ResolvedModel, *, stream: bool
) -> tuple[str, Json]:
    """Build a request of `gateway`; the body contains the model.

    Most OpenAI-compatible servers count the tokens of a stream only on request.
    """
    path, body = build_request(turns, options, target, stream=stream)
    added: Json = {"model": target.route.model}
    if body["stream"] and options.stream_usage:
        added["stream_options"] = {"include_usage": True}
    return path, added | body


def _messages(
    turns: Sequence[Turn], target: ResolvedModel, *, is_started: bool
) -> list[bytes | Json]:
    """The messages; one with tool calls is joined with the assistant messages before it.

    Gemini rejects a tool call that does not directly follow a user message or a tool result.
    """
    messages: list[bytes | Json] = []
    to_join: list[tuple[int, Turn]] = []
    form = (_messages_of, target.name)
    for turn in turns:
        before: Sequence[Turn] = ()
        if turn.tools:
            before = [joined for _, joined in to_join]
            for position, _ in reversed(to_join):
                del messages[position]
            if not is_started:
                messages.append({"role": "user", "content": TRUNCATION_NOTE})
        elif turn.role == "assistant" and turn.parts:
            to_join.append((len(messages), turn))
        elif turn.role == "user" and not turn.parts:
            raise ValueError(common.EMPTY_MESSAGE)
        kept = turn.forms.get(form) if turn.forms and not before else None
        messages += kept or common.turn_json(turn, target, _messages_of, before)
        if turn.tools or turn.role == "user":
            is_started = True
            to_join.clear()
    if not (is_started or to_join):
        raise ValueError(NO_MESSAGE_TO_SEND)
    return messages


def _messages_of(turn: Turn, target: ResolvedModel, before: Sequence[Turn]) -> list[Json]:
    """The message of a turn, and its tool results; the content of `before` is put before it."""
    message = _message(turn, target)
    if not turn.tools:
        return [message] if turn.parts else []
    entries = turn.signatures.get(target.name, ()) if turn.signatures else ()
    extras = stored_extras(entries, [tool.call for tool in turn.tools]) if entries else {}
    message["tool_calls"] = [_tool_call(tool, extras.get(tool.call["id"])) for tool in turn.tools]
    if before:
        parts = [part for joined in (*before, turn) for part in joined.parts]
        message["content"] = _content_parts(parts)
    return [message, *_tool_results(turn.tools)]


def _message(turn: Turn, target: ResolvedModel) -> Json:
    message = {"role": turn.role, "content": _content(turn.parts) if turn.parts else ""}
    if turn.name is not None:
        message["name"] = turn.name
    if turn.signatures:
        entries = turn.signatures.get(target.name, ())
        text = "".join(part for part in turn.parts if isinstance(part, str))
        message |= stored_message_extra(entries, [tool.call for tool in turn.tools], text)
    return message


def _content(parts: list[Part]) -> str | list[Json]:
    """A single text as a string, else parts."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return _content_parts(parts)


def _content_parts(parts: list[Part]) -> list[Json]:
    """The parts of a content; media of every kind are `image_url` parts."""
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": _media_url(part)}}
        for part in parts
    ]


def _media_url(media: Media) -> str | LongText:
    if media.data is None:
        return str(media.url)
    return LongText(f"data:{media.mime_type};base64,", media.data, media.start)


def _tool_call(turn: ToolTurn, extra: Json | None) -> Json:
    """A tool call, with the undocumented members that came with it."""
    function = {"name": turn.call["name"], "arguments": common.arguments_text(turn.call["args"])}
    call = {"id": turn.id, "type": "function", "function": function}
    if extra:
        call |= {**extra, "function": {**function, **extra.get("function", {})}}
    return call


def _tool_results(tool_turns: Sequence[ToolTurn]) -> list[Json]:
    """Tool messages, then a user message with the media, which a tool message cannot contain."""
    messages: list[Json] = []
    attached: list[Part] = []
    for number, turn in enumerate(tool_turns, start=1):
        text, media = text_and_media(turn.parts)
        if media:
            text = "\n".join(filter(None, (text, f"[attached below as result {number}]")))
            attached += [f"[result {number}]", *media]
        if turn.is_error:
            text = common.arguments_text({"error": text})
        messages.append({"role": "tool", "tool_call_id": turn.id, "content": text or '""'})
    if attached:
        messages.append({"role": "user", "content": _content(attached)})
    return messages


def _tools_json(options: Options) -> RawJson | None:
    if configured := [name for name, config in options.builtins if config]:
        raise ValueError(
            f"{', '.join(configured)}: only generate_content takes settings of built-in tools"
        )
    functions, names = options.functions, options.tool_choice and options.tool_choice.names
    if names and len(names) > 1:  # `tool_choice` can only name one
        functions = [function for function in functions if function["name"] in names]
    tools = [common.functions_json(functions, _function_tool)] if functions else []
    for name, _ in options.builtins:
        function = {"name": BUILTIN_TOOLS_BY_NAME[name].wire_name}
        tools.append(to_json({"type": "function", "function": function}))
    return raw_list(tools) if tools else None


def _function_tool(function: Function) -> Json:
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    parameters = normalize_schema(schema)
    return {"type": "function", "function": {**function, "parameters": parameters}}


def _tool_choice(choice: ToolChoice | None) -> str | Json | None:
    """One name, or a mode; with several names, only these functions are sent."""
    if choice is None:
        return None
    if len(choice.names) == 1:
        return {"type": "function", "function": {"name": choice.names[0]}}
    return choice.mode


def _response_format(response_format: Json | None) -> Json | None:
    if not response_format or response_format.get("type") != "json_schema":
        return response_format
    inner = response_format["json_schema"]
    schema = normalize_schema(inner["schema"])
    return {"type": "json_schema", "json_schema": {**inner, "schema": schema}}


# --- an event or a complete body to an `AnswerEvent` ----------------------------------------


def parse_event(event: Json) -> AnswerEvent:
    """Parse a chunk of a stream, or a completion: both have `choices`.

    Raises:
        KieError: The choice reports an error.
    """
    parsed = AnswerEvent()
    choices = event.get("choices")
    if choices:
        is_one = len(choices) == 1
        choice = choices[0] if is_one else common.first_choice(event, "choices", parsed)
        parsed.choice = choice.get("index") or 0
        if "error" in choice:
            raise_if_error({"error": choice["error"]})
        delta, message = choice.get("delta"), choice.get("message")
        if not delta or (message and not any(delta[k] for k in delta.keys() - {"role"})):
            parsed.is_message, delta = True, message or delta
        if delta:
            parse_message(delta, parsed)
        if finish_reason := choice.get("finish_reason"):
            parsed.native_finish_reason = common.require_text(finish_reason)
        if logprobs := choice.get("logprobs"):
            parsed.metadata["logprobs"] = logprobs
    if usage := event.get("usage"):
        common.set_usage(parsed, usage, parse_usage)
        parsed.is_terminal = not choices
    if answer_id := event.get("id"):
        parsed.metadata["id"] = answer_id
    if model := event.get("model"):
        parsed.metadata["model_version"] = model
    return parsed


def parse_usage(usage: Json) -> UsageMetadata:
    """Parse token counts; what `total_tokens` has beyond their sum is hidden reasoning.

    Some relays name them as OpenAI's Responses API and Anthropic do, some under both names.
    """
    if "input_tokens" in usage:
        others = {k: usage[other] for other, k in _OTHER_COUNTS.items() if usage.get(other)}
        usage = {**others, **{name: count for name, count in usage.items() if count}}
    prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    hidden = max(0, usage.get("total_tokens", 0) - prompt - completion)
    output_details = usage.get("completion_tokens_details", {})
    input_details = usage.get("prompt_tokens_details", {})
    reasoning = output_details.get("reasoning_tokens")
    return common.usage_metadata(
        prompt,
        completion + hidden,
        {
            "cache_read": input_details.get("cached_tokens"),
            "audio": input_details.get("audio_tokens") or None,
        },
        {
            "reasoning": max(reasoning or 0, hidden) or reasoning,
            "audio": output_details.get("audio_tokens") or None,
        },
    )
