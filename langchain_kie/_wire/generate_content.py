"""The native dialect: `/gemini/v1/models/{model}:streamGenerateContent`.

Pure. Sources: docs/wire.md 1 to 6.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, cast

import orjson

from langchain_kie._answer.event import AnswerEvent, ToolCallDelta
from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME
from langchain_kie._conversation.content import text_and_media
from langchain_kie._conversation.thought_signatures import PLACEHOLDER_SIGNATURE, stored_signatures
from langchain_kie._conversation.turns import NO_MESSAGE_TO_SEND, TRUNCATION_NOTE, ToolTurn, Turn
from langchain_kie._json import raw_list
from langchain_kie._json_schema.gemini import for_generate_content
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
from langchain_kie._wire.replay import model_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._conversation.content import Part
    from langchain_kie._json import Json
    from langchain_kie._options import Options
    from langchain_kie._tools.cache import Function
    from langchain_kie._tools.choice import ToolChoice

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


# --- messages and options to a body ---------------------------------------------------------


def build_request(
    turns: Sequence[Turn], options: Options, target: ResolvedModel, *, stream: bool
) -> tuple[str, Json]:
    """A request; one that searches always streams, or its sources would be lost.

    Raises:
        ValueError: A part of the conversation cannot be sent.
    """
    stream = stream or any(name == "google_search" for name, _ in options.builtins)
    if options.parallel_tool_calls is False:
        warnings.warn("the native dialect cannot ask for one call at a time", stacklevel=2)
    system: list[Json] = []
    contents: list[Json] = []
    for turn in turns:
        if turn.role == "system":
            system.extend(map(_part, turn.parts))
        elif turn.role == "assistant":
            _add_model_turn(contents, turn, target)
        elif turn.parts:
            contents.append({"role": "user", "parts": _user_parts(turn)})
        else:
            raise ValueError("a human message is empty, and KIE refuses empty text")
    body = without_none(
        contents=contents,
        stream=stream,
        systemInstruction={"parts": system} if system else None,
        tools=_tools(options) or None,
        toolConfig=_tool_config(options.tool_choice),
        generationConfig=_generation_config(options) or None,
    )
    query = "?alt=sse" if stream else ""
    if not contents:
        raise ValueError(NO_MESSAGE_TO_SEND)
    if contents[0]["role"] == "model":
        contents.insert(0, {"role": "user", "parts": [{"text": TRUNCATION_NOTE}]})
    return target.path + query, merged(body, options.extra)


def _part(part: Part) -> Json:
    if isinstance(part, str):
        return {"text": part}
    mime_type = part.mime_type
    if part.data:
        return {"inline_data": {"mime_type": mime_type, "data": part.data}}
    return {"file_data": without_none(mime_type=mime_type, file_uri=part.url)}


def _add_model_turn(contents: list[Json], turn: Turn, target: ResolvedModel) -> None:
    """Add what the model said and called, and the results; nothing, if it did neither.

    What follows another turn of the model's goes on with it: Gemini refuses a call that does
    not come right after a human's turn or a result.
    """
    calls = [(tool.call["id"] or tool.id, _function_call(tool)) for tool in turn.tools]
    parts = model_parts(turn.parts, calls, stored_signatures(turn.message, target.name), _part)
    if calls and target.spec and target.spec.replays_signatures:
        _, first = calls[0]
        first.setdefault("thoughtSignature", PLACEHOLDER_SIGNATURE)
    if parts and contents and contents[-1]["role"] == "model":
        contents[-1]["parts"] += parts
    elif parts:
        contents.append({"role": "model", "parts": parts})
    if calls:
        results: list[Json] = []
        for tool in turn.tools:
            _add_response(results, tool)
        contents.append({"role": "user", "parts": results})


def _user_parts(turn: Turn) -> list[Json]:
    """What a human said; who it was has no other place here than the text."""
    name = turn.message.name
    said = [_part(part) for part in turn.parts]
    return [{"text": f"{name}:"}, *said] if name else said


def _function_call(turn: ToolTurn) -> Json:
    return {"functionCall": {"name": turn.call["name"], "args": turn.call["args"], "id": turn.id}}


def _add_response(parts: list[Json], turn: ToolTurn) -> None:
    """Add a result as an object, and behind it the media that an object cannot hold."""
    text, media = text_and_media(turn.parts)
    response = _response(text, is_error=turn.result.status == "error")
    name = turn.call["name"]
    parts.append({"functionResponse": {"name": name, "response": response, "id": turn.id}})
    parts.extend(map(_part, media))


def _response(text: str, *, is_error: bool) -> Json:
    """Google's form of a result: an object as it is, anything else under `output`."""
    if is_error:
        return {"error": text}
    if text.lstrip().startswith("{"):
        try:
            return cast("Json", orjson.loads(text))
        except orjson.JSONDecodeError:
            pass
    return {"output": text}


def _tools(options: Options) -> list[Json]:
    tools: list[Json] = [
        {BUILTIN_TOOLS_BY_NAME[name].wire_name: config} for name, config in options.builtins
    ]
    if options.functions:
        declarations = [cached_json(function, _declaration) for function in options.functions]
        tools.append({"functionDeclarations": raw_list(declarations)})
    return tools


def _declaration(function: Function) -> Json:
    return {
        "name": function["name"],
        "description": function.get("description") or function["name"],
        "parameters": for_generate_content(function.get("parameters") or {"type": "object"}),
    }


