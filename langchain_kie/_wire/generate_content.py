"""The native Gemini API: `generate_content`.

Pure. Sources: docs/wire.md 1 to 6.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson
from pydantic.alias_generators import to_camel

from langchain_kie._answer.event import (
    BLOCKED,
    FILTERED,
    LIMIT,
    STOP,
    AnswerEvent,
    FinishReason,
    ToolCallDelta,
)
from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME
from langchain_kie._conversation.content import text_and_media
from langchain_kie._conversation.thought_signatures import PLACEHOLDER_SIGNATURE
from langchain_kie._conversation.turns import NO_MESSAGE_TO_SEND, TRUNCATION_NOTE
from langchain_kie._error_bodies import raise_if_error
from langchain_kie._json import LongText, RawJson, raw_list, without_none
from langchain_kie._json_schema.gemini import to_gemini_schema
from langchain_kie._settings import GENERATION_PARAMETERS
from langchain_kie._wire import common
from langchain_kie._wire.replay import model_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._conversation.content import Part
    from langchain_kie._conversation.parsed_message import ToolTurn, Turn
    from langchain_kie._conversation.prefix import Turns
    from langchain_kie._json import Json
    from langchain_kie._options import Options
    from langchain_kie._tools.cache import Function
    from langchain_kie._tools.choice import ToolChoice

logger = logging.getLogger(__name__)

_CALLING_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_GENERATION_NAMES = {
    **{name: to_camel(name) for name in GENERATION_PARAMETERS},
    "max_tokens": "maxOutputTokens",
}
_NO_OUTPUT = frozenset({"thought", "thoughtSignature", "thought_signature"})
_TEXT_MEMBERS = frozenset({"text", "thought"})
_SERVER_TOOL_MEMBERS = frozenset(
    {"executableCode", "codeExecutionResult", "toolCall", "toolResponse"}
)
_FEEDBACK = {
    "blockReason": "block_reason",
    "blockReasonMessage": "block_reason_message",
    "safetyRatings": "safety_ratings",
}
_METADATA = {
    "responseId": "id",
    "modelVersion": "model_version",
    "finishMessage": "finish_message",
    "safetyRatings": "safety_ratings",
    "groundingMetadata": "grounding_metadata",
    "urlContextMetadata": "url_context_metadata",
    "citationMetadata": "citation_metadata",
    "logprobsResult": "logprobs_result",
    "avgLogprobs": "avg_logprobs",
}

FINISH_REASONS = {
    "STOP": STOP,
    "MAX_TOKENS": LIMIT,
    "SAFETY": BLOCKED,
    "RECITATION": BLOCKED,
    "BLOCKLIST": BLOCKED,
    "PROHIBITED_CONTENT": BLOCKED,
    "SPII": BLOCKED,
    "MODEL_ARMOR": BLOCKED,
    "IMAGE_SAFETY": BLOCKED,
    "IMAGE_PROHIBITED_CONTENT": BLOCKED,
    "IMAGE_RECITATION": BLOCKED,
    "IMAGE_OTHER": FILTERED,
    "NO_IMAGE": FILTERED,
    "LANGUAGE": FILTERED,
    "MALFORMED_FUNCTION_CALL": FinishReason("malformed_function_call", is_failed_call=True),
    "UNEXPECTED_TOOL_CALL": FinishReason("unexpected_tool_call", is_failed_call=True),
    "TOO_MANY_TOOL_CALLS": FinishReason("too_many_tool_calls", is_failed_call=True),
    "MISSING_THOUGHT_SIGNATURE": FinishReason("missing_thought_signature", is_failed_call=True),
    "MALFORMED_RESPONSE": FinishReason("malformed_response", is_failed_call=True),
}
"""Others, such as `OTHER`, have no equivalent in LangChain."""


# --- messages and options to a body ---------------------------------------------------------


def build_request(
    turns: Turns, options: Options, target: ResolvedModel, *, stream: bool
) -> tuple[str, Json]:
    """Build a request; with a search it always streams, else KIE would omit the sources.

    Raises:
        ValueError: A part of the conversation cannot be sent.
    """
    stream = stream or any(BUILTIN_TOOLS_BY_NAME[name].must_stream for name, _ in options.builtins)
    if options.parallel_tool_calls is False:
        logger.debug("generate_content cannot disable parallel tool calls")
    system = [_native_part(part) for turn in turns if turn.role == "system" for part in turn.parts]
    body = without_none(
        contents=common.conversation_json(turns, target, _contents),
        stream=stream,
        systemInstruction={"parts": system} if system else None,
        tools=_tools(options) or None,
        toolConfig=_tool_config(options.tool_choice),
        generationConfig=_generation_config(options) or None,
    )
    return target.path + ("?alt=sse" if stream else ""), common.deep_merged(body, options.extra)


def _contents(
    turns: Sequence[Turn], target: ResolvedModel, *, is_started: bool
) -> list[bytes | Json]:
    """The contents; those of a model are joined with those of the model directly before.

    Gemini rejects a tool call that does not directly follow a user's turn or a tool result.
    """
    contents: list[bytes | Json] = []
    to_join: list[Turn] = []
    form = (_contents_of, target.name)
    for turn in turns:
        if turn.role == "system":
            continue
        if turn.role == "user" and not turn.parts:
            raise ValueError(common.EMPTY_MESSAGE)
        before = to_join if turn.role == "assistant" else []
        kept = turn.forms.get(form) if turn.forms and not before else None
        added = kept or common.turn_json(turn, target, _contents_of, before)
        if not added:
            continue
        if not (is_started or contents) and turn.role == "assistant":
            contents.append({"role": "user", "parts": [{"text": TRUNCATION_NOTE}]})
        contents[len(contents) - bool(before) :] = added
        to_join = [] if turn.role == "user" or turn.tools else [*before, turn]
    if not (is_started or contents):
        raise ValueError(NO_MESSAGE_TO_SEND)
    return contents


def _contents_of(turn: Turn, target: ResolvedModel, before: Sequence[Turn]) -> list[Json]:
    """The contents of a turn; the parts of `before` are put before its parts."""
    if turn.role == "user":
        return [{"role": "user", "parts": _user_parts(turn)}]
    parts = [part for joined in (*before, turn) for part in _model_parts(joined, target)]
    contents: list[Json] = [{"role": "model", "parts": parts}] if parts else []
    if turn.tools:
        responses = [part for tool in turn.tools for part in _function_response(tool)]
        contents.append({"role": "user", "parts": responses})
    return contents


def _native_part(part: Part) -> Json:
    if isinstance(part, str):
        return {"text": part}
    if part.data:
        data = LongText("", part.data, part.start)
        return {"inline_data": {"mime_type": part.mime_type, "data": data}}
    return {"file_data": without_none(mime_type=part.mime_type, file_uri=part.url)}


def _model_parts(turn: Turn, target: ResolvedModel) -> list[Json]:
    """The parts of a model's turn, with the signatures that the model needs."""
    calls = [(tool.call["id"] or tool.id, _function_call(tool)) for tool in turn.tools]
    entries = turn.signatures.get(target.name, ()) if turn.signatures else ()
    parts = model_parts(turn, calls, entries, _native_part)
    if calls and target.spec and target.spec.replays_signatures:
        _, first = calls[0]
        first.setdefault("thoughtSignature", PLACEHOLDER_SIGNATURE)
    return parts


