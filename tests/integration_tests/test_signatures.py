"""Thought signatures go back byte for byte, however a message was got and whatever carried it.

The emulator signs as Gemini 3 does and refuses, in an active tool loop, a signature that is
missing, changed or another model's. It would also take Google's documented placeholder, so what
was sent is compared with what must have been given, too.
"""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from functools import reduce
from operator import add
from pathlib import Path

import orjson
import pytest
from checkpoint_reader import conversation, followed_up, get_weather, send_email, thread
from langchain_core.caches import BaseCache
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
    message_to_dict,
    messages_from_dict,
    trim_messages,
)
from langgraph.checkpoint.sqlite import SqliteSaver
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import ChatKieGemini
from langchain_kie.emulator.conversation import Call
from langchain_kie.emulator.signatures import sign_call, sign_text

READER = Path(__file__).with_name("checkpoint_reader.py")
MODEL = "gemini-3.5-flash"
SPELLING = "gemini-3-5-flash"
TOOL_PROMPT = "What is the weather in Oslo and in Rome?"
TEXT_PROMPT = "Write a poem about rain."
BYPASS = "skip_thought_signature_validator"


# --- ways to get a message, ways to carry it -------------------------------------------------


class JsonCache(BaseCache):
    """A cache that keeps text, as those do that live outside of the process."""

    def __init__(self):
        self.kept = {}
        self.hits = 0

    def lookup(self, prompt, llm_string):
        found = self.kept.get((prompt, llm_string))
        self.hits += found is not None
        return found and [loads(one, allowed_objects="all") for one in found]

    def update(self, prompt, llm_string, return_val):
        self.kept[prompt, llm_string] = [dumps(one) for one in return_val]

    def clear(self, **kwargs):
        self.kept.clear()


async def invoke(ask, prompt):
    return ask().invoke(prompt)


async def ainvoke(ask, prompt):
    return await ask().ainvoke(prompt)


async def stream(ask, prompt):
    return message_chunk_to_message(reduce(add, ask().stream(prompt)))


async def astream(ask, prompt):
    return message_chunk_to_message(reduce(add, [c async for c in ask().astream(prompt)]))


async def sum_of_chunks(ask, prompt):
    return reduce(add, ask().stream(prompt))


async def streaming(ask, prompt):
    return ask(streaming=True).invoke(prompt)


async def astreaming(ask, prompt):
    return await ask(streaming=True).ainvoke(prompt)


async def v1(ask, prompt):
    return ask(output_version="v1").invoke(prompt)


async def av1(ask, prompt):
    return await ask(output_version="v1").ainvoke(prompt)


async def v1_stream(ask, prompt):
    return message_chunk_to_message(reduce(add, ask(output_version="v1").stream(prompt)))


async def v1_astream(ask, prompt):
    chunks = [c async for c in ask(output_version="v1").astream(prompt)]
    return message_chunk_to_message(reduce(add, chunks))


async def events(ask, prompt):
    return ask().stream_events(prompt, version="v3").output


async def aevents(ask, prompt):
    return await (await ask().astream_events(prompt, version="v3")).output


async def v1_events(ask, prompt):
    return ask(output_version="v1").stream_events(prompt, version="v3").output


async def v1_aevents(ask, prompt):
    running = await ask(output_version="v1").astream_events(prompt, version="v3")
    return await running.output


async def _cached(ask, prompt, call_mode, **fields):
    cache = JsonCache()
    first = await call_mode(lambda: ask(cache=cache, **fields), prompt)
    second = await call_mode(lambda: ask(cache=cache, **fields), prompt)
    assert cache.hits == 1
    assert second.content == first.content
    return second


async def cache_hit(ask, prompt):
    return await _cached(ask, prompt, invoke)


async def acache_hit(ask, prompt):
    return await _cached(ask, prompt, ainvoke)


async def v1_cache_hit(ask, prompt):
    return await _cached(ask, prompt, invoke, output_version="v1")


async def streaming_cache_hit(ask, prompt):
    return await _cached(ask, prompt, invoke, streaming=True)


