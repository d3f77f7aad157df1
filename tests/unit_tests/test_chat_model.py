"""What LangChain and its users expect of any chat model, of this one."""

from __future__ import annotations

import asyncio
import copy
import pickle
import warnings
from typing import TYPE_CHECKING, Any, TypedDict

import httpx
import orjson
import pytest
from call_modes import CALL_MODES, KEY, fixture, model_at, server_sending
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import BaseModel, SecretStr
from scripted_server import Scripted, ScriptedServer, sse

import langchain_kie
from langchain_kie import (
    ChatKieGemini,
    KieAuthenticationError,
    KieConfigurationError,
    KieError,
    KieRateLimitError,
    KieServerError,
)

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult

WHOLE = fixture("chat_whole.json")


def model(**fields: Any) -> ChatKieGemini:
    return ChatKieGemini(**{"model": "gemini-3-flash", "api_key": KEY, **fields})


def answering(content: str, **message: Any) -> bytes:
    choice = {"message": {"content": content, **message}, "finish_reason": "stop"}
    return orjson.dumps({"id": "x", "choices": [choice]})


def calling(name: str, arguments: str) -> bytes:
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}
    return answering("", tool_calls=[call])


# --- the model itself ------------------------------------------------------------------------


def test_the_public_names_are_these() -> None:
    assert langchain_kie.__all__ == sorted(langchain_kie.__all__)
    assert all(hasattr(langchain_kie, name) for name in langchain_kie.__all__)
    assert langchain_kie.__version__.count(".") >= 2


@pytest.mark.parametrize(
    ("alias", "name", "value"),
    [
        ("model_name", "model", "gemini-3-pro"),
        ("kie_api_key", "api_key", SecretStr("other")),
        ("max_output_tokens", "max_tokens", 5),
        ("stop_sequences", "stop", ["x"]),
        ("thinking_level", "reasoning_effort", "low"),
        ("request_timeout", "timeout", 5.0),
    ],
)
def test_an_alias_is_the_field(alias: str, name: str, value: Any) -> None:
    fields = {"model": "gemini-3-flash", "api_key": KEY}
    fields.pop(name, None)
    made = ChatKieGemini(**fields, **{alias: value})
    assert getattr(made, name) == value
    assert made == ChatKieGemini(**fields, **{name: value})
    assert made.model_kwargs == {}


def test_the_defaults_send_nothing_and_wait_for_nothing() -> None:
    made = ChatKieGemini(model="gemini-3-flash")
    assert made.base_url == "https://api.kie.ai"
    assert made.max_retries == 2
    for name in ("api_key", "api", "temperature", "top_p", "max_tokens", "stop",
                 "reasoning_effort", "include_thoughts"):  # fmt: skip
        assert getattr(made, name) is None
    assert made.streaming is False
    assert made.model_name == made.model == "gemini-3-flash"
    assert made._llm_type == "kie-gemini-chat"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model": "gemini-3-flash", "max_retries": -1},
        {"model": "gemini-3-flash", "temperature": "hot"},
        {"model": "gemini-3-flash", "stop": 5},
        {"model": "gemini-3-flash", "max_tokens": "many"},
    ],
    ids=str,
)
def test_a_field_that_cannot_be_is_a_value_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ChatKieGemini(api_key=KEY, **fields)


def test_an_unknown_argument_warns_where_it_was_written_and_goes_into_the_body() -> None:
    with pytest.warns(UserWarning, match="seed, typo") as caught:
        made = model(seed=7, typo=1)
    assert caught[0].filename == __file__
    assert made.model_kwargs == {"seed": 7, "typo": 1}
    with server_sending(WHOLE) as server:
        made.model_copy(update={"base_url": server.base_url}).invoke("hi")
        assert server.requests[0].json["seed"] == 7


