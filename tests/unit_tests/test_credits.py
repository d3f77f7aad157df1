"""What calls cost, compared with what the emulator charged."""

from __future__ import annotations

import asyncio
import base64
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, CALL_MODES, fixture, model_at, server_sending
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import Generation, LLMResult
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import (
    ChatKieGemini,
    KieConnectionError,
    KieCredits,
    KieCreditsCallback,
    KieEmptyResponseError,
    KieError,
    KieMediaNotSeenError,
    KieModelNotFoundError,
    KieProtocolError,
    KieServerError,
    KieToolCallMissingError,
    get_kie_credits_callback,
)
from langchain_kie import credits as module
from langchain_kie.emulator import Emulator
from unit_tests.loopback import until

if TYPE_CHECKING:
    from collections.abc import Iterator

BALANCE = 100_000.0
LONG = "Tell me about the sea. " * 2000
"""A prompt that costs more than the least that KIE charges."""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(credits=BALANCE) as emulator:
        yield emulator


def charged(emulator: Emulator) -> float:
    return round(BALANCE - emulator.credits, 2)


def model_of(emulator: Emulator, **fields: Any) -> ChatKieGemini:
    defaults = {"model": "gemini-3.5-flash", "max_retries": 0}
    return ChatKieGemini(
        base_url=emulator.base_url, api_key=emulator.api_key, **{**defaults, **fields}
    )


def check(cost: KieCreditsCallback, emulator: Emulator) -> None:
    """Check that the callback has what the emulator charged."""
    assert cost.credits_consumed == charged(emulator)
    assert cost.cost_usd == pytest.approx(charged(emulator) / 200, abs=1e-12)
    amounts = [each.credits_consumed for each in cost.by_model.values()]
    assert sum(amounts) == pytest.approx(cost.credits_consumed)


async def counted_in(cost: KieCreditsCallback) -> None:
    """Wait until a call is counted: the async events of v3 send the end a moment later."""
    await until(lambda: cost.total.calls)


class Sea(BaseModel):
    """A sea."""

    name: str
    depth: int = Field(description="In metres")


# --- every way to call ------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
async def test_each_call_mode_is_counted_once(emulator: Emulator, api: Any) -> None:
    for number, call_mode in enumerate(CALL_MODES, start=1):
        callback = KieCreditsCallback()
        emulator.credits = BALANCE
        with get_kie_credits_callback() as cost:
            model = model_of(emulator, api=api, callbacks=[callback])
            await call_mode(model, f"{number}. {LONG}")
            await counted_in(cost)
            await counted_in(callback)
        assert charged(emulator) > 0.5
        for counted in (cost, callback):
            check(counted, emulator)
            assert (counted.total.calls, counted.total.calls_without_credits) == (1, 0)


async def test_chains_batches_and_threads(emulator: Emulator) -> None:
    flash, pro = model_of(emulator), model_of(emulator, model="gemini-3.1-pro")
    prompts = [f"{number}. {LONG}" for number in range(8)]
    with get_kie_credits_callback() as cost:
        flash.batch(prompts)
        await pro.abatch(prompts)
        (flash | (lambda answer: answer.text) | pro).invoke(LONG)
        await asyncio.gather(*(flash.ainvoke(prompt) for prompt in prompts))
        flash.with_structured_output(Sea).invoke(LONG)
        [*pro.with_structured_output(Sea, method="function_calling").stream(LONG)]
    check(cost, emulator)
    assert {name: each.calls for name, each in cost.by_model.items()} == {
        "gemini-3.5-flash": 18,
        "gemini-3.1-pro": 10,
    }


def test_one_callback_in_many_threads(emulator: Emulator) -> None:
    callback = KieCreditsCallback()
    model = model_of(emulator)
    with ThreadPoolExecutor(8) as threads:
        for _ in threads.map(lambda n: model.invoke(f"{n} {LONG}", {"callbacks": [callback]}),
                             range(24)):  # fmt: skip
            pass
    check(callback, emulator)
    assert callback.total.calls == 24


