"""Thought signatures are sent back unchanged, however a message was obtained and carried.

The emulator signs as Gemini 3 does. In an active tool loop, it rejects a signature that is
missing, changed or another model's. It accepts Google's documented placeholder, so each request
is also compared with the signatures of the answer.
"""

from __future__ import annotations

import json

import call_modes
import orjson
import pytest
from checkpoint_reader import (
    conversation,
    followed_up,
    get_weather,
    in_another_process,
    send_email,
    thread,
)
from langchain.agents import create_agent
from langchain.agents.middleware import ClearToolUsesEdit, ContextEditingMiddleware
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    ToolMessage,
)
from langgraph.checkpoint.sqlite import SqliteSaver
from message_carriers import CALL_MODES, CARRIERS, FORMS, TOOL_PROMPT
from scripted_server import sse

from langchain_kie import ChatKieGemini
from langchain_kie.emulator import ToolCall
from langchain_kie.emulator.signatures import sign_call, sign_text

MODEL = "gemini-3.5-flash"
SPELLING = "gemini-3-5-flash"
TEXT_PROMPT = "Write a poem about rain."
PLACEHOLDER = "skip_thought_signature_validator"


# --- on the emulator -------------------------------------------------------------------------


@pytest.fixture
def received(service):
    """The requests that the emulator receives."""
    if service is None:
        pytest.skip("looks at what the emulator received")
    return service.requests


def build_model(model=MODEL, api="generate_content", tools=(get_weather,)):
    made = ChatKieGemini(model=model, api=api)
    return made.bind_tools([*tools]) if tools else made


def signed_calls(message):
    """The model turn to expect: the tool calls, the first of them signed."""
    parts = [
        {"functionCall": {"name": c["name"], "args": c["args"], "id": c["id"]}}
        for c in message.tool_calls
    ]
    first = message.tool_calls[0]
    parts[0]["thoughtSignature"] = sign_call(SPELLING, ToolCall(first["name"], first["args"]))
    return {"role": "model", "parts": parts}


def signed_text(message, *, streamed=True):
    """The model turn to expect: a signature on the text, or on an empty part after it."""
    signature = {"thoughtSignature": sign_text(SPELLING, message.text)}
    if not streamed:
        return {"role": "model", "parts": [{"text": message.text, **signature}]}
    return {"role": "model", "parts": [{"text": message.text}, {"text": "", **signature}]}


def name_of(call_mode):
    return call_mode.__name__


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=name_of)
async def test_signed_tool_calls_are_sent_back(call_mode, received):
    answer = await call_mode(build_model(), TOOL_PROMPT)
    assert [c["args"]["city"] for c in answer.tool_calls] == ["Oslo", "Rome"]
    expected = orjson.dumps(signed_calls(answer))
    for name, carry in CARRIERS.items():
        history = [HumanMessage(TOOL_PROMPT), carry(answer), *followed_up(answer)]
        assert "rain; rain" in build_model().invoke(history).text, name
        assert orjson.dumps(received[-1].body["contents"][1]) == expected, name


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=name_of)
async def test_signed_text_is_sent_back(call_mode, received):
    model = build_model(tools=())
    answer = await call_mode(model, TEXT_PROMPT)
    expected = orjson.dumps(signed_text(answer))
    for name, carry in CARRIERS.items():
        history = [HumanMessage(TEXT_PROMPT), carry(answer), *followed_up(answer)]
        assert model.invoke(history).text, name
        assert orjson.dumps(received[-1].body["contents"][1]) == expected, name


