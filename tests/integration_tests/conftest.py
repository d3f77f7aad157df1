"""The service under test: KIE if `KIE_API_KEY` is set, else the emulator."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from langchain_kie import ChatKieGemini
from langchain_kie.emulator import Emulator

MEDIA = Path(__file__).parent / "media"

IMAGE_URL = (
    "https://raw.githubusercontent.com/langchain-ai/docs/"
    "4d11d08b6b0e210bd456943f7a22febbd168b543/src/images/agentic-rag-output.png"
)
DOWNLOADS = {
    IMAGE_URL: MEDIA / "diagram.png",
    "https://www.w3.org/WAI/ER/tests/xhtml/testfiles/resources/pdf/dummy.pdf": MEDIA
    / "document.pdf",
    "https://upload.wikimedia.org/wikipedia/commons/6/6a/Northern_Flicker_202280456.wav": MEDIA
    / "tone.wav",
}
"""The files that langchain-tests downloads, and the small files that replace them."""


@pytest.fixture(scope="session")
def service():
    """The emulator, or `None` if KIE itself is tested."""
    started = nullcontext() if os.environ.get("KIE_API_KEY") else Emulator(media=DOWNLOADS)
    with started as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def clean_environment(service, monkeypatch):
    """Models read the key and the base URL from the environment."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    if service:
        monkeypatch.setenv("KIE_API_KEY", service.api_key)
        monkeypatch.setenv("KIE_BASE_URL", service.base_url)


APIS = [("gemini-3-flash", "chat_completions"), ("gemini-3.5-flash", "generate_content")]


@pytest.fixture(params=APIS, ids="-".join)
def fields(request):
    """The fields of a model, on one API."""
    model, api = request.param
    return {"model": model, "api": api}


@pytest.fixture
def model(fields):
    return ChatKieGemini(**fields)
