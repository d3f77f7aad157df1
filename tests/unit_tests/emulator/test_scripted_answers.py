"""Scripted answers, the `respond` function, failures, cuts and delays, on every API."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64encode
from contextlib import ExitStack

import httpx
import pytest
from limits import MAX_WAIT

from langchain_kie.emulator import (
    Answer,
    ChatRequest,
    CodeRun,
    Emulator,
    Failure,
    MediaFile,
    RawAnswer,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from unit_tests.emulator.emulator_client import (
    PNG,
    WEATHER,
    EmulatorClient,
    contents_of,
    declaration,
    payloads,
)

APIS = {
    "chat_completions": ("/gemini-3-flash/v1/chat/completions", {}),
    "chat_completions, shape B": ("/gemini-3.1-pro/v1/chat/completions", {}),
    "chat_completions, shape C": ("/gemini-3-6-flash-openai/v1/chat/completions", {}),
    "gateway": ("/v1/chat/completions", {"model": "gemini-3.5-flash"}),
    "generate_content": ("/gemini/v1/models/gemini-3-5-flash:streamGenerateContent", {}),
}
TEXT = "The tide is high, but I am holding on to the end of it."


class Api:
    """One API of an emulator, streamed or not."""

    def __init__(self, emulator, name, stream):
        self.name, self.emulator, self.stream = name, emulator, stream
        self.is_native = name == "generate_content"
        self.client = EmulatorClient(emulator)

    def request(self, prompt="Hi", **body):
        """The arguments of a POST with a prompt."""
        path, more = APIS[self.name]
        content = {"messages": [{"role": "user", "content": prompt}]}
        content = {"contents": contents_of(prompt)} if self.is_native else content
        return {"url": path, "json": {"stream": self.stream, **content, **more, **body}}

    def post(self, prompt="Hi", **body):
        """The response to a prompt."""
        return self.client.http.post(**self.request(prompt, **body))

    def answer(self, prompt="Hi", **body):
        """The text, the calls with their arguments, the last finish reason and the last body."""
        response = self.post(prompt, **body)
        bodies = payloads(response) if self.stream else [response.json()]
        bodies = [one for one in bodies if one != "[DONE]"]
        return "".join(map(self._text, bodies)), self._finish_reason(bodies), bodies

    def outputs(self, bodies):
        """The messages, deltas or parts of an answer."""
        if self.is_native:
            candidates = [c for body in bodies for c in body.get("candidates", ())]
            return [part for c in candidates for part in c["content"]["parts"]]
        choices = [c for body in bodies for c in body["choices"]]
        return [c.get("delta", c.get("message")) for c in choices]

    def _text(self, body):
        key = "text" if self.is_native else "content"
        outputs = [one for one in self.outputs([body]) if not one.get("thought")]
        return "".join(one.get(key) or "" for one in outputs)

    def _finish_reason(self, bodies):
        outputs = [
            one for body in bodies for one in body.get("candidates", body.get("choices", ()))
        ]
        reasons = [one.get("finishReason", one.get("finish_reason")) for one in outputs]
        return next((reason for reason in reversed(reasons) if reason), None)


@pytest.fixture(scope="module")
def running():
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(params=[False, True], ids=["body", "stream"])
def stream(request):
    return request.param


@pytest.fixture(params=APIS)
def api(request, running, stream):
    running.reset()
    one = Api(running, request.param, stream)
    yield one
    one.client.http.close()


def test_texts_are_given_in_order(api):
    """After the script, the default rules answer."""
    api.emulator.answer("one", Answer("two"))
    assert [api.answer("Say 'three'")[0] for _ in range(3)] == ["one", "two", "three"]


def test_every_member_of_an_answer(api):
    """Text, thoughts, calls, images, code and usage are encoded as the API has them."""
    api.emulator.answer(
        Answer(
            "Look:",
            [
                ToolCall("get_weather", {"location": "Oslo"}, id="a"),
                ToolCall("f", signature="c2ln"),
            ],
            thoughts=["First.", "Second."],
            images=[MediaFile("image/png", PNG)],
            usage=Usage(11, 7, 5),
            code_run=CodeRun("print(1)", "1"),
        )
    )
    thinks = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    text, _, bodies = api.answer(**thinks if api.is_native else {"include_thoughts": True})
    outputs, dumped = api.outputs(bodies), json.dumps(bodies)
    assert text.endswith("Look:")
    for part in ("First.", "Second.", "print(1)", b64encode(PNG).decode()):
        assert dumped.count(part) == 1
    if api.is_native:
        calls = [part for part in outputs if "functionCall" in part]
        assert [c["functionCall"]["name"] for c in calls] == ["get_weather", "f"]
        assert calls[0]["functionCall"]["id"] == "a"
        assert calls[1]["thoughtSignature"] == "c2ln"
        counts = bodies[-1]["usageMetadata"]
        assert (counts["promptTokenCount"], counts["totalTokenCount"]) == (11, 23)
    else:
        calls = [c for one in outputs for c in one.get("tool_calls", ())]
        assert [c["function"]["name"] for c in calls if "name" in c["function"]] == [
            "get_weather",
            "f",
        ]
        assert calls[0]["id"] == "a"
        usage = bodies[-1]["usage"]
        assert (usage["prompt_tokens"], usage["total_tokens"]) == (11, 23)


def test_thoughts_are_left_out_unless_they_are_requested(api):
    """As KIE does."""
    api.emulator.answer(Answer("x", thoughts="secret"))
    thinks = {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}
    _, _, bodies = api.answer(**thinks if api.is_native else {"include_thoughts": False})
    assert "secret" not in json.dumps(bodies)


REASONS = {
    "length": ("length", "MAX_TOKENS"),
    "content_filter": ("content_filter", "SAFETY"),
    "RECITATION": ("RECITATION", "RECITATION"),
}


@pytest.mark.parametrize(("reason", "words"), REASONS.items(), ids=REASONS)
def test_finish_reasons(api, reason, words):
    """Three have a spelling of each API; others are sent as they are."""
    api.emulator.answer(Answer("x", finish_reason=reason))
    assert api.answer()[:2] == ("x", words[api.is_native])


def test_blocked_prompt(api):
    """Natively there is no candidate; elsewhere the finish reason says so."""
    api.emulator.answer(Answer(block_reason="PROHIBITED_CONTENT"))
    text, reason, bodies = api.answer()
    assert text == ""
    if api.is_native:
        assert bodies[0]["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
        assert not any("candidates" in body for body in bodies)
    else:
        assert reason == "content_filter"


def test_scripted_answers_obey_the_request(api):
    """The answer ends at a stop sequence, and an invalid request gets KIE's error."""
    api.emulator.answer("one two three")
    assert api.post(tools="none").json()["code"] in {400, 422}
    stop = {"generationConfig": {"stopSequences": ["two"]}} if api.is_native else {"stop": "two"}
    assert api.answer(**stop)[0] == "one "


