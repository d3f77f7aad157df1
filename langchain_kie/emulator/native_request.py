"""Requests of the native API: parsed and checked as Gemini does.

`native_fields` has checked the names and the types of all fields before. The rules for contents,
tools and thought signatures are in docs/wire.md 2, 5 and 6.
"""

from __future__ import annotations

import json
from collections import Counter
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
from langchain_kie.emulator.errors import bad_request, unprocessable
from langchain_kie.emulator.media import from_base64
from langchain_kie.emulator.models import BUILTIN_TOOLS, NATIVE_ENDPOINTS
from langchain_kie.emulator.native_fields import parse_request, unknown_name
from langchain_kie.emulator.schemas import read_gemini_schema
from langchain_kie.emulator.signatures import URL_SAFE, is_call_signature, is_text_signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from langchain_kie.emulator.media import UrlFetcher
    from langchain_kie.emulator.models import Endpoint

CORRUPTED_SIGNATURE = "Corrupted thought signature."
_MISSING_SIGNATURE = (
    "Function call is missing a thought_signature in functionCall parts. This is required for "
    "tools to work correctly, and missing thought_signature may lead to degraded model "
    "performance. Additional data, function call `default_api:{name}` , position {position}. "
    "Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
)

_DATA_FIELDS = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
)
_MODES: Mapping[str, Literal["auto", "none", "any"]] = {"ANY": "any", "NONE": "none"}
_RESULT_KEYS = frozenset({"result", "output", "content", "error"})
_JSON = "application/json"


async def read_native_request(
    body: Any, endpoint: Endpoint, fetcher: UrlFetcher, *, ignore_nullable: bool
) -> ChatRequest:
    """Parse a body; `ignore_nullable` is described in `Settings`.

    Raises:
        ApiError: If KIE or Gemini rejects it.
    """
    request = parse_request(body)
    contents = request.get("contents", [])
    if not contents:
        raise bad_request(rules.NO_CONTENTS)
    config = request.get("generationConfig", {})
    thinking = config.get("thinkingConfig", {})
    tools, builtins = _read_tools(request.get("tools", []), ignore_nullable=ignore_nullable)
    choice = _read_choice(request.get("toolConfig", {}).get("functionCallingConfig", {}))
    rules.check_choice(choice, tools)
    json_answer, schema = _read_format(config, ignore_nullable=ignore_nullable)
    rules.check_features(endpoint, tools=bool(tools), builtins=builtins, json_answer=json_answer)
    effort = rules.check_effort(endpoint, thinking.get("thinkingLevel"), "thinkingLevel")
    if int(thinking.get("thinkingBudget", -1)) == 0:
        effort = "none"
    turns = _read_system(request.get("systemInstruction", {}))
    for position, content in enumerate(contents):
        turns += await _read_content(content, f"contents[{position}]", fetcher)
    _check_order(contents)
    if endpoint.requires_signatures:
        _check_signatures(contents, endpoint.model)
    return ChatRequest(
        model=endpoint.model,
        api=endpoint.api,
        turns=tuple(turns),
        tools=tools,
        builtins=builtins,
        choice=choice,
        json_answer=json_answer,
        schema=schema,
        stop=tuple(stop for stop in config.get("stopSequences", ()) if stop),
        effort=effort,
        max_tokens=int(config["maxOutputTokens"]) if "maxOutputTokens" in config else None,
        stream=request.get("stream", True),
        include_thoughts=thinking.get("includeThoughts", True),
    )


