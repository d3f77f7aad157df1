"""The fields of a native request, checked as strictly as Google's JSON parser checks them.

Unknown names and wrong types are rejected with Google's messages; both spellings of a name,
snake_case and camelCase, are accepted. `native_request` reads the meaning of the fields.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_kie.emulator.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_kie.emulator.errors import ApiError

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
        "stream": "bool",  # not a field of Google's, docs/wire.md 2
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
        "responseJsonSchema": "any",
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


_TYPE_NAMES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
_TYPES = _TYPE_NAMES | {name.lower() for name in _TYPE_NAMES} | {"TYPE_UNSPECIFIED"}
_MODES = frozenset({"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"})


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
    "Type": (
        "type.googleapis.com/google.ai.generativelanguage.v1beta.Type",
        lambda value: isinstance(value, str) and value in _TYPES,
    ),
    "Mode": (
        "type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode",
        lambda value: isinstance(value, str) and value in _MODES,
    ),
}

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def _snake(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


def parse_request(body: Any) -> dict[str, Any]:
    """Check every field of a native body, and convert all names to camelCase.

    Raises:
        ApiError: At the first unknown name or wrong type.
    """
    parsed: dict[str, Any] = _message("Request", body, "")
    return parsed


def unknown_name(name: str, path: str) -> ApiError:
    """Build the error for a field that Google does not have at `path`."""
    place = f" at '{path}'" if path else ""
    return bad_request(
        f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
    )


def _message(kind: str, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid_value(
            path, f"type.googleapis.com/google.ai.generativelanguage.v1beta.{kind}", value
        )
    fields = _MESSAGES[kind]
    known = {_snake(name): name for name in fields} | {name: name for name in fields}
    parsed = {}
    for name, child in value.items():
        if name not in known:
            raise unknown_name(name, path)
        field = known[name]
        if child is not None:
            child_path = f"{path}.{_snake(field)}" if path else _snake(field)
            parsed[field] = _value(fields[field], child, child_path)
    return parsed


def _value(kind: str, value: Any, path: str) -> Any:
    if kind.startswith("["):
        if not isinstance(value, list):
            raise _invalid_value(path, "TYPE_MESSAGE", value)
        return [_value(kind[1:-1], item, f"{path}[{n}]") for n, item in enumerate(value)]
    if kind.startswith("{"):
        if not isinstance(value, dict):
            raise _invalid_value(path, "TYPE_MESSAGE", value)
        entries = enumerate(value.items())
        return {key: _value(kind[1:-1], v, f"{path}[{n}].value") for n, (key, v) in entries}
    if kind not in _SCALARS:
        return _message(kind, value, path)
    name, is_valid = _SCALARS[kind]
    if not is_valid(value):
        raise _invalid_value(path, name, value)
    return value


def _invalid_value(path: str, kind: str, value: Any) -> Exception:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return bad_request(f"Invalid value at '{path}' ({kind}), {shown[:200]}")