async def test_another_process_reads_the_signatures_from_a_sqlite_checkpoint(received, tmp_path):
    path = str(tmp_path / "checkpoints.sqlite")
    expected = {}
    with SqliteSaver.from_conn_string(path) as saver:
        for api in ("generate_content", "chat_completions"):
            for call_mode in CALL_MODES:
                name = f"{MODEL}/{api}/{call_mode.__name__}"
                answer = await call_mode(build_model(api=api), TOOL_PROMPT)
                expected[name] = signed_calls(answer)
                graph = conversation(saver, model=MODEL, api=api)
                prompt = HumanMessage(TOOL_PROMPT)
                graph.update_state(thread(name), {"messages": [prompt, answer]}, as_node="model")
    seen = len(received)
    lines = in_another_process("continue", path)
    assert [line["thread"] for line in lines] == sorted(expected)
    assert all("rain; rain" in line["text"] for line in lines)
    for line, request in zip(lines, received[seen:], strict=True):
        if "/generate_content/" in line["thread"]:
            assert request.body["contents"][1] == expected[line["thread"]], line["thread"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((MODEL, "generate_content"), ("gemini-3.6-flash", "generate_content")),
        ((MODEL, "generate_content"), (MODEL, "chat_completions")),
        ((MODEL, "generate_content"), ("gemini-2.5-pro", "chat_completions")),
        ((MODEL, "chat_completions"), (MODEL, "generate_content")),
        (("gemini-3.1-pro", "chat_completions"), ("gemini-3-flash", "generate_content")),
    ],
    ids="-".join,
)
def test_signature_is_not_sent_to_another_model_or_api(first, second, received):
    answer = build_model(*first).invoke(TOOL_PROMPT)
    history = [HumanMessage(TOOL_PROMPT), answer, *followed_up(answer)]
    assert "rain; rain" in build_model(*second).invoke(history).text
    assert "ZmN+" not in json.dumps(received[-1].body)
    if second[1] == "chat_completions":
        assert PLACEHOLDER not in json.dumps(received[-1].body)


def test_conversation_with_two_models_keeps_the_signatures_of_each(received):
    history = [HumanMessage(TOOL_PROMPT)]
    for name in (MODEL, "gemini-3.6-flash", MODEL):
        first = build_model(name).invoke(history)
        history += [first, *followed_up(first)]
        history += [build_model(name).invoke(history), HumanMessage(TOOL_PROMPT)]
    turns = [c for c in received[-1].body["contents"] if "functionCall" in c["parts"][0]]
    signature = sign_call(SPELLING, ToolCall("get_weather", {"city": "Oslo"}))
    assert [turn["parts"][0]["thoughtSignature"] for turn in turns] == [
        signature,
        PLACEHOLDER,
        signature,
    ]


def test_each_round_of_a_tool_loop_keeps_its_signature(received):
    prompt = "First get the weather in Oslo, then send an email to ann@example.org about it."
    model = build_model(tools=(get_weather, send_email))
    history = [HumanMessage(prompt)]
    for _ in range(2):
        history.append(model.invoke(history))
        history += followed_up(history[-1])
    assert model.invoke(history).text
    turns = [c["parts"][0] for c in received[-1].body["contents"] if c["role"] == "model"]
    assert [turn["functionCall"]["name"] for turn in turns] == ["get_weather", "send_email"]
    assert all(turn["thoughtSignature"].startswith("ZmN+") for turn in turns)


def test_two_signed_answers_in_a_row_keep_both_signatures(received):
    text = build_model(tools=()).invoke(TEXT_PROMPT, stream_invoke=False)
    calls = build_model().invoke(TOOL_PROMPT)
    history = [HumanMessage(TOOL_PROMPT), text, calls, *followed_up(calls)]
    assert "rain; rain" in build_model().invoke(history).text
    turns = [c for c in received[-1].body["contents"] if c["role"] == "model"]
    expected = signed_text(text, streamed=False)["parts"] + signed_calls(calls)["parts"]
    assert [part for turn in turns for part in turn["parts"]] == expected


def test_signed_call_that_begins_a_trimmed_history_keeps_its_signature(received):
    calls = build_model().invoke(TOOL_PROMPT)
    history = [calls, *followed_up(calls), HumanMessage("Say 'so what'.")]
    assert build_model().invoke(history).text == "so what"
    (turn,) = [c for c in received[-1].body["contents"] if c["role"] == "model"]
    assert turn == signed_calls(calls)