CALL_MODES = [
    invoke,
    ainvoke,
    stream,
    astream,
    sum_of_chunks,
    streaming,
    astreaming,
    v1,
    av1,
    v1_stream,
    v1_astream,
    events,
    aevents,
    v1_events,
    v1_aevents,
    cache_hit,
    acache_hit,
    v1_cache_hit,
    streaming_cache_hit,
]
# These give messages of every form there is, so what carries them is tried on these alone.
FORMS = {invoke, sum_of_chunks, v1, v1_stream, events, v1_events, cache_hit}
STREAMED = {w for w in CALL_MODES if "stream" in w.__name__ or "events" in w.__name__} | {
    sum_of_chunks
}


def trimmed(message):
    """The message out of a longer history that was cut to fit."""
    old = [SystemMessage("Be kind."), HumanMessage("Hello."), AIMessage("Hi.")]
    history = trim_messages(
        [*old, HumanMessage(TOOL_PROMPT), message],
        max_tokens=3,
        token_counter=len,
        strategy="last",
        include_system=True,
        start_on="human",
    )
    assert [m.type for m in history[:2]] == ["system", "human"]
    return history[-1]


def through_json(value):
    return orjson.loads(orjson.dumps(value))


CARRIERS = {
    "nothing": lambda m: m,
    "dumps and loads": lambda m: loads(dumps(m), allowed_objects="messages"),
    "message_to_dict": lambda m: messages_from_dict([through_json(message_to_dict(m))])[0],
    "model_dump_json": lambda m: type(m).model_validate_json(m.model_dump_json()),
    "model_dump": lambda m: type(m)(**m.model_dump()),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "deepcopy": copy.deepcopy,
    "model_copy": lambda m: m.model_copy(),
    "trim_messages": trimmed,
    "another name": lambda m: m.model_copy(update={"name": "agent", "id": "other"}),
}  # fmt: skip


# --- on the emulator -------------------------------------------------------------------------


@pytest.fixture
def received(service):
    """What arrives at the emulator."""
    if service is None:
        pytest.skip("looks at what the emulator received")
    return service.requests


def asker(model=MODEL, api="generate_content", tools=(get_weather,)):
    """A function that makes the model, with its tools bound."""

    def ask(**fields):
        made = ChatKieGemini(model=model, api=api, **fields)
        return made.bind_tools([*tools]) if tools else made

    return ask


def _signed_call(message):
    """The model's turn as it must be sent: its calls, the first of them signed."""
    parts = [
        {"functionCall": {"name": c["name"], "args": c["args"], "id": c["id"]}}
        for c in message.tool_calls
    ]
    first = message.tool_calls[0]
    parts[0]["thoughtSignature"] = sign_call(SPELLING, Call(first["name"], first["args"]))
    return {"role": "model", "parts": parts}


def _signed_text(message, streamed):
    """The model's turn as it must be sent: signed on the text, or on an empty part behind it."""
    signature = {"thoughtSignature": sign_text(SPELLING, message.text)}
    if not streamed:
        return {"role": "model", "parts": [{"text": message.text, **signature}]}
    return {"role": "model", "parts": [{"text": message.text}, {"text": "", **signature}]}


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=lambda call_mode: call_mode.__name__)
async def test_a_signed_batch_of_calls_is_accepted_by_way_and_carrier(call_mode, received):
    answer = await call_mode(asker(), TOOL_PROMPT)
    assert [c["args"]["city"] for c in answer.tool_calls] == ["Oslo", "Rome"]
    expected = orjson.dumps(_signed_call(answer))
    for name, carry in CARRIERS.items():
        history = [HumanMessage(TOOL_PROMPT), carry(answer), *followed_up(answer)]
        assert "rain; rain" in asker()().invoke(history).text, name
        assert orjson.dumps(received[-1].body["contents"][1]) == expected, name


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=lambda call_mode: call_mode.__name__)
async def test_a_signed_text_goes_back_where_the_signature_was(call_mode, received):
    answer = await call_mode(asker(tools=()), TEXT_PROMPT)
    expected = orjson.dumps(_signed_text(answer, call_mode in STREAMED))
    for name, carry in CARRIERS.items():
        history = [HumanMessage(TEXT_PROMPT), carry(answer), *followed_up(answer)]
        assert asker(tools=())().invoke(history).text, name
        assert orjson.dumps(received[-1].body["contents"][1]) == expected, name