def _tool_config(choice: ToolChoice | None) -> Json | None:
    if choice is None:
        return None
    names = list(choice.names) or None
    return {
        "functionCallingConfig": without_none(mode=_MODES[choice.mode], allowedFunctionNames=names)
    }


def _generation_config(options: Options) -> Json:
    thinking = without_none(
        includeThoughts=options.include_thoughts, thinkingLevel=options.reasoning_effort
    )
    return without_none(
        temperature=options.temperature,
        topP=options.top_p,
        maxOutputTokens=options.max_tokens,
        stopSequences=list(options.stop) or None,
        thinkingConfig=thinking or None,
        **_response_config(options.response_format),
    )


def _response_config(response_format: Json | None) -> Json:
    if not response_format or response_format.get("type") == "text":
        return {}
    config: Json = {"responseMimeType": "application/json"}
    if response_format.get("type") == "json_schema":
        config["responseSchema"] = for_generate_content(response_format["json_schema"]["schema"])
    return config


# --- an event or a whole body to a delta ----------------------------------------------------

_METADATA = {
    "responseId": "id",
    "modelVersion": "model_version",
    "promptFeedback": "prompt_feedback",
}
_CANDIDATE_METADATA = {
    "finishMessage": "finish_message",
    "safetyRatings": "safety_ratings",
    "groundingMetadata": "grounding_metadata",
    "urlContextMetadata": "url_context_metadata",
    "citationMetadata": "citation_metadata",
}


def parse_event(event: Json) -> AnswerEvent:
    """Read one `GenerateContentResponse`, of a stream or alone."""
    delta = AnswerEvent()
    for candidate in first_choice(event.get("candidates") or []):
        content = candidate.get("content") or {}
        for part in content.get("parts") or []:
            _read_part(part, delta)
        if finish_reason := candidate.get("finishReason"):
            delta.finish_reason = as_text(finish_reason)
        _copy_metadata(candidate, _CANDIDATE_METADATA, delta)
    _copy_metadata(event, _METADATA, delta)
    feedback = event.get("promptFeedback")
    if feedback and (block_reason := feedback.get("blockReason")):
        delta.finish_reason = delta.finish_reason or as_text(block_reason)
    if usage := event.get("usageMetadata"):
        delta.parse_usage = _usage
        delta.metadata["token_usage"] = usage
    credits_consumed = event.get("credits_consumed")
    if credits_consumed is not None:
        delta.metadata["credits_consumed"] = float(credits_consumed)
    delta.is_terminal = bool(delta.finish_reason or credits_consumed is not None)
    return delta


def _copy_metadata(source: Json, names: dict[str, str], delta: AnswerEvent) -> None:
    for member, value in source.items():
        if value and member in names:
            delta.metadata[names[member]] = value


def _read_part(part: Json, delta: AnswerEvent) -> None:
    signature = part.get("thoughtSignature") or part.get("thought_signature")
    if part.get("thought") and "text" in part:
        delta.reasoning += as_text(part.get("text") or "")
        if signature:
            _sign_text(delta, "", signature)
    elif "text" in part:
        if signature:
            _sign_text(delta, part["text"], signature)
        elif text := part["text"]:
            delta.outputs.append(as_text(text))
    elif call := part.get("functionCall"):
        delta.outputs.append(
            ToolCallDelta(
                name=call.get("name"),
                args=args_text(call.get("args") or {}),
                id=call.get("id") or None,
                is_whole=True,
                signature=signature,
            )
        )
    elif block := _block(part):
        if signature:
            delta.signatures[len(delta.outputs)] = signature
        delta.outputs.append(block)
    elif signature:
        _sign_text(delta, "", signature)


def _sign_text(delta: AnswerEvent, text: str, signature: str) -> None:
    delta.signatures[len(delta.outputs)] = signature
    delta.outputs.append(as_text(text))


def _block(part: Json) -> Json | None:
    """A part that is neither text nor call, as LangChain's standard block."""
    inline = part.get("inlineData") or part.get("inline_data")
    if inline and not part.get("thought"):
        mime_type = first_set(inline.get(k) for k in ("mimeType", "mime_type"))
        kind = str(mime_type or "").partition("/")[0]
        block_type = kind if kind in {"image", "audio", "video"} else "file"
        return {"type": block_type, "base64": inline["data"], "mime_type": mime_type}
    if code := part.get("executableCode"):
        return {
            "type": "server_tool_call",
            "id": code.get("id"),
            "name": "code_execution",
            "args": {"code": code.get("code"), "language": code.get("language")},
        }
    if result := part.get("codeExecutionResult"):
        is_ok = result.get("outcome") == "OUTCOME_OK"
        return {
            "type": "server_tool_result",
            "tool_call_id": result.get("id"),
            "status": "success" if is_ok else "error",
            "output": result.get("output"),
        }
    return {"type": "non_standard", "value": part} if part.keys() - _SIGNATURES else None


_SIGNATURES = frozenset({"thoughtSignature", "thought_signature"})


def _usage(usage: Json) -> UsageMetadata:
    """Token counts; thinking is counted beside the candidates (docs/wire.md 3)."""
    thinking = first_set(usage.get(k) for k in ("thinkingTokenCount", "thoughtsTokenCount"))
    prompt = (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0)
    said = usage.get("candidatesTokenCount") or 0
    if hidden := max(0, (usage.get("totalTokenCount") or 0) - prompt - said - (thinking or 0)):
        thinking = (thinking or 0) + hidden
    return usage_of(
        input_tokens=prompt,
        output_tokens=said + (thinking or 0),
        reasoning=thinking,
        cache_read=usage.get("cachedContentTokenCount"),
    )