def _user_parts(turn: Turn) -> list[Json]:
    """The parts of a user's turn; this API has no other place for a name than the text."""
    name = turn.name
    parts = [_native_part(part) for part in turn.parts]
    return [{"text": f"{name}:"}, *parts] if name else parts


def _function_call(turn: ToolTurn) -> Json:
    return {"functionCall": {"name": turn.call["name"], "args": turn.call["args"], "id": turn.id}}


def _function_response(turn: ToolTurn) -> list[Json]:
    """A tool result, and after it the media, which an object cannot contain."""
    text, media = text_and_media(turn.parts)
    response = _response_object(text, is_error=turn.is_error)
    result = {"name": turn.call["name"], "response": response, "id": turn.id}
    return [{"functionResponse": result}, *map(_native_part, media)]


def _response_object(text: str, *, is_error: bool) -> Json | RawJson:
    """A tool result in Google's format: a JSON object unchanged, anything else as `output`."""
    if is_error:
        return {"error": text}
    if text.lstrip().startswith("{"):
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        else:
            return RawJson(text.encode())
    return {"output": text}


def _tools(options: Options) -> list[Json]:
    tools: list[Json] = [
        {BUILTIN_TOOLS_BY_NAME[name].wire_name: config} for name, config in options.builtins
    ]
    if options.functions:
        declarations = common.functions_json(options.functions, _declaration)
        tools.append({"functionDeclarations": raw_list([declarations])})
    return tools