def test_signature_under_the_same_key_of_another_provider_is_not_sent(received):
    entry = {"type": "tool_call", "id": "c0", "at": 0, "signature": "FOREIGN=="}
    message = AIMessage(
        "",
        tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "c0"}],
        additional_kwargs={"thought_signatures": {MODEL: [entry]}},
        response_metadata={"model_provider": "google_genai"},
    )
    history = [HumanMessage(TOOL_PROMPT), message, ToolMessage("rain", tool_call_id="c0")]
    assert "rain" in build_model().invoke(history).text
    assert "FOREIGN" not in json.dumps(received[-1].body)


def test_cleared_arguments_are_sent_without_their_signature(received, tmp_path):
    """The emulator rejects the signature of a call whose arguments were changed."""
    edit = ClearToolUsesEdit(trigger=1, keep=1, clear_tool_inputs=True)
    path = str(tmp_path / "checkpoints.sqlite")
    for city in ("Oslo", "Rome", "Berlin"):
        with SqliteSaver.from_conn_string(path) as saver:  # each turn reads the stored thread
            agent = create_agent(
                ChatKieGemini(model=MODEL, api="generate_content"),
                [get_weather],
                middleware=[ContextEditingMiddleware(edits=[edit])],
                checkpointer=saver,
            )
            prompt = {"messages": [HumanMessage(f"What is the weather in {city}?")]}
            state = agent.invoke(prompt, thread("t"))
        assert f"rain in {city}" in state["messages"][-1].text
    turns = [c["parts"][0] for c in received[-1].body["contents"] if c["role"] == "model"]
    calls = [turn for turn in turns if "functionCall" in turn]
    assert [call["functionCall"]["args"] for call in calls] == [{}, {}, {"city": "Berlin"}]
    kept = sign_call(SPELLING, ToolCall("get_weather", {"city": "Berlin"}))
    assert [call["thoughtSignature"] for call in calls] == [PLACEHOLDER, PLACEHOLDER, kept]


# --- with hand-written answers ---------------------------------------------------------------

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
FROM_THE_DOCS = "Es8CCswCAb4example"


def function_call(call_id, city, **members):
    call = {"name": "get_weather", "args": {"city": city}, "id": call_id}
    return {"functionCall": call, **members}


def signed(part, signature=FROM_THE_DOCS):
    return {**part, "thoughtSignature": signature}


# The parts of an answer, which the next request must contain unchanged.
NATIVE = {
    "on each call of a batch": [
        signed(function_call("a", "Oslo"), "one=="),
        signed(function_call("b", "Rome"), "two"),
    ],
    "on the second call only": [function_call("a", "Oslo"), signed(function_call("b", "Rome"))],
    "on text and on a call": [
        signed({"text": "Let me look."}, "one=="),
        signed(function_call("a", "Oslo"), "two"),
    ],
    "on an empty part behind a call": [
        signed(function_call("a", "Oslo"), "one=="),
        signed({"text": ""}, "two"),
    ],
    "on two texts": [signed({"text": "It "}, "one=="), signed({"text": "rains."}, "two")],
    "on an image between texts": [
        {"text": "Here:"},
        signed({"inline_data": {"mime_type": "image/png", "data": PNG}}, "one=="),
        signed({"text": "Nice."}, "two"),
    ],
    "on the second of two images": [
        {"inline_data": {"mime_type": "image/png", "data": PNG}},
        signed({"inline_data": {"mime_type": "image/png", "data": PNG}}),
    ],
    "on an image and on a call": [
        signed({"inline_data": {"mime_type": "image/png", "data": PNG}}, "one=="),
        signed(function_call("a", "Oslo"), "two"),
    ],
    "a string of any characters": [signed(function_call("a", "Oslo"), 'ünï "\\/\u2028 ☂==')],
}  # fmt: skip


def chat_call(call_id, city, members=None, inside=None):
    function = {"name": "get_weather", "arguments": json.dumps({"city": city}), **(inside or {})}
    return {"id": call_id, "type": "function", "function": function, **(members or {})}


