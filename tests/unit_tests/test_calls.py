"""One call from beginning to end: streaming over HTTP in `invoke`, and lost uploads."""

from __future__ import annotations

import asyncio
import base64
import itertools
import threading
from typing import Any

import pytest
from call_modes import (
    BASIC_CALL_MODES,
    astream,
    fixture,
    model_at,
    server_sending,
    stream,
)
from langchain_core.messages import HumanMessage
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import KieError, KieInvalidRequestError, KieStreamInterruptedError
from langchain_kie._catalog import MODELS
from unit_tests.answer.rows import completion, delta
from unit_tests.loopback import until

NATIVE_MODELS = [spec.name for spec in MODELS if "generate_content" in spec.routes]
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
LOST = [
    b'{"code":400,"msg":"Image download failed"}',
    b'{"code":500,"msg":"Failed to get file information"}',
    sse({"error": {"code": 500, "message": "image download failed: HTTP 404"}}),
]
LOST_AS_TEXT = {
    "a completion": completion(content="Image download failed"),
    "one event": sse(delta("stop", content="Failed to get file information."), "[DONE]"),
    "pieces": sse(delta(content="Image down"), delta("stop", content="load failed"), "[DONE]"),
}
IMAGE = {"image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def native(text: str, **members: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **members}]}


def new_image(name: str) -> HumanMessage:
    """A message with an image that no other test has uploaded."""
    data = base64.b64encode(base64.b64decode(PIXEL) + name.encode()).decode()
    return HumanMessage([{"type": "image", "base64": data, "mime_type": "image/png"}])


# --- streaming over HTTP -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NATIVE_MODELS)
async def test_every_native_call_streams_over_http(name: str) -> None:
    """wire.md 2.2-3, 10-4: KIE was seen to hang on native calls with `stream: false`."""
    body = sse(native("po"), native("ng", finishReason="STOP"))
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            model = model_at(server, model=name, api="generate_content")
            assert (await call_mode(model)).text == "pong"
        assert all(request.json["stream"] is True for request in server.requests)
        assert all(request.path.endswith("?alt=sse") for request in server.requests)


@pytest.mark.parametrize(
    ("name", "stream_invoke", "sent"),
    [
        ("gemini-3.5-flash", None, True),
        ("gemini-3.5-flash", False, False),
        ("gemini-3.1-pro", None, False),
        ("gemini-3.1-pro", True, True),
    ],
)
def test_stream_invoke_overrides_the_catalog(name: str, stream_invoke, sent: bool) -> None:
    body = fixture("native.sse" if "flash" in name else "shape_b.sse")
    with server_sending(body) as server:
        on_model = model_at(server, model=name, stream_invoke=stream_invoke).invoke("hi")
        on_call = model_at(server, model=name).invoke("hi", stream_invoke=stream_invoke)
        assert [request.json["stream"] for request in server.requests] == [sent, sent]
    assert on_model.text == on_call.text


async def test_a_native_answer_that_is_cut_is_an_error_and_not_retried() -> None:
    with server_sending(sse(native("po"))) as server:
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            model = model_at(server, model="gemini-3.5-flash", max_retries=2)
            with pytest.raises(KieStreamInterruptedError, match="billed") as caught:
                await call_mode(model)
            assert caught.value.partial is (call_mode in {stream, astream})
            assert len(server.requests) == 1


# --- lost uploads ---------------------------------------------------------------------------------


def receipt(number: int) -> Scripted:
    url = f"https://files.example/{number}.png"
    return Scripted([b'{"code":200,"data":{"downloadUrl":"%b"}}' % url.encode()])


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("lost", LOST)
async def test_a_lost_file_is_uploaded_again_within_the_call(
    lost: bytes, api: str, status: int
) -> None:
    """At once: no retry with the URL of the lost file comes before."""
    for call_mode in BASIC_CALL_MODES:
        prompt = [new_image(f"{lost!r} {api} {status} {call_mode.__name__}")]
        answer = Scripted([fixture("shape_b.sse")])
        responses = (receipt(1), Scripted([lost], status=status), receipt(2), answer)
        with ScriptedServer(*responses) as server:
            fields = {"media_upload": "always", "upload_url": server.base_url, "max_retries": 2}
            model = model_at(server, model="gemini-3.8-flash", api=api, **fields)
            assert (await call_mode(model, prompt)).text == "The sky is blue."
            sent = [request.body for request in server.requests]
        assert len(sent) == 4
        assert b"files.example/1.png" in sent[1]
        assert b"files.example/2.png" in sent[3]


@pytest.mark.parametrize("lost", LOST_AS_TEXT.values(), ids=LOST_AS_TEXT)
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_a_loss_that_is_reported_as_the_answer_leaves_no_text(call_mode, lost: bytes) -> None:
    answer = Scripted([fixture("shape_b.sse")])
    responses = (receipt(1), Scripted([lost]), receipt(2), answer)
    with ScriptedServer(*responses) as server:
        model = model_at(server, media_upload="always", upload_url=server.base_url)
        prompt = [new_image(f"{call_mode.__name__} {len(lost)}")]
        assert (await call_mode(model, prompt)).text == "The sky is blue."


@pytest.mark.parametrize("call_mode", [stream, astream])
async def test_a_loss_after_a_thought_is_retryable_and_the_next_call_uploads_again(
    call_mode,
) -> None:
    lost = sse(delta(reasoning_content="hm"), delta("stop", content="Image download failed"))
    answer = Scripted([fixture("shape_b.sse")])
    prompt = [new_image(f"thought {call_mode.__name__}")]
    with ScriptedServer(receipt(1), Scripted([lost]), receipt(2), answer) as server:
        model = model_at(server, media_upload="always", upload_url=server.base_url)
        with pytest.raises(KieInvalidRequestError, match="download failed") as caught:
            await call_mode(model, prompt)
        assert caught.value.partial
        assert caught.value.is_retryable
        assert (await call_mode(model, prompt)).text == "The sky is blue."


STARTS = ["Image", " ima", "Failed. "]
RESTS: list[Any] = ["", " of a cat", {"images": [IMAGE]}]
LONG_STARTS = ["failed to get file information", "IMAGE DOWNLOAD FAILED."]


@pytest.mark.parametrize(
    ("start", "rest"),
    [*itertools.product(STARTS, RESTS), *itertools.product(LONG_STARTS, [" of a cat"])],
    ids=str,
)
async def test_a_text_that_starts_like_a_loss_is_complete(start: str, rest: Any) -> None:
    """Only an answer that is nothing else reports a loss."""
    members = rest if isinstance(rest, dict) else {"content": rest}
    body = sse(delta(content=start), delta("stop", **members), "[DONE]")
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server), [new_image("x")])
            first, *blocks = message.content_blocks
            text = start + (rest if isinstance(rest, str) else "")
            assert (first["text"], len(blocks)) == (text, isinstance(rest, dict))


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_calls_that_lose_one_file_at_once_are_all_repeated(call_mode) -> None:
    """It is uploaded again by one of them."""
    both_came = threading.Event()
    lost, answer = Scripted([both_came, LOST[0]]), Scripted([fixture("shape_b.sse")])
    with ScriptedServer(receipt(1), lost, lost, receipt(2), answer) as server:
        model = model_at(server, media_upload="always", upload_url=server.base_url)
        prompt = [new_image(f"at once {call_mode.__name__}")]
        calls = [
            asyncio.create_task(asyncio.to_thread(asyncio.run, call_mode(model, prompt)))
            for _ in range(2)
        ]
        await until(lambda: len(server.requests) == 3)
        both_came.set()
        assert [message.text for message in await asyncio.gather(*calls)] == [
            "The sky is blue."
        ] * 2
        sent = [request.body for request in server.requests]
    assert [b"files.example/2.png" in body for body in sent] == [False] * 4 + [True] * 2


async def test_a_file_that_stays_lost_is_an_error_after_one_repetition() -> None:
    for number, call_mode in enumerate(BASIC_CALL_MODES):
        data = base64.b64encode(base64.b64decode(PIXEL) + b"stays %d" % number).decode()
        prompt = [HumanMessage([{"type": "image", "base64": data, "mime_type": "image/png"}])]
        responses = (receipt(1), Scripted([LOST[0]]), receipt(2), Scripted([LOST[0]]))
        with ScriptedServer(*responses) as server:
            model = model_at(server, media_upload="always", upload_url=server.base_url)
            with pytest.raises(KieInvalidRequestError, match="download failed"):
                await call_mode(model, prompt)
            assert len(server.requests) == 4


async def test_a_lost_file_of_the_user_s_is_an_error_at_once() -> None:
    prompt = [HumanMessage([{"type": "image", "url": "https://files.example/mine.png"}])]
    with server_sending(LOST[0]) as server:
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            with pytest.raises(KieError):
                await call_mode(model_at(server), prompt)
            assert len(server.requests) == 1