async def test_a_new_process_reads_the_signatures_out_of_a_sqlite_checkpoint(received, tmp_path):
    path = str(tmp_path / "checkpoints.sqlite")
    expected = {}
    with SqliteSaver.from_conn_string(path) as saver:
        for api in ("generate_content", "chat_completions"):
            for call_mode in CALL_MODES:
                name = f"{MODEL}/{api}/{call_mode.__name__}"
                answer = await call_mode(asker(api=api), TOOL_PROMPT)
                expected[name] = _signed_call(answer)
                graph = conversation(saver, model=MODEL, api=api)
                prompt = HumanMessage(TOOL_PROMPT)
                graph.update_state(thread(name), {"messages": [prompt, answer]}, as_node="model")
    seen = len(received)
    lines = [json.loads(line) for line in _in_another_process("continue", path)]
    assert [line["thread"] for line in lines] == sorted(expected)
    assert all("rain; rain" in line["text"] for line in lines)
    for line, request in zip(lines, received[seen:], strict=True):
        if "/generate_content/" in line["thread"]:
            assert request.body["contents"][1] == expected[line["thread"]], line["thread"]


def _in_another_process(*arguments):
    command = [sys.executable, str(READER), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize(
    ("giver", "asked"),
    [
        ((MODEL, "generate_content"), ("gemini-3.6-flash", "generate_content")),
        ((MODEL, "generate_content"), (MODEL, "chat_completions")),
        ((MODEL, "generate_content"), ("gemini-2.5-pro", "chat_completions")),
        ((MODEL, "chat_completions"), (MODEL, "generate_content")),
        (("gemini-3.1-pro", "chat_completions"), ("gemini-3-flash", "generate_content")),
    ],
    ids="-".join,
)
def test_a_signature_of_another_model_or_dialect_is_not_sent(giver, asked, received):
    answer = asker(*giver)().invoke(TOOL_PROMPT)
    history = [HumanMessage(TOOL_PROMPT), answer, *followed_up(answer)]
    again = asker(*asked)().invoke(history)
    assert "rain; rain" in again.text
    assert "ZmN+" not in json.dumps(received[-1].body)
    if asked[1] == "chat_completions":
        assert BYPASS not in json.dumps(received[-1].body)


def test_a_conversation_may_go_to_another_model_and_come_back(received):
    """Each model gets its own signatures, and none of the other's."""
    other = "gemini-3.6-flash"
    history = [HumanMessage(TOOL_PROMPT)]
    for name in (MODEL, other, MODEL):
        first = asker(name)().invoke(history)
        history += [first, *followed_up(first)]
        history += [asker(name)().invoke(history), HumanMessage(TOOL_PROMPT)]
    turns = [c for c in received[-1].body["contents"] if "functionCall" in c["parts"][0]]
    call = Call("get_weather", {"city": "Oslo"})
    assert [turn["parts"][0]["thoughtSignature"] for turn in turns] == [
        sign_call(SPELLING, call),
        BYPASS,
        sign_call(SPELLING, call),
    ]


def test_an_active_loop_of_several_rounds_keeps_each_signature(received):
    """One after the other: each round has a signature of its own, and all are asked for."""
    prompt = "First get the weather in Oslo, then send an email to ann@example.org about it."
    ask = asker(tools=(get_weather, send_email))
    history = [HumanMessage(prompt)]
    for _ in range(2):
        history.append(ask().invoke(history))
        history += followed_up(history[-1])
    assert ask().invoke(history).text
    turns = [c["parts"][0] for c in received[-1].body["contents"] if c["role"] == "model"]
    assert [turn["functionCall"]["name"] for turn in turns] == ["get_weather", "send_email"]
    assert all(turn["thoughtSignature"].startswith("ZmN+") for turn in turns)


def test_two_signed_answers_in_a_row_keep_both_signatures(received):
    said = asker(tools=())().invoke(TEXT_PROMPT)
    called = asker()().invoke(TOOL_PROMPT)
    history = [HumanMessage(TOOL_PROMPT), said, called, *followed_up(called)]
    assert "rain; rain" in asker()().invoke(history).text
    turns = [c for c in received[-1].body["contents"] if c["role"] == "model"]
    expected = _signed_text(said, streamed=False)["parts"] + _signed_call(called)["parts"]
    assert [part for turn in turns for part in turn["parts"]] == expected


def test_a_signed_call_at_the_beginning_of_what_is_left_keeps_its_signature(received):
    called = asker()().invoke(TOOL_PROMPT)
    history = [called, *followed_up(called), HumanMessage("Say 'so what'.")]
    assert asker()().invoke(history).text == "so what"
    (turn,) = [c for c in received[-1].body["contents"] if c["role"] == "model"]
    assert turn == _signed_call(called)


FOREIGN = [
    AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "c0"}]),
    AIMessage(
        [
            {"type": "thinking", "thinking": "hm", "signature": "FOREIGN=="},
            {"type": "tool_use", "id": "c0", "name": "get_weather", "input": {"city": "Oslo"}},
        ],
        tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "c0"}],
        response_metadata={"model_provider": "anthropic"},
    ),
    AIMessage(
        "",
        tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "c0"}],
        additional_kwargs={"__gemini_function_call_thought_signatures__": {"c0": "FOREIGN=="}},
        response_metadata={"model_provider": "google_genai"},
    ),
    AIMessage(
        "",
        tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "c0"}],
        additional_kwargs={
            "thought_signatures": {
                MODEL: [{"type": "tool_call", "id": "c0", "at": 0, "signature": "FOREIGN=="}]
            }
        },
        response_metadata={"model_provider": "google_genai"},
    ),
]


