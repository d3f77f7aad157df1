"""Settings and options that cannot work are refused by name, before anything is sent."""

from __future__ import annotations

import warnings
from typing import Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import HumanMessage

from langchain_kie import (
    ChatKieGemini,
    KieAccount,
    KieConfigurationError,
    KieFiles,
    _options,
    _settings,
)
from langchain_kie._chat_model.call import files_of, transport_of
from langchain_kie._settings import DEFAULT_UPLOAD_URL, upload_url_for

COMPLETION = fixture("chat_completion.json")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"base_url": "https://api.kie.ai:abc"}, "port"),
        ({"base_url": "http://[::1"}, "host"),
        ({"base_url": f"https://{'a' * 300}.example"}, "host"),
        ({"base_url": "https://api.example/é"}, "characters that a URL cannot contain"),
        ({"default_headers": {"X-Team": "né"}}, "X-Team"),
        ({"default_headers": {"X-Team": "secret\nX-Evil: 1"}}, "X-Team"),
        ({"default_headers": {"X-Team": " outer"}}, "X-Team"),
        ({"default_headers": {"content-length": "5"}}, "content-length"),
        ({"default_headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
        ({"timeout": "10"}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": float("inf")}, r"at most 1e\+09, .* None is no limit; got inf"),
        ({"timeout": httpx.Timeout(5, read=1e10)}, "timeout must be"),
        ({"http_client": httpx.AsyncClient}, "Client"),
        ({"http_async_client": "a client"}, "AsyncClient"),
        ({"model_name": "gemini-3-pro"}, "model is given twice"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_refused_by_name(settings: dict[str, Any], named) -> None:
    with pytest.raises(KieConfigurationError, match=named) as caught:
        ChatKieGemini(**{"model": "gemini-3-flash", "api_key": "k", **settings})
    assert "secret" not in str(caught.value)


def test_a_closed_client_is_refused_by_name() -> None:
    client = httpx.Client()
    client.close()
    with server_sending(COMPLETION) as server, pytest.raises(KieConfigurationError, match="closed"):
        model_at(server, http_client=client).invoke("hi")


@pytest.mark.parametrize("host", ["1.2.3.999", "127.0.0.12130706433", "xn--ls8h.example"])
def test_a_host_that_httpx_refuses_is_an_error_of_the_call(host: str) -> None:
    model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=f"https://{host}")
    with pytest.raises(KieConfigurationError, match="host of base_url"):
        model.invoke("hi")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"response_format": {"type": "json_schema"}}, "schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "schema"),
        ({"tools": [{"type": "function", "function": {"description": "d"}}]}, "name"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tools": [{"google_search": {}}], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [{"google_search": {"excludeDomains": ["x.org"]}}]}, "google_search"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": float("inf")}, "timeout must be seconds above 0, at most"),
        ({"media_upload": "sometimes"}, "media_upload must be one of"),
        ({"stop": 3}, "stop must be a string or a list of strings; got 3"),
        ({"stop": ["a", 3]}, "stop must be a string or a list of strings"),
        ({"max_retries": 3}, "max_retries"),
        ({"api_key": "other"}, "api_key"),
    ],
    ids=str,
)
def test_an_option_that_cannot_work_is_refused_by_name(options: dict[str, Any], named) -> None:
    with server_sending(COMPLETION) as server:
        with pytest.raises((ValueError, KieConfigurationError), match=named):
            model_at(server).invoke("hi", **options)
        assert server.requests == []


@pytest.mark.parametrize(
    "block",
    [{"type": "input_audio"}, {"type": "input_audio", "input_audio": {"format": "wav"}}],
    ids=str,
)
def test_a_malformed_block_is_refused_by_its_type(block: dict[str, Any]) -> None:
    with server_sending(COMPLETION) as server:
        with pytest.raises(ValueError, match="input_audio"):
            model_at(server).invoke([HumanMessage([{"type": "text", "text": "hi"}, block])])
        assert server.requests == []


@pytest.mark.parametrize(
    ("model_stop", "call_stop", "sent"),
    [
        ("END", None, ["END"]),
        (["A"], "END", ["END"]),
        (["A"], [], None),
        (None, ["A", "B"], ["A", "B"]),
    ],
)
def test_stop_of_a_call_replaces_stop_of_the_model(model_stop, call_stop, sent) -> None:
    with server_sending(COMPLETION) as server:
        model_at(server, stop=model_stop).invoke("hi", stop=call_stop)
        assert server.requests[0].json.get("stop") == sent


