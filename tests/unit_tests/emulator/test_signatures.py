"""Thought signatures: kept, they pass; missing or changed, they do not."""

from __future__ import annotations

import base64

import pytest

from unit_tests.emulator.emulator_client import WEATHER, contents_of, declaration

PROMPT = "What is the weather in Paris and in Rome?"
TOOLS = {"tools": [declaration(WEATHER)]}


def ask(wire, model="gemini-3-5-flash"):
    body = wire.native(
        PROMPT,
        model,
        **TOOLS,
        generationConfig={"thinkingConfig": {"includeThoughts": False}},
    )
    return body["candidates"][0]["content"]


def replay(wire, content, model="gemini-3-5-flash", *, more=()):
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
    return wire.native(contents, model, **TOOLS)


def first_part(content, **changes):
    first, *others = content["parts"]
    return {**content, "parts": [{**first, **changes}, *others]}


def test_the_first_call_of_a_batch_is_signed(wire):
    """Only the first, with base64 in the standard alphabet."""
    first, second = ask(wire)["parts"]
    assert set(first) == {"functionCall", "thoughtSignature"}
    assert set(second) == {"functionCall"}
    signature = first["thoughtSignature"]
    assert base64.b64encode(base64.b64decode(signature, validate=True)).decode() == signature
    assert 40 <= len(signature) <= 60


def test_kept_signatures_pass_and_results_are_used(wire):
    """The loop closes with an answer that holds every result."""
    body = replay(wire, ask(wire))
    text = body["candidates"][0]["content"]["parts"][-1]["text"]
    assert "sunny in Paris" in text
    assert "sunny in Rome" in text


def url_safe(signature):
    """The signature as google-genai sends it: decoded, and encoded in the other alphabet."""
    return base64.urlsafe_b64encode(base64.b64decode(signature)).decode()


def test_signatures_pass_in_either_alphabet(wire):
    """Google's JSON parser accepts standard and URL-safe base64."""
    content = ask(wire)
    changed = url_safe(content["parts"][0]["thoughtSignature"])
    assert changed != content["parts"][0]["thoughtSignature"]
    assert "candidates" in replay(wire, first_part(content, thoughtSignature=changed))


@pytest.mark.parametrize(
    "bypass", ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"]
)
def test_documented_placeholders_pass(wire, bypass):
    """Google's two strings stand in for signatures that no model gave."""
    assert "candidates" in replay(wire, first_part(ask(wire), thoughtSignature=bypass))


def test_a_missing_signature_is_refused(wire):
    """In Google's words."""
    content = ask(wire)
    del content["parts"][0]["thoughtSignature"]
    envelope = replay(wire, content)
    assert envelope["code"] == 400
    assert envelope["msg"].startswith(
        "Function call is missing a thought_signature in functionCall parts."
    )


@pytest.mark.parametrize("change", ["cut", "flipped", "moved", "other args", "other model"])
def test_a_changed_signature_is_refused(wire, change):
    """Whether the signature changed or what it signs."""
    content = ask(wire)
    signature = content["parts"][0]["thoughtSignature"]
    model = "gemini-3-5-flash"
    if change == "cut":
        content = first_part(content, thoughtSignature=signature[:-1])
    elif change == "flipped":
        content = first_part(content, thoughtSignature=signature.swapcase())
    elif change == "moved":
        content = {**content, "parts": content["parts"][::-1]}
        content["parts"][0]["thoughtSignature"] = content["parts"][1].pop("thoughtSignature")
    elif change == "other args":
        content["parts"][0]["functionCall"]["args"]["location"] = "Oslo"
    else:
        model = "gemini-3-8-flash"
    envelope = replay(wire, content, model)
    assert (envelope["code"], envelope["msg"]) == (400, "Corrupted thought signature.")


def test_signatures_are_needed_in_the_active_loop_only(wire):
    """After the next user turn they are optional, and may be another model's; never broken."""
    content = ask(wire)
    more = [{"role": "model", "parts": [{"text": "Sunny."}]}, *contents_of("Thanks!")]
    assert "candidates" in replay(wire, content, "gemini-3-8-flash", more=more)
    broken = first_part(content, thoughtSignature="broken")
    assert replay(wire, broken, more=more)["msg"] == "Corrupted thought signature."
    del content["parts"][0]["thoughtSignature"]
    assert "candidates" in replay(wire, content, more=more)


def test_texts_are_signed_and_checked_when_they_come_back(wire):
    """A text's signature is optional, but may not change; the pieces may."""
    body = wire.native("Hello")
    signature = body["candidates"][0]["content"]["parts"][-1]["thoughtSignature"]

    def send(**part):
        parts = [{"text": "Hello!"}, {"text": "", **part}]
        return wire.native(
            [*contents_of("Hello"), {"role": "model", "parts": parts}, *contents_of("Hi")]
        )

    assert "candidates" in send(thoughtSignature=signature)
    assert "candidates" in send(thoughtSignature=url_safe(signature))
    for broken in (signature + "x", signature[4:], signature.swapcase(), "\u00e4", "~"):
        assert send(thoughtSignature=broken)["msg"] == "Corrupted thought signature."
