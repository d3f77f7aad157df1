"""What LangSmith and OpenTelemetry record of calls; never the key."""

from __future__ import annotations

import json

import httpx
import pytest
import zstandard
from langchain.agents import create_agent
from langchain_core.tracers import LangChainTracer
from langsmith import Client
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from script import call
from scripted_server import Scripted, ScriptedServer

from langchain_kie import ChatKieGemini, KieAuthenticationError
from langchain_kie.emulator import Answer, Failure, Usage

KEY = "sk-CANARY-0123456789"


@pytest.fixture
def model(model, kie_emulator):
    """The model with a key that can be found."""
    kie_emulator.api_key = KEY
    return ChatKieGemini(
        model=model.model, api=model.api, api_key=KEY, temperature=0.5, max_retries=0
    )


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"rain in {city}"


def decompressed(request):
    if request.headers.get("content-encoding") == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(request.body).read()
    return request.body


@pytest.fixture
def langsmith():
    """A server that accepts everything."""
    headers = {"Content-Type": "application/json"}
    with ScriptedServer(Scripted([b"{}"], status=202, headers=headers)) as server:
        yield server


@pytest.mark.parametrize("is_batch", [True, False], ids=["batch", "single"])
async def test_runs_in_langsmith_have_no_key(is_batch, model, script, langsmith):
    client = Client(api_url=langsmith.base_url, api_key="ls", info={}, auto_batch_tracing=is_batch)
    config = {"callbacks": [LangChainTracer(client=client)]}
    agent = create_agent(model, [get_weather])
    script.answers = [call("get_weather", city="Oslo"), "Rain.", Failure(401)]
    await agent.ainvoke({"messages": [("user", "Weather in Oslo?")]}, config)
    with pytest.raises(KieAuthenticationError):
        model.invoke("Hi", config)
    client.flush()
    client.cleanup()
    sent = b"".join(map(decompressed, langsmith.requests))
    assert b"KieAuthenticationError" in sent
    assert b"rain in Oslo" in sent
    for request in langsmith.requests:
        assert KEY not in f"{request.path} {request.headers}"
    assert KEY.encode() not in sent


async def test_runs_in_langsmith_have_model_parameters_and_usage(model, script, langsmith):
    client = Client(api_url=langsmith.base_url, api_key="ls", info={}, auto_batch_tracing=False)
    config = {"callbacks": [LangChainTracer(client=client)]}
    script.answers = [Answer("Hello.", usage=Usage(3, 4, 5))] * 2
    await model.ainvoke("Hi", config)
    list(model.stream("Hi", config))
    client.cleanup()
    starts = [r.json for r in langsmith.requests if r.method == "POST"]
    ends = [r.json for r in langsmith.requests if r.method == "PATCH"]
    for start in starts:
        metadata = start["extra"]["metadata"]
        assert metadata["ls_provider"] == "kie"
        assert metadata["ls_model_name"] == model.model
        assert metadata["ls_model_type"] == "chat"
        assert metadata["ls_temperature"] == 0.5
        assert start["extra"]["invocation_params"]["temperature"] == 0.5
    for end in ends:
        usage = end["extra"]["metadata"]["usage_metadata"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (3, 9)
    assert len(starts) == len(ends) == 2


@pytest.fixture
def spans():
    """The finished spans of httpx."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    yield exporter.get_finished_spans
    HTTPXClientInstrumentor().uninstrument()


async def test_each_call_has_a_span_without_the_key(model, script, kie_emulator, request):
    script.answers = ["Hello."] * 2  # opens the connections before they are instrumented
    model.invoke("Hi")
    await model.ainvoke("Hi")
    kie_emulator.clear()
    spans = request.getfixturevalue("spans")
    script.answers = ["Hello.", "Hello.", "Hello.", Failure(401), "Hello."]
    model.invoke("Hi")
    await model.ainvoke("Hi")
    list(model.stream("Hi"))
    with pytest.raises(KieAuthenticationError):
        await model.ainvoke("Hi")
    assert [chunk.text async for chunk in model.astream("Hi")]
    finished = spans()
    requests = kie_emulator.requests
    assert len(finished) == len(requests) == 5
    for span, received in zip(finished, requests, strict=True):
        record = json.loads(span.to_json())
        assert httpx.URL(record["attributes"]["http.url"]).path == received.path
        trace_id = record["context"]["trace_id"].removeprefix("0x")
        assert trace_id in received.headers["traceparent"]
        assert KEY not in span.to_json()
