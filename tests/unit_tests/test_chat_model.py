"""The model as an object: its fields, aliases, copies, pickles and LangChain's JSON."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from typing import Any

import httpx
import pytest
from call_modes import KEY, fixture, model_at, server_sending
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr

import langchain_kie
from langchain_kie import (
    ChatKieGemini,
    KieConfigurationError,
)

COMPLETION = fixture("chat_completion.json")


def new_model(**fields: Any) -> ChatKieGemini:
    return ChatKieGemini(**{"model": "gemini-3-flash", "api_key": KEY, **fields})


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
    model = ChatKieGemini(**fields, **{alias: value})
    assert getattr(model, name) == value
    assert model == ChatKieGemini(**fields, **{name: value})
    assert model.model_kwargs == {}


def test_default_values() -> None:
    model = ChatKieGemini(model="gemini-3-flash")
    assert model.base_url == "https://api.kie.ai"
    assert model.max_retries == 2
    for name in ("api_key", "api", "temperature", "top_p", "max_tokens", "stop",
                 "reasoning_effort", "include_thoughts"):  # fmt: skip
        assert getattr(model, name) is None
    assert model.streaming is False
    assert model.model_name == model.model == "gemini-3-flash"
    assert model._llm_type == "kie-gemini-chat"


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
def test_an_invalid_field_is_a_value_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ChatKieGemini(api_key=KEY, **fields)


def test_an_unknown_argument_warns_at_its_line_and_is_sent() -> None:
    with pytest.warns(UserWarning, match="seed, typo") as caught:
        model = new_model(seed=7, typo=1)
    assert caught[0].filename == __file__
    assert model.model_kwargs == {"seed": 7, "typo": 1}
    with server_sending(COMPLETION) as server:
        model.model_copy(update={"base_url": server.base_url}).invoke("hi")
        assert server.requests[0].json["seed"] == 7


def test_a_model_can_be_serialized_with_langchain(monkeypatch) -> None:
    model = new_model(temperature=0.5, stop=["x"], reasoning_effort="low", model_kwargs={"seed": 1},
                 base_url="https://relay.example", max_retries=4)  # fmt: skip
    monkeypatch.setenv("KIE_API_KEY", "from-the-environment")
    serialized = dumps(model)
    assert KEY not in serialized
    assert dumpd(model)["type"] == "constructor"
    for back in (
        loads(serialized, secrets_map={"KIE_API_KEY": KEY}, allowed_objects=[ChatKieGemini],
              valid_namespaces=["langchain_kie"]),
        load(dumpd(model), secrets_map={"KIE_API_KEY": KEY}, allowed_objects=[ChatKieGemini],
             valid_namespaces=["langchain_kie"]),
    ):  # fmt: skip
        assert isinstance(back, ChatKieGemini)
        assert back == model
    back = loads(
        serialized,
        secrets_from_env=True,
        allowed_objects=[ChatKieGemini],
        valid_namespaces=["langchain_kie"],
    )
    assert back.api_key.get_secret_value() == "from-the-environment"


def test_a_pickle_has_the_key_but_not_the_clients() -> None:
    with httpx.Client() as client:
        model = new_model(http_client=client, temperature=0.5)
        back = pickle.loads(pickle.dumps(model))
    assert back.api_key.get_secret_value() == KEY
    assert back.temperature == 0.5
    assert back.http_client is None
    assert model.http_client is client


def test_a_deep_copy_is_independent_and_shares_the_clients() -> None:
    with httpx.Client() as client:
        model = new_model(http_client=client, model_kwargs={"a": [1]})
        twin = copy.deepcopy(model)
        assert twin.http_client is client
        assert twin == model
        twin.model_kwargs["a"].append(2)
        assert model.model_kwargs == {"a": [1]}
        assert copy.copy(model) == model


def test_a_copy_with_an_update_is_another_model() -> None:
    with server_sending(COMPLETION) as server:
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
    with server_sending(COMPLETION) as server:
        chosen = model_at(server).configurable_fields(
            model=ConfigurableField("model"), temperature=ConfigurableField("t")
        )
        config = {"configurable": {"model": "gemini-2.5-pro", "t": 0.7}}
        answer = chosen.invoke("hi", config)
    assert server.requests[0].path == "/gemini-2.5-pro/v1/chat/completions"
    assert server.requests[0].json["temperature"] == 0.7
    assert answer.response_metadata["model_name"] == "gemini-2.5-pro"


def test_the_names_for_traces_and_serialization() -> None:
    model = new_model()
    assert model.get_name() == "ChatKieGemini"
    assert model.get_lc_namespace() == ["langchain_kie", "chat_models"]


def test_valid_options_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = new_model(temperature=0.1)
        schema = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}}
        model.bind_tools([schema]).with_retry()
        model.with_structured_output(schema)
        with pytest.raises(KieConfigurationError):
            new_model(api="gateway", model="")


def test_every_parameter_is_described_in_help_and_in_the_json_schema() -> None:
    properties = ChatKieGemini.model_json_schema()["properties"]
    fields = inspect.get_annotations(ChatKieGemini).keys() - {"model_config"}
    assert properties.keys() == fields
    for name in fields:
        assert properties[name]["description"] == ChatKieGemini.model_fields[name].description
        assert f"{name}: " in ChatKieGemini.__doc__
    assert properties["max_retries"]["default"] == 2
    assert properties["media_upload"]["default"] == "auto"