def test_model_kwargs_are_merged_into_the_body() -> None:
    body = fixture("native_response.json")
    extra = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}, "cachedContent": "c"}
    with server_sending(body) as server:
        model = model_at(
            server,
            api="generate_content",
            temperature=0.1,
            reasoning_effort="low",
            model_kwargs=extra,
        )
        model.invoke("hi")
        sent = server.requests[0].json
    assert sent["cachedContent"] == "c"
    assert sent["generationConfig"] == {
        "temperature": 0.1,
        "thinkingConfig": {"thinkingLevel": "low", "thinkingBudget": 0},
    }


@pytest.mark.parametrize(("given", "sent"), [("HIGH", "high"), ("low", "low")])
def test_an_effort_may_be_in_capitals(given: str, sent: str) -> None:
    with server_sending(COMPLETION) as server:
        model_at(server, reasoning_effort=given).invoke("hi")
        assert server.requests[0].json["reasoning_effort"] == sent


NO_RULES: list[tuple[str, str, str, Any, bool]] = [
    ("gemini-2.5-flash", "gateway", "ultra", "ultra", True),
    ("gemini-3.8-flash", "gateway", "minimal", "minimal", True),
    ("gemini-3.8-flash", "gateway", "Medium", "medium", False),
    ("gemini-3.8-flash", "gateway", "NONE", "none", False),
    ("some-model", "gateway", "MINIMAL", "minimal", False),
    ("some-model", "gateway", "ultra", "ultra", True),
    ("some-model", "chat_completions", "Ultra", "ultra", True),
    ("some-model", "generate_content", "ultra", {"thinkingLevel": "ultra"}, True),
    ("gemini-2.5-pro", "generate_content", "HIGH", {"thinkingLevel": "high"}, False),
    ("gemini-2.5-pro", "generate_content", "NONE", {"thinkingBudget": 0}, True),
]
"""Routes without rules: the model, its API, the effort, what is sent, and whether that warns."""


@pytest.mark.parametrize(("model", "api", "effort", "sent", "warns"), NO_RULES)
async def test_an_effort_is_sent_where_nothing_is_known_of_it_with_one_warning(
    model: str, api: Any, effort: str, sent: Any, warns: bool
) -> None:
    _options._warn_of_unknown_effort.cache_clear()
    with server_sending(COMPLETION) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call_mode in BASIC_CALL_MODES:
            await call_mode(model_at(server, model=model, api=api, reasoning_effort=effort))
            await call_mode(model_at(server, model=model, api=api).bind(reasoning_effort=effort))
        bodies = [request.json for request in server.requests]
    assert len(bodies) == 2 * len(BASIC_CALL_MODES)
    for body in bodies:
        config = body.get("generationConfig", {}).get("thinkingConfig")
        assert body.get("reasoning_effort", config) == sent
    messages = [str(one.message) for one in caught if "reasoning_effort" in str(one.message)]
    name = effort.lower()
    expected = f"{model} is not known to accept reasoning_effort {name!r} on {api}; it is sent"
    assert len(messages) == warns
    assert all(message.startswith(expected) for message in messages)


def test_aliases_are_traced_by_their_field_names() -> None:
    model = ChatKieGemini(model="gemini-3-flash", api_key="k")
    aliases = {"model_name": "gemini-3-pro", "max_output_tokens": 50, "stop_sequences": ["Z"]}
    params = model._get_ls_params(**aliases)
    assert params["ls_model_name"] == "gemini-3-pro"
    assert params["ls_max_tokens"] == 50
    assert params["ls_stop"] == ["Z"]
    assert model._get_invocation_params(**aliases)["model"] == "gemini-3-pro"


