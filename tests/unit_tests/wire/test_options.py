"""Options and headers: where each API has them, and which of several values is sent."""

from __future__ import annotations

import copy
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending

from langchain_kie._catalog import APIS
from langchain_kie._settings import OPTION_NAMES
from langchain_kie.errors import KieConfigurationError
from unit_tests.wire.request_sender import (
    CHAT,
    GATEWAY,
    HI,
    NATIVE,
    Json,
    RequestSender,
    text,
    user,
)

OPTIONS: list[tuple[Json, Json, Json]] = [
    ({}, {}, {}),
    ({"temperature": 0.0}, {"temperature": 0.0}, {"generationConfig": {"temperature": 0.0}}),
    ({"top_p": 0.5}, {"top_p": 0.5}, {"generationConfig": {"topP": 0.5}}),
    ({"max_tokens": 9}, {"max_tokens": 9}, {"generationConfig": {"maxOutputTokens": 9}}),
    ({"max_output_tokens": 9}, {"max_tokens": 9}, {"generationConfig": {"maxOutputTokens": 9}}),
    ({"stop": ["a", "b"]}, {"stop": ["a", "b"]},
     {"generationConfig": {"stopSequences": ["a", "b"]}}),
    ({"stop_sequences": ["a"]}, {"stop": ["a"]}, {"generationConfig": {"stopSequences": ["a"]}}),
    ({"reasoning_effort": "low"}, {"reasoning_effort": "low"},
     {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}),
    ({"thinking_level": "high"}, {"reasoning_effort": "high"},
     {"generationConfig": {"thinkingConfig": {"thinkingLevel": "high"}}}),
    ({"include_thoughts": False}, {"include_thoughts": False},
     {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}),
    ({"include_thoughts": True, "reasoning_effort": "low", "temperature": 1.0},
     {"include_thoughts": True, "reasoning_effort": "low", "temperature": 1.0},
     {"generationConfig": {"temperature": 1.0, "thinkingConfig": {
         "includeThoughts": True, "thinkingLevel": "low"}}}),
    ({"model_kwargs": {"seed": 7}}, {"seed": 7}, {"seed": 7}),
]  # fmt: skip


@pytest.mark.parametrize("where", ["field", "call"])
@pytest.mark.parametrize(("options", "chat", "native"), OPTIONS, ids=lambda value: str(value)[:40])
def test_options_are_sent_in_the_format_of_each_api_if_they_are_set(
    where: str, options: Json, chat: Json, native: Json, send: RequestSender
) -> None:
    given: Json = {"fields": options} if where == "field" else options
    expected: AbstractContextManager[Any] = nullcontext()
    if where == "call" and "model_kwargs" in options:
        given = options["model_kwargs"]
        expected = pytest.warns(UserWarning, match="not a known option")
    with expected:
        assert send([HI], model=CHAT, **copy.deepcopy(given)) == {
            "messages": [{"role": "user", "content": "hi"}],
            "stream": False,
            **chat,
        }
        assert send([HI], model=NATIVE, **copy.deepcopy(given)) == {
            "contents": [user(text("hi"))],
            "stream": True,
            **native,
        }


SENT: Json = {
    "temperature": 0.25,
    "top_p": 0.5,
    "max_tokens": 9,
    "stop": ["s"],
    "reasoning_effort": "low",
    "include_thoughts": True,
}
"""For each option that every API has, a value that is not its default."""

CLIENT_ONLY = {
    "check_combinations": "checked before the request is built",
    "media_upload": "decides whether media are uploaded",
    "inline_media_limit": "decides which media are uploaded",
    "require_media_seen": "checks the answer",
    "detect_error_text": "checks the answer",
    "stream_invoke": "decides whether the request streams",
    "stream_usage": "only for streams of the gateway, which have a test below",
}
"""The options that codecs do not send, and why."""


def test_each_option_is_sent_or_is_for_the_client_only() -> None:
    assert sorted([*SENT, *CLIENT_ONLY]) == sorted(OPTION_NAMES)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("name", "value"), SENT.items(), ids=SENT.keys())
def test_each_codec_sends_each_option(name: str, value: Any, api: str, send: RequestSender) -> None:
    without, with_option = (
        send([HI], model=NATIVE, fields={"api": api}, **options) for options in ({}, {name: value})
    )
    assert with_option != without


