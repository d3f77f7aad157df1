"""Histories of every kind, on both APIs, over two turns.

The emulator checks that a request is valid. The tests check that it contains every text, tool
call, tool result and media part of the history. Simple histories are in `wire/test_messages.py`,
with their exact requests, and in `fuzz/test_requests.py`; histories that cannot be sent are in
`wire/test_messages.py` and `conversation/test_turns.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

import pytest
from call_modes import ainvoke, invoke
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_kie import ChatKieGemini

MODEL = "gemini-3-flash"
APIS = ["chat_completions", "generate_content"]
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
HI = HumanMessage("What is the weather?")
MEDIA = frozenset({"image", "audio", "video", "file"})


@dataclass(frozen=True)
class Row:
    """A history that must be accepted.

    Attributes:
        not_sent: Must not be in the request: it means nothing to another model.
        in_answer: Must be in the answer, which repeats the tool results.
    """

    name: str
    messages: list[BaseMessage]
    not_sent: tuple[str, ...] = ()
    in_answer: tuple[str, ...] = ()


def call(call_id, city="Oslo", name="get_weather"):
    return {"name": name, "args": {"city": city}, "id": call_id}


def calls(*called, text=""):
    return AIMessage(text, tool_calls=[c if isinstance(c, dict) else call(c) for c in called])


def result(call_id, content="rain", **fields):
    return ToolMessage(content, tool_call_id=call_id, **fields)


def of(provider, content, *called, **fields):
    """An AI message as the package of another provider returns it."""
    metadata = {"model_provider": provider, **fields.pop("metadata", {})}
    tool_calls = [call(c) for c in called]
    return AIMessage(content, tool_calls=tool_calls, response_metadata=metadata, **fields)


def as_v1(message):
    """The same message with `output_version="v1"`."""
    metadata = {**message.response_metadata, "output_version": "v1"}
    return AIMessage(content_blocks=message.content_blocks, response_metadata=metadata)


def block(block_type, **members):
    return {"type": block_type, **members}


TEXT = block("text", text="Let me look.")
TOOL_USE = block("tool_use", id="c0", name="get_weather", input={"city": "Oslo"})
FOREIGN = {
    "OpenAI, chat": of("openai", "Let me look.", "c0"),
    "OpenAI, responses": of(
        "openai",
        [
            block(
                "reasoning",
                id="rs_1",
                summary=[block("summary_text", text="SECRET thought")],
                encrypted_content="SECRET==",
            ),
            {**TEXT, "annotations": [], "id": "msg_1"},
            block(
                "function_call",
                id="fc_1",
                call_id="c0",
                name="get_weather",
                arguments='{"city": "Oslo"}',
            ),
        ],
        "c0",
    ),
    "OpenAI, responses, with server tools": of(
        "openai",
        [
            block("web_search_call", id="ws_1", status="completed"),
            block("file_search_call", id="fs_1", queries=["x"], results=None),
            block("code_interpreter_call", id="ci_1", code="1", outputs=[], container_id="cn"),
            block("mcp_call", id="m_1", name="f", arguments="{}", output="1", server_label="s"),
            TEXT,
        ],
    ),
    "OpenAI, with a generated image": of(
        "openai",
        [block("image_generation_call", id="ig_1", result=PNG, output_format="png"), TEXT],
    ),
    "Anthropic": of(
        "anthropic",
        [
            block("thinking", thinking="SECRET thought", signature="SECRET=="),
            block("redacted_thinking", data="SECRET"),
            TEXT,
            TOOL_USE,
        ],
        "c0",
    ),
    "Anthropic, with server tools": of(
        "anthropic",
        [
            block("server_tool_use", id="st_1", name="web_search", input={"query": "x"}),
            block(
                "web_search_tool_result",
                tool_use_id="st_1",
                content=[block("web_search_result", url="u", encrypted_content="SECRET==")],
            ),
            block("server_tool_use", id="st_2", name="code_execution", input={}),
            *(
                block(f"{name}_tool_result", tool_use_id="st_2", content=block(f"{name}_result"))
                for name in ("code_execution", "web_fetch", "bash_code_execution")
            ),
            block("mcp_tool_use", id="mt_1", name="f", server_name="s", input={}),
            block("mcp_tool_result", tool_use_id="mt_1", content=[]),
            TEXT,
        ],
    ),
    "Bedrock": of(
        "bedrock_converse",
        [
            block("reasoning_content", reasoning_content={"text": "SECRET", "signature": "SECRET"}),
            TEXT,
            TOOL_USE,
        ],
        "c0",
    ),
    "Google": of(
        "google_genai",
        [
            block("thinking", thinking="SECRET thought", signature="SECRET=="),
            {**TEXT, "extras": {"signature": "SECRET=="}},
        ],
        "c0",
        additional_kwargs={
            "function_call": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
            "__gemini_function_call_thought_signatures__": {"c0": "SECRET=="},
        },
    ),
    "Google, with server tools": of(
        "google_genai",
        [
            block("executable_code", executable_code="print(1)", language="PYTHON"),
            block("code_execution_result", code_execution_result="1", outcome=1),
            TEXT,
        ],
    ),
    "Google, with the signature of its call": of(
        "google_genai",
        [TEXT, block("function_call_signature", signature="SECRET==", index=0)],
        "c0",
    ),
    "DeepSeek": of(
        "deepseek", "Let me look.", "c0", additional_kwargs={"reasoning_content": "SECRET thought"}
    ),
    "no provider": AIMessage("Let me look.", tool_calls=[call("c0")]),
}


def foreign(name, message):
    turn = [result(c["id"]) for c in message.tool_calls] or [HumanMessage("And in Oslo?")]
    in_answer = ("rain",) if message.tool_calls else ()
    return Row(name, [HI, message, *turn], not_sent=("SECRET",), in_answer=in_answer)


ROWS = [
    Row(
        "a call's id used again in the same loop",
        [
            HI,
            calls(call("call_0", "Oslo")),
            result("call_0", "snow"),
            calls(call("call_0", "Rome")),
            result("call_0", "sun"),
        ],
        in_answer=("snow", "sun"),
    ),
    Row("a call without an id", [HI, calls(call(None)), result("other")], in_answer=("rain",)),
    Row("neither the call nor the result has an id", [HI, calls(call(None)), result("")]),
    Row(
        "two calls without ids",
        [HI, calls(call(None, "Oslo"), call(None, "Rome")), result("", "snow"), result("", "sun")],
        in_answer=("snow; sun",),
    ),
    Row(
        "two calls with empty ids",
        [HI, calls(call("", "Oslo"), call("", "Rome")), result("", "snow"), result("", "sun")],
        in_answer=("snow; sun",),
    ),
    Row(
        "only one call of two has an id, and its result comes first",
        [HI, calls(call(None, "Oslo"), call("b", "Rome")), result("b", "sun"), result("x", "snow")],
        in_answer=("snow; sun",),
    ),
    Row(
        "two calls of one id",
        [HI, calls(call("a", "Oslo"), call("a", "Rome")), result("a", "snow"), result("a", "sun")],
        in_answer=("snow; sun",),
    ),
    Row(
        "a list for a result", [HI, calls("a"), result("a", ["rain", "wind"])], in_answer=("wind",)
    ),
    Row("numbers for a result", [HI, calls("a", "b"), result("a", [1, 2.5]), result("b", 42)]),
    Row("a list in JSON for a result", [HI, calls("a"), result("a", '[{"mm": 3}, null]')]),
    Row("a dict for a result", [HI, calls("a"), result("a", {"sky": "grey"})], in_answer=("grey",)),
    Row(
        "a list of dicts for a result",
        [HI, calls("a"), result("a", [{"sky": "grey"}, {"sky": "blue"}])],
        in_answer=("grey", "blue"),
    ),
    Row(
        "a JSON block for a result",
        [HI, calls("a"), result("a", [{"type": "json", "json": {"sky": "grey"}}])],
        in_answer=("grey",),
    ),
    Row("nothing for a result", [HI, calls("a"), result("a", "")]),
    Row("an empty list for a result", [HI, calls("a"), result("a", [])]),
    Row(
        "an error in JSON for a result",
        [HI, calls("a"), result("a", '{"reason": "no such city"}', status="error")],
        in_answer=("error", "no such city"),
    ),
    Row(
        "a broken call and a good one",
        [
            HI,
            AIMessage(
                "",
                tool_calls=[call("a")],
                invalid_tool_calls=[
                    {"name": "get_weather", "args": "Oslo", "id": "b", "error": "not JSON"}
                ],
            ),
            result("b", "no JSON", status="error"),
            result("a", "sun"),
        ],
        in_answer=("sun", "no JSON"),
    ),
    Row(
        "a broken call that nothing answers",
        [
            HI,
            AIMessage(
                "Wait.",
                invalid_tool_calls=[{"name": "f", "args": "{", "id": "a", "error": None}],
            ),
            HumanMessage("Well?"),
        ],
    ),
    Row("a last system message", [SystemMessage("Be kind."), HI, SystemMessage("Be brief.")]),
    Row(
        "a system message between call and result",
        [HI, calls("a"), SystemMessage("Be brief."), result("a")],
    ),
    Row("two answers", [HI, AIMessage("Rain."), AIMessage("Or snow."), HumanMessage("Which?")]),
    Row(
        "an answer, then a call",
        [HI, AIMessage("Let me look."), calls("a"), result("a")],
        in_answer=("rain",),
    ),
    Row(
        "two answers, then a call",
        [HI, AIMessage("Wait."), AIMessage("Let me look."), calls("a"), result("a")],
        in_answer=("rain",),
    ),
    Row(
        "an answer, then a call, in each of two rounds",
        [
            HI,
            AIMessage("Wait."),
            calls("a", text="Let me look."),
            result("a"),
            AIMessage("Hm."),
            calls("b"),
            result("b", "sun"),
        ],
        in_answer=("rain", "sun"),
    ),
    Row(
        "a system message between an answer and a call",
        [HI, AIMessage("Let me look."), SystemMessage("Be brief."), calls("a"), result("a")],
        in_answer=("rain",),
    ),
    Row("a call after an empty answer", [HI, AIMessage(""), calls("a"), result("a")]),
    Row("the history ends with an answer", [HI, AIMessage("It is")]),
    Row("a result by another tool's name", [HI, calls("a"), result("a", name="other_tool")]),
    Row(
        "an artifact is not sent",
        [HI, calls("a"), result("a", artifact={"SECRET": 1})],
        ("SECRET",),
    ),
    Row(
        "arguments of every kind",
        [
            HI,
            calls(
                {
                    "name": "f",
                    "args": {"s": 'a"\\\n☂\u2028', "n": 2**70, "x": 0.1, "o": {"l": [None, True]}},
                    "id": "a",
                }
            ),
            result("a"),
        ],
    ),
    Row("a call without arguments", [HI, calls({"name": "f", "args": {}, "id": "a"}), result("a")]),
    Row("a system message with a name", [SystemMessage("Be kind.", name="boss"), HI]),
    Row("a tool call begins", [calls("a"), result("a")], in_answer=("rain",)),
    Row("a tool call begins, and a question ends", [calls("a"), result("a"), HI]),
    Row(
        "a system message and a tool call begin",
        [SystemMessage("Be kind."), calls("a"), result("a")],
        in_answer=("rain",),
    ),
    *(foreign(name, message) for name, message in FOREIGN.items()),
    *(foreign(f"{name}, v1", as_v1(message)) for name, message in FOREIGN.items()),
]


@pytest.fixture(params=APIS)
def model(request):
    return ChatKieGemini(model=MODEL, api=request.param)


@pytest.fixture
def sent(service):
    """The requests that the emulator received since the test began."""
    if service is None:
        pytest.skip("looks at what the emulator received")
    seen = len(service.requests)
    return lambda: [request.body for request in service.requests[seen:]]


def _parts(body):
    """The parts of a request to either API, as kind and value, in order."""
    return [*_chat_parts(body)] if "messages" in body else [*_native_parts(body)]


def _chat_parts(body):
    for message in body["messages"]:
        role = {"assistant": "model"}.get(message["role"], message["role"])
        content = message["content"]
        for part in [{"text": content}] if isinstance(content, str) else content:
            if "image_url" in part:
                yield "media", part["image_url"]["url"].partition("base64,")[2]
            elif role == "tool":
                yield "result", (message["tool_call_id"], part["text"])
            else:
                yield role, part["text"]
        for call_sent in message.get("tool_calls", []):
            function = call_sent["function"]
            yield "call", (call_sent["id"], function["name"], json.loads(function["arguments"]))


def _native_parts(body):
    for part in body.get("systemInstruction", {}).get("parts", []):
        yield "system", part["text"]
    for content in body["contents"]:
        for part in content["parts"]:
            if "text" in part:
                yield content["role"], part["text"]
            elif function := part.get("functionCall"):
                yield "call", (function["id"], function["name"], function["args"])
            elif response := part.get("functionResponse"):
                yield "result", (response["id"], _text_of(response["response"]))
            else:
                yield "media", part["inline_data"]["data"]


def _text_of(response):
    """The text of a native tool result."""
    values = [value for value in response.values() if isinstance(value, str)]
    return values[0] if len(response) == len(values) == 1 else json.dumps(response)


def _check_nothing_lost(messages, body):
    """Check that every text, call, result and media part of the history is in the request."""
    sent_values = {}
    for kind, value in _parts(body):
        sent_values.setdefault(kind, []).append(value)
    roles = {"human": "user", "ai": "model", "system": "system"}
    for role in roles.values():
        sent_text = "".join(sent_values.get(role, []))
        assert all(m.text in sent_text for m in messages if roles.get(m.type) == role), role
    turns = [m for m in messages if isinstance(m, AIMessage)]
    tool_calls = [c for m in turns for c in m.tool_calls]
    answered = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
    broken = [c for m in turns for c in m.invalid_tool_calls if c["id"] in answered]
    sent_calls = sent_values.get("call", [])
    assert len(sent_calls) == len(tool_calls) + len(broken)
    for one in tool_calls:
        alike = [c for c in sent_calls if c[1:] == (one["name"], one["args"])]
        is_found = any(not one["id"] or c[0] == one["id"] for c in alike)
        assert is_found or _shares_its_id(one, tool_calls), one
    results = sent_values.get("result", [])
    assert Counter(i for i, _ in results) == Counter(i for i, *_ in sent_calls)
    sent_text = "\n".join(_unescaped(text) for _, text in results)
    for message in messages:
        if isinstance(message, ToolMessage):
            assert all(_unescaped(line) in sent_text for line in message.text.splitlines()), message
    media = [b for m in messages for b in m.content_blocks if b["type"] in MEDIA]
    assert len(sent_values.get("media", [])) == len(media)


def _shares_its_id(one, tool_calls):
    """Whether another call has the same id, so that one of them gets a new id."""
    return len([c for c in tool_calls if c["id"] == one["id"]]) > 1


def _unescaped(text):
    """A text without the white space and escapes that JSON may add."""
    return "".join(text.split()).replace("\\", "")


@pytest.mark.parametrize("call_mode", [invoke, ainvoke])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_history_is_sent_completely_and_can_continue(row, call_mode, model, sent):
    answer = await call_mode(model, row.messages)
    assert answer.text
    for words in row.in_answer:
        assert words in answer.text
    continued = [*row.messages, answer, HumanMessage("Say 'good bye'.")]
    assert (await call_mode(model, continued)).text == "good bye"
    first, second = sent()
    for messages, body in ((row.messages, first), (continued, second)):
        _check_nothing_lost(messages, body)
        assert not [secret for secret in row.not_sent if secret in json.dumps(body)]