# --- the respond function --------------------------------------------------------------------


def test_respond_gets_the_request(api):
    """With the same values whichever API it came from, and without the key."""
    seen = []

    def respond(request: ChatRequest) -> str:
        seen.append(request)
        return f"{request.prompt}!"

    api.emulator.respond = respond
    forced = {"type": "function", "function": {"name": "get_weather"}}
    options = {"tools": [WEATHER], "tool_choice": forced, "max_tokens": 99}
    if api.is_native:
        config = {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}
        options = {
            "tools": [declaration(WEATHER)],
            "toolConfig": {"functionCallingConfig": config},
            "generationConfig": {"maxOutputTokens": 99},
        }
    assert api.answer("Well", **options)[0] == "Well!"
    (request,) = seen
    assert request.turns == (Turn("user", "Well"),)
    assert request.api == api.name.partition(",")[0]
    assert request.model in APIS[api.name][0] + APIS[api.name][1].get("model", "")
    (tool,) = request.tools
    assert (tool.name, tool.parameters) == (
        "get_weather",
        {"type": "object", **WEATHER["function"]["parameters"]},
    )
    assert (request.choice.mode, request.choice.names) == ("any", {"get_weather"})
    assert (request.stream, request.max_tokens) == (api.stream, 99)
    assert request.headers["content-type"] == "application/json"
    assert api.emulator.api_key not in str(request)


