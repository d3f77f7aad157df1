"""The emulator for `--emulator`, whose model gives the right answers to the doctor's questions.

What the emulator does with a request comes before, and what its settings do with an answer comes
after, so a broken emulator gives the findings that a broken KIE would give.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from langchain_kie import KieConfigurationError
from langchain_kie.cli import questions
from langchain_kie.emulator import Answer, Emulator, ToolCall, default_respond
from langchain_kie.emulator.json_schema import is_valid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_kie.emulator import ChatRequest

_SETTINGS = {field.name for field in fields(Emulator)} - {
    "respond",
    "media",
    "clock",
    "tool_call_format",
}


def emulator_with(assignments: Iterable[str]) -> Emulator:
    """An emulator with settings such as `rate_limit=true`; the values are JSON, or text.

    Raises:
        KieConfigurationError: A setting does not exist.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if name not in _SETTINGS:
            raise KieConfigurationError(
                f"the emulator has no setting {name!r}; it has {', '.join(sorted(_SETTINGS))}"
            )
        try:
            settings[name] = json.loads(text) if separator else True
        except ValueError:
            settings[name] = text
    return Emulator(respond=respond, **settings)


def respond(request: ChatRequest) -> Answer:
    """Answer the doctor's questions rightly, and all others by the emulator's rules."""
    systems = [turn.text for turn in request.turns if turn.role == "system"]
    if questions.SYSTEM in systems:
        return Answer("Marigold")
    if request.prompt == questions.COLOUR:
        has_image = any(turn.media for turn in request.current_turns)
        return Answer("Red." if has_image else "I see no image.")
    for question in questions.STRUCTURED.values():
        if request.prompt == question.prompt:
            return _structured(dict(question.expected), request)
    return default_respond(request)


def _structured(value: dict[str, Any], request: ChatRequest) -> Answer:
    if request.tools:
        return Answer(tool_calls=[ToolCall(request.tools[0].name, value)])
    return Answer(json.dumps(_fitted(value, request.schema or {})))


def _fitted(value: Any, schema: dict[str, Any]) -> Any:
    """The value, with a default in place of each null that the schema does not allow."""
    if value is None and not is_valid(schema, None):
        return 0 if schema.get("type") == "integer" else ""
    if isinstance(value, dict):
        declared = schema.get("properties", {})
        return {name: _fitted(member, declared.get(name, {})) for name, member in value.items()}
    if isinstance(value, list):
        return [_fitted(item, schema.get("items", {})) for item in value]
    return value
