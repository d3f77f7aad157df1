"""Uses that type checkers accept."""

from typing import assert_type

from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from langchain_kie import (
    ChatKieGemini,
    KieAccount,
    KieCreditsCallback,
    KieListedModel,
    KieModel,
    KieRateLimiter,
    get_kie_credits_callback,
    models,
)


class Person(BaseModel):
    name: str


class Place(TypedDict):
    name: str


ChatKieGemini(model="gemini-3.5-flash")
ChatKieGemini(model_name="gemini-3.5-flash", kie_api_key="k", max_output_tokens=5)
ChatKieGemini(model="x", stop_sequences=["a"], thinking_level="low", request_timeout=5)
ChatKieGemini(model="x", api_key=SecretStr("k"), api="gateway", timeout=5.0, stop="a")
ChatKieGemini(model="x", rate_limiter=InMemoryRateLimiter(), output_version="v1", cache=True)
ChatKieGemini(model="x", media_upload="never", disable_streaming="tool_calling", tags=["a"])

model = ChatKieGemini(model="x")
assert_type(model.with_structured_output(Person).invoke("hi"), Person)
assert_type(model.with_structured_output(Place, method="json_mode").invoke("hi"), Place)
model.with_structured_output({"title": "A"}, include_raw=True).invoke("hi")["raw"]
model.with_structured_output(Person, include_raw=True).invoke("hi")["parsed"]
model.bind_tools([Person], tool_choice="any").invoke("hi").tool_calls
model.with_structured_output(Person, include_raw=bool(model.tags)).invoke("hi")
ChatKieGemini(model="x", stop=("a", "b"))

ChatKieGemini(model="x", rate_limiter=KieRateLimiter(5, 2.5), callbacks=[KieCreditsCallback()])
account = KieAccount(api_key=SecretStr("k"), timeout=5, cache_seconds=60)
assert_type(account.credits(), float)
assert_type(account.models(task_type="Chat"), tuple[KieListedModel, ...])
assert_type(account.price("x").input_usd, float | None)
assert_type(account.success_rate("x").mean, float | None)
assert_type(models(), tuple[KieModel, ...])
with get_kie_credits_callback() as cost:
    assert_type(cost.by_model["x"].cost_usd, float)


async def use_async_methods() -> None:
    assert_type(await account.acredits(), float)
    assert_type(await account.amodels(query="x", refresh=True), tuple[KieListedModel, ...])
    assert_type((await account.aprice("x")).text, str | None)
