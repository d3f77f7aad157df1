"""The clients that are compared, one row each. Knows only how each is constructed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchmarks.server import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Client:
    """One client with one API.

    Attributes:
        family: The name of the client, without its API.
        wire: The API, `chat` or `native`; the baseline is `Plain` with the same.
        package: The package to import.
        make: Returns a model for a base URL, with further settings.
    """

    family: str
    wire: str
    package: str
    make: Callable[..., Any]

    @property
    def name(self) -> str:
        """The name with the API, which is unique."""
        return f"{self.family} {self.wire}"

    @property
    def baseline(self) -> str:
        """The name of the client that it is compared with."""
        return f"plain {self.wire}"

    @property
    def is_installed(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.package) is not None


def _wire(wire: str) -> Callable[..., Any]:
    def make(base_url: str) -> Any:
        from benchmarks.baselines import Wire

        return Wire(wire, base_url)

    return make


def _core(base_url: str, **settings: Any) -> Any:
    from benchmarks.baselines import Core

    return Core(count=int(base_url.rpartition("-")[2]), **settings)


def _plain(wire: str) -> Callable[..., Any]:
    def make(base_url: str, **settings: Any) -> Any:
        from benchmarks.baselines import Plain

        return Plain(wire=wire, base_url=base_url, **settings)

    return make


def _ours(api: str) -> Callable[..., Any]:
    def make(base_url: str, **settings: Any) -> Any:
        from langchain_kie import ChatKieGemini

        return ChatKieGemini(
            model=MODEL,
            api=api,
            base_url=base_url,
            api_key="k",
            inline_media_limit=1_000_000_000,
            **settings,
        )

    return make


def _mistralai(base_url: str, **settings: Any) -> Any:
    from langchain_mistralai import ChatMistralAI

    return ChatMistralAI(model=MODEL, base_url=f"{base_url}/v1", api_key="k", **settings)


def _openai(base_url: str, **settings: Any) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=MODEL, base_url=f"{base_url}/v1", api_key="k", stream_usage=True, **settings
    )


def _google_genai(base_url: str, **settings: Any) -> Any:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(model=MODEL, base_url=base_url, api_key="k", **settings)


CLIENTS = (
    Client("wire", "chat", "httpx_sse", _wire("chat")),
    Client("wire", "native", "httpx_sse", _wire("native")),
    Client("core", "chat", "langchain_core", _core),
    Client("plain", "chat", "httpx_sse", _plain("chat")),
    Client("plain", "native", "httpx_sse", _plain("native")),
    Client("ours", "chat", "langchain_kie", _ours("chat_completions")),
    Client("ours", "native", "langchain_kie", _ours("generate_content")),
    Client("mistralai", "chat", "langchain_mistralai", _mistralai),
    Client("openai", "chat", "langchain_openai", _openai),
    Client("google-genai", "native", "langchain_google_genai", _google_genai),
)
"""`plain` and `core` are always measured, because the others are compared with them."""
