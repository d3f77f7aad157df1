"""Uses that type checkers accept."""

from typing import assert_type

from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from langchain_kie import ChatKieGemini


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