def test_options_of_a_call_replace_those_of_the_model(send: RequestSender) -> None:
    defaults = {"temperature": 0.1, "max_tokens": 5, "stop": ["x"], "reasoning_effort": "low",
                "model_kwargs": {"seed": 1, "k": 2}}  # fmt: skip
    of_call = {"temperature": 0.9, "stop": ["y"], "reasoning_effort": "high", "seed": 3}
    with pytest.warns(UserWarning, match="seed: not a known option"):
        body = send([HI], fields=defaults, **of_call)
    assert body == {
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "temperature": 0.9,
        "max_tokens": 5,
        "stop": ["y"],
        "reasoning_effort": "high",
        "seed": 3,
        "k": 2,
    }


def test_an_option_of_none_means_the_value_of_the_model(send: RequestSender) -> None:
    assert send([HI], fields={"temperature": 0.1}, temperature=None)["temperature"] == 0.1


def test_the_model_of_a_call_is_in_the_url_the_body_and_the_metadata(
    send: RequestSender,
) -> None:
    model = model_at(send.server, model=CHAT)
    for options, path in (
        ({"model": "gemini-2.5-pro"}, "/gemini-2.5-pro/v1/chat/completions"),
        ({"model_name": "gemini-3.1-pro"}, "/gemini-3.1-pro/v1/chat/completions"),
        ({"model": NATIVE}, "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent?alt=sse"),
        ({"api": "generate_content"},
         "/gemini/v1/models/gemini-3-flash-v1betamodels:streamGenerateContent?alt=sse"),
        ({"api": "gateway", "model": "m"}, "/v1/chat/completions"),
    ):  # fmt: skip
        send.server.requests.clear()
        answer = model.invoke("hi", **options)
        assert send.server.requests[0].path == path
        name = options.get("model") or options.get("model_name") or CHAT
        assert answer.response_metadata["model_name"] == name
        send.server.requests.clear()
        bound = model.bind(**options).invoke("hi")
        assert send.server.requests[0].path == path
        assert bound.response_metadata["model_name"] == name


@pytest.mark.parametrize(
    ("effort", "sent"),
    [("minimal", "low"), ("none", "low"), ("medium", "high"), ("max", "high"), ("xhigh", "high")],
)
def test_an_undocumented_effort_becomes_the_nearest_one_with_a_warning(
    effort: str, sent: str, send: RequestSender
) -> None:
    with pytest.warns(UserWarning, match=effort):
        assert send([HI], reasoning_effort=effort)["reasoning_effort"] == sent
    with pytest.warns(UserWarning, match=effort):
        body = send([HI], model=NATIVE, fields={"reasoning_effort": effort})
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": sent}


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("effort", [1, ["low"], {"level": "low"}], ids=str)
def test_an_effort_that_is_no_string_is_rejected(
    effort: Any, api: Any, send: RequestSender
) -> None:
    with pytest.raises(KieConfigurationError, match=r"reasoning_effort must be one of .*; got"):
        send([HI], fields={"api": api}, reasoning_effort=effort)
    assert send.server.requests == []


@pytest.mark.parametrize(
    ("effort", "chat", "native"),
    [
        ("none", "none", {"thinkingBudget": 0}),
        ("low", "low", {"thinkingLevel": "low"}),
        ("medium", "medium", {"thinkingLevel": "medium"}),
        ("MEDIUM", "medium", {"thinkingLevel": "medium"}),
        ("minimal", "low", {"thinkingLevel": "low"}),
        ("max", "high", {"thinkingLevel": "high"}),
    ],
)
def test_an_effort_that_was_measured_is_sent(
    effort: str, chat: str, native: Json, send: RequestSender
) -> None:
    """wire.md 2.3-1, 2.3-2, 2.3-3, 2.3-4: 3.8 Flash, on both APIs."""
    model = "gemini-3.8-flash"
    for api, expected in (("chat_completions", chat), ("generate_content", native)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if effort in {"minimal", "max"} else "error")
            body = send([HI], model=model, api=api, reasoning_effort=effort)
        sent = body.get("reasoning_effort") or body["generationConfig"]["thinkingConfig"]
        assert sent == expected


def test_an_effort_is_omitted_if_the_model_has_none_and_unchanged_if_it_is_unknown(
    send: RequestSender,
) -> None:
    with pytest.warns(UserWarning, match=r"gemini-2\.5-flash"):
        assert "reasoning_effort" not in send(
            [HI], model="gemini-2.5-flash", reasoning_effort="low"
        )
    assert send([HI], model="gemini-9", reasoning_effort="medium")["reasoning_effort"] == "medium"
    raw = {"model_kwargs": {"reasoning_effort": "medium"}}
    assert send([HI], fields=raw)["reasoning_effort"] == "medium"
    send.rejects([HI], "got 'huge'", reasoning_effort="huge")


