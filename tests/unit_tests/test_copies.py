"""Copies of a model: the profile follows the model, and new values are checked as usual."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
from call_modes import KEY, fixture, model_at, server_sending
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr, ValidationError

from langchain_kie import ChatKieGemini, KieConfigurationError

COMPLETION = fixture("chat_completion.json")
OTHERS = [
    {"model": "gemini-2.5-pro"},
    {"model_name": "gemini-3.1-pro"},
    {"model": "gemini-3.8-flash", "api": "chat_completions"},
    {"api": "generate_content"},
    {"model": "gemini-4-flash"},
    {"model": "gpt-6", "api": "gateway"},
]


def new_model(**fields: Any) -> ChatKieGemini:
    return ChatKieGemini(**{"model": "gemini-3-flash", "api_key": KEY, **fields})


@pytest.mark.parametrize("update", OTHERS, ids=str)
def test_a_copy_is_the_model_that_the_constructor_makes(update: dict[str, Any]) -> None:
    warnings.simplefilter("ignore")  # unlisted names
    names = {"model_name": "model"}
    expected = new_model(**{names.get(name, name): value for name, value in update.items()})
    model = new_model(temperature=0.5)
    for original in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        changed = original.model_copy(update=update)
        assert changed.profile == expected.profile
        assert (changed.model, changed.api) == (expected.model, expected.api)
        assert changed.temperature == 0.5
        assert changed.model_fields_set == original.model_fields_set | expected.model_fields_set
    fields = {n: ConfigurableField(n) for n in ("model", "api")}
    values = {n: getattr(expected, n) for n in fields}
    choice = new_model().configurable_fields(**fields)
    configured, _ = choice.prepare({"configurable": values})
    assert configured.profile == expected.profile


def test_a_profile_of_the_user_s_stays() -> None:
    profile = {"max_input_tokens": 5}
    model = new_model(profile=profile)
    assert model.model_copy(update={"model": "gemini-3.1-pro"}).profile == profile
    update = {"model": "gemini-3.1-pro", "profile": profile}
    assert new_model().model_copy(update=update).profile == profile
    model.profile["max_input_tokens"] = 6
    assert new_model().profile["max_input_tokens"] == 1_048_576


def test_an_unlisted_name_has_the_context_of_its_family() -> None:
    warnings.simplefilter("ignore")
    for name in ("gemini-4-flash", "gemini-9.9-pro-preview"):
        assert new_model(model=name).profile["max_input_tokens"] == 1_048_576


@pytest.mark.parametrize(
    ("update", "name", "value"),
    [
        ({"max_output_tokens": 5}, "max_tokens", 5),
        ({"thinking_level": "low"}, "reasoning_effort", "low"),
        ({"api_key": "other"}, "api_key", SecretStr("other")),
        ({"request_timeout": "5"}, "timeout", None),
        ({"temperature": "0.25"}, "temperature", 0.25),
        ({"base_url": "https://api.kie.ai/"}, "base_url", "https://api.kie.ai"),
        ({"temperature": "hot"}, "temperature", None),
        ({"max_retries": -1}, "max_retries", None),
        ({"api": "completions"}, "api", None),
        ({"base_url": "http://evil.example"}, "base_url", None),
        ({"model": "gemini-3-pro", "model_name": "x"}, "model", None),
        ({"http_client": "a client"}, "Client", None),
    ],
    ids=str,
)
def test_an_update_is_checked_as_a_parameter_of_the_constructor(update, name, value) -> None:
    model = new_model()
    if value is None:
        with pytest.raises((KieConfigurationError, ValidationError), match=name):
            model.model_copy(update=update)
        return
    assert getattr(model.model_copy(update=update), name) == value
    assert model == new_model()


def test_an_unknown_name_in_an_update_warns_at_its_line_and_is_sent() -> None:
    model = new_model(model_kwargs={"seed": 7})
    with pytest.warns(UserWarning, match="typo: not a parameter") as caught:
        changed = model.model_copy(update={"typo": 1})
    assert caught[0].filename == __file__
    assert changed.model_kwargs == {"seed": 7, "typo": 1}
    with pytest.warns(UserWarning, match="seed: not a parameter"):
        assert model.model_copy(update={"seed": 8}).model_kwargs == {"seed": 8}
    assert model.model_kwargs == {"seed": 7}


def test_a_copy_shares_what_it_does_not_change_unless_it_is_deep() -> None:
    model = new_model(model_kwargs={"a": [1]}, metadata={"b": [1]})
    shallow = model.model_copy(update={"temperature": 1})
    assert shallow.model_kwargs is model.model_kwargs
    deep = model.model_copy(update={"temperature": 1}, deep=True)
    assert deep.model_kwargs == model.model_kwargs
    assert deep.model_kwargs["a"] is not model.model_kwargs["a"]
    assert model.model_copy() == model


def test_a_copy_after_a_call_is_traced_as_itself() -> None:
    """langchain-core caches the serialised model in the model (1.8.3)."""
    with server_sending(COMPLETION) as server:
        model = model_at(server)
        model.invoke("hi")
        changed = model.model_copy(update={"model": "gemini-3.1-pro"})
        changed.invoke("hi")
    assert changed._serialized["kwargs"]["model"] == "gemini-3.1-pro"


@pytest.mark.parametrize("fields", [{}, {"temperature": 0.5, "model_kwargs": {"seed": 1}}])
async def test_calls_do_not_change_the_hash_of_a_model(fields: dict[str, Any]) -> None:
    with server_sending(COMPLETION) as server:
        model = model_at(server, **fields)
        before = pickle.dumps(model)  # `joblib.hash` and caches use it
        model.invoke("hi")
        await model.ainvoke("hi")
        model.bind_tools([]).invoke("hi")
        assert pickle.dumps(model) == before


async def test_generate_names_the_model() -> None:
    with server_sending(COMPLETION) as server:
        model = model_at(server)
        prompt = [HumanMessage("hi")]
        for result in (model.generate([prompt, prompt]), await model.agenerate([prompt])):
            assert result.llm_output == {"model_name": "gemini-3-flash"}
        assert (await model.agenerate([])).llm_output == {"model_name": "gemini-3-flash"}
