"""What the model answers in a test, and how the conversation is compared."""

from __future__ import annotations

from langchain_core.messages import AIMessage, ToolMessage

from langchain_kie.emulator import Answer, ToolCall


class Script:
    """Answers requests in order, and keeps them.

    Attributes:
        answers: The answers to give next, or functions of the request that make one.
        requests: The received requests.
    """

    def __init__(self) -> None:
        self.answers = []
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        assert self.answers, "one request too many"
        answer = self.answers.pop(0)
        return answer(request) if callable(answer) else answer


def call(name: str, /, **args: object) -> Answer:
    """An answer with one tool call."""
    return Answer(tool_calls=[ToolCall(name, args)])


def transcript(messages) -> list[str]:
    """One line for each message: its author and its text, or its tool calls."""
    return [line for message in messages for line in _lines(message)]


def _lines(message):
    if isinstance(message, AIMessage) and message.tool_calls:
        return [f"call {c['name']} {c['args']}" for c in message.tool_calls]
    is_error = isinstance(message, ToolMessage) and message.status == "error"
    return [f"{'error' if is_error else message.type}: {message.text}"]
