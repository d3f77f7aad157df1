"""Names in, URL paths out: every model that KIE serves, by every name it has."""

from __future__ import annotations

import pickle
import warnings

import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_kie import ChatKieGemini, KieConfigurationError, KieModelNotFoundError
from langchain_kie._catalog import APIS, MODELS, profile_of
from langchain_kie._model_names import model_hint, resolve

# Friendly name, the chat path's slug, the native path's model: docs/wire.md 1.
NAMES = [
    ("gemini-2.5-flash", "gemini-2.5-flash", None),
    ("gemini-2.5-pro", "gemini-2.5-pro", None),
    ("gemini-3-flash", "gemini-3-flash", "gemini-3-flash-v1betamodels"),
    ("gemini-3-pro", "gemini-3-pro", None),
    ("gemini-3.1-pro", "gemini-3.1-pro", None),
    ("gemini-3.5-flash", "gemini-3-5-flash-openai", "gemini-3-5-flash"),
    ("gemini-3.6-flash", "gemini-3-6-flash-openai", "gemini-3-6-flash"),
    ("gemini-3.7-flash", "gemini-3-7-flash-openai", "gemini-3-7-flash"),
    ("gemini-3.8-flash", "gemini-3-8-flash-openai", "gemini-3-8-flash"),
]
DEFAULTS = {
    "gemini-2.5-flash": "/gemini-2.5-flash/v1/chat/completions",
    "gemini-2.5-pro": "/gemini-2.5-pro/v1/chat/completions",
    "gemini-3-flash": "/gemini-3-flash/v1/chat/completions",
    "gemini-3-pro": "/gemini-3-pro/v1/chat/completions",
    "gemini-3.1-pro": "/gemini-3.1-pro/v1/chat/completions",
    "gemini-3.5-flash": "/gemini/v1/models/gemini-3-5-flash:streamGenerateContent?alt=sse",
    "gemini-3.6-flash": "/gemini/v1/models/gemini-3-6-flash:streamGenerateContent?alt=sse",
    "gemini-3.7-flash": "/gemini/v1/models/gemini-3-7-flash:streamGenerateContent?alt=sse",
    "gemini-3.8-flash": "/gemini/v1/models/gemini-3-8-flash:streamGenerateContent?alt=sse",
}


def chat_path(slug: str) -> str:
    return f"/{slug}/v1/chat/completions"


def native_path(model: str) -> str:
    return f"/gemini/v1/models/{model}:streamGenerateContent?alt=sse"


def test_the_catalog_has_these_models_and_no_others() -> None:
    """wire.md 1.1-1, 1.1-2, 1.1-3, 1.1-4, 1.1-5, 1.1-6, 1.1-7, 1.1-8, 1.1-9."""
    assert [model.name for model in MODELS] == [friendly for friendly, _, _ in NAMES]


@pytest.mark.parametrize(("friendly", "slug", "native"), NAMES)
def test_every_name_of_a_model_goes_to_its_url(
    friendly: str, slug: str, native: str | None
) -> None:
    """wire.md 1-3, 1-5, 10-1, 10-2, 10-3: the path selects the model, and the default API."""
    cases = {
        (friendly, None): DEFAULTS[friendly],
        (friendly, "chat_completions"): chat_path(slug),
        (slug, "chat_completions"): chat_path(slug),
    }
    if slug != friendly:
        cases[slug, None] = chat_path(slug)
    if native:
        cases[native, None] = native_path(native)
        cases[friendly, "generate_content"] = native_path(native)
        cases[slug, "generate_content"] = native_path(native)
        cases[native, "chat_completions"] = chat_path(slug)
    with server_sending(fixture("chat_completion.json")) as server:
        for (name, api), path in cases.items():
            server.requests.clear()
            answer = model_at(server, model=name, api=api).invoke("hi")
            (request,) = server.requests
            assert request.path == path, (name, api)
            assert "model" not in request.json
            assert answer.response_metadata["model_name"] == name