@pytest.mark.parametrize("message", FOREIGN, ids=["by hand", "anthropic", "google", "a namesake"])
def test_a_call_that_no_gemini_of_kie_s_made_is_accepted_natively(message, received):
    history = [
        HumanMessage("What is the weather in Oslo?"),
        message,
        ToolMessage("rain", tool_call_id="c0"),
    ]
    assert "rain" in asker()().invoke(history).text
    assert "FOREIGN" not in json.dumps(received[-1].body)


# --- on hand-written bytes -------------------------------------------------------------------

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
FROM_THE_DOCS = "Es8CCswCAb4example"


def function_call(call_id, city, **beside):
    call = {"name": "get_weather", "args": {"city": city}, "id": call_id}
    return {"functionCall": call, **beside}


def signed(part, signature=FROM_THE_DOCS):
    return {**part, "thoughtSignature": signature}


# What the model said, part by part, and what it must find in the next request.
NATIVE = {
    "on the first call of a batch": [
        signed(function_call("a", "Oslo")),
        function_call("b", "Rome"),
    ],
    "on each call of a batch": [
        signed(function_call("a", "Oslo"), "one=="),
        signed(function_call("b", "Rome"), "two"),
    ],
    "on the second call only": [function_call("a", "Oslo"), signed(function_call("b", "Rome"))],
    "on text and on a call": [
        signed({"text": "Let me look."}, "one=="),
        signed(function_call("a", "Oslo"), "two"),
    ],
    "on text": [signed({"text": "It rains."})],
    "on an empty last part": [{"text": "It rains."}, signed({"text": ""})],
    "on an empty part behind a call": [
        signed(function_call("a", "Oslo"), "one=="),
        signed({"text": ""}, "two"),
    ],
    "on two texts": [signed({"text": "It "}, "one=="), signed({"text": "rains."}, "two")],
    "on an image": [
        {"text": "Here:"},
        signed({"inline_data": {"mime_type": "image/png", "data": PNG}}),
    ],
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


def chat_call(call_id, city, beside=None, inside=None):
    function = {"name": "get_weather", "arguments": json.dumps({"city": city}), **(inside or {})}
    return {"id": call_id, "type": "function", "function": function, **(beside or {})}


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
    "thoughtSignature": [chat_call("a", "Oslo", {"thoughtSignature": "x"})],
    "signature": [chat_call("a", "Oslo", {"signature": "x"})],
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
    beside = {name: value for name, value in part.items() if name != "inline_data"}
    return {"inlineData": {"mimeType": "image/png", "data": PNG}, **beside}


def native_bodies(parts):
    """The same answer whole in one event, and in an event for each part."""
    last = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}}
    parts = [as_answered(part) for part in parts]

    def event(*parts, **members):
        candidate = {"content": {"role": "model", "parts": [*parts]}, "index": 0, **members}
        return {"candidates": [candidate], **(last if members else {})}

    yield orjson.dumps(event(*parts, finishReason="STOP"))
    yield sse(event(*parts, finishReason="STOP"))
    yield sse(*(event(part) for part in parts), event(finishReason="STOP"))


