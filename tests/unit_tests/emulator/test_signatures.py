"""Thought signatures: unchanged ones are accepted, missing or changed ones are rejected."""

from __future__ import annotations

import base64

import pytest

from unit_tests.emulator.emulator_client import WEATHER, contents_of, declaration

PROMPT = "What is the weather in Paris and in Rome?"
TOOLS = {"tools": [declaration(WEATHER)]}


def ask(client, model="gemini-3-5-flash"):
    body = client.native(
        PROMPT, model, **TOOLS, generationConfig={"thinkingConfig": {"includeThoughts": False}}
    )
    return body["candidates"][0]["content"]


def replay(client, content, model="gemini-3-5-flash", *, more=()):
    responses = [
        {
            "functionResponse": {
                "name": part["functionCall"]["name"],
                "id": part["functionCall"]["id"],
                "response": {"result": f"sunny in {part['functionCall']['args']['location']}"},
            }
        }
        for part in content["parts"]
    ]
    contents = [*contents_of(PROMPT), content, {"role": "user", "parts": responses}, *more]
    return client.native(contents, model, **TOOLS)


def first_part(content, **changes):
    first, *others = content["parts"]
    return {**content, "parts": [{**first, **changes}, *others]}


def test_first_call_of_a_batch_is_signed(client):
    """Only the first call is signed, with base64 in the standard alphabet."""
    first, second = ask(client)["parts"]
    assert set(first) == {"functionCall", "thoughtSignature"}
    assert set(second) == {"functionCall"}
    signature = first["thoughtSignature"]
    assert base64.b64encode(base64.b64decode(signature, validate=True)).decode() == signature
    assert 40 <= len(signature) <= 60


def test_unchanged_signatures_are_accepted(client):
    """The answer contains the results of all calls."""
    body = replay(client, ask(client))
    text = body["candidates"][0]["content"]["parts"][-1]["text"]
    assert "sunny in Paris" in text
    assert "sunny in Rome" in text


def url_safe(signature):
    """Encode a signature as google-genai does."""
    return base64.urlsafe_b64encode(base64.b64decode(signature)).decode()


def test_url_safe_signatures_are_accepted(client):
    """Google's JSON parser accepts both alphabets of base64."""
    content = ask(client)
    changed = url_safe(content["parts"][0]["thoughtSignature"])
    assert changed != content["parts"][0]["thoughtSignature"]
    assert "candidates" in replay(client, first_part(content, thoughtSignature=changed))


@pytest.mark.parametrize(
    "bypass", ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"]
)
def test_documented_placeholders_are_accepted(client, bypass):
    """Google documents them for calls without a signature."""
    assert "candidates" in replay(client, first_part(ask(client), thoughtSignature=bypass))


def test_missing_signature_is_rejected(client):
    """The message is Google's."""
    content = ask(client)
    del content["parts"][0]["thoughtSignature"]
    envelope = replay(client, content)
    assert envelope["code"] == 400
    assert envelope["msg"].startswith(
        "Function call is missing a thought_signature in functionCall parts."
    )


@pytest.mark.parametrize(
    "change", ["shortened", "changed case", "moved", "other args", "other model"]
)
def test_changed_signature_is_rejected(client, change):
    """Either the signature or the signed call is changed."""
    content = ask(client)
    signature = content["parts"][0]["thoughtSignature"]
    model = "gemini-3-5-flash"
    if change == "shortened":
        content = first_part(content, thoughtSignature=signature[:-1])
    elif change == "changed case":
        content = first_part(content, thoughtSignature=signature.swapcase())
    elif change == "moved":
        content = {**content, "parts": content["parts"][::-1]}
        content["parts"][0]["thoughtSignature"] = content["parts"][1].pop("thoughtSignature")
    elif change == "other args":
        content["parts"][0]["functionCall"]["args"]["location"] = "Oslo"
    else:
        model = "gemini-3-8-flash"
    envelope = replay(client, content, model)
    assert (envelope["code"], envelope["msg"]) == (400, "Corrupted thought signature.")


def test_signatures_are_required_in_the_current_turn_only(client):
    """Later they are optional and may be of another model, but must not be invalid."""
    content = ask(client)
    more = [{"role": "model", "parts": [{"text": "Sunny."}]}, *contents_of("Thanks!")]
    assert "candidates" in replay(client, content, "gemini-3-8-flash", more=more)
    invalid = first_part(content, thoughtSignature="invalid")
    assert replay(client, invalid, more=more)["msg"] == "Corrupted thought signature."
    del content["parts"][0]["thoughtSignature"]
    assert "candidates" in replay(client, content, more=more)


def test_signatures_of_texts(client):
    """They are optional but must not change; the text may be split in another way."""
    body = client.native("Hello")
    signature = body["candidates"][0]["content"]["parts"][-1]["thoughtSignature"]

    def send(**part):
        parts = [{"text": "Hello!"}, {"text": "", **part}]
        return client.native(
            [*contents_of("Hello"), {"role": "model", "parts": parts}, *contents_of("Hi")]
        )

    assert "candidates" in send(thoughtSignature=signature)
    assert "candidates" in send(thoughtSignature=url_safe(signature))
    for invalid in (signature + "x", signature[4:], signature.swapcase(), "\u00e4", "~"):
        assert send(thoughtSignature=invalid)["msg"] == "Corrupted thought signature."
