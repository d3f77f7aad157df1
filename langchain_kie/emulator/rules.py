"""Rules of both APIs: names of functions, forced calls, features that exclude one another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_kie.emulator.errors import (
    SERVER_EXCEPTION,
    ApiError,
    GatewayTimeoutError,
    bad_request,
    unprocessable,
)
from langchain_kie.emulator.models import BUILTIN_TOOLS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_kie.emulator.conversation import Tool, ToolChoice
    from langchain_kie.emulator.models import Endpoint, Feature

CALL_OUT_OF_PLACE = (
    "Please ensure that function call turn comes immediately after a user turn or after a "
    "function response turn."
)
RESPONSE_OUT_OF_PLACE = (
    "Please ensure that function response turn comes immediately after a function call turn."
)
RESPONSES_MISCOUNTED = (
    "Please ensure that the number of function response parts is equal to the number of "
    "function call parts of the function call turn."
)
NO_CONTENTS = "* GenerateContentRequest.contents: contents is not specified\n"

_FUNCTION_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_CONFLICTS: Mapping[frozenset[Feature], str] = {
    frozenset({"search", "functions"}): "Tool use with function calling is unsupported",
    frozenset({"functions", "response_format"}): (
        "Function calling with a response mime type: 'application/json' is unsupported"
    ),
}


def check_functions(functions: Sequence[Tool]) -> None:
    """Reject names that Gemini does not accept, and duplicate names."""
    seen: set[str] = set()
    for position, function in enumerate(functions):
        if not _FUNCTION_NAME.fullmatch(function.name):
            raise bad_request(
                f"* GenerateContentRequest.tools[0].function_declarations[{position}].name: "
                "Invalid function name. Must start with a letter or an underscore. Must be "
                "alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
                "dashes (-), with a maximum length of 128.\n"
            )
        if function.name in seen:
            raise bad_request(f"Duplicate function declaration found: {function.name}")
        seen.add(function.name)


def check_choice(choice: ToolChoice, functions: Sequence[Tool]) -> None:
    """Reject a choice of functions that are not declared."""
    undeclared = sorted(choice.names - {function.name for function in functions})
    if undeclared:
        raise bad_request(
            "* GenerateContentRequest.tool_config.function_calling_config."
            f"allowed_function_names: '{undeclared[0]}' is not a declared function name.\n"
        )


def check_features(
    endpoint: Endpoint, *, tools: bool, builtins: frozenset[str], json_answer: bool
) -> None:
    """Reject features that exclude one another at this endpoint."""
    used: set[Feature | None] = {BUILTIN_TOOLS[name] for name in builtins}
    used |= {"functions"} if tools else set()
    used |= {"response_format"} if json_answer else set()
    for pair in endpoint.exclusive:
        if pair <= used:
            raise bad_request(_CONFLICTS[pair])


def check_effort(endpoint: Endpoint, effort: str | None, field: str) -> str:
    """Reject an effort that the endpoint does not accept; ignore it where there are no efforts."""
    if not endpoint.efforts or effort is None:
        return "high"
    if effort in endpoint.failing_efforts:
        is_native = endpoint.api == "generate_content"
        raise ApiError(500, SERVER_EXCEPTION) if is_native else GatewayTimeoutError
    if effort not in endpoint.efforts:
        accepted = ", ".join(endpoint.efforts)
        raise unprocessable(f"The '{field}' field must be one of: {accepted}")
    return effort


def is_error_text(text: str) -> bool:
    """Return whether the text of a function's result reports an error."""
    return text.lower().lstrip(' {"').startswith("error")
