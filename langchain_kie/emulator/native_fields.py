"""The fields of a native request, and the strictness of Google's JSON parser.

A table of messages, and one walk that refuses unknown names and wrong types in Google's words
and writes every name in camelCase. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_kie.emulator.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Fields: TypeAlias = "Mapping[str, str]"

_MESSAGES: Mapping[str, Fields] = {
    "Request": {
        "contents": "[Content]",
        "systemInstruction": "Content",
        "tools": "[Tool]",
        "toolConfig": "ToolConfig",
        "generationConfig": "GenerationConfig",
        "safetySettings": "[SafetySetting]",
        "cachedContent": "string",
        "model": "string",
        "labels": "struct",
        "stream": "bool",  # KIE's own, docs/wire.md 2
    },
    "Content": {"role": "string", "parts": "[Part]"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thoughtSignature": "string",
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        "executableCode": "ExecutableCode",
        "codeExecutionResult": "CodeExecutionResult",
        "videoMetadata": "struct",
        "mediaResolution": "struct",
        "partMetadata": "struct",
    },
    "Blob": {"mimeType": "string", "data": "string", "displayName": "string"},
    "FileData": {"mimeType": "string", "fileUri": "string", "displayName": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "struct",
        "parts": "[FunctionResponsePart]",
        "willContinue": "bool",
        "scheduling": "string",
    },
    "FunctionResponsePart": {"inlineData": "Blob", "fileData": "FileData"},
    "ExecutableCode": {"id": "string", "language": "string", "code": "string"},
    "CodeExecutionResult": {"id": "string", "outcome": "string", "output": "string"},
    "Tool": {
        "functionDeclarations": "[FunctionDeclaration]",
        "googleSearch": "struct",
        "codeExecution": "struct",
        "urlContext": "struct",
    },
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "parameters": "Schema",
        "response": "Schema",
        "behavior": "string",
    },
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "retrievalConfig": "struct",
        "includeServerSideToolInvocations": "bool",
    },
    "FunctionCallingConfig": {"mode": "Mode", "allowedFunctionNames": "[string]"},
    "SafetySetting": {"category": "string", "threshold": "string", "method": "string"},
    "GenerationConfig": {
        "thinkingConfig": "ThinkingConfig",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "responseModalities": "[string]",
        "stopSequences": "[string]",
        "maxOutputTokens": "integer",
        "candidateCount": "integer",
        "temperature": "number",
        "topP": "number",
        "topK": "number",
        "seed": "integer",
        "presencePenalty": "number",
        "frequencyPenalty": "number",
        "responseLogprobs": "bool",
        "logprobs": "integer",
        "mediaResolution": "string",
        "speechConfig": "struct",
        "imageConfig": "struct",
    },
    "ThinkingConfig": {
        "includeThoughts": "bool",
        "thinkingLevel": "string",
        "thinkingBudget": "integer",
    },
    "Schema": {
        "type": "Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "[string]",
        "items": "Schema",
        "maxItems": "integer",
        "minItems": "integer",
        "properties": "{Schema}",
        "required": "[string]",
        "minProperties": "integer",
        "maxProperties": "integer",
        "minimum": "number",
        "maximum": "number",
        "minLength": "integer",
        "maxLength": "integer",
        "pattern": "string",
        "example": "any",
        "anyOf": "[Schema]",
        "propertyOrdering": "[string]",
        "default": "any",
    },
}


def _either_case(*names: str) -> frozenset[str]:
    return frozenset(names) | frozenset(name.lower() for name in names)


_ENUMS: Mapping[str, tuple[str, frozenset[str]]] = {
    "Type": (
        "type.googleapis.com/google.ai.generativelanguage.v1beta.Type",
        _either_case("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
        | {"TYPE_UNSPECIFIED"},
    ),
    "Mode": (
        "type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode",
        frozenset({"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"}),
    ),
}


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip("-").isdecimal()
    return not isinstance(value, bool) and (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    )


_SCALARS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("TYPE_STRING", lambda value: isinstance(value, str)),
    "bool": ("TYPE_BOOL", lambda value: isinstance(value, bool)),
    "integer": ("TYPE_INT64", _is_integer),
    "number": (
        "TYPE_DOUBLE",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    ),
    "struct": (
        "type.googleapis.com/google.protobuf.Struct",
        lambda value: isinstance(value, dict),
    ),
    "any": ("google.protobuf.Value", lambda _: True),
}

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def _snake(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


def parse_request(body: Any) -> dict[str, Any]:
    """Check a native body, field by field, and give it with every name in camelCase.

    Raises:
        WireError: At the first unknown name or wrong type.
    """
    parsed: dict[str, Any] = _message("Request", body, "")
    return parsed


def _message(kind: str, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, f"type.googleapis.com/google.ai.generativelanguage.v1beta.{kind}", value)
    fields = _MESSAGES[kind]
    known = {_snake(name): name for name in fields} | {name: name for name in fields}
    parsed = {}
    for name, child in value.items():
        if name not in known:
            place = f" at '{path}'" if path else ""
            raise bad_request(
                f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
            )
        field = known[name]
        if child is not None:
            parsed[field] = _value(fields[field], child, _join(path, _snake(field)))
    return parsed


def _value(kind: str, value: Any, path: str) -> Any:
    if kind.startswith("["):
        if not isinstance(value, list):
            raise _wrong(path, "TYPE_MESSAGE", value)
        return [_value(kind[1:-1], item, f"{path}[{n}]") for n, item in enumerate(value)]
    if kind.startswith("{"):
        if not isinstance(value, dict):
            raise _wrong(path, "TYPE_MESSAGE", value)
        entries = enumerate(value.items())
        return {key: _value(kind[1:-1], v, f"{path}[{n}].value") for n, (key, v) in entries}
    if kind in _ENUMS:
        name, members = _ENUMS[kind]
        if not isinstance(value, str) or value not in members:
            raise _wrong(path, name, value)
        return value
    if kind in _SCALARS:
        name, fits = _SCALARS[kind]
        if not fits(value):
            raise _wrong(path, name, value)
        return value
    return _message(kind, value, path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong(path: str, kind: str, value: Any) -> Exception:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return bad_request(f"Invalid value at '{path}' ({kind}), {shown[:200]}")
