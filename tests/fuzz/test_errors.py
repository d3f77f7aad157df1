"""Every failure is a short `KieError` without the key; settings are safe or rejected."""

from __future__ import annotations

import math
import pickle
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

import httpx
import orjson
from call_modes import response_reader
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from pydantic import SecretStr
from scripted_server import sse

from fuzz import bodies
from fuzz.bodies import words
from fuzz.laws import KEY, NATIVE, prepared, sized
from langchain_kie import ChatKieGemini, KieConfigurationError, KieError
from langchain_kie._http.request_values import parsed_url
from langchain_kie._http.retry import parse_retry_after
from langchain_kie._settings import checked_base_url, checked_key
from langchain_kie.errors import MAX_MESSAGE_CHARS

_MAX_KEY_CHARS = 12
"""So many consecutive characters of the key must not be shown."""


def leaks(text: str) -> bool:
    """Whether a text shows the key, or a large part of it."""
    starts = range(len(KEY) - _MAX_KEY_CHARS + 1)
    return any(KEY[start : start + _MAX_KEY_CHARS] in text for start in starts)


_MESSAGE_TEXTS = st.lists(
    st.just(KEY)
    | st.text(st.sampled_from('x .é<>"\\…'), max_size=9)
    | st.builds(lambda char, count: char * count, st.sampled_from("x…. "), st.integers(60, 320))
    | st.sampled_from(["<html><title>", "</title>", "Unauthorized", "credit insufficient", "429"]),
    max_size=5,
).map("".join)
_KEYS = st.sampled_from(
    words("code msg message error type status detail data choices usage credits_consumed")
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(0, 999)
    | st.just(bodies.LONG_INTEGER)
    | _MESSAGE_TEXTS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(_KEYS | _MESSAGE_TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)
_FAILURES = st.one_of(
    _VALUES.map(orjson.dumps).map(bodies.with_long_integers),
    st.lists(_VALUES, max_size=2).map(lambda values: bodies.with_long_integers(sse(*values))),
    _MESSAGE_TEXTS.map(str.encode),
    _MESSAGE_TEXTS.map(sse),
    bodies.SOUP,
)
_HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "content-encoding", "content-type", "location"]),
    st.text(st.characters(codec="latin-1"), max_size=30),
    max_size=2,
)


def failure(status: int, headers: dict[str, str], body: bytes) -> KieError | None:
    """The error that a response raises, if any."""
    raw = httpx.Headers([(name, value.encode("latin-1")) for name, value in headers.items()])
    answer = response_reader(prepared(NATIVE, [HumanMessage("hi")])[0], status, raw, KEY)
    try:
        for _ in (*answer.feed(body), *answer.close()):
            pass
    except KieError as error:
        return error
    return None


@sized(400)
@given(
    st.integers(100, 999) | st.sampled_from([200, 200, 200, 401, 429, 500, 524]),
    _HEADERS,
    _FAILURES,
)
def test_failure_is_a_short_kie_error_without_the_key(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    error = failure(status, headers, body)
    if error is None:
        assert status // 100 == 2
        return
    assert 0 < len(error.message.strip()) <= len(error.message) <= MAX_MESSAGE_CHARS
    assert not leaks(f"{error} {error!r} {error.args} {error.__dict__}")
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), twin.__dict__) == (type(error), error.__dict__)
    assert error.retry_after is None or 0 < error.retry_after < math.inf


_DATES = st.lists(
    st.sampled_from([*words("Wed, 21 Oct Feb 2015 99999 25:61:61 GMT +0000 -9999 0 ("), " ", "\0"]),
    max_size=10,
).map("".join)
_NUMBERS = st.from_regex(r"-?[0-9_]{1,20}([.eE][0-9]{1,4})?", fullmatch=True)


@sized(400)
@given(st.text(max_size=12) | _DATES | _NUMBERS)
def test_retry_after_is_positive_seconds_or_none(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or 0 < seconds < math.inf


# --- settings -------------------------------------------------------------------------------

_HOSTS = words("""api.kie.ai 127.0.0.1 localhost [::1] 0x7f.1 2130706433 evil.example xn--a a..b
    é.example localhost.evil.example 127.0.0.1.nip.io""")
_MARKS = words("https:// http:// HTTP:// ftp:// // / \\ @ : :80 ? # %2e %2f .. user path ;")
_URLS = st.lists(
    st.sampled_from([*_MARKS, *_HOSTS, " ", "\t", "\n", "\x00", "\u2028", "\u3002", "\uff11"]),
    max_size=7,
).map("".join)


@sized(400)
@given(_URLS | st.text(max_size=20))
def test_accepted_base_url_is_where_the_key_goes(url: str) -> None:
    try:
        sent = parsed_url(f"{checked_base_url(url)}/m/v1/chat/completions")  # as a call does
    except KieConfigurationError:
        return
    assert sent.path.endswith("/m/v1/chat/completions")
    assert (sent.userinfo, sent.query, sent.fragment) == (b"", b"", "")
    if sent.scheme == "http":
        is_name = sent.host == "localhost" or sent.host.endswith(".localhost")
        assert is_name or ip_address(sent.host).is_loopback
    else:
        assert sent.scheme == "https"
        assert sent.host


@sized(300)
@given(st.text(max_size=20) | _MESSAGE_TEXTS)
def test_accepted_key_is_valid_in_a_header(key: str) -> None:
    try:
        checked = checked_key(SecretStr(key))
    except KieConfigurationError as error:
        message = str(error)
    else:
        assert checked
        request = httpx.Request("POST", "https://x", headers={"a": checked.get_secret_value()})
        assert request.headers["a"] == key.strip()
        return
    assert len(key.strip()) < 4 or key.strip() not in message


_NAMES = st.lists(
    st.sampled_from(words("gemini-3-flash .. . / \\ ? # %2e%2e %2f : @ a")) | st.text(max_size=2),
    max_size=4,
).map("".join)
_ENDS = ("/v1/chat/completions", ":streamGenerateContent")


@sized(300)
@given(_NAMES, st.sampled_from([None, "chat_completions", "generate_content", "gateway"]))
def test_accepted_model_name_stays_within_its_segment_of_the_path(name: str, api: Any) -> None:
    try:
        model = ChatKieGemini(model=name, api=api, api_key=KEY)
    except KieConfigurationError:
        return
    url = httpx.URL("https://api.kie.ai" + prepared(model, [HumanMessage("hi")])[0].path)
    path = url.raw_path.decode().partition("?")[0]
    assert url.host == "api.kie.ai"
    assert path.endswith(_ENDS)
    if api != "gateway":
        start = "/gemini/v1/models/" if path.endswith(_ENDS[1]) else "/"
        assert path.startswith(start)
        middle = unquote(path.removeprefix(start).removesuffix(_ENDS[0]).removesuffix(_ENDS[1]))
        assert middle not in {"", "."}
        assert ".." not in middle
        assert not {"/", "\\", "?", "#"} & {*middle}