@pytest.mark.parametrize(
    ("name", "api", "path"),
    [
        ("gemini-9-ultra", None, "/gemini-9-ultra/v1/chat/completions"),
        ("gemini-9-ultra", "generate_content", native_path("gemini-9-ultra")),
        ("gemini-2.5-pro", "generate_content", native_path("gemini-2.5-pro")),
    ],
)
def test_an_unlisted_name_or_api_is_sent_unchanged(name, api, path) -> None:
    warnings.simplefilter("ignore")
    with server_sending(fixture("chat_completion.json")) as server:
        model_at(server, model=name, api=api).invoke("hi")
        assert server.requests[0].path == path


def test_an_api_that_kie_does_not_document_for_a_model_is_named_before_the_call() -> None:
    resolve.__globals__["_warn_of_api"].cache_clear()
    with pytest.warns(UserWarning, match=r"gemini-3\.1-pro on generate_content, only on"):
        resolve("gemini-3.1-pro", "generate_content")
    resolve("gemini-3.1-pro", "generate_content")  # a second warning would be an error
    resolve("gemini-3.1-pro", "gateway")


@pytest.mark.parametrize("name", ["gemini-3.5-flsh", "gemini-35-flash", "gemni-3.5-flash"])
def test_a_misspelt_name_is_answered_with_a_near_one_before_the_call(name: str) -> None:
    resolve.__globals__["_newest_of_family"].cache_clear()
    with pytest.warns(UserWarning, match=f"{name}.*Did you mean .*gemini-3.5-flash"):
        resolve(name)


@pytest.mark.parametrize("name", ["gemini-3.5-flash", "gemini-3-5-flash-openai", "Gemini-3-Pro"])
def test_google_s_prefix_before_a_name_is_removed(name: str) -> None:
    assert resolve(f"models/{name}") == resolve(name)
    assert resolve(f"models/{name}").path == resolve(name).path


NEWEST = {model.family: model.name for model in MODELS}


@pytest.mark.parametrize(
    ("name", "api", "newest"),
    [
        ("gemini-9.9-flash", None, NEWEST["flash"]),
        ("gemini-9-9-flash", "generate_content", NEWEST["flash"]),
        ("gemini-9-flash-lite-preview", "gateway", NEWEST["flash"]),
        ("google/gemini-9-pro", "gateway", NEWEST["pro"]),
        ("gemini-9-pro", "chat_completions", NEWEST["pro"]),
        ("Gemini-9-Pro", "generate_content", NEWEST["pro"]),
    ],
)
def test_an_unlisted_gemini_name_inherits_its_family_s_newest_row(name, api, newest) -> None:
    resolve.__globals__["_newest_of_family"].cache_clear()
    with pytest.warns(UserWarning, match=f"{name}.*{newest}") as caught:
        resolved, *_ = [resolve(name, api) for _ in range(3)]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert resolved.name == resolved.route.model == name
    listed = resolve(newest, resolved.api if api != "generate_content" else None)
    assert resolved.spec is listed.spec
    assert resolved.route.efforts == listed.route.efforts
    profile = {**profile_of(listed), "name": name}
    assert profile_of(resolved) == profile


def test_an_unlisted_gemini_name_gets_signatures_bypassed_natively() -> None:
    history = [
        HumanMessage("hi"),
        AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]),
        ToolMessage("x", tool_call_id="1"),
    ]
    sent = []
    for name in ("gemini-9-9-flash", "gemini-3-8-flash", "gemini-9-ultra"):
        with server_sending(fixture("native_response.json")) as server, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model_at(server, model=name, api="generate_content").invoke(history)
            sent.append(server.requests[0].json["contents"][1]["parts"])
    assert sent[0] == sent[1]
    assert "thoughtSignature" in sent[0][0]
    assert "thoughtSignature" not in sent[2][0]


@pytest.mark.parametrize("name", ["gemini-3-flash", "google/gemini-exp-1206", "any thing", "gpt-5"])
def test_the_gateway_takes_any_name_in_the_body(name: str) -> None:
    """wire.md 1-7: relays that offer Gemini at this path."""
    with server_sending(fixture("chat_completion.json")) as server:
        model_at(server, model=name, api="gateway").invoke("hi")
        (request,) = server.requests
        assert request.path == "/v1/chat/completions"
        assert request.json["model"] == name