def test_a_model_goes_through_langchain_s_json(monkeypatch) -> None:
    made = model(temperature=0.5, stop=["x"], reasoning_effort="low", model_kwargs={"seed": 1},
                 base_url="https://relay.example", max_retries=4)  # fmt: skip
    monkeypatch.setenv("KIE_API_KEY", "from-the-environment")
    told = dumps(made)
    assert KEY not in told
    assert dumpd(made)["type"] == "constructor"
    for back in (
        loads(told, secrets_map={"KIE_API_KEY": KEY}, allowed_objects=[ChatKieGemini],
              valid_namespaces=["langchain_kie"]),
        load(dumpd(made), secrets_map={"KIE_API_KEY": KEY}, allowed_objects=[ChatKieGemini],
             valid_namespaces=["langchain_kie"]),
    ):  # fmt: skip
        assert isinstance(back, ChatKieGemini)
        assert back == made
    back = loads(
        told,
        secrets_from_env=True,
        allowed_objects=[ChatKieGemini],
        valid_namespaces=["langchain_kie"],
    )
    assert back.api_key.get_secret_value() == "from-the-environment"


def test_a_pickle_carries_the_key_and_leaves_the_clients_behind() -> None:
    with httpx.Client() as client:
        made = model(http_client=client, temperature=0.5)
        back = pickle.loads(pickle.dumps(made))
    assert back.api_key.get_secret_value() == KEY
    assert back.temperature == 0.5
    assert back.http_client is None
    assert made.http_client is client


def test_a_deep_copy_is_equal_apart_and_shares_the_clients() -> None:
    with httpx.Client() as client:
        made = model(http_client=client, model_kwargs={"a": [1]})
        twin = copy.deepcopy(made)
        assert twin.http_client is client
        assert twin == made
        twin.model_kwargs["a"].append(2)
        assert made.model_kwargs == {"a": [1]}
        assert copy.copy(made) == made


def test_a_copy_with_an_update_is_another_model() -> None:
    with server_sending(WHOLE) as server:
        first = model_at(server)
        second = first.model_copy(update={"model": "gemini-3.1-pro", "temperature": 0.1})
        second.invoke("hi")
        first.invoke("hi")
    assert [r.path for r in server.requests] == [
        "/gemini-3.1-pro/v1/chat/completions",
        "/gemini-3-flash/v1/chat/completions",
    ]
    assert "temperature" not in server.requests[1].json


def test_configurable_fields_choose_model_and_temperature_per_call() -> None:
    with server_sending(WHOLE) as server:
        chosen = model_at(server).configurable_fields(
            model=ConfigurableField("model"), temperature=ConfigurableField("t")
        )
        config = {"configurable": {"model": "gemini-2.5-pro", "t": 0.7}}
        answer = chosen.invoke("hi", config)
    assert server.requests[0].path == "/gemini-2.5-pro/v1/chat/completions"
    assert server.requests[0].json["temperature"] == 0.7
    assert answer.response_metadata["model_name"] == "gemini-2.5-pro"


def test_the_model_says_by_which_name_and_from_where_it_is_loaded() -> None:
    made = model()
    assert made.get_name() == "ChatKieGemini"
    assert made.get_lc_namespace() == ["langchain_kie", "chat_models"]


# --- tracing and counting --------------------------------------------------------------------


def test_traces_name_provider_model_and_options() -> None:
    made = model(temperature=0.5, max_tokens=9, stop=["x"])
    params = made._get_ls_params()
    assert params["ls_provider"] == "kie"
    assert params["ls_model_name"] == "gemini-3-flash"
    assert params["ls_model_type"] == "chat"
    assert params["ls_temperature"] == 0.5
    assert params["ls_max_tokens"] == 9
    assert params["ls_stop"] == ["x"]
    assert made._get_ls_params(stop=["y"])["ls_stop"] == ["y"]
    over = made._get_ls_params(model="gemini-3.1-pro", temperature=0.1)
    assert (over["ls_model_name"], over["ls_temperature"]) == ("gemini-3.1-pro", 0.1)
    assert "temperature" not in model()._identifying_params
    assert made._identifying_params["temperature"] == 0.5