def _declaration(function: Function) -> Json:
    return {
        "name": function["name"],
        "description": function.get("description") or function["name"],
        "parameters": to_gemini_schema(function.get("parameters") or {"type": "object"}),
    }


def _tool_config(choice: ToolChoice | None) -> Json | None:
    if choice is None:
        return None
    names = list(choice.names) or None
    mode = _CALLING_MODES[choice.mode]
    return {"functionCallingConfig": without_none(mode=mode, allowedFunctionNames=names)}


def _generation_config(options: Options) -> Json:
    effort = options.reasoning_effort
    thinking = without_none(
        includeThoughts=options.include_thoughts,
        thinkingLevel=None if effort == "none" else effort,
        thinkingBudget=0 if effort == "none" else None,
    )
    return without_none(
        **{_GENERATION_NAMES[name]: value for name, value in options.generation.items()},
        stopSequences=list(options.stop) or None,
        thinkingConfig=thinking or None,
        **_response_config(options.response_format),
    )


def _response_config(response_format: Json | None) -> Json:
    if not response_format or response_format.get("type") == "text":
        return {}
    config: Json = {"responseMimeType": "application/json"}
    if response_format.get("type") == "json_schema":
        config["responseSchema"] = to_gemini_schema(response_format["json_schema"]["schema"])
    return config


# --- an event or a complete body to an `AnswerEvent` ----------------------------------------


def parse_event(event: Json) -> AnswerEvent:
    """Parse a `GenerateContentResponse`, of a stream or alone.

    Raises:
        KieError: The candidate reports an error.
    """
    parsed = AnswerEvent()
    candidates = event.get("candidates")
    if candidates:
        is_one = len(candidates) == 1
        candidate = candidates[0] if is_one else common.first_choice(event, "candidates", parsed)
        parsed.choice = candidate.get("index") or 0
        if "error" in candidate:
            raise_if_error({"error": candidate["error"]})
        content = candidate.get("content") or {}
        for part in content.get("parts") or []:
            _parse_part(part, parsed)
        if finish_reason := candidate.get("finishReason"):
            parsed.native_finish_reason = common.require_text(finish_reason)
        common.copy_metadata(candidate, _METADATA, parsed)
    common.copy_metadata(event, _METADATA, parsed)
    if feedback := event.get("promptFeedback"):
        parsed.metadata["prompt_feedback"] = {_FEEDBACK.get(k, k): v for k, v in feedback.items()}
        if not parsed.native_finish_reason and (reason := feedback.get("blockReason")):
            parsed.finish_reason, parsed.native_finish_reason = BLOCKED, common.require_text(reason)
    if usage := event.get("usageMetadata"):
        common.set_usage(parsed, usage, _parse_usage)
    return parsed