CHAT = {
    "extra_content": [
        chat_call("a", "Oslo", {"extra_content": {"google": {"thought_signature": "one+/=="}}}),
        chat_call("b", "Rome"),
    ],
    "extra_content on each": [
        chat_call("a", "Oslo", {"extra_content": {"google": {"thought_signature": "one"}}}),
        chat_call("b", "Rome", {"extra_content": {"google": {"thought_signature": "two"}}}),
    ],
    "thought_signature": [chat_call("a", "Oslo", {"thought_signature": "ünï ☂"})],
    "inside of the function": [chat_call("a", "Oslo", inside={"thought_signature": "x"})],
    "on the second call only": [
        chat_call("a", "Oslo"),
        chat_call("b", "Rome", {"thought_signature": "x"}),
    ],
    "none": [chat_call("a", "Oslo"), chat_call("b", "Rome")],
}  # fmt: skip


def as_answered(part):
    """A part as an answer spells it: in camel case."""
    if "inline_data" not in part:
        return part
    members = {name: value for name, value in part.items() if name != "inline_data"}
    return {"inlineData": {"mimeType": "image/png", "data": PNG}, **members}


def native_bodies(parts):
    """The same answer in one event, and in an event for each part."""
    last = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}}
    parts = [as_answered(part) for part in parts]

    def event(*parts, **members):
        candidate = {"content": {"role": "model", "parts": [*parts]}, "index": 0, **members}
        return {"candidates": [candidate], **(last if members else {})}

    yield orjson.dumps(event(*parts, finishReason="STOP"))
    yield sse(event(*parts, finishReason="STOP"))
    yield sse(*(event(part) for part in parts), event(finishReason="STOP"))


def chat_bodies(calls):
    """The same calls in a chat completion, in a chunk for each, and in pieces."""
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    yield orjson.dumps({"choices": [choice], **usage})
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], **usage}
    complete = [{"index": i, **call} for i, call in enumerate(calls)]
    yield sse(*({"choices": [{"index": 0, "delta": {"tool_calls": [c]}}]} for c in complete), end)
    pieces = []
    for i, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        pieces.append({"index": i, **call, "function": {**call["function"], "arguments": ""}})
        pieces += [{"index": i, "function": {"arguments": letter}} for letter in arguments]
    yield sse(*({"choices": [{"index": 0, "delta": {"tool_calls": [p]}}]} for p in pieces), end)


async def _sent_back(bodies, call_mode, select, **fields):
    """What `select` finds in the next request: for each body, and for the last by each carrier."""
    *others, last = bodies
    carriers_of_last = CARRIERS if call_mode in FORMS else ["dumps and loads"]
    for body, carriers in [*((b, ["nothing"]) for b in others), (last, carriers_of_last)]:
        with call_modes.server_sending(body) as server:
            model = call_modes.model_at(server, **fields)
            answer = await call_mode(model, "hi")
            for name in carriers:
                carried = CARRIERS[name](answer)
                model.invoke([HumanMessage("hi"), carried, *followed_up(answer)])
                yield name, select(server.requests[-1].json)


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=name_of)
@pytest.mark.parametrize("shape", NATIVE)
async def test_native_signatures_are_sent_back(shape, call_mode):
    parts = NATIVE[shape]
    bodies = native_bodies(parts)
    async for name, turn in _sent_back(bodies, call_mode, lambda r: r["contents"][1], model=MODEL):
        if shape == "on the second call only":
            turn["parts"][0].pop("thoughtSignature")  # the first of a batch needs one
        assert orjson.dumps(turn) == orjson.dumps({"role": "model", "parts": parts}), name


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=name_of)
@pytest.mark.parametrize("shape", CHAT)
async def test_unknown_members_of_a_chat_call_are_sent_back(shape, call_mode):
    calls = CHAT[shape]
    select = lambda r: r["messages"][1]["tool_calls"]  # noqa: E731 - as short as its use
    async for name, sent_calls in _sent_back(chat_bodies(calls), call_mode, select):
        assert _with_parsed_arguments(sent_calls) == _with_parsed_arguments(calls), name


def _with_parsed_arguments(calls):
    """Tool calls with their arguments as values: the white space of the JSON may differ."""
    return [
        {**c, "function": {**c["function"], "arguments": json.loads(c["function"]["arguments"])}}
        for c in calls
    ]
