"""LangChain's standard unit tests, once for each `api`."""

from __future__ import annotations

from typing import Any, ClassVar

from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_kie import ChatKieGemini


class StandardTests(ChatModelUnitTests):
    """The features that every `api` has."""

    model_parameters: ClassVar[dict[str, str]]

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

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.model_parameters

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {"KIE_API_KEY": "a-key", "KIE_BASE_URL": "https://relay.example/kie"}
        expected = {"api_key": "a-key", "base_url": "https://relay.example/kie"}
        return environment, self.model_parameters, expected


class TestChatCompletions(StandardTests):
    """Chat Completions, in the format of OpenAI."""

    model_parameters: ClassVar = {"model": "gemini-3-flash", "api": "chat_completions"}


class TestGenerateContent(StandardTests):
    """Gemini's native format."""

    model_parameters: ClassVar = {"model": "gemini-3.5-flash", "api": "generate_content"}


class TestGateway(StandardTests):
    """Chat Completions at the shared URL, with the model in the body."""

    model_parameters: ClassVar = {"model": "gemini-3-flash", "api": "gateway"}
