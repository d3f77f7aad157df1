"""Models on an emulator that gives scripted answers."""

from __future__ import annotations

import pytest
from script import Script

from langchain_kie import ChatKieGemini

APIS = [("gemini-3-flash", "chat_completions"), ("gemini-3.5-flash", "generate_content")]


@pytest.fixture
def script(kie_emulator):
    """Answers the requests of the test."""
    kie_emulator.respond = script = Script()
    yield script
    assert not script.answers, "not requested"


@pytest.fixture(params=APIS, ids="-".join)
def model(request, script):
    """A model on each API."""
    name, api = request.param
    return ChatKieGemini(model=name, api=api, max_retries=0)
