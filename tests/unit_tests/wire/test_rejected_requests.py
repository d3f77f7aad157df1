"""Requests that cannot be sent: they are rejected by name before anything is sent."""

from __future__ import annotations

from base64 import b64encode

import pytest
from call_modes import BASIC_CALL_MODES, model_at
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_kie import ChatKieGemini, KieConfigurationError
from langchain_kie.emulator import Emulator
from unit_tests.wire.request_sender import (
    CHAT,
    GATEWAY,
    HI,
    NATIVE,
    Json,
    RequestSender,
    ai_calls,
    function_call,
)

REJECTED: list[tuple[str, list[BaseMessage], str]] = [
    ("no messages", [], "no user or assistant"),
    ("only an empty AI message", [AIMessage("")], "no user or assistant"),
    ("only thoughts", [SystemMessage("s"), AIMessage([{"type": "reasoning", "reasoning": "hm"}])],
     "no user or assistant"),
    ("only a system message", [SystemMessage("be kind")], "no user or assistant"),
    ("an empty user message", [HumanMessage("")], "empty"),
    ("an empty text part", [HumanMessage([{"type": "text", "text": ""}])], "empty"),
    ("a result without its call", [HI, ToolMessage("x", tool_call_id="c-lost")], "c-lost"),
    ("a result of another call",
     [HI, ai_calls("c0"), *(ToolMessage("x", tool_call_id=i) for i in ("c0", "c-lost"))], "c-lost"),
    ("two results of one call",
     [HI, ai_calls("c0"), *(ToolMessage("x", tool_call_id="c0") for _ in range(2))],
     "tool call 'c0' is answered twice"),
    ("a call at the end", [HI, ai_calls("c-open")], "c-open"),
    ("an unknown role", [ChatMessage(role="narrator", content="x")], "narrator"),
    ("a function message", [HI, FunctionMessage("x", name="f")],
     "function message 'f' follows no call"),
    ("a function message of another call",
     [HI, ai_calls("c0"), ToolMessage("x", tool_call_id="c0"), FunctionMessage("x", name="g")],
     "function message 'g' follows no call"),
    ("a function call at the end", [HI, function_call("{}")], r"\(f\) needs a tool result"),
    ("a remove message", [HI, RemoveMessage(id="1")], "remove"),
]  # fmt: skip


@pytest.mark.parametrize("row", REJECTED, ids=lambda row: row[0])
@pytest.mark.parametrize("fields", [{"model": CHAT}, {"model": NATIVE}, GATEWAY], ids=str)
async def test_a_conversation_that_cannot_be_sent_is_rejected_by_name(
    row: tuple[str, list[BaseMessage], str], fields: Json, send: RequestSender
) -> None:
    send.rejects(row[1], row[2], fields=fields)
    model = model_at(send.server, **fields)
    with pytest.raises(ValueError, match=row[2]):
        await model.ainvoke(row[1])
    with pytest.raises(ValueError, match=row[2]):
        [*model.stream(row[1])]
    assert send.server.requests == []


@pytest.mark.parametrize(
    "block",
    [{"type": "hologram", "secret": "SECRET-DATA"}, {"type": "image", "base64": "SECRET-DATA"}],
)
def test_the_error_does_not_show_the_data_of_the_block(block: Json, send: RequestSender) -> None:
    with pytest.raises(ValueError) as caught:
        send([HumanMessage([block])])
    assert "SECRET-DATA" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../admin",
        "a/b",
        "a?x=1",
        "a#b",
        "a b",
        "a\nb",
        "a%2fb",
        "..",
        "a..b",
        "é",
        "a\\b",
        "a;b",
    ],
)
def test_a_model_name_that_would_change_the_url_is_rejected(name: str, send: RequestSender) -> None:
    for api in (None, "chat_completions", "generate_content"):
        with pytest.raises(KieConfigurationError, match=r"cannot be a model name: use .*\._~@:\+-"):
            ChatKieGemini(model=name, api_key="k", api=api)
    if name:
        with pytest.raises(KieConfigurationError, match="cannot be a model name"):
            model_at(send.server).invoke("hi", model=name)
        assert send.server.requests == []


def test_a_model_name_that_is_no_string_is_rejected(send: RequestSender) -> None:
    with pytest.raises(KieConfigurationError, match="name of a model must be a string; got 5"):
        model_at(send.server).invoke("hi", model=5)
    assert send.server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kie.ai",
        "api.kie.ai",
        "ftp://api.kie.ai",
        "https://",
        "https://user@api.kie.ai",
        "https://user:secret@api.kie.ai",
        "https://api.kie.ai?x=1",
        "https://api.kie.ai#x",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "",
    ],
)
def test_an_unsafe_base_url_is_rejected(url: str) -> None:
    with pytest.raises(KieConfigurationError, match="base_url") as caught:
        ChatKieGemini(model=CHAT, api_key="k", base_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://api.kie.ai", "https://relay.example/kie", "http://localhost:1", "http://127.0.0.1:1"],
)
def test_a_base_url_may_end_with_a_slash(url: str) -> None:
    for written in (url, url + "/", f" {url} "):
        assert ChatKieGemini(model=CHAT, api_key="k", base_url=written).base_url == url


def test_a_path_of_the_base_url_precedes_the_path_of_the_api(send: RequestSender) -> None:
    model = ChatKieGemini(model=CHAT, api_key="k", base_url=send.server.base_url + "/kie/")
    send.through(model, "hi")
    assert send.path == "/kie/gemini-3-flash/v1/chat/completions"


def test_an_unknown_api_is_rejected() -> None:
    with pytest.raises(ValueError, match="api"):
        ChatKieGemini(model=CHAT, api_key="k", api="soap")


def test_a_value_that_is_not_json_is_rejected_by_name(send: RequestSender) -> None:
    with pytest.warns(UserWarning, match="thing"):
        send.rejects([HI], "JSON", thing=object())


@pytest.mark.parametrize(
    ("messages", "options", "match"),
    [
        ([HumanMessage("")], {}, "empty"),
        ([], {"model_kwargs": {"x": {1, 2}}}, "JSON"),
        ([], {"tools": [{"google_search": {"x": 1}}]}, "settings"),
        ([ToolMessage("x", tool_call_id="none")], {}, "matches no earlier tool call"),
    ],
    ids=["empty", "no JSON", "settings", "no call"],
)
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_nothing_is_uploaded_if_the_request_is_invalid(call_mode, messages, options, match):
    picture = {"type": "image", "base64": b64encode(b"\x89PNG" + bytes(2_000_000)).decode()}
    kwargs = options.get("model_kwargs", {})
    options = {name: value for name, value in options.items() if name != "model_kwargs"}
    with Emulator() as emulator:
        model = ChatKieGemini(
            model="gemini-3-flash",
            api="chat_completions",
            base_url=emulator.base_url,
            api_key=emulator.api_key,
            model_kwargs=kwargs,
        )
        history = [HumanMessage([{**picture, "mime_type": "image/png"}]), *messages]
        with pytest.raises(ValueError, match=match):
            await call_mode(model.bind(**options), history)
        assert emulator.requests == []
