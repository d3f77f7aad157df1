"""Callbacks, traces and token estimates, as LangChain expects them of a chat model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from call_modes import (
    CALL_MODES,
    KEY,
    events_of,
    fixture,
    model_at,
    model_reading,
    server_sending,
)
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import HumanMessage

from langchain_kie import ChatKieGemini, KieError
from unit_tests.loopback import until

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult

COMPLETION = fixture("chat_completion.json")


def new_model(**fields: Any) -> ChatKieGemini:
    return ChatKieGemini(**{"model": "gemini-3-flash", "api_key": KEY, **fields})


def test_traces_name_provider_model_and_options() -> None:
    model = new_model(temperature=0.5, max_tokens=9, stop=["x"])
    params = model._get_ls_params()
    assert params["ls_provider"] == "kie"
    assert params["ls_model_name"] == "gemini-3-flash"
    assert params["ls_model_type"] == "chat"
    assert params["ls_temperature"] == 0.5
    assert params["ls_max_tokens"] == 9
    assert params["ls_stop"] == ["x"]
    assert model._get_ls_params(stop=["y"])["ls_stop"] == ["y"]
    over = model._get_ls_params(model="gemini-3.1-pro", temperature=0.1)
    assert (over["ls_model_name"], over["ls_temperature"]) == ("gemini-3.1-pro", 0.1)
    assert "temperature" not in new_model()._identifying_params
    assert model._identifying_params["temperature"] == 0.5


class CallbackRecorder(BaseCallbackHandler):
    """Records the callbacks in order."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.starts: list[dict[str, Any]] = []

    def on_chat_model_start(self, serialized, messages, **kwargs: Any) -> None:
        self.events.append("start")
        self.starts.append(kwargs)

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.events.append(token)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.events.append("end")
        self.result = response

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.events.append(type(error))
        self.error = kwargs


class AsyncCallbackRecorder(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.events: list[Any] = []

    async def on_chat_model_start(self, serialized, messages, **kwargs: Any) -> None:
        self.events.append("start")

    async def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.events.append(token)

    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.events.append("end")


async def test_callbacks_receive_each_token_once_and_in_order() -> None:
    model = model_reading(*events_of(fixture("shape_b.sse")))
    recorder = CallbackRecorder()
    [*model.stream("hi", {"callbacks": [recorder]})]
    assert [e for e in recorder.events if e] == ["start", "The sky", " is blue.", "end"]
    async_recorder = AsyncCallbackRecorder()
    [c async for c in model.astream("hi", {"callbacks": [async_recorder]})]
    assert [e for e in async_recorder.events if e] == ["start", "The sky", " is blue.", "end"]
    with server_sending(fixture("shape_b.sse")) as server:
        for call_mode in CALL_MODES:
            recorder = CallbackRecorder()
            await call_mode(model_at(server, callbacks=[recorder]))
            # The async events of v3 send the end a moment later.
            await until(lambda recorder=recorder: recorder.events[-1] == "end")
            assert recorder.events[0] == "start"
            message = recorder.result.generations[0][0].message
            assert message.text == "The sky is blue."
            assert message.usage_metadata["total_tokens"] == 115
            metadata = recorder.starts[0]["metadata"]
            assert metadata["ls_provider"] == "kie"
            assert metadata["ls_model_name"] == "gemini-3-flash"


async def test_callbacks_receive_the_error_after_the_tokens_before_it() -> None:
    cut = b"\n\n".join(fixture("shape_b.sse").split(b"\n\n")[:2]) + b"\n\n"
    with server_sending(cut) as server:
        recorder = CallbackRecorder()
        with pytest.raises(KieError):
            [*model_at(server).stream("hi", {"callbacks": [recorder]})]
    assert recorder.events[:3] == ["start", "", "The sky"]
    assert recorder.events[-1].__name__ == "KieStreamInterruptedError"


def test_the_trace_has_the_model_of_the_call() -> None:
    with server_sending(COMPLETION) as server:
        recorder = CallbackRecorder()
        model_at(server).invoke(
            "hi", {"callbacks": [recorder]}, model="gemini-3.1-pro", temperature=0.2
        )
    metadata = recorder.starts[0]["metadata"]
    assert metadata["ls_model_name"] == "gemini-3.1-pro"
    assert metadata["ls_temperature"] == 0.2


def test_the_trace_has_the_schema_of_structured_output() -> None:
    schema = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}}
    with server_sending(
        b'{"choices":[{"message":{"content":"{}"},"finish_reason":"stop"}]}'
    ) as server:
        recorder = CallbackRecorder()
        structured = model_at(server).with_structured_output(schema)
        assert structured.invoke("hi", {"callbacks": [recorder]}) == {}
    traced = recorder.starts[0]["options"]["ls_structured_output_format"]
    assert traced == {"kwargs": {"method": "json_schema", "strict": None}, "schema": schema}


def test_tokens_are_estimated_without_a_network_or_a_tokenizer() -> None:
    model = new_model()
    assert model.get_num_tokens("") == 0
    assert model.get_num_tokens("x" * 400) == 100
    few = model.get_num_tokens_from_messages([HumanMessage("hi")])
    many = model.get_num_tokens_from_messages([HumanMessage("hi " * 100)])
    assert 0 < few < many
    tool = {"name": "f", "description": "d" * 400, "parameters": {"type": "object"}}
    assert model.get_num_tokens_from_messages([HumanMessage("hi")], tools=[tool]) > few
