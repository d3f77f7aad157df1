"""The API key is sent in one header of one request to one host, and shown nowhere."""

from __future__ import annotations

import copy
import gzip
import io
import logging
import re
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    fixture,
    model_at,
    response_reader,
    server_sending,
)
from key_leaks import SECRET_KEY, check_error
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps
from langchain_core.messages import HumanMessage
from pydantic import SecretStr
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import ChatKieGemini, KieConfigurationError, KieError, KieProtocolError
from langchain_kie._chat_model.call import transport_of
from langchain_kie._http.transport import BearerAuth

SETTINGS: dict[str, Any] = {"model": "gemini-3-flash", "api_key": SECRET_KEY}


class Recorder(BaseCallbackHandler):
    """Keeps the text of every event that a callback receives."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *args, **kwargs: self.events.append(f"{name} {args!r} {kwargs!r}")
        return super().__getattribute__(name)


def test_no_form_of_a_model_but_a_pickle_shows_the_key() -> None:
    model = ChatKieGemini(**SETTINGS)
    for form in (
        repr(model),
        str(model),
        repr(model.model_dump()),
        model.model_dump_json(),
        dumps(model),
        repr(dumpd(model)),
        repr(model.asdict()),
        repr(model.lc_attributes),
        repr(model._identifying_params),
        repr(model._get_ls_params()),
        repr(model.lc_secrets),
        repr(model.get_graph().to_json()),
        repr(model.config_schema()),
        repr(copy.deepcopy(model)),
        repr(model.bind(stop=["x"])),
        repr(model.bind_tools([{"google_search": {}}])),
        repr(model.with_structured_output({"title": "t", "type": "object", "properties": {}})),
        dumps(model.bind_tools([{"google_search": {}}])),
        repr(transport_of(model)),
        repr(vars(transport_of(model).auth)),
    ):
        assert SECRET_KEY not in form
    with_header = transport_of(model.model_copy(update={"default_headers": {"X-Proxy": "canary"}}))
    assert "canary" not in repr(with_header)
    secret = {"lc": 1, "type": "secret", "id": ["KIE_API_KEY"]}
    assert dumpd(model)["kwargs"]["api_key"] == secret


@pytest.mark.parametrize("name", ["http_client", "http_async_client", "default_headers"])
def test_clients_and_headers_of_the_user_are_not_shown(name: str) -> None:
    headers = {"Authorization": f"Bearer {SECRET_KEY}"}
    with httpx.Client(headers=headers) as client:
        value = {
            "http_client": client,
            "http_async_client": httpx.AsyncClient(headers=headers),
            "default_headers": headers,
        }[name]
        model = ChatKieGemini(**SETTINGS, **{name: value})
        assert SECRET_KEY not in repr(model) + str(model)
        assert name == "default_headers" or SECRET_KEY not in dumps(model)
        assert SECRET_KEY not in repr(model._identifying_params)


def _raw(text: str) -> Scripted:
    """Return bytes that are no valid HTTP."""
    return Scripted([text.encode()], framing="raw", ending="fin-unframed")


_TEXT = {"choices": [{"delta": {"content": "x"}}]}

FAILURES: dict[str, Scripted] = {
    "unauthorized": Scripted([fixture("envelope_401.json")]),
    "a lost connection": Scripted([sse(_TEXT)], ending="fin-mid-chunk"),
    "echo in an error body": Scripted([orjson.dumps({"code": 401, "msg": f"bad {SECRET_KEY}"})]),
    "echo in an event": Scripted([sse({"error": {"message": f"Bearer {SECRET_KEY} is bad"}})]),
    "echo after text": Scripted([sse(_TEXT, {"code": 500, "msg": SECRET_KEY})]),
    "echo in HTML": Scripted([f"<html><title>{SECRET_KEY}</title>".encode()], status=403),
    "echo in an error status's body": Scripted([SECRET_KEY.encode()], status=500),
    "echo in an invalid event": Scripted([b"data: " + SECRET_KEY.encode() + b"\n\n"]),
    "echo in a string event": Scripted([sse(f'"{SECRET_KEY}"')]),
    "echo in the name of a member": Scripted([sse({SECRET_KEY: 1})]),
    "echo in a header": Scripted([], headers={"Content-Encoding": SECRET_KEY}),
    "echo in invalid usage": Scripted(
        [sse({"choices": [], "usage": {"prompt_tokens": SECRET_KEY}})]
    ),
    "echo in a status line": _raw(f"HTTP/1.1 {SECRET_KEY}\r\n\r\n"),
    "echo in an invalid header": _raw(f"HTTP/1.1 200 OK\r\nNo colon {SECRET_KEY}\r\n\r\n"),
    "echo in the size of a chunk": _raw(
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET_KEY}\r\n\r\n"
    ),
}
_LOGGED_BY_HTTPCORE = {
    "echo in a header",
    "echo in a status line",
    "echo in an invalid header",
    "echo in the size of a chunk",
}


@pytest.mark.parametrize("name", FAILURES)
async def test_no_failure_shows_the_key_in_errors_logs_or_traces(name: str, no_sleep) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    levels = {n: logging.getLogger(n).level for n in ("", "httpx", "httpcore", "langchain_kie")}
    for logger in levels:
        logging.getLogger(logger).setLevel(logging.DEBUG)
    root.addHandler(handler)
    recorder = Recorder()
    try:
        with ScriptedServer(FAILURES[name]) as server:
            for call_mode in BASIC_CALL_MODES:
                model = model_at(server, api_key=SECRET_KEY, max_retries=1, callbacks=[recorder])
                with pytest.raises(KieError) as caught:
                    await call_mode(model)
                check_error(caught.value, with_locals="echo" not in name)
                for request in server.requests:
                    assert request.headers["authorization"] == f"Bearer {SECRET_KEY}"
                    assert SECRET_KEY not in request.path
                    assert SECRET_KEY not in repr({**request.headers, "authorization": ""})
                    assert SECRET_KEY.encode() not in request.body
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logging.getLogger(logger).setLevel(level)
    assert "send_request_headers" in log.getvalue()
    assert name in _LOGGED_BY_HTTPCORE or SECRET_KEY not in log.getvalue()
    assert recorder.events
    assert not [event for event in recorder.events if SECRET_KEY in event]


_CONTROLS = "a\nRetry\r\x1b[31mb\x00\x9bc\u202ed\u2028e\x7f"
CONTROL_ROWS: dict[str, Scripted] = {
    "in an error": Scripted([orjson.dumps({"code": 500, "msg": _CONTROLS})]),
    "in an event": Scripted([sse({"error": {"message": _CONTROLS, "code": 429}})]),
    "in a status's body": Scripted([_CONTROLS.encode()], status=503),
    "in a name": Scripted([sse({_CONTROLS: 1})]),
    "in text that is not JSON": Scripted([b"<b>" + _CONTROLS.encode()]),
    "in a title": Scripted([f"<html><title>{_CONTROLS}</title>".encode()], status=524),
    "in an invalid header": _raw(f"HTTP/1.1 200 OK\r\n\x1b[31m {_CONTROLS}\r\n\r\n"),
    "nothing else": Scripted([b"\0"], status=502),
    "in an encoding": Scripted([], headers={"Content-Encoding": "a\tb"}),
}


@pytest.mark.parametrize("name", CONTROL_ROWS)
async def test_an_error_is_one_line_without_control_characters(name, no_sleep, caplog) -> None:
    """A server can neither write lines into a log nor change a terminal."""
    with ScriptedServer(CONTROL_ROWS[name]) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await call_mode(model_at(server, max_retries=1))
            assert str(caught.value).isprintable()
    assert all(r.getMessage().isprintable() for r in caplog.records if "kie" in r.name)


def test_of_a_compressed_error_only_the_start_is_decompressed() -> None:
    bomb = gzip.compress(bytes(100_000_000), 1)
    for status in (200, 500):
        reader = response_reader(status=status, headers={"content-encoding": "gzip"})
        tracemalloc.start()
        for start in range(0, len(bomb), 65_536):
            reader.feed(bomb[start : start + 65_536])
        with pytest.raises(KieError):
            reader.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


async def test_no_log_line_of_the_package_has_a_prompt_or_an_answer(no_sleep, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    busy = Scripted([orjson.dumps({"code": 500, "msg": "Cannot process the message PROMPT"})])
    choice = {"delta": {"content": "ANSWER"}, "finish_reason": "error"}
    failed = Scripted([sse({"choices": [choice]})])
    answer = Scripted([sse({"choices": [{"delta": {"content": "ANSWER"}}]}, "[DONE]")])
    for call_mode in BASIC_CALL_MODES:
        with ScriptedServer(busy, failed, answer) as server:
            await call_mode(model_at(server, max_retries=2), "PROMPT")
            assert b"PROMPT" in server.requests[0].body
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if line.startswith("retry ")]) == 2 * len(BASIC_CALL_MODES)
    assert not [line for line in lines if "PROMPT" in line or "ANSWER" in line]


async def test_a_successful_call_shows_the_key_in_no_trace() -> None:
    recorder = Recorder()
    with server_sending(fixture("shape_a.sse")) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server, api_key=SECRET_KEY, callbacks=[recorder]))
            assert SECRET_KEY not in dumps(message)
    assert any(event.startswith("on_chat_model_start") for event in recorder.events)
    assert not [event for event in recorder.events if SECRET_KEY in event]


MALFORMED = ["\r\nX-Evil: 1", "\nmore", f" {SECRET_KEY}", "\x00", "é", "\u2013", "\tmore", "\x7f"]


@pytest.mark.parametrize("end", MALFORMED)
def test_a_malformed_key_is_rejected_and_not_shown(end: str, monkeypatch) -> None:
    key = SECRET_KEY + end
    settings: list[dict[str, Any]] = [{"api_key": key}, {"kie_api_key": key}]
    if "\x00" not in key:
        monkeypatch.setenv("KIE_API_KEY", key)
        settings.append({})
    for setting in settings:
        with pytest.raises(KieConfigurationError) as caught:
            ChatKieGemini(model="gemini-3-flash", **setting)
        assert "key" in str(caught.value)
        check_error(caught.value, with_locals=False)


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("k", "unknown key", "unknown key"),
        ("test", "a tested one: test", "a tested one: [API key]"),
        ("k", "Bearer k, k.", "Bearer [API key], [API key]."),
        ("a.b", "aXb a.b", "aXb [API key]"),
        ("sk-12345", "xsk-12345x", "x[API key]x"),
    ],
)
def test_a_key_too_short_to_be_a_secret_is_redacted_as_a_word(
    key: str, text: str, expected: str
) -> None:
    assert BearerAuth(SecretStr(key)).redact(text) == expected


@pytest.mark.parametrize("key", ["", " ", "\n"])
def test_an_empty_key_is_rejected(key: str) -> None:
    with pytest.raises(KieConfigurationError, match="empty"):
        ChatKieGemini(model="gemini-3-flash", api_key=key)


@pytest.mark.parametrize("key", [[SECRET_KEY], {"key": SECRET_KEY}, SECRET_KEY.encode() + b"\xff"])
def test_a_key_of_a_wrong_type_is_rejected_and_not_shown(key: Any) -> None:
    with pytest.raises(ValueError) as caught:
        ChatKieGemini(model="gemini-3-flash", api_key=key)
    assert SECRET_KEY not in str(caught.value)


@pytest.mark.parametrize("form", ["{}", "{}\n", " {}", "\t{}\r\n"])
def test_white_space_around_a_key_is_removed_wherever_the_key_is_from(form, monkeypatch) -> None:
    key = form.format(SECRET_KEY)
    with server_sending(fixture("chat_completion.json")) as server:
        monkeypatch.setenv("KIE_API_KEY", key)
        monkeypatch.setenv("KIE_BASE_URL", server.base_url)
        model_at(server, api_key=key).invoke("hi")
        ChatKieGemini(model="gemini-3-flash", max_retries=0).invoke("hi")
        for request in server.requests:
            assert request.headers["authorization"] == f"Bearer {SECRET_KEY}"


@pytest.mark.parametrize(
    "url", ["http://api.kie.ai", "https://a:b@api.kie.ai", "https://api.kie.ai?x=1", "ftp://x"]
)
def test_a_base_url_from_the_environment_is_checked(url: str, monkeypatch) -> None:
    monkeypatch.setenv("KIE_BASE_URL", url)
    with pytest.raises(KieConfigurationError, match="base_url"):
        ChatKieGemini(**SETTINGS)


async def test_a_model_without_a_key_sends_nothing() -> None:
    with server_sending(fixture("chat_completion.json")) as server:
        model = ChatKieGemini(model="gemini-3-flash", base_url=server.base_url)
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieConfigurationError, match="KIE_API_KEY"):
                await call_mode(model)
        assert server.requests == []


async def test_a_redirect_is_an_error_and_neither_key_nor_prompt_follow_it() -> None:
    with server_sending(fixture("chat_completion.json")) as other:
        headers = {"Location": other.base_url}
        with server_sending(b"", status=308, headers=headers) as server:
            async with httpx.AsyncClient(follow_redirects=True) as async_client:
                with httpx.Client(follow_redirects=True) as client:
                    clients = {"http_client": client, "http_async_client": async_client}
                    for call_mode in BASIC_CALL_MODES:
                        for fields in ({}, clients):
                            with pytest.raises(KieProtocolError) as caught:
                                await call_mode(model_at(server, api_key=SECRET_KEY, **fields))
                            assert caught.value.status_code == 308
                            assert not caught.value.is_retryable
                            assert other.base_url not in str(caught.value)
                            check_error(caught.value)
        assert other.requests == []


def test_a_header_of_the_user_does_not_replace_the_key() -> None:
    headers = {"authorization": "Bearer other"}
    with server_sending(fixture("chat_completion.json")) as server:
        model_at(server, api_key=SECRET_KEY, default_headers=headers).invoke("hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {SECRET_KEY}"


async def test_the_url_of_a_message_is_never_fetched() -> None:
    with (
        server_sending(b"\x89PNG") as other,
        server_sending(fixture("chat_completion.json")) as server,
    ):
        block = {"type": "image_url", "image_url": {"url": f"{other.base_url}/cat.png"}}
        for call_mode in BASIC_CALL_MODES:
            await call_mode(model_at(server), [HumanMessage([block])])
        assert other.requests == []


@pytest.mark.parametrize("length", range(4, len(SECRET_KEY)))
def test_the_start_of_a_key_at_the_end_of_a_cut_text_is_redacted(length: int) -> None:
    redact = BearerAuth(SecretStr(SECRET_KEY)).redact
    for end in ("", "…"):
        assert redact(f"no such key: {SECRET_KEY[:length]}{end}") == "no such key: [API key]"
    assert redact(f"no such key: {SECRET_KEY[:3]}…") == f"no such key: {SECRET_KEY[:3]}…"


@pytest.mark.parametrize("length", range(240, 300, 7))
def test_an_echoed_key_is_redacted_where_the_end_of_a_message_cuts_it(length: int) -> None:
    body = orjson.dumps({"code": 400, "msg": "y" * length + SECRET_KEY})
    with server_sending(body) as server, pytest.raises(KieError) as caught:
        model_at(server, api_key=SECRET_KEY).invoke("hi")
    assert SECRET_KEY[:6] not in str(caught.value)


def test_no_recording_of_the_repository_has_a_key() -> None:
    recordings = [*Path(__file__).parents[1].glob("integration_tests/cassettes/**/*.yaml")]
    assert recordings
    for recording in recordings:
        text = recording.read_text()
        assert "accept-encoding" in text  # headers are recorded
        assert not re.search("authorization|cookie|bearer|sk-", text, re.IGNORECASE)
