"""Sends requests to a server that answers every API; builds the expected bodies."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import model_at
from langchain_core.messages import AIMessage, HumanMessage

from langchain_kie import KieConfigurationError, KieToolCallMissingError

if TYPE_CHECKING:
    from scripted_server import ScriptedServer

Json = dict[str, Any]

CHAT = "gemini-3-flash"
NATIVE = "gemini-3.5-flash"
GATEWAY = {"model": "some-model", "api": "gateway"}
BYPASS = "skip_thought_signature_validator"
HI = HumanMessage("hi")


class RequestSender:
    """Calls models, and returns the bodies that they send.

    Attributes:
        path: The path of the last request.
        headers: The headers of the last request.
    """

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server

    def __call__(self, messages: Any, /, model: str = CHAT, **options: Any) -> Json:
        return self.through(self._model(model, options), messages, **options)

    def through(self, runnable: Any, messages: Any, **options: Any) -> Json:
        self.server.requests.clear()
        with suppress(KieToolCallMissingError):  # the server's answer has no tool call
            runnable.invoke(messages, **options)
        (request,) = self.server.requests
        self.path = request.path
        self.headers = request.headers
        return request.json

    def rejects(self, messages: Any, match: str, model: str = CHAT, **options: Any) -> None:
        """Check that the call raises a ValueError before a request is sent."""
        self.server.requests.clear()
        runnable = self._model(model, options)
        with pytest.raises((ValueError, KieConfigurationError), match=match):
            runnable.invoke(messages, **options)
        assert self.server.requests == []

    def _model(self, model: str, options: Json) -> Any:
        return model_at(self.server, **{"model": model, **options.pop("fields", {})})


def ai_calls(*ids: str, text: str = "", **fields: Any) -> AIMessage:
    """An AI message with tool calls."""
    calls = [{"name": "f", "args": {"i": i}, "id": id_} for i, id_ in enumerate(ids)]
    return AIMessage(content=text, tool_calls=calls, **fields)


def function_call(arguments: str) -> AIMessage:
    """An AI message with a call in OpenAI's older form."""
    call = {"name": "f", "arguments": arguments}
    return AIMessage("", additional_kwargs={"function_call": call})


def chat_call(call_id: str, i: int, **extra: Any) -> Json:
    function = {"name": "f", "arguments": f'{{"i":{i}}}'}
    return {"id": call_id, "type": "function", "function": function, **extra}


def native_call(call_id: str, i: int, signature: str | None = None) -> Json:
    part = {"functionCall": {"name": "f", "args": {"i": i}, "id": call_id}}
    return {**part, "thoughtSignature": signature} if signature else part


def native_result(call_id: str, response: Json) -> Json:
    return {"functionResponse": {"name": "f", "response": response, "id": call_id}}


def user(*parts: Json) -> Json:
    """A user's turn of `generate_content`."""
    return {"role": "user", "parts": list(parts)}


def text(value: str) -> Json:
    """A text part of `generate_content`."""
    return {"text": value}