def test_a_model_of_the_body_wins_over_none_only_when_the_user_gives_it() -> None:
    with server_sending(fixture("chat_completion.json")) as server:
        model_at(server, model_kwargs={"model": "gemini-3-5-flash-thinking"}).invoke("hi")
        assert server.requests[0].json["model"] == "gemini-3-5-flash-thinking"


@pytest.mark.parametrize("friendly", DEFAULTS)
def test_a_profile_lists_the_features_of_the_model(friendly: str) -> None:
    profile = ChatKieGemini(model=friendly, api_key="k").profile
    assert profile is not None
    assert profile["max_input_tokens"] == 1_048_576
    assert profile["max_output_tokens"] == 65_536
    for capability in ("image_inputs", "pdf_inputs", "audio_inputs", "video_inputs"):
        assert profile[capability] is True
    assert profile["image_outputs"] is False
    assert profile["reasoning_output"] is True
    efforts = {"gemini-2.5-flash": [], "gemini-3.8-flash": ["none", "low", "medium", "high"]}
    assert profile["reasoning_effort_levels"] == efforts.get(friendly, ["low", "high"])


def test_a_model_with_structured_output_gets_tools_and_a_schema_as_functions() -> None:
    """LangChain sends both to such a model, which KIE forbids or does not document."""
    for spec in MODELS:
        assert ChatKieGemini(model=spec.name, api_key="k").profile["structured_output"] is True
        for route in spec.routes.values():
            assert frozenset({"functions", "response_format"}) in route.exclusive


def test_an_unknown_model_has_no_profile_and_a_given_one_is_kept() -> None:
    assert not ChatKieGemini(model="gemini-9", api_key="k").profile
    own = {"max_input_tokens": 5}
    assert ChatKieGemini(model="gemini-9", api_key="k", profile=own).profile == own


def test_a_listed_model_is_in_kie_s_list_of_october_2026() -> None:
    """docs/wire.md 1: the chat models of GET /api/v1/models."""
    listed = {route.model for spec in MODELS for route in spec.routes.values() if route.is_listed}
    flash = {f"gemini-3-{n}-flash{suffix}" for n in (5, 6, 7, 8) for suffix in ("", "-openai")}
    assert listed == flash | {"gemini-2.5-pro", "gemini-3-pro", "gemini-3.1-pro"}


async def test_an_unknown_model_s_error_names_near_and_listed_models() -> None:
    warnings.simplefilter("ignore")
    refusal = b'{"code":422,"msg":"The model is not supported"}'
    with server_sending(refusal) as server:
        model = model_at(server, model="gemini-3.6-flahs")
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieModelNotFoundError) as caught:
                await call_mode(model)
            text = str(caught.value)
            assert "Did you mean gemini-3.6-flash" in text
            assert "gemini-3.8-flash" in text
            assert "gemini-2.5-flash" not in text.partition("listed")[2]
            assert str(pickle.loads(pickle.dumps(caught.value))) == text


def test_resolving_is_pure_and_total_over_the_catalog() -> None:
    warnings.simplefilter("ignore")
    for model in MODELS:
        for api in (None, *APIS):
            target = resolve(model.name, api)
            assert target.spec is model
            assert target == resolve(model.name, api)
            assert target.name == model.name
    with pytest.raises(KieConfigurationError):
        resolve("gemini-3-flash", "soap")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("gemini-9-flash", "gemini-3.8-flash"),  # not gemini-3-flash, which KIE does not list
        ("gemini-9-pro", "gemini-3-pro"),
        ("Gemini-3.5-Flsh", "gemini-3.5-flash"),
        ("gemini-3-flash", None),
        ("gemini-3.5-flash", None),
        ("claude", None),
    ],
)
def test_the_hint_for_an_unknown_model_suggests_listed_names(name: str, first: str | None) -> None:
    hint = model_hint(name)
    assert hint.startswith(f"Did you mean {first} " if first else "KIE listed ")
    assert "gemini-3-flash" not in hint


def test_a_name_that_is_only_like_unlisted_ones_gets_these() -> None:
    assert "Did you mean gemini-3-flash-v1betamodels?" in model_hint("flash-v1betamodels")