async def test_fallbacks_and_retries(emulator: Emulator) -> None:
    emulator.unsupported_models = {"gemini-3.1-pro"}
    first, second = model_of(emulator, model="gemini-3.1-pro"), model_of(emulator)
    with get_kie_credits_callback() as cost:
        first.with_fallbacks([second]).invoke(LONG)
        await first.with_fallbacks([second]).ainvoke(LONG)
        with pytest.raises(KieModelNotFoundError):
            first.with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke(LONG)
    check(cost, emulator)
    assert {*cost.by_model} == {"gemini-3.5-flash"}


@tool
def depth_of(sea: str) -> int:
    """Look up the depth of a sea."""
    return len(sea)


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
async def test_an_agent_with_structured_output_a_cache_and_a_fallback(
    emulator: Emulator, api: Any
) -> None:
    emulator.unsupported_models = {"gemini-3.1-pro"}
    cache = InMemoryCache()
    agent = create_agent(
        model_of(emulator, model="gemini-3.1-pro", cache=cache),
        [depth_of],
        response_format=Sea,
        middleware=[ModelFallbackMiddleware(model_of(emulator, api=api, cache=cache))],
    )
    question = {"messages": [HumanMessage(f"Look up the depth of the sea 'Baltic'. {LONG}")]}
    with get_kie_credits_callback() as cost:
        first = await agent.ainvoke(question)
        check(cost, emulator)
        # LangChain marks the answer from the cache (1.8.3), and so makes another prompt of it.
        agent.invoke(question)
        check(cost, emulator)
        paid = cost.total
        again = agent.invoke(question)
        check(cost, emulator)
    assert isinstance(first["structured_response"], Sea)
    assert again["structured_response"] == first["structured_response"]
    assert cost.total == paid, "answers from the cache are not paid"
    answers = [m for m in first["messages"] if isinstance(m, AIMessage)]
    assert len(answers) == 2
    assert paid.calls == len(answers) + 1
    assert paid.credits_consumed > 1


# --- nested blocks ----------------------------------------------------------------------------


async def test_blocks_count_what_happens_inside_them(emulator: Emulator) -> None:
    model = model_of(emulator)
    with get_kie_credits_callback() as outer:
        model.invoke("One.")
        with get_kie_credits_callback() as inner:
            await model.ainvoke("Two.")
            with get_kie_credits_callback() as innermost:
                model.invoke("Three.")
        model.invoke("Four.")
    model.invoke("Five.")
    assert [each.total.calls for each in (outer, inner, innermost)] == [4, 2, 1]


async def test_tasks_have_their_own_blocks(emulator: Emulator) -> None:
    model = model_of(emulator)

    async def spend(calls: int) -> int:
        with get_kie_credits_callback() as cost:
            for _ in range(calls):
                await model.ainvoke("Hi.")
        return cost.total.calls

    assert await asyncio.gather(*(spend(n) for n in (1, 2, 3))) == [1, 2, 3]


def test_a_block_in_a_tool_counts_for_the_outer_block_too(emulator: Emulator) -> None:
    model, inside = model_of(emulator), []

    @tool
    def ask(question: str) -> str:
        """Ask another model."""
        with get_kie_credits_callback() as cost:
            answer = model.invoke(question)
        inside.append(cost.total.calls)
        return answer.text

    with get_kie_credits_callback() as outer:
        result = create_agent(model, [ask]).invoke(
            {"messages": [HumanMessage("Call ask with the question 'Why?'")]}
        )
    own = sum(isinstance(message, AIMessage) for message in result["messages"])
    assert inside == [1]
    assert outer.total.calls == own + 1
    check(outer, emulator)


def test_blocks_register_one_variable_for_each_depth() -> None:
    for _ in range(100):
        with get_kie_credits_callback(), get_kie_credits_callback():
            pass
    assert len(module._active) <= 3


def test_an_error_in_a_block_ends_it(emulator: Emulator) -> None:
    with pytest.raises(ZeroDivisionError), get_kie_credits_callback() as cost:
        raise ZeroDivisionError
    model_of(emulator).invoke("Hi.")
    assert cost.total == KieCredits()


