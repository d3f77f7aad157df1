"""The memory that converted tools take."""

from __future__ import annotations

import copy
import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_kie import ChatKieGemini
from langchain_kie._bounded_cache import BoundedCache
from langchain_kie._chat_model.call import prepare
from langchain_kie._tools import cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie._json import Json

APIS = ("chat_completions", "generate_content", "gateway")
MAX_BYTES = 200_000


def text(n: int) -> Json:
    return {"properties": {"a": {"type": "string", "description": f"{n} words " * 100}}}


def properties(n: int) -> Json:
    names = [f"{n}_{i}" for i in range(8)]
    inner = {name: {"type": "string", "description": "One word."} for name in names}
    return {"properties": inner, "required": names[:5]}


def choices(n: int) -> Json:
    return {"properties": {"a": {"type": "string", "enum": [f"{n}_{i}" for i in range(50)]}}}


def numbers(n: int) -> Json:
    return {"properties": {"a": {"type": "integer", "enum": [*range(n * 1000, n * 1000 + 60)]}}}


def empty(n: int) -> Json:
    return {"title": str(n)}


def function(name: str, parameters: Json) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def different(parameters: Callable[[int], Json]) -> Callable[[int], list[Json]]:
    return lambda n: [function(f"f{i}", parameters(5 * n + i)) for i in range(5)]


SHARED = [function(f"f{i}", properties(i)) for i in range(20)]
LISTS: dict[str, Callable[[int], list[Json]]] = {
    **{kind.__name__: different(kind) for kind in (text, properties, choices, numbers)},
    "other lists of the same functions": lambda n: [*SHARED[:10], function("f", empty(n))],
}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> BoundedCache[int | bytes, Any]:
    """The cache, empty and with a smaller limit."""
    small: BoundedCache[int | bytes, Any] = BoundedCache(MAX_BYTES)
    monkeypatch.setattr(cache, "_cache", small)
    return small


def body(tools: Any, api: str) -> bytes:
    model = ChatKieGemini(model="gemini-3-flash", api=api, api_key="sk-test")
    call, _ = prepare(model, [HumanMessage("hi")], None, {"tools": tools}).build(stream=False)
    return bytes(call.body)


@pytest.mark.parametrize("tools", LISTS.values(), ids=LISTS)
def test_different_lists_stay_below_the_limit(
    tools: Callable[[int], list[Json]], kept: BoundedCache[int | bytes, Any]
) -> None:
    bodies = [body(tools(0), api) for api in APIS]  # and imports and smaller caches
    kept.clear()
    lists = [tools(n) for n in range(25)]
    memory = []
    gc.collect()
    gc.freeze()  # so that to collect what a call leaves is fast
    tracemalloc.start()
    try:
        for one in lists:
            for api in APIS:
                body(one, api)
            gc.collect()
            memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    assert MAX_BYTES / 2 < max(memory) < MAX_BYTES * 1.2
    assert [body(tools(0), api) for api in APIS] == bodies


def test_equal_lists_are_kept_once(kept: BoundedCache[int | bytes, Any]) -> None:
    few = SHARED[:4]
    lists = [copy.deepcopy(few) for _ in range(100)]
    first = cache.normalize_tools(few)
    gc.collect()
    tracemalloc.start()
    try:
        assert all(cache.normalize_tools(one) is first for one in lists)
        memory = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert memory < 200 * len(lists)
    assert cache.normalize_tools(few) is first


def test_a_list_that_does_not_fit_is_sent_complete(
    kept: BoundedCache[int | bytes, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [body(SHARED, api) for api in APIS]
    kept.clear()
    monkeypatch.setattr(kept, "max_bytes", 1000)
    for _ in range(3):
        assert [body(SHARED, api) for api in APIS] == expected
        assert len(kept) < 3


def test_a_dict_is_no_list_although_it_is_a_kept_function(
    kept: BoundedCache[int | bytes, Any],
) -> None:
    definition = {"name": "f", "parameters": {"type": "object"}}
    cache.normalize_tools([definition])
    with pytest.raises(ValueError, match="tools must be a list"):
        cache.normalize_tools(definition)  # type: ignore[arg-type]
