"""A plain HTTP client of the emulator, without the client of this package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from langchain_kie.emulator import Emulator

PNG = b"\x89PNG\r\n\x1a\n-pixels-"
MEDIA = {
    "https://files.example/cat.png": PNG,
    "https://files.example/unnamed": PNG,
    "https://files.example/blob": b"\x00\x01\x02",
    "https://files.example/page.html": b"<h1>Tides</h1> rise and fall.",
}


class EmulatorClient:
    """Sends requests of both APIs to one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.http = httpx.Client(
            base_url=emulator.base_url,
            headers={"Authorization": f"Bearer {emulator.api_key}"},
            trust_env=False,
            verify=False,  # else it loads certificates, which takes longer than most requests
        )

    def chat(self, messages: Any, slug: str = "gemini-3-flash", **body: Any) -> Any:
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return self.post(f"/{slug}/v1/chat/completions", {"messages": messages, **body})

    def chat_stream(self, prompt: str, slug: str, **body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": prompt}]
        return self.http.post(
            f"/{slug}/v1/chat/completions", json={"messages": messages, "stream": True, **body}
        )

    def native(self, contents: Any, model: str = "gemini-3-5-flash", **body: Any) -> Any:
        body = {"contents": contents_of(contents), "stream": False, **body}
        return self.post(f"/gemini/v1/models/{model}:streamGenerateContent", body)

    def native_stream(self, contents: Any, **body: Any) -> httpx.Response:
        return self.http.post(
            "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent?alt=sse",
            json={"contents": contents_of(contents), **body},
        )

    def post(self, path: str, body: Any) -> Any:
        response = self.http.post(path, json=body)
        assert response.status_code == 200
        return response.json()


def contents_of(contents: Any) -> Any:
    if isinstance(contents, str):
        return [{"role": "user", "parts": [{"text": contents}]}]
    return contents


def payloads(response: httpx.Response) -> list[Any]:
    """Parse an SSE body, which must contain only `data:` lines."""
    assert response.headers["content-type"] == "text/event-stream;charset=UTF-8"
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    data = [line.removeprefix("data: ") for line in lines]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def function_tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def declaration(tool: dict[str, Any]) -> dict[str, Any]:
    return {"functionDeclarations": [tool["function"]]}


STRING = {"type": "string"}
INTEGER = {"type": "integer"}
WEATHER = function_tool("get_weather", "Get the weather at a location.", location=STRING)
ADDER = function_tool("add_numbers", "Add two numbers.", a=INTEGER, b=INTEGER)
SEARCH = {"type": "function", "function": {"name": "googleSearch"}}
