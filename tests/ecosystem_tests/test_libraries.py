"""Libraries that are given a model."""

from __future__ import annotations

import sqlite3
from typing import Literal

import pytest
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.caches import BaseCache
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph_swarm import create_handoff_tool, create_swarm
from langmem import create_manage_memory_tool, create_search_memory_tool
from openevals import create_async_llm_as_judge, create_llm_as_judge
from pydantic import BaseModel, Field
from script import call, transcript
from trustcall import create_extractor

from langchain_kie.emulator import Answer, ToolCall

THREAD = {"configurable": {"thread_id": "1"}, "recursion_limit": 50}


def ask(text):
    return {"messages": [("user", text)]}


# --- Deep Agents -----------------------------------------------------------------------------


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"rain in {city}"


async def check_deep_agent(model, script, mode):
    researcher = {
        "name": "researcher",
        "description": "Knows the weather.",
        "system_prompt": "You look out of the window.",
        "tools": [get_weather],
    }
    agent = create_deep_agent(model, subagents=[researcher], checkpointer=InMemorySaver())
    script.answers = [
        call("task", description="Weather in Oslo?", subagent_type="researcher"),
        call("get_weather", city="Oslo"),
        "It rains.",
        call("write_file", file_path="/report.md", content="Rain"),
        call("edit_file", file_path="/report.md", old_string="Rain", new_string="Rain in Oslo"),
        call("read_file", file_path="/report.md"),
        "Done.",
    ]
    given = (ask("Report the weather."), THREAD)
    state = agent.invoke(*given) if mode == "invoke" else await agent.ainvoke(*given)
    assert state["messages"][-1].text == "Done."
    assert state["files"]["/report.md"]["content"] == "Rain in Oslo"
    of_subagent = script.requests[1]
    assert "You look out of the window." in of_subagent.turns[0].text
    assert of_subagent.prompt == "Weather in Oslo?"
    assert "Report the weather." not in str(of_subagent.turns)
    assert [r.text for r in script.requests[2].results] == ["rain in Oslo"]
    assert script.requests[3].results[-1].text == "It rains."
    assert "Rain in Oslo" in script.requests[-1].results[-1].text


@pytest.mark.parametrize("mode", ["invoke", "ainvoke"])
async def test_deep_agent(mode, model, script):
    await check_deep_agent(model, script, mode)


async def test_deep_agent_with_the_name_of_a_model(script):
    await check_deep_agent("kie:gemini-3.5-flash", script, "ainvoke")
    assert {request.model for request in script.requests} == {"gemini-3-5-flash"}


# --- LangGraph -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*has no tool result")
async def test_swarm_continues_after_two_handoffs_at_once(model, script):
    names = ("buyer", "seller")
    handoffs = [create_handoff_tool(agent_name=name) for name in names]
    agents = [
        create_agent(model, handoffs, system_prompt="You are the clerk.", name="clerk"),
        *(create_agent(model, [], system_prompt=f"You are the {n}.", name=n) for n in names),
    ]
    swarm = create_swarm(agents, default_active_agent="clerk").compile(checkpointer=InMemorySaver())
    script.answers = [
        Answer(tool_calls=[ToolCall(f"transfer_to_{name}") for name in names]),
        "It is done.",
        "You are welcome.",
    ]
    state = await swarm.ainvoke(ask("Buy, then sell."), THREAD)
    active = state["active_agent"]
    assert active in names
    state = await swarm.ainvoke(ask("Thanks."), THREAD)
    assert transcript(state["messages"]) == [
        "human: Buy, then sell.",
        "call transfer_to_buyer {}",
        "call transfer_to_seller {}",
        f"tool: Successfully transferred to {active}",
        "ai: It is done.",
        "human: Thanks.",
        "ai: You are welcome.",
    ]
    for request in script.requests[1:]:
        assert request.turns[0].text == f"You are the {active}."
        results = {r.name: r.is_error for turn in request.turns for r in turn.results}
        assert results == {f"transfer_to_{name}": name != active for name in names}


async def test_memories_of_langmem_are_found_in_another_thread(model, script):
    embed = DeterministicFakeEmbedding(size=4)
    store = InMemoryStore(index={"dims": 4, "embed": embed})
    namespace = ("memories", "{user}")
    tools = [create_manage_memory_tool(namespace), create_search_memory_tool(namespace)]
    agent = create_agent(model, tools, store=store, checkpointer=InMemorySaver())
    script.answers = [
        call("manage_memory", content="Ann likes rain."),
        "Noted.",
        call("search_memory", query="rain"),
        "You like rain.",
    ]
    for number, question in enumerate(("I like rain.", "What do I like?")):
        config = {"configurable": {"thread_id": str(number), "user": "ann"}}
        state = await agent.ainvoke(ask(question), config)
    assert state["messages"][-1].text == "You like rain."
    (memory,) = store.search(("memories", "ann"))
    assert memory.value == {"content": "Ann likes rain."}
    assert "Ann likes rain." in script.requests[-1].results[0].text


