"""The keys of `response_metadata`: those that docs/message-format.md lists, on each API."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import orjson
import pytest
from call_modes import CALL_MODES, model_at, server_sending
from langchain_core.messages import HumanMessage

from langchain_kie import media_block
from langchain_kie.errors import HAS_NORMALIZED_FINISH_REASONS

DOCS = Path(__file__).parents[3] / "docs" / "message-format.md"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(50)
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
         "completion_tokens_details": {"reasoning_tokens": 2},
         "prompt_tokens_details": {"cached_tokens": 3}}  # fmt: skip
NATIVE_USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2,
                "totalTokenCount": 14, "cachedContentTokenCount": 3}  # fmt: skip
NOTE = {"type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0,
                         "end_index": 5}}  # fmt: skip
GROUNDING = {"webSearchQueries": ["q"],
             "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
             "groundingSupports": [{"segment": {"endIndex": 5, "text": "Hello"},
                                    "groundingChunkIndices": [0]}]}  # fmt: skip
ALWAYS = {"model_provider", "model_name", "finish_reason"}
NORMALIZED = {"normalized_finish_reason"} if HAS_NORMALIZED_FINISH_REASONS else set()
COMMON = ALWAYS | NORMALIZED | {"native_finish_reason", "token_usage", "id", "model_version"}
COST = {"credits_consumed", "cost_usd"}


def chat(finish_reason: str = "stop", text: str = "Hello", **delta: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish_reason,
              "logprobs": {"content": [{"token": "a"}]}}  # fmt: skip
    event = {"id": "i", "model": "m", "choices": [choice], "usage": USAGE, "credits_consumed": 0.5}
    return b"data: " + orjson.dumps(event) + b"\n\ndata: [DONE]\n\n"


def native(finish_reason: str = "STOP", text: str = "Hello", **members: Any) -> bytes:
    parts = [{"text": text}] if text else []
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish_reason,
                 "index": 0, **members}  # fmt: skip
    event = {"candidates": [candidate], "usageMetadata": NATIVE_USAGE, "modelVersion": "m",
             "responseId": "i", "credits_consumed": 0.5}  # fmt: skip
    return b"data: " + orjson.dumps(event) + b"\n\n"


BLOCKED = b"data: " + orjson.dumps({
    "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": [], "blockReasonMessage": "no"},
    "usageMetadata": NATIVE_USAGE, "modelVersion": "m", "responseId": "i"}) + b"\n\n"  # fmt: skip

CHAT, NATIVE, GATEWAY = "chat_completions", "generate_content", "gateway"
CITED = {"annotations", "citation_spans"}
ANSWERS: dict[str, tuple[str, bytes, set[str]]] = {
    "chat": (CHAT, chat(), COMMON | COST | {"logprobs"}),
    "gateway": (GATEWAY, chat(), COMMON | COST | {"logprobs"}),
    "chat, empty": (CHAT, chat(text=""), COMMON | COST | {"logprobs", "empty_answer"}),
    "chat, blocked": (
        *(CHAT, chat("content_filter")),
        COMMON | COST | {"logprobs", "refusal_reason"},
    ),
    "chat, more": (
        CHAT,
        chat(
            annotations=[NOTE],
            reasoning_details=[{"type": "x"}],
            extra_content={"a": 1},
            thought_signature="c2ln",
            provider_specific_fields={"thought_signatures": ["c2ln"]},
        ),
        COMMON
        | COST
        | CITED
        | {
            "logprobs",
            "reasoning_details",
            "extra_content",
            "thought_signature",
            "provider_specific_fields",
        },
    ),
    "native": (NATIVE, native(), COMMON | COST),
    "native, blocked": (
        *(NATIVE, native("SAFETY", finishMessage="no", safetyRatings=[{"category": "x"}])),
        COMMON | COST | {"finish_message", "safety_ratings", "refusal_reason"},
    ),
    "native, blocked prompt": (NATIVE, BLOCKED, COMMON | {"prompt_feedback", "refusal_reason"}),
    "native, a prompt that was not blocked": (
        *(NATIVE, native().replace(b'{"c', b'{"promptFeedback":{"safetyRatings":[]},"c', 1)),
        COMMON | COST | {"prompt_feedback"},
    ),
    "native, cut": (NATIVE, native("MAX_TOKENS"), COMMON | COST),
    "native, more": (
        NATIVE,
        native(
            groundingMetadata=GROUNDING,
            citationMetadata={"citationSources": [{"uri": "https://a.example", "endIndex": 5}]},
            urlContextMetadata={"urlMetadata": [{"retrievedUrl": "https://a.example"}]},
            logprobsResult={"chosenCandidates": []},
            avgLogprobs=-0.5,
        ),
        COMMON
        | COST
        | {
            "grounding_metadata",
            "citation_metadata",
            "url_context_metadata",
            "logprobs_result",
            "avg_logprobs",
            "citation_spans",
        },
    ),
}
FINISH_REASONS = {"stop", "length", "content_filter"}
TOKEN_USAGE = {**USAGE}


def documented() -> dict[str, str]:
    """The types of the keys, from the first table of the section `response_metadata`."""
    section = DOCS.read_text().partition("## `response_metadata`")[2]
    table = section.partition("\n\n| `finish")[0]
    rows = re.findall(r"^\| (`.+?`) \| (`.+?`) \|", table, re.MULTILINE)
    types: dict[str, str] = {}
    for keys, values in rows:
        names = re.findall("`(.+?)`", keys)
        types |= dict(zip(names, re.findall("`(.+?)`", values), strict=True))
    return types


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize("name", ANSWERS)
async def test_each_answer_has_the_documented_keys_with_their_types(name: str, call_mode) -> None:
    warnings.filterwarnings("ignore", "gemini-3-flash: the answer is empty")
    api, body, expected = ANSWERS[name]
    with server_sending(body) as server:
        prompt = [HumanMessage([{"type": "text", "text": "hi"}, media_block(PNG)])]
        metadata = (await call_mode(model_at(server, api=api), prompt)).response_metadata
    types = documented()
    metadata.pop("output_version", None)
    assert metadata.keys() == expected | {"media_count"}
    assert {key: type(value).__name__ for key, value in metadata.items()} == {
        key: types[key] for key in metadata
    }
    assert metadata["finish_reason"] in FINISH_REASONS
    assert metadata["token_usage"] == TOKEN_USAGE


def test_every_documented_key_is_in_an_answer() -> None:
    keys = {"media_count"}.union(*(row[2] for row in ANSWERS.values()))
    assert documented().keys() - {"normalized_finish_reason"} == keys - NORMALIZED