def _parse_part(part: Json | None, parsed: AnswerEvent) -> None:
    """Parse a part: its text, then its function call, media, code or other members.

    The signature is that of the last output. If no output is kept, it signs an empty text.
    """
    outputs = parsed.outputs
    if part is None:
        return
    if part.keys() <= _TEXT_MEMBERS:
        if text := common.require_text(part.get("text") or ""):
            if part.get("thought"):
                parsed.reasoning += text
            else:
                outputs.append(text)
        return
    count = len(outputs)
    _parse_part({name: part[name] for name in _TEXT_MEMBERS if name in part}, parsed)
    signature = part.get("thoughtSignature") or part.get("thought_signature")
    others = {name: value for name, value in part.items() if name != "text" and value is not None}
    other_call = others.pop("function_call", None)
    call = others.pop("functionCall", other_call)
    if call is not None:
        outputs.append(_tool_call_delta(call, signature))
        outputs += _content_blocks(others)
        return
    is_server_tool = not _SERVER_TOOL_MEMBERS.isdisjoint(others)
    blocks = [*_content_blocks(others)]
    if not blocks and (is_server_tool or not part.get("text")) and others.keys() - _NO_OUTPUT:
        blocks.append({"type": "non_standard", "value": others})
    if is_server_tool and blocks:
        parsed.native_parts = {**(parsed.native_parts or {}), len(outputs): others}
    outputs += blocks
    if signature:
        if len(outputs) == count:
            outputs.append("")
        parsed.signatures = {**(parsed.signatures or {}), len(outputs) - 1: signature}


def _tool_call_delta(call: Json, signature: str | None) -> ToolCallDelta:
    """A function call; Vertex AI can send its arguments in pieces with JSON paths.

    An empty object is the end of such a call.
    """
    partial_args = call.get("partialArgs")
    will_continue = bool(call.get("willContinue"))
    if call.get("args") and not partial_args:  # they are complete
        partial_args, will_continue = None, False
    elif will_continue or not call:
        partial_args = partial_args or []
    return ToolCallDelta(
        name=call.get("name") or None,
        args=common.received_arguments(call.get("args")),
        id=common.id_text(call.get("id")),
        is_complete=not will_continue,
        signature=signature,
        partial_args=partial_args,
    )


def _content_blocks(part: Json) -> Iterator[Json]:
    """The members that are neither text nor a function call, as LangChain's standard blocks."""
    inline = part.get("inlineData") or part.get("inline_data")
    if inline and not part.get("thought"):
        mime_type = inline.get("mimeType") or inline.get("mime_type")
        kind = str(mime_type).partition("/")[0]
        block_type = kind if kind in {"image", "audio", "video"} else "file"
        yield {"type": block_type, "base64": inline["data"], "mime_type": mime_type}
    if code := part.get("executableCode"):
        yield {
            "type": "server_tool_call",
            "id": code.get("id"),
            "name": "code_interpreter",  # as langchain-core calls it, also for Gemini
            "args": {"code": code.get("code"), "language": code.get("language")},
        }
    if result := part.get("codeExecutionResult"):
        is_ok = result.get("outcome") == "OUTCOME_OK"
        yield {
            "type": "server_tool_result",
            "tool_call_id": result.get("id"),
            "status": "success" if is_ok else "error",
            "output": result.get("output"),
        }


def _parse_usage(usage: Json) -> UsageMetadata:
    """Parse token counts; the candidates' do not include thinking (docs/wire.md 3)."""
    thinking = usage.get("thinkingTokenCount", usage.get("thoughtsTokenCount"))
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    answer = usage.get("candidatesTokenCount", 0)
    hidden = max(0, usage.get("totalTokenCount", 0) - prompt - answer - (thinking or 0))
    if hidden:
        thinking = (thinking or 0) + hidden
    return common.usage_metadata(
        prompt,
        answer + (thinking or 0),
        {"cache_read": usage.get("cachedContentTokenCount")},
        {"reasoning": thinking},
    )
