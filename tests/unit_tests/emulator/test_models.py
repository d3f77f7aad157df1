"""The emulator's table of models, and the client's catalog compared with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from langchain_kie import ChatKieGemini, KieModelNotFoundError, _catalog
from langchain_kie._chat_model import call
from langchain_kie._model_names import resolve
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS

ENDPOINTS = {"chat_completions": CHAT_ENDPOINTS, "generate_content": NATIVE_ENDPOINTS}


@pytest.mark.parametrize("api", ENDPOINTS)
def test_client_and_emulator_have_the_same_models(api):
    """Two independent tables have the same spellings."""
    spellings = {spec.routes[api].model for spec in _catalog.MODELS if api in spec.routes}
    assert spellings == ENDPOINTS[api].keys()


@pytest.mark.parametrize(
    ("api", "wrong"),
    [
        ("chat_completions", "gemini-3.5-flash-openai"),
        ("chat_completions", "gemini-3-5-flash"),
        ("generate_content", "gemini-3.5-flash"),
        ("generate_content", "gemini-3-5-flash-openai"),
        ("gateway", "gemini-3-5-flash-native"),
    ],
)
def test_wrong_spelling_in_the_client_is_an_error(client, monkeypatch, api, wrong):
    """The emulator does not depend on the client's catalog."""
    right = resolve("gemini-3.5-flash", api)
    target = replace(right, route=replace(right.route, model=wrong))
    emulator = client.emulator
    model = ChatKieGemini(
        model="gemini-3.5-flash", api=api, base_url=emulator.base_url, api_key=emulator.api_key
    )
    assert model.invoke("Say 'pong'").text == "pong"
    monkeypatch.setattr(call, "resolve", lambda *_: target)
    with pytest.raises(KieModelNotFoundError, match="The model is not supported"):
        model.invoke("Say 'pong'")
