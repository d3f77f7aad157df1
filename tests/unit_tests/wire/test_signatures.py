"""Thought signatures: the next request has them on the parts that they came with."""

from __future__ import annotations

import pytest
from call_modes import fixture, model_at, server_sending
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from scripted_server import sse

from unit_tests.answer.rows import native
from unit_tests.wire.request_sender import (
    BYPASS,
    CHAT,
    HI,
    NATIVE,
    Json,
    RequestSender,
    ai_calls,
    chat_call,
    native_call,
    native_result,
    text,
)


def replayed(body: bytes, name: str, send: RequestSender) -> tuple[AIMessage, Json]:
    """The answer that `body` is, and the body of the next request, which contains it."""
    with server_sending(body) as server:
        answer = model_at(server, model=name).invoke("hi")
    results = [ToolMessage("ok", tool_call_id=call["id"]) for call in answer.tool_calls]
    return answer, send([HI, answer, *results, HumanMessage("go on")], model=name)


REPLAYED: dict[str, tuple[list[Json], list[Json] | None]] = {
    "on the first call of a batch": ([native_call("c0", 0, "S/+=="), native_call("c1", 1)], None),
    "on text in the middle": (
        [text("ab"), {"text": "cd", "thoughtSignature": "S=="}, text("ef")],
        None,
    ),
    "on a call between two texts": (
        [text("one "), native_call("c0", 0, "S=="), text("two")],
        None,
    ),
    "on an empty last part": ([text("ab"), {"text": "", "thoughtSignature": "S=="}], None),
    "none, and two texts, which are joined": ([text("ab"), text("cd")], [text("abcd")]),
    "a thought, which is not sent back": (
        [{"text": "hm", "thought": True}, {"text": "ab", "thoughtSignature": "S=="}],
        [{"text": "ab", "thoughtSignature": "S=="}],
    ),
}
"""The parts of an answer, and those of the next request, if they are not the same."""


@pytest.mark.parametrize(("parts", "expected"), REPLAYED.values(), ids=REPLAYED)
def test_a_signature_is_sent_back_on_its_part(
    parts: list[Json], expected: list[Json] | None, send: RequestSender
) -> None:
    *others, last = parts
    for events in (
        [native(*parts, finish="STOP")],
        [*map(native, others), native(last, finish="STOP")],
    ):
        _, body = replayed(sse(*events), NATIVE, send)
        assert body["contents"][1] == {"role": "model", "parts": expected or parts}


def signed_history(model: str) -> list[BaseMessage]:
    """A conversation in which `model` called a tool."""
    with server_sending(sse(native(native_call("c0", 0, "S=="), finish="STOP"))) as server:
        answer = model_at(server, model=model).invoke("hi")
    return [HI, answer, ToolMessage("ok", tool_call_id="c0")]


def test_a_signature_is_not_sent_to_another_model_or_api(send: RequestSender) -> None:
    history = signed_history("gemini-3.5-flash")
    sent = send(history, model="gemini-3.6-flash")["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, BYPASS)]
    sent = send(history, model="gemini-2.5-pro", fields={"api": "generate_content"})
    assert sent["contents"][1]["parts"] == [native_call("c0", 0)]
    sent = send(history, model="gemini-3.5-flash", fields={"api": "chat_completions"})
    assert sent["messages"][1]["tool_calls"] == [chat_call("c0", 0)]


def test_a_signature_is_sent_to_every_spelling_of_its_model(send: RequestSender) -> None:
    history = signed_history("gemini-3-5-flash")
    sent = send(history, model="gemini-3.5-flash")["contents"][1]["parts"]
    assert sent == [native_call("c0", 0, "S==")]


def test_only_gemini_3_gets_a_bypass_for_missing_signatures(send: RequestSender) -> None:
    history = [HI, ai_calls("c0", "c1"), *(ToolMessage("x", tool_call_id=i) for i in ("c0", "c1"))]
    for name, signature in (("gemini-3.8-flash", BYPASS), ("some-new-model", None)):
        body = send(history, model=name, fields={"api": "generate_content"})
        assert body["contents"][1]["parts"] == [
            native_call("c0", 0, signature),
            native_call("c1", 1),
        ]


def test_chat_completions_gets_no_members_that_it_did_not_send(send: RequestSender) -> None:
    _, body = replayed(fixture("chat_call.sse"), CHAT, send)
    assert body["messages"][1] == {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": "get_weather", "arguments": f'{{"location":"{city}"}}'},
            }
            for i, city in ((1, "Beijing"), (2, "Oslo"))
        ],
    }


def test_a_generated_id_is_sent_with_the_call_and_its_result(send: RequestSender) -> None:
    part = {"functionCall": {"name": "f", "args": {"i": 0}}}
    answer, body = replayed(sse(native(part, finish="STOP")), NATIVE, send)
    call_id = answer.tool_calls[0]["id"]
    assert body["contents"][1]["parts"][0]["functionCall"]["id"] == call_id
    assert body["contents"][2]["parts"] == [native_result(call_id, {"output": "ok"})]