def _read_tools(
    tools: list[dict[str, Any]], *, ignore_nullable: bool
) -> tuple[tuple[Tool, ...], frozenset[str]]:
    functions: list[Tool] = []
    builtins: set[str] = set()
    for position, tool in enumerate(tools):
        builtins |= BUILTIN_TOOLS.keys() & tool.keys()
        for number, declared in enumerate(tool.get("functionDeclarations", [])):
            path = f"tools[{position}].functionDeclarations[{number}]"
            for field in ("name", "description", "parameters"):  # documented as required
                if field not in declared:
                    raise unprocessable(f"The '{path}.{field}' field is required.")
            parameters = read_gemini_schema(declared["parameters"], ignore_nullable=ignore_nullable)
            if parameters.get("type") != "object":
                raise bad_request(
                    f"* GenerateContentRequest.{path}.parameters: schema at top-level must be of "
                    "type OBJECT\n"
                )
            functions.append(Tool(declared["name"], declared["description"], parameters))
    rules.check_functions(functions)
    return tuple(functions), frozenset(builtins)


def _read_choice(config: dict[str, Any]) -> ToolChoice:
    mode = config.get("mode", "AUTO")
    names = frozenset(config.get("allowedFunctionNames", ()))
    if names and mode not in {"ANY", "VALIDATED"}:
        raise bad_request(
            "Please set allowed_function_names only when function calling mode is ANY."
        )
    return ToolChoice(_MODES.get(mode, "auto"), names)


def _read_format(
    config: dict[str, Any], *, ignore_nullable: bool
) -> tuple[bool, dict[str, Any] | None]:
    if "responseJsonSchema" in config and not ignore_nullable:
        raise unknown_name("responseJsonSchema", "generation_config")
    schema = config.get("responseSchema")
    json_answer = config.get("responseMimeType") == _JSON
    if schema is not None and not json_answer:
        raise bad_request(
            "* GenerateContentRequest.generation_config.response_schema: only allowed with "
            f"response_mime_type {_JSON}\n"
        )
    if schema is None:
        return json_answer, None
    return json_answer, read_gemini_schema(schema, ignore_nullable=ignore_nullable)


def _read_system(instruction: dict[str, Any]) -> list[Turn]:
    texts = [part.get("text", "") for part in instruction.get("parts", [])]
    return [Turn("system", "\n".join(texts))] if texts else []


async def _read_content(content: dict[str, Any], path: str, fetcher: UrlFetcher) -> list[Turn]:
    role, parts = content.get("role"), content.get("parts", [])
    if role not in {"user", "model"}:
        raise unprocessable("Please use a valid role: user, model.")
    if not parts:
        raise bad_request(
            f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n"
        )
    texts, media, calls, results = [], [], [], []
    for position, part in enumerate(parts):
        _check_part(part, role, f"{path}.parts[{position}]")
        if "text" in part and not part.get("thought"):
            texts.append(part["text"])
        media += await _read_media(part, fetcher)
        if "functionCall" in part:
            calls.append(_read_call(part))
        if "functionResponse" in part:
            response = part["functionResponse"]
            results.append(_read_result(response["name"], response.get("response", {})))
            for nested in response.get("parts", []):
                media += await _read_media(nested, fetcher)
    text = "".join(texts) if role == "model" else "\n".join(texts)
    if role == "model":
        return [Turn("model", text, tuple(media), tuple(calls))]
    if results and text:
        return [Turn("user", results=tuple(results)), Turn("user", text, tuple(media))]
    return [Turn("user", text, tuple(media), results=tuple(results))]


def _check_part(part: dict[str, Any], role: str, path: str) -> None:
    present = [field for field in _DATA_FIELDS if field in part]
    if len(present) > 1:
        raise bad_request(
            f"Invalid value at '{path}' (oneof), oneof field 'data' is already set. "
            f"Cannot set '{present[1]}'"
        )
    is_signed = bool(part.get("thoughtSignature"))
    if not present and not is_signed:
        raise bad_request(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one "
            "initialized field\n"
        )
    if part.get("text") == "" and not is_signed and not part.get("thought"):
        raise unprocessable("The 'text' field within the parts cannot be empty.")
    for field, required_role in (("functionCall", "model"), ("functionResponse", "user")):
        if field not in part:
            continue
        if role != required_role:
            raise bad_request(
                f"* GenerateContentRequest.{path}: {field} must be of role {required_role}\n"
            )
        if not part[field].get("name"):
            raise bad_request(
                f"* GenerateContentRequest.{path}.{field}.name: Name cannot be empty.\n"
            )


