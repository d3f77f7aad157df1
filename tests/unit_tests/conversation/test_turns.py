"""Tool results that belong to no tool call, and messages that cannot be sent.

What a complete request looks like is tested in `wire/test_messages.py`.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    ToolMessage,
)

from langchain_kie._conversation.repair import repaired
from langchain_kie._conversation.turns import build_turns

HI = HumanMessage("hi")
CALL = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "call_7"}])
RESULT = ToolMessage("x", tool_call_id="call_7")
NAMELESS = {"name": None, "args": "{", "id": "call_7", "error": None}

REJECTED: dict[str, tuple[list[BaseMessage], str]] = {
    "a call at the end": ([HI, CALL], r"tool call 'call_7' \(f\) needs a tool result"),
    "two results": ([HI, CALL, RESULT, RESULT], "tool call 'call_7' is answered twice"),
    "two results, the second later": (
        [HI, CALL, RESULT, AIMessage("Done."), HI, RESULT],
        "tool call 'call_7' is answered twice",
    ),
    "a result first": ([RESULT, HI], "tool result 'call_7' matches no earlier tool call"),
    "a result after the next answer": (
        [HI, CALL, AIMessage("Wait."), RESULT],
        "tool result 'call_7' comes after a later answer of the model",
    ),
    "Anthropic's result of no call": (
        [HI, HumanMessage([{"type": "tool_result"}])],
        "tool result '' matches no earlier tool call",
    ),
    "a call without a name": (
        [HI, AIMessage("", invalid_tool_calls=[NAMELESS]), RESULT],
        "tool call 'call_7' has no name",
    ),
}


@pytest.mark.parametrize(("messages", "match"), REJECTED.values(), ids=REJECTED.keys())
def test_unmatched_tool_calls_and_results_are_rejected(
    messages: list[BaseMessage], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        build_turns(messages)


def test_a_call_without_an_id_gets_one() -> None:
    calls = [{"name": "f", "args": {}, "id": id_} for id_ in (None, "call_1", None)]
    results = [ToolMessage(text, tool_call_id=id_) for text, id_ in
               (("b", "call_1"), ("a", ""), ("c", ""))]  # fmt: skip
    turns = build_turns([HI, AIMessage("", tool_calls=calls), *results])
    tools = [(tool.id, *tool.parts) for turn in turns for tool in turn.tools]
    assert [text for _, text in tools] == ["a", "b", "c"]
    assert len({call_id for call_id, _ in tools} - {""}) == 3
    assert tools[1][0] == "call_1"


def test_a_chat_message_keeps_its_name() -> None:
    (turn,) = build_turns([ChatMessage("hi", role="user", name="ann")])
    assert (turn.role, turn.parts, turn.name) == ("user", ["hi"], "ann")


def test_signatures_of_another_provider_are_not_used() -> None:
    signatures = {"gemini-3-flash": [{"type": "text", "start": 0, "end": 1, "signature": "S"}]}
    for metadata, expected in (
        ({}, signatures),
        ({"model_provider": "kie"}, signatures),
        ({"model_provider": "google_genai"}, None),
    ):
        extra = {"thought_signatures": signatures}
        answer = AIMessage("a", additional_kwargs=extra, response_metadata=metadata)
        assert build_turns([HI, answer])[1].signatures == expected


def test_a_conversation_that_needs_no_change_is_not_repaired() -> None:
    assert repaired([HI, CALL, RESULT, AIMessage("Done.")]) is None