@pytest.mark.parametrize(
    ("base_url", "upload_url"),
    [
        ("https://api.kie.ai", DEFAULT_UPLOAD_URL),
        ("https://api.kie.ai/", DEFAULT_UPLOAD_URL),
        ("https://API.kie.ai:443/", DEFAULT_UPLOAD_URL),
        ("https://api.kie.ai./x", DEFAULT_UPLOAD_URL),
        ("https://relay.example/kie", "https://relay.example/kie"),
        ("https://api.kie.ai.example", "https://api.kie.ai.example"),
    ],
)
def test_files_are_uploaded_to_kie_only_if_the_model_calls_kie(
    base_url: str, upload_url: str
) -> None:
    assert upload_url_for(base_url, None) == upload_url
    assert upload_url_for(base_url, "https://files.example/") == "https://files.example"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://api.kie.ai/v1", "https://api.kie.ai"),
        ("https://api.kie.ai/gemini-3-5-flash-openai/v1", "https://api.kie.ai"),
        ("https://api.kie.ai/v1/chat/completions", "https://api.kie.ai"),
        ("https://api.kie.ai/gemini-3-pro/v1/chat/completions/", "https://api.kie.ai"),
        ("https://api.kie.ai/gemini/v1", "https://api.kie.ai"),
        ("https://api.kie.ai/gemini/v1/models/x:streamGenerateContent", "https://api.kie.ai"),
        ("https://api.kie.ai/api/v1", "https://api.kie.ai"),
        ("https://relay.example/kie/v1", "https://relay.example/kie"),
        ("https://relay.example/api/v1/", "https://relay.example/api"),
        ("https://relay.example/apiv1", "https://relay.example/apiv1"),
        ("https://relay.example/v1/kie", "https://relay.example/v1/kie"),
        ("http://127.0.0.1:8787//", "http://127.0.0.1:8787"),
    ],
)
def test_the_end_of_a_base_url_that_names_an_endpoint_is_removed(given: str, url: str) -> None:
    assert ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=given).base_url == url


@pytest.mark.parametrize("end", ["/v1", "/gemini-3-pro/v1", "/v1/chat/completions", "/gemini/v1"])
@pytest.mark.parametrize("api", ["chat_completions", "gateway"])
def test_a_call_reaches_its_endpoint_whatever_the_end_of_the_base_url(end: str, api) -> None:
    with server_sending(COMPLETION) as server:
        url = f"{server.base_url}/relay{end}"
        ChatKieGemini(model="gemini-3-pro", api_key="k", base_url=url, api=api).invoke("hi")
        slug = "/gemini-3-pro" if api == "chat_completions" else ""
        assert server.requests[0].path == f"/relay{slug}/v1/chat/completions"


@pytest.mark.parametrize(
    "url", ["http://emulator:8787", "http://10.0.0.5:4000", "http://[fd00::1]"]
)
def test_plain_http_to_another_host_must_be_allowed(url: str) -> None:
    settings: dict[str, Any] = {"model": "gemini-3-flash", "api_key": "k"}
    for refused in (
        lambda: ChatKieGemini(**settings, base_url=url),
        lambda: ChatKieGemini(**settings, upload_url=url),
        lambda: KieFiles(api_key="k", upload_url=url),
        lambda: KieAccount(api_key="k", base_url=url),
    ):
        with pytest.raises(KieConfigurationError, match="allow_http=True"):
            refused()
    _settings._warn_of_http.cache_clear()
    _settings.checked_base_url.cache_clear()
    with pytest.warns(UserWarning, match="without encryption") as caught:
        model = ChatKieGemini(**settings, base_url=url, allow_http=True)
    assert len(caught) == 1
    KieFiles(api_key="k", upload_url=url, allow_http=True)  # a second warning would be an error
    KieAccount(api_key="k", base_url=url, allow_http=True)
    assert transport_of(model).base_url == files_of(model)._transport.base_url == url
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["KIE_BASE_URL", "KIE_API_KEY", "KIE_UPLOAD_URL"])
def test_an_empty_environment_variable_is_named(name: str, monkeypatch) -> None:
    monkeypatch.setenv("KIE_API_KEY", "k")
    monkeypatch.setenv(name, "")
    with pytest.raises(KieConfigurationError, match=f"empty.*{name}"):
        files_of(ChatKieGemini(model="gemini-3-flash"))
    with pytest.raises(KieConfigurationError, match=f"empty.*{name}"):
        KieFiles()


def test_a_missing_key_is_found_before_the_first_call() -> None:
    model = ChatKieGemini(model="gemini-3-flash")
    with pytest.raises(KieConfigurationError, match="KIE_API_KEY"):
        model.warm_up()
