"""The emulator for `--emulator`, whose model gives the right answers to the doctor's questions.

What the emulator does with a request comes before, and what its settings do with an answer comes
after, so a broken emulator gives the findings that a broken KIE would give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from math import inf
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from langchain_kie import KieConfigurationError
from langchain_kie.cli import questions
from langchain_kie.emulator import Answer, Emulator, ToolCall, default_respond
from langchain_kie.emulator.json_schema import is_valid
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS, gateway_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from langchain_kie.emulator import ChatRequest

_OBJECTS = frozenset({"respond", "media", "clock", "tool_call_format"})
"""What no text can be."""

_TYPES = {name: hint for name, hint in get_type_hints(Emulator).items() if name not in _OBJECTS}
_MAX_PORT = 65535
_MODELS = CHAT_ENDPOINTS.keys() | NATIVE_ENDPOINTS.keys()


@contextmanager
def emulator_with(assignments: Iterable[str]) -> Iterator[Emulator]:
    """Run an emulator with settings such as `rate_limit=true` or `unsupported_models=a,b`.

    Raises:
        KieConfigurationError: A setting does not exist, its value is wrong, or the emulator cannot
            use its host or port.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if name not in _TYPES:
            raise KieConfigurationError(
                f"the emulator has no setting {name!r}; it has {', '.join(sorted(_TYPES))}"
            )
        settings[name] = _parsed(name, text.strip() if separator else "true")
    with ExitStack() as stack:
        try:
            emulator = stack.enter_context(Emulator(respond=respond, **settings))
        except OSError as error:
            raise KieConfigurationError(f"the emulator cannot start: {error}") from error
        yield emulator


def _parsed(name: str, text: str) -> Any:
    """The value of a setting, of the type that the emulator declares.

    Raises:
        KieConfigurationError: The text is no such value.
    """
    if get_origin(_TYPES[name]) is Collection:
        return [_checked_model(name, model) for model in re.findall(r'[^\s,"\[\]]+', text)]
    try:
        value = TypeAdapter(_TYPES[name]).validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise KieConfigurationError(f"the emulator's {name}={text}: {reason}") from None
    if isinstance(value, (int, float)) and not 0 <= value <= (_MAX_PORT if name == "port" else inf):
        raise KieConfigurationError(f"the emulator's {name} is out of range: {text}")
    return value


def _checked_model(name: str, model: str) -> str:
    if model not in _MODELS and gateway_endpoint(model) is None:
        near = get_close_matches(model.lower(), _MODELS) or sorted(_MODELS)
        raise KieConfigurationError(
            f"the emulator's {name}: there is no model {model!r}; near names: {', '.join(near)}"
        )
    return model


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
