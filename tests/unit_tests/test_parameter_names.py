"""Keyword arguments that are no parameters: secrets, names of other packages, typing errors."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import call_modes
import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from pydantic import SecretStr

from langchain_kie import ChatKieGemini, KieConfigurationError
from langchain_kie._parameter_names import looks_secret
from langchain_kie.emulator import Emulator

if TYPE_CHECKING:
    from scripted_server import ScriptedServer

COMPLETION = fixture("chat_completion.json")
VALUE = "hunter2-hunter2"

SECRET = [
    *("api-key", "apiKey", "apikey", "apikey2", "apisecret", "auth_token", "authorization"),
    *("aws_access_key_id", "bearer", "client_secret", "clientsecret", "connection_string"),
    *("connectionString", "Cookie", "credentials", "db_pass", "dbpassword", "github_pat"),
    *("google_api_key", "googleApiKey", "GHTOKEN", "hf_token", "hftoken", "jwt", "key", "key1"),
    *("kie_key", "kieapikey", "licensekey", "mysecret", "oauth", "oauth2", "OPENAI_API_KEY"),
    *("openai_api_key", "openaikey", "pass", "passphrase", "passwd", "password", "password1"),
    *("pat", "private_key", "Proxy-Authorization", "refresh_token", "secret", "session_token"),
    *("Subscription-Key", "subscriptionkey", "token", "token2", "userpassword", "usertoken"),
    *("X-Goog-Api-Key",),
]
HARMLESS = [
    *("author", "authority", "bypass", "compass", "format", "hotkeys", "keyed", "keywords"),
    *("monkey", "path", "pattern", "patience", "secretary", "tokenizer", "turkey"),
    # OpenAI
    *("frequency_penalty", "include", "input", "instructions", "logit_bias", "logprobs"),
    *("max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls", "metadata"),
    *("prediction", "presence_penalty", "previous_response_id", "prompt", "prompt_cache_key"),
    *("prompt_cache_retention", "safety_identifier", "seed", "service_tier", "store"),
    *("stream_options", "top_logprobs", "truncation", "user", "verbosity", "web_search_options"),
    # Gemini
    *("audioTimestamp", "cachedContent", "contents", "enableEnhancedCivicAnswers"),
    *("generationConfig", "imageConfig", "labels", "maxOutputTokens", "mediaResolution"),
    *("modelSelectionConfig", "responseLogprobs", "routingConfig", "safetySettings"),
    *("speechConfig", "systemInstruction", "thinkingBudget", "thought_signature"),
    *("thoughtSignature", "toolConfig", "top_k", "topK"),
    # servers that are like OpenAI
    *("add_generation_prompt", "allowed_token_ids", "begin_suppress_tokens", "bos_token"),
    *("cache_key", "cache_salt", "eos_token", "forced_bos_token_id", "ignore_eos", "min_tokens"),
    *("page_token", "prompt_logprobs", "repetition_penalty", "return_token_ids", "session_id"),
    *("skip_special_tokens", "sort_key", "stop_token", "stop_token_ids", "stop_tokens"),
    *("suppress_tokens", "thinking_token_budget", "token_budget", "token_count"),
    *("truncate_prompt_tokens", "usage_tokens"),
]


class Recorder(BaseCallbackHandler):
    """Keeps what a trace has of the start of a call."""

    def __init__(self) -> None:
        self.starts: list[str] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.starts.append(repr((args, kwargs)))


@pytest.fixture(scope="module")
def server() -> Any:
    with server_sending(COMPLETION) as started:
        yield started


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_only_resembles_a_secret_is_none(name: str) -> None:
    for value in ("text", 5, True, None, ["text"], {"text": "text"}):
        assert not looks_secret(name, value)
    ChatKieGemini(model="gemini-3.5-flash", model_kwargs={name: "x", "extra": {name: ["x"]}})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_token", 5, False),
        ("use_auth", True, False),
        ("password", 12345, True),
        ("user", SecretStr("x"), True),
        ("user", "sk-" + "a" * 20, True),
        ("user", "AIza" + "a" * 35, True),
        ("user", "Bearer " + "a" * 20, True),
        ("user", "Bearer of good news", False),
        ("user", "me", False),
        ("tokens", 5, False),
        ("tokens", [1, 2], False),
        ("tokens", "text", True),
        ("tokens", ["text"], True),
        ("keys", "text", True),
        ("signature", "text", True),
        (5, "text", False),
    ],
    ids=str,
)
def test_a_value_may_tell_that_it_is_a_secret_or_none(name, value, expected) -> None:
    assert looks_secret(name, value) == expected


@pytest.mark.parametrize("name", SECRET)
async def test_a_secret_under_a_wrong_name_is_refused_wherever_it_is_given(
    name: str, server: ScriptedServer
) -> None:
    recorder = Recorder()
    model = model_at(server, callbacks=[recorder])
    secret = {name: VALUE}
    sent = len(server.requests)
    for attempt in (
        lambda: model_at(server, **secret),
        lambda: model_at(server, model_kwargs=secret),
        lambda: model_at(server, model_kwargs={"extra": [{"more": {f"my_{name}": VALUE}}]}),
        lambda: model.model_copy(update=secret),
        lambda: model.bind(**secret),
        lambda: model.bind_tools([], **secret),
        lambda: model.with_structured_output({"title": "t", "type": "object"}, **secret),
    ):
        with pytest.raises(KieConfigurationError, match="api_key=") as caught:
            attempt()
        assert VALUE not in repr(caught.value)
        assert caught.value.__context__ is None
    for call_mode in BASIC_CALL_MODES:
        binding = model.bind()
        binding.kwargs.update(secret)
        with pytest.raises(KieConfigurationError, match="api_key="):
            await call_mode(binding)
    assert recorder.starts == []
    assert len(server.requests) == sent


async def test_a_secret_that_a_model_gets_later_is_not_shown(server: ScriptedServer) -> None:
    recorder = Recorder()
    model = model_at(server, callbacks=[recorder])
    model.api_key = VALUE
    with pytest.raises(KieConfigurationError, match="google_api_key looks like a secret"):
        model.model_kwargs = {"google_api_key": VALUE}
    assert VALUE not in repr(model) + dumps(model) + repr(model.model_dump())
    model.model_kwargs = {"x": 1}
    model.invoke("hi")
    assert server.requests[-1].headers["authorization"] == f"Bearer {VALUE}"
    recorder.starts.clear()
    sent = len(server.requests)
    model.model_kwargs["google_api_key"] = VALUE
    for call_mode in BASIC_CALL_MODES:
        with pytest.raises(KieConfigurationError, match="google_api_key looks like a secret"):
            await call_mode(model)
    assert (recorder.starts, len(server.requests)) == ([], sent)


@pytest.mark.parametrize(
    "value",
    [
        {"api_keys": [VALUE]},
        {"password": [VALUE]},
        {"password": (VALUE,)},
        {"key": VALUE},
        {"key": VALUE, "region": "us"},
        {"user": "me", "pass": VALUE},
        [["Authorization", VALUE]],
        [("X-Api-Key", VALUE)],
        {"name": "Authorization", "value": VALUE},
        [{"name": "Authorization", "value": VALUE}],
        [{"key": "x-api-key", "value": VALUE}],
        [{"header": "Cookie", "value": [VALUE]}],
        [{"name": "X-A", "value": f"Bearer {VALUE}"}],
    ],
    ids=str,
)
def test_a_secret_inside_other_values_is_refused(value: Any, server: ScriptedServer) -> None:
    recorder = Recorder()
    model = model_at(server, callbacks=[recorder])
    for attempt in (
        lambda: model_at(server, model_kwargs={"extra": value}),
        lambda: model_at(server, model_kwargs={"extra": [{"more": value}]}),
        lambda: model_at(server, extra=value),
        lambda: model.invoke("hi", extra=value),
    ):
        with pytest.raises(KieConfigurationError, match="looks like a secret") as caught:
            attempt()
        assert VALUE not in repr(caught.value)
    assert recorder.starts == []


@pytest.mark.parametrize(
    "value",
    [
        {"key": "region", "type": "eq", "value": "us"},
        {"key": "region", "conditions": [{"stringValue": "us"}]},
        {"key": "region", "string_value": "us"},
        {"name": "region", "value": "token"},
        {"name": "My token", "value": "text"},
        {"tokens": ["yes", "no"], "keys": ["a"], "signature": "text"},
        {"required": ["password", "token"], "properties": {"password": {"type": "string"}}},
        {"enum": ["token", "key"]},
        [["What is a token", "A piece of text"]],
        [["a", "b", "c"], ["token", 5], []],
    ],
    ids=str,
)
def test_what_only_resembles_a_secret_inside_other_values_is_sent(value: Any) -> None:
    with server_sending(COMPLETION) as server:
        model_at(server, model_kwargs={"x": value}).invoke("hi")
        assert server.requests[0].json["x"] == value


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": VALUE},
        {"kie_api_key": VALUE},
        {"default_headers": {"Authorization": VALUE}},
        {"extra_headers": {"Authorization": VALUE}},
        {"extra_headers": {"X-Foo": VALUE}},
        {"additional_headers": {"X-Foo": VALUE}},
        {"extra_query": {"x": VALUE}},
        {"extra_body": {"x": VALUE}},
        {"client_options": {"x": VALUE}},
        {"base_url": "https://other.example"},
    ],
    ids=str,
)
def test_what_only_a_model_can_have_reaches_no_binding_and_no_trace(options, server) -> None:
    recorder = Recorder()
    model = model_at(server, callbacks=[recorder])
    for attempt in (lambda: model.bind(**options), lambda: model.invoke("hi", **options)):
        with pytest.raises(KieConfigurationError) as caught:
            attempt()
        assert VALUE not in str(caught.value)
    assert recorder.starts == []


def test_a_schema_with_a_property_that_names_a_secret_is_sent() -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string"}}}
    with server_sending(COMPLETION) as server:
        model_at(server, model_kwargs={"x_schema": schema}).invoke("hi")
        assert server.requests[0].json["x_schema"] == schema
        model_at(server).bind_tools([{"title": "f", "description": "d", **schema}]).invoke("hi")
        assert b'"password"' in server.requests[1].body


EXPLAINED = {
    "thinking_budget": (512, "reasoning_effort"),
    "reasoning": ({"effort": "low"}, "reasoning_effort"),
    "safety_settings": ([{"category": "x"}], "model_kwargs"),
    "cached_content": ("c", "model_kwargs"),
    "n": (2, "batch"),
    "candidate_count": (2, "batch"),
    "retries": (2, "max_retries"),
    "extra_headers": ({"X-A": "b"}, "default_headers"),
    "extra_body": ({"a": 1}, "model_kwargs"),
    "openai_api_base": ("https://x.example", "base_url"),
    "response_modalities": (["IMAGE"], "text"),
    "system_instruction": ("Be brief.", "SystemMessage"),
    "use_responses_api": (True, "Responses"),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_the_name_of_another_package_says_what_to_use(name: str, server) -> None:
    value, instead = EXPLAINED[name]
    sent = len(server.requests)
    with pytest.raises(KieConfigurationError, match=rf"^{name}: .*{instead}"):
        model_at(server, **{name: value})
    with pytest.raises(KieConfigurationError, match=rf"^{name}: .*{instead}"):
        model_at(server).invoke("hi", **{name: value})
    assert len(server.requests) == sent


@pytest.mark.parametrize("name", ["tools", "tool_choice", "response_format", "response_mime_type"])
def test_an_option_of_a_call_in_the_constructor_says_where_it_belongs(name: str) -> None:
    with pytest.raises(KieConfigurationError, match=r"bind\(\)"):
        ChatKieGemini(model="gemini-3.5-flash", **{name: "x"})


@pytest.mark.parametrize(
    "options",
    [{"n": 1}, {"seed": None}, {"top_k": None}, {"use_responses_api": False}, {"thinking": None}],
    ids=str,
)
def test_a_value_that_changes_nothing_is_not_sent(options: dict[str, Any]) -> None:
    with server_sending(COMPLETION) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        model_at(server, **options).invoke("hi")
        model_at(server).invoke("hi", **options)
        assert not [request for request in server.requests if options.keys() & request.json.keys()]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"temprature": 0.5}, "Did you mean temperature?"),
        ({"max_token": 5}, "Did you mean max_tokens?"),
        ({"reasoning_efort": "low"}, "Did you mean reasoning_effort?"),
        ({"seed": 7}, "KIE does not document seed"),
        ({"top_k": 40}, "KIE does not document top_k"),
        ({"presence_penalty": 0.5}, "KIE does not document presence_penalty"),
        ({"frobnicate": 1}, "sent in the request body unchanged"),
    ],
    ids=str,
)
def test_an_unknown_name_warns_at_the_user_s_line_and_is_sent(options, hint: str) -> None:
    with server_sending(COMPLETION) as server:
        with pytest.warns(UserWarning, match=re.escape(hint)) as caught:
            model = model_at(server, **options)
        assert caught[0].filename == str(Path(call_modes.__file__))
        with pytest.warns(UserWarning, match=re.escape(hint)) as caught:
            model_at(server).invoke("hi", **options)
        assert caught[0].filename == __file__
        model.invoke("hi")
        assert [r.json for r in server.requests] == [r.json | options for r in server.requests]


@pytest.mark.parametrize(
    ("name", "value", "native"),
    [
        ("top_k", 5, "topK"),
        ("seed", 1, "seed"),
        ("frequency_penalty", 0.5, "frequencyPenalty"),
        ("presence_penalty", 0.5, "presencePenalty"),
        ("logprobs", True, "responseLogprobs"),
        ("top_logprobs", 3, "logprobs"),
        ("user", "me", None),
    ],
)
def test_such_a_warning_says_what_generate_content_accepts(name, value, native) -> None:
    model_kwargs = {"generationConfig": {native: value}}
    advice = f"use {model_kwargs=}".replace("'", '"') if native else "there is no such parameter"
    with Emulator() as emulator:
        at = {
            "model": "gemini-3.8-flash",
            "api_key": emulator.api_key,
            "base_url": emulator.base_url,
        }
        with pytest.warns(UserWarning, match=re.escape(advice)):
            ChatKieGemini(**at, **{name: value})
        if native:
            ChatKieGemini(**at, model_kwargs=model_kwargs).invoke("hi")
            assert emulator.requests[-1].body["generationConfig"][native] == value


def test_openai_s_newer_name_is_an_alias() -> None:
    with server_sending(COMPLETION) as server:
        model_at(server, max_completion_tokens=7).invoke("hi")
        model_at(server).invoke("hi", max_completion_tokens=8)
        assert [orjson.loads(r.body)["max_tokens"] for r in server.requests] == [7, 8]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("temperature", [-0.1, 2.1, float("nan"), "hot"], "temperature"),
        ("top_p", [-0.1, 1.1, "x"], "top_p"),
        ("max_tokens", [0, -1, "many"], "max_tokens"),
    ],
)
def test_a_number_outside_of_its_range_is_refused(name, values, text, api, server) -> None:
    sent = len(server.requests)
    for value in values:
        with pytest.raises(KieConfigurationError, match=text):
            model_at(server, api=api, **{name: value})
        with pytest.raises(KieConfigurationError, match=rf"{text} must be .*; got"):
            model_at(server, api=api).invoke("hi", **{name: value})
    assert len(server.requests) == sent
    ends = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 10**6)}[name]
    for value in ends:
        assert getattr(model_at(server, **{name: value}), name) == value


def test_every_invalid_parameter_is_one_class_of_error_in_a_sentence(server) -> None:
    for fields, text in (
        ({"model": None}, "model: input should be a valid string"),
        ({"api": "x"}, "api: input should be 'chat_completions'"),
        ({"max_retries": -1}, "max_retries: input should be greater than or equal to 0"),
        ({"model_kwargs": 5}, "model_kwargs: input should be a valid dictionary"),
        ({"api_key": [VALUE]}, "api_key: "),
    ):
        with pytest.raises(KieConfigurationError) as caught:
            model_at(server, **fields)
        assert text in str(caught.value)
        assert VALUE not in str(caught.value)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(KieConfigurationError, match="needs model="):
        ChatKieGemini()  # type: ignore[call-overload]