# --- caches -----------------------------------------------------------------------------------


class SerializingCache(BaseCache):
    """Stores JSON, as caches in databases do."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], str] = {}

    def lookup(self, prompt: str, llm_string: str) -> Any:
        stored = self._stored.get((prompt, llm_string))
        return stored and [loads(text, allowed_objects="core") for text in orjson.loads(stored)]

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        stored = orjson.dumps([dumps(generation) for generation in return_val]).decode()
        self._stored[prompt, llm_string] = stored

    def clear(self, **_: Any) -> None:
        self._stored.clear()


@pytest.mark.parametrize("cache", [InMemoryCache, SerializingCache])
async def test_answers_from_a_cache_are_not_paid(emulator: Emulator, cache: Any) -> None:
    model = model_of(emulator, cache=cache())
    with get_kie_credits_callback() as cost:
        for _ in range(3):
            answer = model.invoke(LONG)
            await model.ainvoke(LONG)
            model.batch([LONG] * 4)
    check(cost, emulator)
    assert (cost.total.calls, len(emulator.requests)) == (1, 1)
    assert answer.usage_metadata["total_cost"] == 0, "so LangChain marks it"


def test_an_answer_without_usage_from_a_cache_is_not_paid() -> None:
    body = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"credits_consumed":1}'
    with server_sending(body) as server, get_kie_credits_callback() as cost:
        model = model_at(server, cache=InMemoryCache())
        for _ in range(3):
            assert model.invoke("hi").text == "hi"
    assert cost.total == KieCredits(1.0, 0.005, 1, 0)


class RacingCache(InMemoryCache):
    """A second call finds an answer before the first call ends."""

    model: Any = None

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        super().update(prompt, llm_string, return_val)
        assert self.model.invoke(LONG).usage_metadata["total_cost"] == 0


def test_a_cached_answer_does_not_hide_the_paid_one(emulator: Emulator) -> None:
    cache = RacingCache()
    cache.model = model_of(emulator, cache=cache)
    with get_kie_credits_callback() as cost:
        answer = cache.model.invoke(LONG)
    check(cost, emulator)
    assert cost.total.calls == 1
    assert "total_cost" not in answer.usage_metadata


# --- failed calls -----------------------------------------------------------------------------

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
MUST_CALL = {"tools": [FUNCTION], "tool_choice": "f"}


def chat(content: str = "hi", **members: Any) -> bytes:
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    return orjson.dumps({"choices": [choice], "credits_consumed": 0.25, **members})


FAILURES: list[tuple[str, bytes, type[KieError], float | None, dict[str, Any]]] = [
    ("a missing tool call", chat(), KieToolCallMissingError, 0.25, MUST_CALL),
    ("an error as text", chat("Internal error"), KieServerError, 0.25, {}),
    ("no choice", chat(choices=[]), KieEmptyResponseError, 0.25, {}),
    ("an error", chat(code=500, msg="Internal error"), KieServerError, 0.25, {}),
    ("an error event", sse({"code": 500, "msg": "x", "credits_consumed": 0.25}), KieServerError,
     0.25, {}),
    ("an error without credits", b'{"code":500,"msg":"Internal error"}', KieServerError, None, {}),
    ("unreadable choices", chat(choices=[1]), KieProtocolError, 0.25, {}),
    ("a choice with an error",
     chat(choices=[{"error": {"code": 500, "message": "x"}}]), KieServerError, 0.25, {}),
    ("credits that are no number", chat(choices=[1], credits_consumed="much"), KieProtocolError,
     None, {}),
    ("credits without end", chat(choices=[1]).replace(b"0.25", b'"inf"'), KieProtocolError, None,
     {}),
    ("a cut stream", sse({"choices": [{"delta": {"content": "hi"}}]}), KieConnectionError, None,
     {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "cls", "amount", "bound"), [row[1:] for row in FAILURES], ids=[r[0] for r in FAILURES]
)
async def test_failed_calls_count_if_kie_reports_their_credits(
    body: bytes, cls: type[KieError], amount: float | None, bound: dict[str, Any]
) -> None:
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            with get_kie_credits_callback() as cost:
                model = model_at(server)
                with pytest.raises(cls) as caught:
                    await call_mode(model.bind_tools(**bound) if bound else model)
                if amount is not None:
                    await counted_in(cost)
            assert caught.value.credits_consumed == amount
            counted = KieCredits() if amount is None else KieCredits(0.25, 0.00125, 1, 0)
            assert cost.total == counted
            assert cost.by_model == ({} if amount is None else {"gemini-3-flash": counted})


def image(number: int) -> list[HumanMessage]:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + random.randbytes(32) + b"%d" % number).decode()
    return [HumanMessage([{"type": "image", "base64": data, "mime_type": "image/png"}])]


async def test_media_that_were_not_seen_were_paid() -> None:
    body = chat(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            with get_kie_credits_callback() as cost:
                model = model_at(server, require_media_seen=True, media_upload="never")
                with pytest.raises(KieMediaNotSeenError):
                    await call_mode(model, image(0))
            assert cost.credits_consumed == 0.25


@pytest.mark.parametrize("second", [chat(), chat("Internal error"), chat("image download failed")])
async def test_the_attempt_before_a_second_upload_is_part_of_the_call(second: bytes) -> None:
    receipts = [
        Scripted([b'{"code":200,"data":{"downloadUrl":"https://files.example/%d.png"}}' % number])
        for number in (1, 2)
    ]
    lost = Scripted([chat("image download failed")])
    for number, call_mode in enumerate(BASIC_CALL_MODES[:2]):
        script = (receipts[0], lost, receipts[1], Scripted([second]))
        with ScriptedServer(*script) as server, get_kie_credits_callback() as cost:
            model = model_at(server, media_upload="always", upload_url=server.base_url)
            if second == chat():
                answer = await call_mode(model, image(number))
                assert answer.response_metadata["credits_consumed"] == 0.5
                assert answer.response_metadata["cost_usd"] == 0.0025
            else:
                with pytest.raises(KieError) as caught:
                    await call_mode(model, image(number))
                assert caught.value.credits_consumed == 0.5
        assert cost.total == KieCredits(0.5, 0.0025, 1, 0)


# --- metadata ---------------------------------------------------------------------------------


async def test_answers_without_credits_are_counted_apart() -> None:
    body = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            with get_kie_credits_callback() as cost:
                answer = await call_mode(model_at(server))
            assert cost.total == KieCredits(0.0, 0.0, 1, 1)
            assert answer.response_metadata.keys().isdisjoint({"credits_consumed", "cost_usd"})


def test_sums_are_exact() -> None:
    callback = KieCreditsCallback()
    metadata = {"model_provider": "kie", "model_name": "m", "credits_consumed": 0.1}
    for _ in range(1000):
        callback._add_message(AIMessage("", response_metadata=metadata))
    assert callback.total == KieCredits(100.0, 0.5, 1000, 0)
    assert "credits_consumed=100.0" in repr(callback)


def test_answers_of_other_providers_are_not_counted() -> None:
    callback = KieCreditsCallback()
    callback._add_message(AIMessage("", response_metadata={"credits_consumed": 5}))
    callback._add_message(AIMessage("", response_metadata={"model_provider": "openai"}))
    callback.on_llm_end(LLMResult(generations=[[Generation(text="not of a chat model")]]))
    callback.on_llm_error(ValueError())
    assert callback.total == KieCredits()


async def test_usage_can_still_be_added_up() -> None:
    handler = UsageMetadataCallbackHandler()
    with server_sending(fixture("shape_b.sse")) as server:
        model = model_at(server, callbacks=[handler])
        answers = [await call_mode(model) for call_mode in BASIC_CALL_MODES]
    usage = handler.usage_metadata["gemini-3-flash"]
    assert usage["total_tokens"] == 115 * len(answers)
    assert add_usage(*(answer.usage_metadata for answer in answers[:2]))["total_tokens"] == 230
