"""The key goes into one header of one request to one host, and nowhere else."""

from __future__ import annotations

import copy
import dataclasses
import io
import logging
import traceback
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import ChatKieGemini, KieConfigurationError, KieError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-CANARY-0123456789"


def canary(server: ScriptedServer, **fields: Any) -> ChatKieGemini:
    return model_at(server, api_key=KEY, **fields)


class Recorder(BaseCallbackHandler):
    """Keeps the text of everything that a callback is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *args, **kwargs: self.told.append(f"{name} {args!r} {kwargs!r}")
        return super().__getattribute__(name)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that caused it or came before it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [current.__cause__, current.__context__]


def frames_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """What a crash reporter shows of the local variables of this package's frames."""
    for current in chain_of(error):
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if "langchain_kie" in frame.f_code.co_filename:
                for name, value in frame.f_locals.items():
                    yield f"{frame.f_code.co_qualname}.{name}", repr(value)


def check_error(error: BaseException, *, frames: bool = True) -> None:
    """No part of an error, nor of what it hangs on, has the key.

    Nor have the `frames`, unless the caller or the server put it into what they hold.
    """
    for current in chain_of(error):
        assert KEY not in f"{current} {current!r} {current.args!r}"
        for name in ("request", "_request", "response", "_response"):
            carried = vars(current).get(name)
            if carried is not None:
                assert KEY not in repr([*carried.headers.multi_items()])
                request = getattr(carried, "request", carried)
                assert KEY not in repr([*request.headers.multi_items()])
    assert KEY not in "".join(traceback.format_exception(error))
    for name, value in frames_of(error) if frames else ():
        assert KEY not in value, name


def test_no_form_of_a_model_but_a_pickle_shows_the_key() -> None:
    model = ChatKieGemini(model="gemini-3-flash", api_key=KEY)
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
    ):
        assert KEY not in form
    assert dumpd(model)["kwargs"]["api_key"] == {
        "lc": 1,
        "type": "secret",
        "id": ["KIE_API_KEY"],
    }


@pytest.mark.parametrize("name", ["http_client", "http_async_client", "default_headers"])
def test_what_a_user_gave_to_send_with_is_not_shown_either(name: str) -> None:
    import httpx  # noqa: PLC0415

    secret = {"Authorization": f"Bearer {KEY}"}
    value: Any = secret
    if name == "http_client":
        value = httpx.Client(headers=secret)
    elif name == "http_async_client":
        value = httpx.AsyncClient(headers=secret)
    model = ChatKieGemini(model="gemini-3-flash", api_key=KEY, **{name: value})
    assert KEY not in repr(model) + str(model)
    assert name == "default_headers" or KEY not in dumps(model)
    assert KEY not in repr(model._identifying_params)
    if name == "http_client":
        value.close()


def _raw(text: str) -> Scripted:
    """What breaks the rules of HTTP."""
    return Scripted([text.encode()], framing="raw", ending="fin-unframed")


FAILURES: dict[str, Scripted] = {
    "unauthorized": Scripted([fixture("envelope_401.json")]),
    "an echo in an envelope": Scripted([orjson.dumps({"code": 401, "msg": f"bad key {KEY}"})]),
    "an echo in an event": Scripted([sse({"error": {"message": f"Bearer {KEY} is bad"}})]),
    "an echo after text": Scripted(
        [sse({"choices": [{"delta": {"content": "x"}}]}, {"code": 500, "msg": KEY})]
    ),
    "an echo in HTML": Scripted([f"<html><title>{KEY}</title>".encode()], status=403),
    "an echo in a status's body": Scripted([KEY.encode()], status=500),
    "an echo in what cannot be read": Scripted([b"data: " + KEY.encode() + b"\n\n"]),
    "an echo in a value of no use": Scripted([sse(f'"{KEY}"')]),
    "an echo in a member's name": Scripted([sse({KEY: 1})]),
    "an echo in a header": Scripted([], headers={"Content-Encoding": KEY}),
    "an echo in a wrong type": Scripted([sse({"choices": [], "usage": {"prompt_tokens": KEY}})]),
    "a redirect": Scripted([], status=307, headers={"Location": "https://evil.example/"}),
    "a broken connection": Scripted(
        [sse({"choices": [{"delta": {"content": "x"}}]})], ending="fin-mid-chunk"
    ),
    "a connection broken at once": Scripted([], ending="rst"),
    "a cut stream": Scripted([sse({"choices": [{"delta": {"content": "x"}}]})]),
    "a stall": Scripted([], ending="stall"),
    "an empty answer": Scripted([]),
    "an echo in a status line": _raw(f"HTTP/1.1 {KEY}\r\n\r\n"),
    "an echo in a broken header": _raw(f"HTTP/1.1 200 OK\r\nNo colon {KEY}\r\n\r\n"),
    "an echo in a chunk's head": _raw(
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n\r\n"
    ),
}


