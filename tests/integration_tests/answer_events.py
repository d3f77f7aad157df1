"""Events of answers with text or a tool call, and a server that sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from call_modes import server_sending
from scripted_server import sse

if TYPE_CHECKING:
    from scripted_server import ScriptedServer


def server_of(*events: dict[str, Any]) -> ScriptedServer:
    return server_sending(sse(*events, "[DONE]"))


def text_event(text: str, **members: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text, **members}, "finish_reason": "stop"}]}


def text_answer(text: str, finish_reason: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"delta": {"content": text}, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": usage}


def call_event(name: str, arguments: str, finish_reason: str = "tool_calls") -> dict[str, Any]:
    call = {"index": 0, "id": "c1", "function": {"name": name, "arguments": arguments}}
    return {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": finish_reason}]}


def native_event(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
