"""The list of models, their schemas, prices and success rates, and the balance."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest

PRICES = {
    "gemini-2.5-pro": (76, 600),
    "gemini-3-pro": (100, 700),
    "gemini-3.1-pro": (100, 700),
    **dict.fromkeys(("gemini-3-5-flash", "gemini-3-5-flash-openai"), (90, 540)),
    **{
        f"gemini-3-{version}-flash{suffix}": (45, 225)
        for version in (6, 7, 8)
        for suffix in ("", "-openai")
    },
}
MODELS = "/api/v1/models"
CREDIT = "/api/v1/chat/credit"
ENDPOINTS = [MODELS, *(f"{MODELS}/gemini-3-pro/{it}" for it in ("schema", "price", "success-rate"))]


def get(client, path, **query):
    response = client.http.get(path, params=query)
    assert response.status_code == 200
    return response.json()


def data_of(client, path, **query):
    body = get(client, path, **query)
    assert (body.pop("code"), body.pop("msg")) == (200, "success")
    assert body.keys() == {"data"}
    return body["data"]


def test_list_of_models(client):
    """The recorded models with all fields; 2.5 Flash and 3 Flash are not listed."""
    data = data_of(client, MODELS)
    assert data["total"] == len(PRICES)
    assert {entry["model"] for entry in data["models"]} == PRICES.keys()
    keys = {"model", "slug", "title", "provider", "taskType", "description", "pricingDesc"}
    assert all(entry.keys() == keys for entry in data["models"])
    assert {entry["description"] for entry in data["models"]} == {"", None}
    (entry,) = (entry for entry in data["models"] if entry["model"] == "gemini-3-8-flash")
    assert (entry["title"], entry["taskType"]) == ("Gemini 3.8 Flash", ["Chat"])


FILTERS = {
    "the task": ({"taskType": "Chat"}, len(PRICES)),
    "one of two tasks": ({"taskType": "Text to Video,Chat"}, len(PRICES)),
    "another task": ({"taskType": "Text to Video"}, 0),
    "a task in lower case": ({"taskType": "chat"}, 0),
    "the provider": ({"provider": "Google"}, len(PRICES)),
    "another provider": ({"provider": "OpenAI"}, 0),
    "text in an id": ({"q": "3-8"}, 2),
    "text in a title": ({"q": "3.8 FLASH"}, 2),
    "other text": ({"q": "claude"}, 0),
    "all of them": (
        {"taskType": "Chat", "provider": "Google", "q": "pro"},
        len([it for it in PRICES if "pro" in it]),
    ),
    "empty filters": ({"taskType": "", "provider": "", "q": ""}, len(PRICES)),
}


@pytest.mark.parametrize(("query", "total"), FILTERS.values(), ids=FILTERS.keys())
def test_filters(client, query, total):
    """All filters must match; without a match the list is empty."""
    data = data_of(client, MODELS, **query)
    assert (data["total"], len(data["models"])) == (total, total)


@pytest.mark.parametrize(("model", "credits_per_million"), PRICES.items(), ids=PRICES.keys())
def test_price(client, model, credits_per_million):
    """The prose is that of the list, in one of the two formats."""
    price = data_of(client, f"{MODELS}/{model}/price")
    (entry,) = (e for e in data_of(client, MODELS)["models"] if e["model"] == model)
    assert price == {"model": model, "pricingDesc": entry["pricingDesc"]}
    texts = [
        f"${n * 0.005:g} (\u2248{n} credits)"
        if model == "gemini-2.5-pro"
        else f"{n} credits / 1M tokens (\u2248 ${n * 0.005:g})"
        for n in credits_per_million
    ]
    assert all(text in price["pricingDesc"] for text in texts)
    assert ("50% OFF until Dec 31" in price["pricingDesc"]) == (credits_per_million == (45, 225))


CHAT = {"messages", "stream", "tools", "include_thoughts", "reasoning_effort"}
SCHEMAS = {
    "gemini-2.5-pro": CHAT | {"response_format"},
    "gemini-3-pro": CHAT | {"response_format"},
    "gemini-3.1-pro": CHAT,
    **{model: CHAT for model in PRICES if model.endswith("-openai")},
    **{
        model: {"contents", "stream", "tools", "generationConfig"}
        for model in PRICES
        if model.endswith("-flash")
    },
}


@pytest.mark.parametrize(("model", "fields"), SCHEMAS.items(), ids=SCHEMAS.keys())
def test_schema(client, model, fields):
    """Its only path is the one that serves the model."""
    data = data_of(client, f"{MODELS}/{model}/schema")
    assert (data["model"], data["openapi"]["openapi"]) == (model, "3.1.0")
    ((path, methods),) = data["openapi"]["paths"].items()
    content = methods["post"]["requestBody"]["content"]
    assert content["application/json"]["schema"]["properties"].keys() == fields
    if "contents" in fields:
        answer = client.post(
            path, {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "stream": False}
        )
    else:
        answer = client.post(path, {"messages": [{"role": "user", "content": "Hi"}]})
    assert "credits_consumed" in answer


def test_success_rate(client, monkeypatch):
    """144 periods of ten minutes, oldest first, some of them without traffic."""
    monkeypatch.setattr(client.emulator, "clock", lambda: 1_800_000_123.0)
    data = data_of(client, f"{MODELS}/gemini-3-pro/success-rate")
    points = data["points"]
    assert (data["model"], len(points)) == ("gemini-3-pro", 144)
    assert (points[0]["start"], points[-1]["end"]) == (
        "2027-01-14T08:00:00.000Z",
        "2027-01-15T08:00:00.000Z",
    )
    starts = [datetime.fromisoformat(point["start"]) for point in points]
    ends = [datetime.fromisoformat(point["end"]) for point in points]
    assert starts[1:] == ends[:-1]
    assert {end - start for start, end in zip(starts, ends, strict=True)} == {timedelta(minutes=10)}
    rates = {(point["successRate"], point["errorRate"]) for point in points}
    assert (None, None) in rates
    assert all(good + bad == 100 for good, bad in rates - {(None, None)})


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.8-flash", "google/unknown"])
@pytest.mark.parametrize("kind", ["schema", "price", "success-rate"])
def test_unknown_model(client, kind, model):
    """A slash in an id is not encoded; names that are not listed are unknown."""
    body = get(client, f"{MODELS}/{model}/{kind}")
    assert (body["code"], body["data"]) == (404, None)
    assert body["msg"].startswith("The model name you specified is not supported. Please verify")


@pytest.mark.parametrize("path", [*ENDPOINTS, CREDIT])
@pytest.mark.parametrize("headers", [{}, {"apikey": "kie-emulator-key"}])
def test_key_is_required(client, path, headers):
    """Only `Authorization: Bearer` is accepted; the error has no `data`."""
    response = httpx.get(
        client.emulator.base_url + path, headers=headers, trust_env=False, verify=False
    )
    assert response.status_code == 200
    assert response.json()["code"] == 401
    assert response.json().keys() == {"code", "msg"}


def test_rate_limit(isolated):
    """One request in a second for the four endpoints together; the balance is not limited."""
    now = 1_800_000_000.0
    isolated.emulator.clock = lambda: now
    codes = [get(isolated, path)["code"] for path in ENDPOINTS]
    isolated.emulator.rate_limit = True
    limited = [get(isolated, path) for path in ENDPOINTS]
    codes += [body["code"] for body in limited] + [get(isolated, CREDIT)["code"]]
    now += 1.0
    codes += [get(isolated, path)["code"] for path in ENDPOINTS[:2]]
    assert codes == [200] * 4 + [200, 429, 429, 429] + [200] + [200, 429]
    assert limited[-1] == {
        "code": 429,
        "msg": "Your call frequency is too high. Please try again later.",
        "data": None,
    }


def test_balance(isolated):
    """Answers reduce it by what they report, and errors by nothing; at 0, calls fail."""
    isolated.emulator.credits = 12.34
    prompt = "Write a story of 300 sentences"
    consumed = [
        isolated.chat(prompt, "gemini-3-pro")["credits_consumed"],
        isolated.native(prompt)["credits_consumed"],
    ]
    assert isolated.chat([])["code"] == 422
    assert data_of(isolated, CREDIT) == round(12.34 - sum(consumed), 2)
    while data_of(isolated, CREDIT):
        isolated.chat(prompt, "gemini-3-pro")
    assert isolated.chat("Hello") == isolated.native("Hello")
    assert isolated.chat("Hello")["code"] == 402
    assert isolated.chat("Hello")["msg"].startswith("Credits insufficient")