class Told(BaseCallbackHandler):
    """Keeps what callbacks are told, in order."""

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


class AsyncTold(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.events: list[Any] = []

    async def on_chat_model_start(self, serialized, messages, **kwargs: Any) -> None:
        self.events.append("start")

    async def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.events.append(token)

    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.events.append("end")


async def test_callbacks_hear_each_token_once_and_in_order() -> None:
    with server_sending(fixture("shape_b.sse")) as server:
        told = Told()
        [*model_at(server).stream("hi", {"callbacks": [told]})]
        assert [e for e in told.events if e] == ["start", "The sky", " is blue.", "end"]
        again = AsyncTold()
        [c async for c in model_at(server).astream("hi", {"callbacks": [again]})]
        assert [e for e in again.events if e] == ["start", "The sky", " is blue.", "end"]
        for ask in CALL_MODES:
            told = Told()
            await ask(model_at(server, callbacks=[told]))
            for _ in range(100):  # v3's async events tell of the end a moment after it
                if told.events[-1] != "end":
                    await asyncio.sleep(0.01)
            assert told.events[0] == "start"
            assert told.events[-1] == "end"
            message = told.result.generations[0][0].message
            assert message.text == "The sky is blue."
            assert message.usage_metadata["total_tokens"] == 115
            metadata = told.starts[0]["metadata"]
            assert metadata["ls_provider"] == "kie"
            assert metadata["ls_model_name"] == "gemini-3-flash"


async def test_callbacks_hear_of_an_error_with_what_was_said_before_it() -> None:
    cut = b"\n\n".join(fixture("shape_b.sse").split(b"\n\n")[:2]) + b"\n\n"
    with server_sending(cut) as server:
        told = Told()
        with pytest.raises(KieError):
            [*model_at(server).stream("hi", {"callbacks": [told]})]
    assert told.events[:3] == ["start", "", "The sky"]
    assert told.events[-1].__name__ == "KieStreamInterruptedError"


def test_a_call_s_model_reaches_the_trace() -> None:
    with server_sending(WHOLE) as server:
        told = Told()
        model_at(server).invoke(
            "hi", {"callbacks": [told]}, model="gemini-3.1-pro", temperature=0.2
        )
    metadata = told.starts[0]["metadata"]
    assert metadata["ls_model_name"] == "gemini-3.1-pro"
    assert metadata["ls_temperature"] == 0.2


def test_tokens_are_estimated_without_a_network_or_a_tokenizer() -> None:
    made = model()
    assert made.get_num_tokens("") == 0
    assert made.get_num_tokens("x" * 400) == 100
    few = made.get_num_tokens_from_messages([HumanMessage("hi")])
    many = made.get_num_tokens_from_messages([HumanMessage("hi " * 100)])
    assert 0 < few < many
    tool = {"name": "f", "description": "d" * 400, "parameters": {"type": "object"}}
    assert made.get_num_tokens_from_messages([HumanMessage("hi")], tools=[tool]) > few


# --- many calls, caches, fallbacks -----------------------------------------------------------


async def test_a_batch_answers_in_order_and_may_return_its_errors() -> None:
    bad = Scripted([b'{"code":401,"msg":"Unauthorized"}'])
    with server_sending(WHOLE) as server:
        assert [m.text for m in model_at(server).batch(["a", "b", "c"])] == ["pong"] * 3
        assert [m.text for m in await model_at(server).abatch(["a", "b"])] == ["pong"] * 2
        assert len(server.requests) == 5
    with ScriptedServer(Scripted([WHOLE]), bad) as server:
        config = {"max_concurrency": 1}
        results = model_at(server).batch(["a", "b"], config, return_exceptions=True)
        assert results[0].text == "pong"
        assert type(results[1]) is KieAuthenticationError


@pytest.mark.parametrize("name", ["shape_a.sse", "native_call.sse", "chat_call.sse"])
async def test_a_cached_answer_is_the_answer_and_asks_nobody(name: str) -> None:
    from call_modes import blocks_of  # noqa: PLC0415

    with server_sending(fixture(name)) as server:
        cached = model_at(server, cache=InMemoryCache())
        first = cached.invoke("hi")
        for again in (cached.invoke("hi"), await cached.ainvoke("hi")):
            assert again.text == first.text
            assert again.tool_calls == first.tool_calls
            assert blocks_of(again) == blocks_of(first)
            assert again.additional_kwargs == first.additional_kwargs
            assert again.response_metadata == first.response_metadata
        assert len(server.requests) == 1
        cached.invoke("hi", temperature=0.3)
        cached.invoke("other")
        assert len(server.requests) == 3


def test_two_models_do_not_share_a_cache_s_answers_nor_two_keys_of_one() -> None:
    cache = InMemoryCache()
    with server_sending(WHOLE) as server:
        model_at(server, cache=cache).invoke("hi")
        model_at(server, cache=cache, model="gemini-3.1-pro").invoke("hi")
        model_at(server, cache=cache, reasoning_effort="low").invoke("hi")
        assert len(server.requests) == 3
        model_at(server, cache=cache, api_key="another").invoke("hi")
        assert len(server.requests) == 3


async def test_langchain_s_own_retry_and_fallback_see_the_errors() -> None:
    busy = Scripted([b'{"code":429,"msg":"Too many requests"}'])
    with ScriptedServer(busy, Scripted([WHOLE])) as server:
        again = model_at(server).with_retry(
            retry_if_exception_type=(KieRateLimitError,),
            wait_exponential_jitter=False,
            exponential_jitter_params={"initial": 0.01},
        )
        assert again.invoke("hi").text == "pong"
        assert len(server.requests) == 2
    with ScriptedServer(busy) as server, server_sending(WHOLE) as other:
        safe = model_at(server).with_fallbacks(
            [model_at(other)], exceptions_to_handle=(KieRateLimitError,)
        )
        assert safe.invoke("hi").text == "pong"
        assert (await safe.ainvoke("hi")).text == "pong"
        assert "".join(chunk.text for chunk in safe.stream("hi")) == "pong"
        refused = model_at(server).with_fallbacks(
            [model_at(other)], exceptions_to_handle=(KieServerError,)
        )
        with pytest.raises(KieRateLimitError):
            refused.invoke("hi")


def test_a_rate_limiter_is_asked_before_each_call() -> None:
    class Counting(InMemoryRateLimiter):
        asked = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.asked += 1
            return True

    limiter = Counting()
    with server_sending(WHOLE) as server:
        limited = model_at(server, rate_limiter=limiter)
        limited.invoke("hi")
        [*limited.stream("hi")]
    assert limiter.asked == 2


def test_a_chain_streams_through() -> None:
    with server_sending(fixture("shape_a.sse")) as server:
        chain = model_at(server) | RunnableLambda(lambda message: message)
        assert chain.invoke("hi").text == "The sky is blue, né 🌤."
        pieces = [chunk.text for chunk in model_at(server).stream("hi") if chunk.text]
    assert pieces == ["The sky", " is ", "blue, né 🌤."]


def test_disable_streaming_makes_a_stream_one_chunk() -> None:
    with server_sending(WHOLE) as server:
        chunks = [*model_at(server, disable_streaming=True).stream("hi")]
        assert server.requests[0].json["stream"] is False
    assert len(chunks) == 1
    assert chunks[0].usage_metadata["total_tokens"] == 115


# --- messages that travel --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shape_a.sse", "native_call.sse", "chat_call.sse"])
def test_a_message_reads_well_where_this_package_was_never_imported(name: str) -> None:
    """Through JSON into another process that has LangChain alone."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    with server_sending(fixture(name)) as server:
        message = model_at(server).invoke("hi")
    script = (
        "import json, sys; from langchain_core.load import loads\n"
        "m = loads(sys.argv[1], allowed_objects='messages')\n"
        "print(json.dumps([m.text, m.content_blocks, m.tool_calls, m.usage_metadata]))\n"
        "assert 'langchain_kie' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, dumps(message)], capture_output=True, check=True, timeout=30
    )
    text, blocks, calls, usage = orjson.loads(done.stdout)
    assert text == message.text
    assert calls == message.tool_calls
    assert usage == orjson.loads(orjson.dumps(message.usage_metadata))
    kinds = [block["type"] for block in message.content_blocks]
    assert sorted(block["type"] for block in blocks) == sorted(kinds)
    shown = {b["reasoning"] for b in blocks if b["type"] == "reasoning"}
    assert shown == {message.additional_kwargs["reasoning_content"]}


# --- structured output -----------------------------------------------------------------------


class City(BaseModel):
    """A city."""

    name: str
    people: int


class CityDict(TypedDict):
    """A city."""

    name: str
    people: int


CITY = City.model_json_schema()
SCHEMAS = {"pydantic": City, "TypedDict": CityDict, "dict": CITY}
GOOD = '{"name": "Oslo", "people": 700000}'
FENCES = {
    "bare": GOOD,
    "fenced": f"```json\n{GOOD}\n```",
    "fenced without a name": f"```\n{GOOD}\n```",
    "with white space": f"\n  {GOOD}\n\n",
    "fenced after text": f"Here it is:\n```\n{GOOD}\n```\n",
}
BROKEN = {
    "cut": '{"name": "Oslo", "peo',
    "prose": "I do not know.",
    "empty": " ",
    "cut in a fence": '```json\n{"name": "Oslo", "peo',
    "cut before a bracket": '{"name": "Oslo"',
    "two values": f"{GOOD}{GOOD}",
}


def as_dict(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


@pytest.mark.parametrize("text", FENCES.values(), ids=FENCES)
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
async def test_json_text_with_or_without_a_fence_is_the_value(method, schema, text) -> None:
    with server_sending(answering(text)) as server:
        structured = model_at(server).with_structured_output(schema, method=method)
        for value in (structured.invoke("hi"), await structured.ainvoke("hi")):
            assert as_dict(value) == {"name": "Oslo", "people": 700000}
            assert isinstance(value, City) == (schema is City)
        sent = server.requests[0].json["response_format"]
        assert sent["type"] == ("json_schema" if method == "json_schema" else "json_object")
        raw = model_at(server).with_structured_output(schema, method=method, include_raw=True)
        result = raw.invoke("hi")
        assert as_dict(result["parsed"]) == {"name": "Oslo", "people": 700000}
        assert result["parsing_error"] is None
        assert isinstance(result["raw"], AIMessage)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_json_text_that_is_broken_is_a_parsing_error(method, schema, text) -> None:
    with server_sending(answering(text)) as server:
        structured = model_at(server).with_structured_output(schema, method=method)
        with pytest.raises(OutputParserException):
            structured.invoke("hi")
        raw = model_at(server).with_structured_output(schema, method=method, include_raw=True)
        result = raw.invoke("hi")
        assert result["parsed"] is None
        assert isinstance(result["parsing_error"], OutputParserException)
        assert result["raw"].text == text


@pytest.mark.parametrize("text", ['{"name": "Oslo"}', '{"name": "Oslo", "people": "many"}', "[]"])
def test_json_that_does_not_fit_a_pydantic_class_is_a_parsing_error(text: str) -> None:
    with server_sending(answering(text)) as server:
        for method in ("json_schema", "json_mode"):
            structured = model_at(server).with_structured_output(City, method=method)
            with pytest.raises(OutputParserException):
                structured.invoke("hi")


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_a_forced_call_s_arguments_are_the_value(schema) -> None:
    name = "CityDict" if schema is CityDict else "City"
    with server_sending(calling(name, GOOD)) as server:
        structured = model_at(server).with_structured_output(schema, method="function_calling")
        for value in (structured.invoke("hi"), await structured.ainvoke("hi")):
            assert as_dict(value) == {"name": "Oslo", "people": 700000}
            assert isinstance(value, City) == (schema is City)
        body = server.requests[0].json
        assert [t["function"]["name"] for t in body["tools"]] == [name]
        assert body["tool_choice"] == {"type": "function", "function": {"name": name}}
        raw = model_at(server).with_structured_output(
            schema, method="function_calling", include_raw=True
        )
        assert as_dict(raw.invoke("hi")["parsed"]) == {"name": "Oslo", "people": 700000}


def test_a_forced_call_that_is_broken_is_a_parsing_error_with_the_raw_message() -> None:
    with server_sending(calling("City", '{"name": 5')) as server:
        raw = model_at(server).with_structured_output(
            City, method="function_calling", include_raw=True
        )
        result = raw.invoke("hi")
        assert result["parsed"] is None
        assert len(result["raw"].invalid_tool_calls) == 1
    with server_sending(calling("City", '{"name": "Oslo", "people": "many"}')) as server:
        structured = model_at(server).with_structured_output(City, method="function_calling")
        with pytest.raises(ValueError):
            structured.invoke("hi")


async def test_structured_output_streams_and_the_last_piece_is_the_value() -> None:
    halves = [{"choices": [{"delta": {"content": t}}]} for t in (GOOD[:20], GOOD[20:])]
    with server_sending(sse(*halves, "[DONE]")) as server:
        structured = model_at(server).with_structured_output(CITY)
        values = [*structured.stream("hi")]
        assert values[-1] == {"name": "Oslo", "people": 700000}
        avalues = [value async for value in structured.astream("hi")]
        assert avalues[-1] == values[-1]


def test_strict_and_the_name_reach_the_wire_and_the_trace_has_the_schema() -> None:
    with server_sending(answering(GOOD)) as server:
        told = Told()
        structured = model_at(server).with_structured_output(City, strict=True)
        structured.invoke("hi", {"callbacks": [told]})
        inner = server.requests[0].json["response_format"]["json_schema"]
    assert (inner["name"], inner["strict"]) == ("City", True)
    assert inner["schema"]["required"] == ["name", "people"]
    assert "ls_structured_output_format" not in server.requests[0].json


def test_a_method_that_does_not_exist_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="magic"):
        model().with_structured_output(City, method="magic")


def test_an_openai_function_and_a_schema_without_a_title_are_schemas() -> None:
    function = {
        "name": "City",
        "description": "A city.",
        "parameters": {k: CITY[k] for k in ("type", "properties", "required")},
    }
    bare = {k: CITY[k] for k in ("type", "properties", "required")}
    with server_sending(answering(GOOD)) as server:
        for schema, name in ((function, "City"), (bare, "structured_output")):
            server.requests.clear()
            value = model_at(server).with_structured_output(schema).invoke("hi")
            assert value == {"name": "Oslo", "people": 700000}
            sent = server.requests[0].json["response_format"]["json_schema"]
            assert sent["name"] == name
            assert set(sent["schema"]["properties"]) == {"name", "people"}


def test_a_native_model_is_given_gemini_s_schema() -> None:
    body = orjson.dumps(
        {"candidates": [{"content": {"parts": [{"text": GOOD}]}, "finishReason": "STOP"}]}
    )
    with server_sending(body) as server:
        structured = model_at(server, model="gemini-3.5-flash").with_structured_output(City)
        assert structured.invoke("hi") == City(name="Oslo", people=700000)
        config = server.requests[0].json["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"]["type"] == "OBJECT"
    assert config["responseSchema"]["properties"]["people"]["type"] == "INTEGER"


def test_nothing_but_a_wrong_option_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = model(temperature=0.1)
        made.bind_tools([City]).with_retry()
        made.with_structured_output(City)
        with pytest.raises(KieConfigurationError):
            model(api="gateway", model="")
