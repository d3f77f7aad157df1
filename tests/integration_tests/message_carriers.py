"""How a message is obtained from a model, and how it is carried to the next call."""

from __future__ import annotations

import copy
import pickle
from functools import reduce
from operator import add

import call_modes
import orjson
from call_modes import with_fields
from langchain_core.caches import BaseCache
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    message_to_dict,
    messages_from_dict,
    trim_messages,
)

TOOL_PROMPT = "What is the weather in Oslo and in Rome?"


class JsonCache(BaseCache):
    """A cache that stores JSON, as one outside the process does."""

    def __init__(self):
        self.stored = {}
        self.hits = 0

    def lookup(self, prompt, llm_string):
        found = self.stored.get((prompt, llm_string))
        self.hits += found is not None
        return found and [loads(one, allowed_objects="all") for one in found]

    def update(self, prompt, llm_string, return_val):
        self.stored[prompt, llm_string] = [dumps(one) for one in return_val]

    def clear(self, **kwargs):
        self.stored.clear()


async def chunk_sum(model, prompt):
    return reduce(add, model.stream(prompt))


async def v1_events(model, prompt):
    return await call_modes.events(call_modes.v1(model), prompt)


async def v1_aevents(model, prompt):
    return await call_modes.aevents(call_modes.v1(model), prompt)


async def _cached(model, prompt, call_mode=call_modes.invoke):
    cache = JsonCache()
    first, second = [await call_mode(with_fields(model, cache=cache), prompt) for _ in range(2)]
    assert cache.hits == 1
    assert second.content == first.content
    return second


async def cache_hit(model, prompt):
    return await _cached(model, prompt)


async def acache_hit(model, prompt):
    return await _cached(model, prompt, call_modes.ainvoke)


async def v1_cache_hit(model, prompt):
    return await _cached(call_modes.v1(model), prompt)


async def streaming_cache_hit(model, prompt):
    return await _cached(with_fields(model, streaming=True), prompt)


CALL_MODES = [
    *call_modes.CALL_MODES,
    chunk_sum,
    v1_events,
    v1_aevents,
    cache_hit,
    acache_hit,
    v1_cache_hit,
    streaming_cache_hit,
]
# These give every form of a message; only with these are all carriers tried.
FORMS = {
    call_modes.invoke,
    chunk_sum,
    call_modes.v1_invoke,
    call_modes.v1_stream,
    call_modes.events,
    v1_events,
    cache_hit,
}


def trimmed(message):
    """The message from a longer history that was trimmed."""
    old = [SystemMessage("Be kind."), HumanMessage("Hello."), AIMessage("Hi.")]
    history = trim_messages(
        [*old, HumanMessage(TOOL_PROMPT), message],
        max_tokens=3,
        token_counter=len,
        strategy="last",
        include_system=True,
        start_on="human",
    )
    assert [m.type for m in history[:2]] == ["system", "human"]
    return history[-1]


def through_json(value):
    return orjson.loads(orjson.dumps(value))


CARRIERS = {
    "nothing": lambda m: m,
    "dumps and loads": lambda m: loads(dumps(m), allowed_objects="messages"),
    "message_to_dict": lambda m: messages_from_dict([through_json(message_to_dict(m))])[0],
    "model_dump_json": lambda m: type(m).model_validate_json(m.model_dump_json()),
    "model_dump": lambda m: type(m)(**m.model_dump()),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "deepcopy": copy.deepcopy,
    "model_copy": lambda m: m.model_copy(),
    "trim_messages": trimmed,
    "another name": lambda m: m.model_copy(update={"name": "agent", "id": "other"}),
}  # fmt: skip