_LOGGED = {
    "an echo in a header",
    "an echo in a status line",
    "an echo in a broken header",
    "an echo in a chunk's head",
}
"""httpcore itself logs the head of what a server answers."""


@pytest.mark.parametrize("name", FAILURES)
async def test_no_failure_shows_the_key_to_a_person_a_log_or_a_crash_reporter(
    name: str, no_sleep
) -> None:
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
            for ask in BASIC_CALL_MODES:
                model = canary(server, max_retries=1, timeout=0.2, callbacks=[recorder])
                with pytest.raises(KieError) as caught:
                    await ask(model)
                check_error(caught.value, frames="echo" not in name)
                for request in server.requests:
                    assert request.headers["authorization"] == f"Bearer {KEY}"
                    assert KEY not in request.path
                    assert KEY not in repr({**request.headers, "authorization": ""})
                    assert KEY.encode() not in request.body
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logging.getLogger(logger).setLevel(level)
    assert "send_request_headers" in log.getvalue()
    if name not in _LOGGED:
        assert KEY not in log.getvalue()
    assert recorder.told
    assert not [told for told in recorder.told if KEY in told]


async def test_a_server_that_cannot_be_reached_hears_nothing_and_shows_nothing(no_sleep) -> None:
    with server_sending(b"") as server:
        pass
    for ask in BASIC_CALL_MODES:
        with pytest.raises(KieError) as caught:
            await ask(canary(server))
        check_error(caught.value)


async def test_a_successful_call_shows_the_key_to_no_trace() -> None:
    recorder = Recorder()
    with server_sending(fixture("shape_a.sse")) as server:
        for ask in BASIC_CALL_MODES:
            message = await ask(canary(server, callbacks=[recorder]))
            assert KEY not in dumps(message)
    assert any(told.startswith("on_chat_model_start") for told in recorder.told)
    assert not [told for told in recorder.told if KEY in told]


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}\r\nX-Evil: 1",
        f"{KEY}\nmore",
        f"{KEY} {KEY}",
        f"{KEY}\x00",
        f"{KEY}é",
        f"{KEY}\u2013",
        f"{KEY}\t{KEY}",
        f"{KEY}\x7f",
    ],
)
def test_a_malformed_key_is_refused_and_not_shown(key: str, monkeypatch) -> None:
    call_modes: list[dict[str, Any]] = [{"api_key": key}, {"kie_api_key": key}]
    if "\x00" not in key:
        monkeypatch.setenv("KIE_API_KEY", key)
        call_modes.append({})
    for give in call_modes:
        with pytest.raises(KieConfigurationError) as caught:
            ChatKieGemini(model="gemini-3-flash", **give)
        assert "key" in str(caught.value)
        check_error(caught.value, frames=False)