async def _respond_async(request):
    await asyncio.sleep(0)
    return "async"


def _respond_sync(request):
    return "sync"


def _respond_with_an_awaitable(request):
    return _respond_async(request)


RESPONDERS = [
    (_respond_async, "async"),
    (_respond_sync, "sync"),
    (_respond_with_an_awaitable, "async"),
]


@pytest.mark.parametrize(("respond", "text"), RESPONDERS)
def test_respond_may_be_async(api, respond, text):
    """The emulator awaits what it returns."""
    api.emulator.respond = respond
    assert api.answer()[0] == text


def test_respond_may_block(running):
    """It runs in a thread, so two of them can wait for each other."""
    barrier = threading.Barrier(2, timeout=MAX_WAIT)
    running.reset()
    running.respond = lambda _: f"{barrier.wait() * 0}"
    results = []
    apis = [Api(running, "gateway", stream=False) for _ in range(2)]
    threads = [threading.Thread(target=lambda a=a: results.append(a.answer()[0])) for a in apis]
    with ExitStack() as stack:
        for one, thread in zip(apis, threads, strict=True):
            stack.callback(one.client.http.close)
            thread.start()
        for thread in threads:
            thread.join()
    assert results == ["0", "0"]


WRONG = {
    "raises": (lambda _: 1 // 0, "raised ZeroDivisionError: "),
    "returns nothing": (lambda _: None, "returned None, not an answer"),
}


@pytest.mark.parametrize(("respond", "words"), WRONG.values(), ids=WRONG)
def test_respond_that_fails_is_an_error_of_the_request(api, respond, words):
    """The message says what is wrong; a client does not retry code 400."""
    api.emulator.respond = respond
    body = api.post().json()
    assert body["code"] == 400
    assert words in body["msg"]


def test_results_of_functions(api):
    """An error is an error on each API, in every form in which clients send it."""
    seen = []
    api.emulator.respond = lambda request: seen.extend(request.results) or "x"
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for response, text in (
        ({"error": "it is down"}, '{"error": "it is down"}'),
        ({"error": {"code": 5}, "detail": "x"}, '{"error": {"code": 5}}'),
        ({"output": "Error: it is down"}, "Error: it is down"),
    ):
        signature = "skip_thought_signature_validator"
        called = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": signature}
        result = {"functionResponse": {"name": "f", "response": response}}
        history = {
            "contents": [
                *contents_of("Hi"),
                {"role": "model", "parts": [called]},
                {"role": "user", "parts": [result]},
            ],
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "a", "content": text},
            ],
        }
        history.pop("messages" if api.is_native else "contents")
        api.answer(**history)
        assert seen[-1].is_error
    assert seen[-1] == ToolResult("f", "Error: it is down", is_error=True)


# --- failures --------------------------------------------------------------------------------

CODES = {
    401: "Unauthorized \u2013 Authentication failed.",
    402: "Credits insufficient",
    429: "Your call frequency is too high.",
    433: "spending limit",
    455: "being maintained",
    500: "Server exception",
    524: "2 times retry fail",
}


@pytest.mark.parametrize(("code", "words"), CODES.items(), ids=CODES)
def test_fail_next(api, code, words):
    """KIE's form: HTTP status 200, and a code in a JSON body, also for a stream."""
    api.emulator.fail_next(code, times=2)
    for _ in range(2):
        response = api.post()
        assert response.status_code == 200
        assert response.json()["code"] == code
        assert words in response.json()["msg"]
        assert ("data" in response.json()) == (code != 401)
    assert api.emulator.credits_charged == 0
    assert api.answer("Say 'well'")[0] == "well"