async def _read_media(part: dict[str, Any], fetcher: UrlFetcher) -> list[MediaFile]:
    if "inlineData" in part:
        blob = part["inlineData"]
        data = blob.get("data", "").translate(URL_SAFE)  # Google's parser reads both alphabets
        return [from_base64(blob.get("mimeType", ""), data)]
    if "fileData" in part:
        return [await fetcher.media_file(part["fileData"].get("fileUri", ""))]
    return []


def _read_call(part: dict[str, Any]) -> ToolCall:
    call = part["functionCall"]
    signature = part.get("thoughtSignature")
    return ToolCall(call["name"], call.get("args", {}), call.get("id", ""), signature)


def _read_result(name: str, response: dict[str, Any]) -> ToolResult:
    """Read the response of a function: its only value, or all of it as JSON."""
    value: Any = response
    if len(response) == 1 and response.keys() <= _RESULT_KEYS:
        (value,) = response.values()
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ToolResult(name, text, "error" in response or rules.is_error_text(text))


def _values_of(content: dict[str, Any], field: str) -> list[dict[str, Any]]:
    return [part[field] for part in content.get("parts", []) if field in part]


def _check_order(contents: list[dict[str, Any]]) -> None:
    """Reject calls and responses that are not in Gemini's order."""
    for previous, content, following in zip(
        [{}, *contents], contents, [*contents[1:], {}], strict=False
    ):
        calls = _values_of(content, "functionCall")
        if calls and previous.get("role") != "user":
            raise bad_request(rules.CALL_OUT_OF_PLACE)
        if calls and not _matches(_values_of(following, "functionResponse"), calls):
            raise bad_request(rules.RESPONSES_MISCOUNTED)
        if _values_of(content, "functionResponse") and not _values_of(previous, "functionCall"):
            raise bad_request(rules.RESPONSE_OUT_OF_PLACE)


def _matches(responses: list[dict[str, Any]], calls: list[dict[str, Any]]) -> bool:
    """Return whether responses match calls by name, and by id where both have ids."""
    if Counter(r["name"] for r in responses) != Counter(c["name"] for c in calls):
        return False
    identified = {call["id"] for call in calls if call.get("id")}
    return not identified or all(
        response["id"] in identified for response in responses if response.get("id")
    )


def _check_signatures(contents: list[dict[str, Any]], model: str) -> None:
    """Apply Gemini 3's rules: required in the current turn, valid in all turns."""
    turn_start = max(
        (
            position
            for position, content in enumerate(contents)
            if content["role"] == "user" and not _values_of(content, "functionResponse")
        ),
        default=-1,
    )
    for position, content in enumerate(contents):
        is_current = position > turn_start
        issuers = {model} if is_current else NATIVE_ENDPOINTS.keys()
        signed = [part for part in content.get("parts", []) if part.get("thoughtSignature")]
        if not all(_has_valid_signature(part, issuers) for part in signed):
            raise bad_request(CORRUPTED_SIGNATURE)
        calls = [part for part in content.get("parts", []) if "functionCall" in part]
        if is_current and calls and not calls[0].get("thoughtSignature"):
            raise bad_request(
                _MISSING_SIGNATURE.format(
                    name=calls[0]["functionCall"]["name"], position=position + 1
                )
            )


def _has_valid_signature(part: dict[str, Any], models: AbstractSet[str]) -> bool:
    """Return whether one of `models` issued the signature of this part."""
    signature = part["thoughtSignature"]
    if "functionCall" in part:
        return any(is_call_signature(signature, model, _read_call(part)) for model in models)
    return any(is_text_signature(signature, model) for model in models)