TOOL = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
GOOGLE = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}
SAME_OPTIONS: list[tuple[Json, Json]] = [
    ({"functions": [TOOL]}, {"tools": [TOOL]}),
    ({"functions": [TOOL], "function_call": "auto"}, {"tools": [TOOL], "tool_choice": "auto"}),
    ({"functions": [TOOL], "function_call": {"name": "f"}}, {"tools": [TOOL], "tool_choice": "f"}),
    ({"response_mime_type": "application/json"}, {"response_format": {"type": "json_object"}}),
    ({"response_mime_type": "text/plain"}, {}),
    ({"response_schema": GOOGLE, "response_mime_type": "application/json"},
     {"response_format": SCHEMA}),
    ({"response_schema": SCHEMA}, {"response_format": SCHEMA}),
    ({"response_json_schema": SCHEMA}, {"response_format": SCHEMA}),
]  # fmt: skip


@pytest.mark.parametrize(("other", "known"), SAME_OPTIONS, ids=lambda value: str(value)[:40])
def test_names_of_other_packages_are_understood(
    other: Json, known: Json, send: RequestSender
) -> None:
    for fields in ({"model": "gemini-3.1-pro"}, {"model": NATIVE}, GATEWAY):
        expected = send([HI], fields=fields, **known)
        assert send([HI], fields=fields, **other) == expected
        assert send.through(model_at(send.server, **fields).bind(**other), [HI]) == expected


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"response_mime_type": "text/x.enum"}, "response_mime_type must be .* got 'text/x.enum'"),
        ({"functions": [TOOL], "tools": [TOOL]}, "tools is given twice"),
        ({"response_schema": SCHEMA, "response_format": SCHEMA}, "response_format is given twice"),
        ({"functions": [TOOL], "function_call": {"name": "g"}}, "'g'"),
    ],
    ids=str,
)
def test_names_of_other_packages_are_checked(
    options: Json, match: str, send: RequestSender
) -> None:
    send.rejects([HI], match, **options)


def test_the_user_agent_names_the_package(send: RequestSender) -> None:
    send([HI])
    assert send.headers["user-agent"].startswith("langchain-kie/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Trace", "7"),
        ("User-Agent", "mine"),
        ("user-agent", "mine"),
        ("Host", "gateway.example"),
        ("host", "gateway.example"),
        ("ACCEPT", "*/*"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("accept-encoding", "identity;q=1"),
        ("X-Empty", ""),
    ],
)
async def test_a_header_of_the_user_replaces_the_package_s(name, value) -> None:
    client, async_client = httpx.Client(), httpx.AsyncClient()
    with server_sending(fixture("shape_a.sse")) as server, client:
        async with async_client:
            clients = {"http_client": client, "http_async_client": async_client}
            for fields in ({}, clients):
                for call_mode in BASIC_CALL_MODES:
                    await call_mode(model_at(server, default_headers={name: value}, **fields))
                    assert server.requests[-1].headers[name.lower()] == value


USAGE: list[tuple[str, Json, Json | None]] = [
    ("gateway", {}, {"include_usage": True}),
    ("gateway", {"stream_usage": False}, None),
    ("gateway", {"stream_usage": True}, {"include_usage": True}),
    ("gateway", {"model_kwargs": {"stream_options": {"a": 1}}}, {"a": 1}),
    ("chat_completions", {}, None),
    ("generate_content", {}, None),
]


@pytest.mark.parametrize(("api", "fields", "expected"), USAGE, ids=str)
async def test_a_stream_of_the_gateway_requests_its_usage(
    api: str, fields: Json, expected: Json | None
) -> None:
    body = fixture("native.sse" if api == "generate_content" else "shape_a.sse")
    with server_sending(body) as server:
        model = model_at(server, api=api, **fields)
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            await call_mode(model)
            sent = server.requests[0].json
            is_stream = sent.get("stream", False) or "model_kwargs" in fields
            assert sent.get("stream_options") == (expected if is_stream else None)
        server.requests.clear()
        [*model.stream("hi", stream_usage=False)]
        given = fields.get("model_kwargs", {})
        assert server.requests[0].json.get("stream_options") == given.get("stream_options")


def test_native_calls_without_parallel_tool_calls_do_not_warn(caplog) -> None:
    """langgraph-supervisor (0.0.31) sets it on every model."""
    caplog.set_level("DEBUG")
    with server_sending(fixture("native_response.json")) as server:
        model = model_at(server, api="generate_content")
        tool = {"name": "f", "description": "f", "parameters": {"type": "object"}}
        model.bind_tools([tool], parallel_tool_calls=False).invoke("hi")
    records = [r for r in caplog.records if r.name.startswith("langchain_kie")]
    assert [(r.levelname, "parallel" in r.message) for r in records] == [("DEBUG", True)]