def test_failures_among_answers(api):
    """The order is that of the calls; a failure can have any message."""
    api.emulator.answer("one", Failure(500, "no luck"), "three")
    assert api.answer()[0] == "one"
    assert api.post().json() == {"code": 500, "msg": "no luck", "data": None}
    assert api.answer()[0] == "three"


@pytest.mark.parametrize("after", [0, 1, 20, 1000])
@pytest.mark.filterwarnings("error")
def test_cut_next(api, after, caplog):
    """The connection breaks after so many characters, and nothing is logged."""
    api.emulator.answer(TEXT, "whole")
    api.emulator.cut_next(after=after)
    hidden = {} if api.is_native else {"include_thoughts": False}
    pieces = []
    with api.client.http.stream("POST", **api.request(**hidden)) as response:
        received = response.iter_raw()
        with pytest.raises(httpx.RemoteProtocolError):
            pieces.extend(received)
    received = b"".join(pieces)
    if api.stream:
        events = [json.loads(line[6:]) for line in received.decode().split("\n") if line]
        texts = [api._text(event) for event in events]
        assert "".join(texts) == TEXT[:after]
        assert api._finish_reason(events) is None
    else:
        assert len(received) == after or (after == 1000 and 0 < len(received) < 1000)
    assert not caplog.records
    assert api.answer()[0] == "whole"


def test_raw_answers(api):
    """Bytes and events are sent as they are."""
    page = RawAnswer(b"<h1>Bad gateway</h1>", status=502, content_type="text/html")
    api.emulator.answer(page, RawAnswer([{"a": 1}, b": comment\n\n", b"data: [DONE]\n\n"]))
    response = api.post()
    assert (response.status_code, response.text) == (502, "<h1>Bad gateway</h1>")
    assert response.headers["content-type"].startswith("text/html")
    response = api.post()
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == 'data: {"a":1}\n\n: comment\n\ndata: [DONE]\n\n'
    api.emulator.cut_next(after=5)
    api.emulator.answer(page)
    with pytest.raises(httpx.RemoteProtocolError):
        api.post()


def test_delays(api):
    """A client with a shorter timeout gives up, before the answer or between two events."""
    api.emulator.delay = 600
    with pytest.raises(httpx.ReadTimeout):
        api.client.http.post(**api.request(), timeout=0.2)
    api.emulator.delay, api.emulator.piece_delay = 0, 600
    if api.stream:
        with pytest.raises(httpx.ReadTimeout):
            api.client.http.post(**api.request(), timeout=0.2)
    api.emulator.piece_delay = 0
    assert api.answer("Say 'well'")[0] == "well"


# --- what was received and charged -----------------------------------------------------------


def test_credits_charged(isolated):
    """The sum of `credits_consumed`; failures cost nothing."""
    emulator = isolated.emulator
    emulator.answer(Answer("x", usage=Usage(1_000_000, 1_000_000)))
    body = isolated.chat("Hi", "gemini-3-6-flash-openai")
    assert body["credits_consumed"] == emulator.credits_charged == 270
    emulator.fail_next(500)
    isolated.chat("Hi")
    assert emulator.credits_charged == 270
    assert emulator.credits == 1_000_000 - 270


def test_reset():
    """Settings are those of the constructor again; nothing else is left."""
    with Emulator(context_tokens=500, credits=5) as emulator:
        client = EmulatorClient(emulator)
        emulator.answer(Answer("x", usage=Usage(1_000_000, 0)), "left over")
        client.chat("Hi")
        emulator.rate_limit, emulator.respond, emulator.context_tokens = True, _respond_sync, 1
        emulator.cut_next(after=1)
        base_url = emulator.base_url
        emulator.reset()
        assert (emulator.requests, emulator.credits_charged, emulator.credits) == ([], 0, 5)
        assert (emulator.rate_limit, emulator.respond, emulator.context_tokens) == (
            False,
            None,
            500,
        )
        assert emulator.base_url == base_url
        body = client.chat("Say 'clean'")
        assert body["choices"][0]["message"]["content"] == "clean"
        client.http.close()
