"""`register()`: LangChain finds the models by name."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from call_modes import fixture, server_sending
from langchain.agents import create_agent
from langchain.chat_models import base, init_chat_model

import langchain_kie
from langchain_kie import ChatKieGemini, KieConfigurationError, register

COMPLETION = fixture("chat_completion.json")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture(autouse=True)
def own_table(monkeypatch) -> None:
    monkeypatch.setattr(base, "_BUILTIN_PROVIDERS", dict(base._BUILTIN_PROVIDERS))
    base._get_chat_model_creator.cache_clear()


def test_init_chat_model_finds_a_model_by_name() -> None:
    with pytest.raises(ValueError, match=r"Unable to infer|Unsupported"):
        init_chat_model("kie:some-model")
    register()
    register()
    model = init_chat_model("kie:gemini-3-flash", api_key="k", temperature=0.5)
    assert type(model) is ChatKieGemini
    assert (model.model, model.temperature) == ("gemini-3-flash", 0.5)
    assert type(init_chat_model("gemini-3-flash", model_provider="kie")) is ChatKieGemini


async def test_an_agent_finds_a_model_by_name(monkeypatch) -> None:
    register()
    with server_sending(COMPLETION) as server:
        monkeypatch.setenv("KIE_BASE_URL", server.base_url)
        monkeypatch.setenv("KIE_API_KEY", "k")
        agent = create_agent("kie:gemini-3-flash", [])
        for state in (agent.invoke({"messages": "hi"}), await agent.ainvoke({"messages": "hi"})):
            assert state["messages"][-1].text == "pong"
        chosen = init_chat_model("kie:gemini-3-flash", configurable_fields=["model"])
        answer = chosen.invoke("hi", {"configurable": {"model": "kie:gemini-3.1-pro"}})
        assert answer.response_metadata["model_name"] == "gemini-3.1-pro"


@pytest.mark.parametrize("table", [None, [], {"openai": "langchain_openai"}, {"a": ("b", "C")}])
def test_a_langchain_without_the_table_is_reported(monkeypatch, table) -> None:
    monkeypatch.setattr(base, "_BUILTIN_PROVIDERS", table)
    with pytest.raises(KieConfigurationError, match=r"ChatKieGemini\(model="):
        register()
    monkeypatch.delattr(base, "_BUILTIN_PROVIDERS")
    with pytest.raises(KieConfigurationError, match=r"ChatKieGemini\(model="):
        register()


@pytest.mark.parametrize(
    ("missing", "error", "match"),
    [
        ("langchain", ImportError, "pip install langchain"),
        ("langchain.chat_models", KieConfigurationError, r"ChatKieGemini\(model="),
    ],
)
def test_what_is_missing_of_langchain_is_reported(monkeypatch, missing, error, match) -> None:
    for name in ("langchain", "langchain.chat_models", "langchain.chat_models.base"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)

    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    finder = type("Finder", (), {"find_spec": staticmethod(find_spec)})
    monkeypatch.setattr("sys.meta_path", [finder, *__import__("sys").meta_path])
    with pytest.raises(error, match=match):
        register()


def test_a_provider_of_that_name_that_langchain_has_stays() -> None:
    base._BUILTIN_PROVIDERS["kie"] = ("other_package", "ChatKie", base._call)
    register()
    assert base._BUILTIN_PROVIDERS["kie"][0] == "other_package"


def test_deep_agents_registers_by_its_entry_point() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    value = project["entry-points"]["deepagents.provider_profiles"]["kie"]
    entry_point = importlib.metadata.EntryPoint("kie", value, "deepagents.provider_profiles")
    assert entry_point.load() is langchain_kie.register
