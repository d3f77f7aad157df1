"""Requests of the chat completions API and of the gateway: parsed and checked as KIE does.

The rules for `messages`, `tools` and `response_format` are in docs/wire.md 1 and 2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from langchain_kie.emulator import rules
from langchain_kie.emulator.conversation import (
    ChatRequest,
    MediaFile,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from langchain_kie.emulator.errors import MODEL_NOT_SUPPORTED, bad_request, unprocessable
from langchain_kie.emulator.models import BUILTIN_TOOLS, is_known_model
from langchain_kie.emulator.schemas import check_chat_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.emulator.media import UrlFetcher
    from langchain_kie.emulator.models import Endpoint

EMPTY_TEXT = "The 'text' field within the message content cannot be empty."

_ROLES = frozenset({"developer", "system", "user", "assistant", "tool"})
_IGNORED_PARTS = frozenset({"video_url", "audio_url", "input_audio", "file", "input_file"})
_MODES: Mapping[str, Literal["auto", "none", "any"]] = {
    "auto": "auto",
    "none": "none",
    "required": "any",
    "any": "any",
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "messages": (list,),
    "model": (str,),
    "stream": (bool,),
    "include_thoughts": (bool,),
    "reasoning_effort": (str,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "response_format": (dict,),
    "max_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "stop": (str, list),
    "n": (int,),
    "seed": (int,),
    "stream_options": (dict,),
}


async def read_chat_request(body: Any, endpoint: Endpoint, fetcher: UrlFetcher) -> ChatRequest:
    """Parse a body.

    Raises:
        ApiError: If KIE rejects it.
    """
    if not isinstance(body, dict):
        raise unprocessable("The request body must be a JSON object")
    given = {key: value for key, value in body.items() if value is not None}
    _check_types(given)
    is_gateway = endpoint.api == "gateway"
    if not is_gateway and "model" in given and not is_known_model(given["model"]):
        raise unprocessable(MODEL_NOT_SUPPORTED)
    if not given.get("messages"):
        raise unprocessable("The 'messages' field is required and cannot be empty.")
    tools, builtins = _read_tools(given.get("tools", []))
    choice = _read_choice(given.get("tool_choice", "auto"))
    rules.check_choice(choice, tools)
    json_answer, schema = _read_format(given.get("response_format", {"type": "text"}))
    rules.check_features(endpoint, tools=bool(tools), builtins=builtins, json_answer=json_answer)
    return ChatRequest(
        model=endpoint.model,
        api=endpoint.api,
        turns=await _read_messages(given["messages"], fetcher),
        tools=tools,
        builtins=builtins,
        choice=choice,
        json_answer=json_answer,
        schema=schema,
        stop=_read_stop(given.get("stop", [])),
        effort=rules.check_effort(endpoint, given.get("reasoning_effort"), "reasoning_effort"),
        max_tokens=given.get("max_tokens"),
        stream=given.get("stream", False),
        # By default, KIE shows thoughts; a gateway shows them only on request.
        include_thoughts=given.get("include_thoughts", not is_gateway),
    )


def _check_types(body: dict[str, Any]) -> None:
    for key, types in _TYPES.items():
        value = body.get(key)
        is_unexpected_bool = isinstance(value, bool) and bool not in types
        if value is not None and (is_unexpected_bool or not isinstance(value, types)):
            expected = " or ".join(kind.__name__ for kind in types)
            raise unprocessable(f"The '{key}' field must be of type {expected}")


def _read_stop(stop: str | list[Any]) -> tuple[str, ...]:
    sequences = [stop] if isinstance(stop, str) else stop
    if not all(isinstance(sequence, str) and sequence for sequence in sequences):
        raise unprocessable("The 'stop' field must be a string or a list of strings")
    return tuple(sequences)


def _read_tools(tools: list[Any]) -> tuple[tuple[Tool, ...], frozenset[str]]:
    functions, builtins = [], set()
    for position, tool in enumerate(tools):
        declared = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(declared, dict) or tool.get("type") != "function":
            raise unprocessable(f"tools[{position}] must be of the form {{type, function}}")
        name = declared.get("name")
        if not isinstance(name, str):
            raise unprocessable(f"The 'tools[{position}].function.name' field is required.")
        if name in BUILTIN_TOOLS:
            builtins.add(name)
        else:
            functions.append(_read_function(declared, f"$.tools[{position}].function"))
    rules.check_functions(functions)
    return tuple(functions), frozenset(builtins)


def _read_function(declared: dict[str, Any], path: str) -> Tool:
    description = declared.get("description") or ""
    parameters = declared.get("parameters") or {}
    if not isinstance(description, str):
        raise unprocessable(f"{path}.description must be string")
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise unprocessable(f"{path}.parameters must be a schema of type object")
    check_chat_schema(parameters, f"{path}.parameters", answer=False)
    return Tool(declared["name"], description, {"type": "object"} | parameters)


def _read_choice(choice: str | dict[str, Any]) -> ToolChoice:
    if isinstance(choice, str) and choice in _MODES:
        return ToolChoice(_MODES[choice])
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise unprocessable(
            "The 'tool_choice' field must be auto, none, required, or name a function"
        )
    return ToolChoice("any", frozenset({name}))


def _read_format(response_format: dict[str, Any]) -> tuple[bool, dict[str, Any] | None]:
    kind = response_format.get("type")
    if kind == "text":
        return False, None
    if kind == "json_object":
        return True, None
    if kind != "json_schema":
        raise unprocessable(
            "The 'response_format.type' field must be one of: text, json_object, json_schema"
        )
    named = response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(named, dict) or not isinstance(schema, dict):
        raise unprocessable("$.response_format.json_schema.schema must be object")
    if not isinstance(named.get("name"), str) or not named["name"]:
        raise unprocessable("$.response_format.json_schema.name must be string")
    check_chat_schema(schema, "$.response_format.json_schema.schema", answer=True)
    return True, schema


async def _read_messages(messages: list[Any], fetcher: UrlFetcher) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    unanswered: dict[str, str] = {}  # names of the called functions, by the ids of the calls
    previous = ""
    for position, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise unprocessable(
                f"The 'messages[{position}].role' field must be one of: "
                + ", ".join(sorted(_ROLES))
            )
        if unanswered and role != "tool":
            raise bad_request(rules.RESPONSES_MISCOUNTED)
        text, media = await _read_content(message, f"messages[{position}].content", fetcher)
        if role == "tool":
            turns.append(_read_result(message, text, media, unanswered))
        elif role == "assistant":
            calls = _read_calls(message, f"messages[{position}].tool_calls")
            if calls and previous not in {"user", "tool"}:
                raise bad_request(rules.CALL_OUT_OF_PLACE)
            unanswered = {call_id: call.name for call_id, call in calls}
            turns.append(Turn("model", text, media, tuple(call for _, call in calls)))
        else:
            turns.append(Turn("user" if role == "user" else "system", text, media))
        previous = role if role not in {"system", "developer"} else previous
    if unanswered:
        raise bad_request(rules.RESPONSES_MISCOUNTED)
    if all(turn.role == "system" for turn in turns):
        raise bad_request(rules.NO_CONTENTS)
    return tuple(turns)


async def _read_content(
    message: dict[str, Any], path: str, fetcher: UrlFetcher
) -> tuple[str, tuple[MediaFile, ...]]:
    content = message.get("content")
    if isinstance(content, str):
        return content, ()
    if not content and message.get("tool_calls"):
        return "", ()
    if not isinstance(content, list) or not content:
        raise unprocessable(f"The '{path}' field is required and cannot be empty.")
    texts, media = [], []
    for position, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            if not isinstance(part.get("text"), str) or not part["text"]:
                raise unprocessable(EMPTY_TEXT)
            texts.append(part["text"])
        elif kind == "image_url":
            image = part.get("image_url")
            if not isinstance(image, dict) or not isinstance(image.get("url"), str):
                raise unprocessable(f"The '{path}[{position}].image_url.url' field is required.")
            media.append(await fetcher.media_file(image["url"]))
        elif not isinstance(kind, str) or kind not in _IGNORED_PARTS:  # docs/wire.md 2
            raise unprocessable(f"The '{path}[{position}].type' field must be text or image_url")
    return "\n".join(texts), tuple(media)


def _read_result(
    message: dict[str, Any], text: str, media: tuple[MediaFile, ...], unanswered: dict[str, str]
) -> Turn:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise unprocessable("The 'tool_call_id' field is required for messages of role tool.")
    if call_id not in unanswered:
        raise bad_request(rules.RESPONSE_OUT_OF_PLACE)
    result = ToolResult(unanswered.pop(call_id), text, rules.is_error_text(text))
    return Turn("user", media=media, results=(result,))


def _read_calls(message: dict[str, Any], path: str) -> list[tuple[str, ToolCall]]:
    tool_calls = message.get("tool_calls") or []
    if not isinstance(tool_calls, list):
        raise unprocessable(f"The '{path}' field must be of type list")
    calls = []
    for position, call in enumerate(tool_calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise unprocessable(f"The '{path}[{position}].function.name' field is required.")
        if not isinstance(call.get("id"), str) or not call["id"]:
            raise unprocessable(f"The '{path}[{position}].id' field is required.")
        try:
            args = json.loads(function.get("arguments", ""))
        except (TypeError, ValueError):
            args = None
        if not isinstance(args, dict):
            raise unprocessable(
                f"The '{path}[{position}].function.arguments' field must hold a JSON object"
            )
        calls.append((call["id"], ToolCall(function["name"], args, call["id"])))
    return calls