@pytest.mark.parametrize("key", ["", " ", "\n"])
def test_an_empty_key_is_refused(key: str) -> None:
    with pytest.raises(KieConfigurationError, match="empty"):
        ChatKieGemini(model="gemini-3-flash", api_key=key)


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"\t{KEY}\r\n"])
def test_white_space_around_a_key_is_taken_off_wherever_it_came_from(key: str, monkeypatch) -> None:
    monkeypatch.setenv("KIE_API_KEY", key)
    with server_sending(fixture("chat_whole.json")) as server:
        model_at(server, api_key=key).invoke("hi")
        ChatKieGemini(model="gemini-3-flash", base_url=server.base_url, max_retries=0).invoke("hi")
        for request in server.requests:
            assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "url", ["http://api.kie.ai", "https://a:b@api.kie.ai", "https://api.kie.ai?x=1", "ftp://x"]
)
def test_a_base_url_of_the_environment_is_checked_too(url: str, monkeypatch) -> None:
    monkeypatch.setenv("KIE_BASE_URL", url)
    with pytest.raises(KieConfigurationError, match="base_url"):
        ChatKieGemini(model="gemini-3-flash", api_key=KEY)


def test_a_key_of_a_wrong_type_is_refused_and_not_shown() -> None:
    for key in ([KEY], {"key": KEY}, KEY.encode() + b"\xff"):
        with pytest.raises(ValueError) as caught:
            ChatKieGemini(model="gemini-3-flash", api_key=key)
        assert KEY not in str(caught.value)


async def test_without_a_key_a_model_exists_but_asks_nothing() -> None:
    with server_sending(fixture("chat_whole.json")) as server:
        model = ChatKieGemini(model="gemini-3-flash", base_url=server.base_url)
        for ask in BASIC_CALL_MODES:
            with pytest.raises(KieConfigurationError, match="KIE_API_KEY"):
                await ask(model)
        assert server.requests == []


def test_the_key_of_the_environment_is_used(monkeypatch) -> None:
    monkeypatch.setenv("KIE_API_KEY", KEY)
    with server_sending(fixture("chat_whole.json")) as server:
        monkeypatch.setenv("KIE_BASE_URL", server.base_url)
        ChatKieGemini(model="gemini-3-flash").invoke("hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_the_key_does_not_follow_a_redirect_nor_does_the_prompt() -> None:
    with server_sending(fixture("chat_whole.json")) as other:
        with server_sending(b"", status=308, headers={"Location": other.base_url}) as server:
            for ask in BASIC_CALL_MODES:
                with pytest.raises(KieError) as caught:
                    await ask(canary(server), "my secret prompt")
                check_error(caught.value)
                assert other.base_url not in str(caught.value)
        assert other.requests == []


async def test_the_user_s_headers_cannot_replace_the_key_s_header_unseen() -> None:
    """A header of the user's own never comes beside the key: there is one Authorization."""
    with server_sending(fixture("chat_whole.json")) as server:
        model = canary(server, default_headers={"authorization": "Bearer other"})
        model.invoke("hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_no_url_of_a_message_is_ever_fetched() -> None:
    from langchain_core.messages import HumanMessage  # noqa: PLC0415

    with server_sending(b"\x89PNG") as other, server_sending(fixture("chat_whole.json")) as server:
        block = {"type": "image_url", "image_url": {"url": f"{other.base_url}/cat.png"}}
        for ask in BASIC_CALL_MODES:
            await ask(canary(server), [HumanMessage([block])])
        assert other.requests == []


def test_no_field_of_ours_is_a_dataclass_that_would_print_the_key() -> None:
    transport = ChatKieGemini(model="gemini-3-flash", api_key=KEY)._transport()
    assert KEY not in repr(transport)
    assert KEY not in repr(vars(transport.auth))
    if dataclasses.is_dataclass(transport):
        assert KEY not in repr(
            {f.name: getattr(transport, f.name) for f in dataclasses.fields(transport)}
        )


@pytest.mark.parametrize("length", range(240, 300, 7))
async def test_an_echoed_key_that_the_cut_of_a_message_splits_is_hidden(length: int) -> None:
    body = orjson.dumps({"code": 400, "msg": "y" * length + KEY})
    with server_sending(body) as server, pytest.raises(KieError) as caught:
        canary(server).invoke("hi")
    assert KEY[:6] not in str(caught.value)