def pay_number(wei: int) -> str:
    """Pay an amount."""
    return f"paid {wei}"


def pay_text(wei: str) -> str:
    """Pay an amount."""
    return f"paid {wei}"


WEI = 2**64


@pytest.mark.parametrize("tool", [pay_number, pay_text])
async def test_large_integers_can_be_stored_as_text(tool, model, script):
    agent = create_agent(model, [tool], checkpointer=InMemorySaver())
    if tool is pay_number:
        script.answers = [call("pay_number", wei=WEI), "Paid."]
        with pytest.raises(TypeError, match="not msgpack serializable"):
            await agent.ainvoke(ask("Pay."), THREAD)
        script.answers.clear()  # how far the agent comes before the error is a matter of threads
    else:
        script.answers = [call("pay_text", wei=WEI), "Paid."]
        state = await agent.ainvoke(ask("Pay."), THREAD)
        assert state["messages"][2].text == f"paid {WEI}"


# --- structured output -----------------------------------------------------------------------


class Profile(BaseModel):
    """What is known of a user."""

    name: str
    likes: list[str] = Field(default_factory=list)
    language: Literal["en", "no"] = "en"


async def test_trustcall_patches_a_document(model, script):
    extractor = create_extractor(model, tools=[Profile], tool_choice="Profile")
    script.answers = [
        call(
            "PatchDoc",
            json_doc_id="Profile",
            planned_edits="Add rain.",
            patches=[{"op": "add", "path": "/likes/-", "value": "rain"}],
        )
    ]
    before = {"name": "Ann", "likes": ["snow"]}
    result = await extractor.ainvoke(
        {"messages": [("user", "I like rain.")], "existing": {"Profile": before}}
    )
    assert result["responses"] == [Profile(name="Ann", likes=["snow", "rain"])]
    (request,) = script.requests
    assert "snow" in str(request.turns)
    assert request.choice.mode == "any"


def test_trustcall_has_the_model_correct_its_call(model, script):
    extractor = create_extractor(model, tools=[Profile], tool_choice="Profile")

    def correct(request):
        (given,) = [c for turn in request.turns for c in turn.calls]
        patches = [{"op": "replace", "path": "/language", "value": "no"}]
        return call(
            "PatchFunctionErrors", json_doc_id=given.id, planned_edits="Fix.", patches=patches
        )

    script.answers = [call("Profile", name="Ann", language="norsk"), correct]
    result = extractor.invoke("I am Ann.")
    assert result["responses"] == [Profile(name="Ann", language="no")]


@pytest.mark.parametrize("mode", ["invoke", "ainvoke"])
async def test_judge_of_openevals(mode, model, script):
    script.answers = ['{"reasoning": "It names the weather.", "score": true}']
    prompt = "Is this a good answer? {inputs} {outputs}"
    given = {"inputs": "Weather?", "outputs": "Rain."}
    if mode == "invoke":
        result = create_llm_as_judge(prompt=prompt, judge=model)(**given)
    else:
        result = await create_async_llm_as_judge(prompt=prompt, judge=model)(**given)
    assert (result["score"], result["comment"]) == (True, "It names the weather.")
    assert script.requests[0].prompt == "Is this a good answer? Weather? Rain."
    assert script.requests[0].json_answer


# --- a cache in a database -------------------------------------------------------------------


class SQLiteCache(BaseCache):
    """Stores answers in a database, in LangChain's JSON form."""

    def __init__(self, path):
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("create table if not exists answers (key text primary key, value)")

    def lookup(self, prompt, llm_string):
        query = "select value from answers where key = ?"
        row = self._database.execute(query, (prompt + llm_string,)).fetchone()
        return loads(row[0], allowed_objects="core") if row else None

    def update(self, prompt, llm_string, return_val):
        row = (prompt + llm_string, dumps(return_val))
        with self._database:
            self._database.execute("insert or replace into answers values (?, ?)", row)

    def clear(self, **kwargs):
        self._database.execute("delete from answers")

    def close(self):
        self._database.close()


async def test_answers_in_a_database_continue_a_conversation(model, script, tmp_path):
    script.answers = [call("get_weather", city="Oslo"), "Rain."]
    messages = []
    for _ in range(2):
        cache = SQLiteCache(tmp_path / "answers.sqlite")
        cached = model.model_copy(update={"cache": cache}).bind_tools([get_weather])
        messages.append(await cached.ainvoke("Weather in Oslo?"))
        cache.close()
    first, second = messages
    assert second.tool_calls == first.tool_calls
    assert second.additional_kwargs == first.additional_kwargs
    result = ToolMessage("rain in Oslo", tool_call_id=second.tool_calls[0]["id"])
    answer = await model.ainvoke([HumanMessage("Weather in Oslo?"), second, result])
    assert answer.text == "Rain."
    if "signatures" in str(first.additional_kwargs):
        assert script.requests[-1].turns[1].calls[0].signature
