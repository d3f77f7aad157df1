"""LangChain's standard integration tests, for each API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from conftest import DOWNLOADS
from langchain_core.messages import AIMessageChunk
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_kie import ChatKieGemini

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


@pytest.fixture(autouse=True)
def downloads(monkeypatch):
    """Serve what the standard tests download from files of this repository."""

    def get(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, content=DOWNLOADS[url].read_bytes())

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "langchain-kie tests")


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """Cassettes match any port, and contain no key."""
    return {
        "match_on": ["method", "path"],
        "filter_headers": ["authorization", "host"],
        "allow_playback_repeats": True,
    }


class StandardTests(ChatModelIntegrationTests):
    """The tests, and the features that every API supports."""

    model_fields: ClassVar[dict[str, str]]
    override: ClassVar[str]

    chat_model_class = ChatKieGemini
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_video_inputs = True
    supports_anthropic_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    enable_vcr_tests = True
    supported_usage_metadata_details: ClassVar = {
        "invoke": ["reasoning_output"],
        "stream": ["reasoning_output"],
    }

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.model_fields

    @property
    def model_override_value(self) -> str:
        return self.override

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = ChatKieGemini(**self.chat_model_params, reasoning_effort="high")
        question = "A bat and a ball cost 1.10; the bat costs 1 more. What is the ball's price?"
        if not stream:
            return model.invoke(question)
        first, *rest = model.stream(question)
        assert isinstance(first, AIMessageChunk)
        return first + rest

    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    @pytest.mark.parametrize("schema_type", ["pydantic", "typeddict", "json_schema"])
    def test_structured_output_methods(self, model, schema_type, method, monkeypatch):
        """The standard test of structured output, with each method that enforces a schema."""
        monkeypatch.setattr(type(self), "structured_output_kwargs", {"method": method})
        self.test_structured_output(model, schema_type)


class TestChatCompletions(StandardTests):
    """The OpenAI-compatible API."""

    model_fields: ClassVar = {"model": "gemini-3-flash", "api": "chat_completions"}
    override = "gemini-2.5-flash"


class TestGenerateContent(StandardTests):
    """The native API."""

    model_fields: ClassVar = {"model": "gemini-3.5-flash", "api": "generate_content"}
    override = "gemini-3.8-flash"


class TestGateway(StandardTests):
    """The gateway, with the model in the body."""

    model_fields: ClassVar = {"model": "gemini-3-flash", "api": "gateway"}
    supported_usage_metadata_details: ClassVar = {"invoke": [], "stream": []}
    override = "gemini-2.5-pro"