def chat_bodies(calls):
    """The same calls in a whole answer, in a chunk for each, and in pieces."""
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    yield orjson.dumps({"choices": [choice], **usage})
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], **usage}
    whole = [{"index": i, **call} for i, call in enumerate(calls)]
    yield sse(*({"choices": [{"index": 0, "delta": {"tool_calls": [c]}}]} for c in whole), end)
    pieces = []
    for i, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        pieces.append({"index": i, **call, "function": {**call["function"], "arguments": ""}})
        pieces += [{"index": i, "function": {"arguments": letter}} for letter in arguments]
    yield sse(*({"choices": [{"index": 0, "delta": {"tool_calls": [p]}}]} for p in pieces), end)


async def _came_back(bodies, call_mode, select, **fields):
    """The model's turn in the next request: for each body, and for the last by carrier."""
    *others, last = bodies
    carried_by = CARRIERS if call_mode in FORMS else ["dumps and loads"]
    for body, carriers in [*((b, ["nothing"]) for b in others), (last, carried_by)]:
        with ScriptedServer(Scripted([body])) as server:

            def ask(base_url=server.base_url, **more):
                return ChatKieGemini(base_url=base_url, api_key="k", **fields, **more)

            answer = await call_mode(ask, "hi")
            for name in carriers:
                carried = CARRIERS[name](answer)
                ask().invoke([HumanMessage("hi"), carried, *followed_up(answer)])
                yield name, select(server.requests[-1].json)


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=lambda call_mode: call_mode.__name__)
@pytest.mark.parametrize("shape", NATIVE)
async def test_native_signatures_of_every_shape_come_back(shape, call_mode):
    parts = NATIVE[shape]
    bodies = native_bodies(parts)
    async for name, turn in _came_back(bodies, call_mode, lambda r: r["contents"][1], model=MODEL):
        if shape == "on the second call only":
            turn["parts"][0].pop("thoughtSignature")  # the first of a batch needs one
        assert orjson.dumps(turn) == orjson.dumps({"role": "model", "parts": parts}), name


@pytest.mark.parametrize("call_mode", CALL_MODES, ids=lambda call_mode: call_mode.__name__)
@pytest.mark.parametrize("shape", CHAT)
async def test_what_stands_beside_a_chat_call_comes_back_and_nothing_else(shape, call_mode):
    calls = CHAT[shape]
    turns = _came_back(
        chat_bodies(calls),
        call_mode,
        lambda r: r["messages"][1]["tool_calls"],
        model="gemini-3-flash",
    )
    async for name, sent_calls in turns:
        assert _parsed(sent_calls) == _parsed(calls), name


def _parsed(calls):
    """Calls with their arguments as values: their white space may change."""
    return [
        {**c, "function": {**c["function"], "arguments": json.loads(c["function"]["arguments"])}}
        for c in calls
    ]


def test_a_sum_of_chunks_is_the_message_and_a_chunk_class_may_be_sent(received):
    answer = reduce(add, asker()().stream(TOOL_PROMPT))
    assert isinstance(answer, AIMessageChunk)
    history = [HumanMessage(TOOL_PROMPT), answer, *followed_up(answer)]
    assert "rain; rain" in asker()().invoke(history).text
    assert received[-1].body["contents"][1] == _signed_call(answer)
