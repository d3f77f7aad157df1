"""Token estimates: typical counts and minimums."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import fixture, model_at, server_sending
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_kie import media_block
from langchain_kie._conversation.content import parse_content
from langchain_kie._conversation.token_estimate import estimate_tokens, min_prompt_tokens
from langchain_kie._options import Options
from langchain_kie._uploads import choose_uploads

if TYPE_CHECKING:
    from langchain_kie._conversation.media import Media

MEDIA = Path(__file__).parents[2] / "integration_tests" / "media"
PNG = (MEDIA / "diagram.png").read_bytes()
URL = "https://media.example/cat"


def zeros(mime_type: str, size: int) -> dict[str, Any]:
    data = base64.b64encode(bytes(size)).decode()
    return {"type": "file", "base64": data, "mime_type": mime_type}


# The block, its typical tokens and its minimum.
COSTS: dict[str, tuple[dict[str, Any], int, int]] = {
    "image": (media_block(PNG), 1_100, 200),
    "large image": (zeros("image/jpeg", 900_000), 1_100, 200),
    "image by URL": ({"type": "image", "url": URL}, 1_100, 200),
    "image by path": (media_block(MEDIA / "diagram.png"), 1_100, 200),
    "PDF": (media_block(b"%PDF-1.7".ljust(300_000)), 3_000, 200),
    "PDF by URL": ({"type": "file", "url": f"{URL}.pdf"}, 2_600, 200),
    "audio": (zeros("audio/mpeg", 300_000), 600, 30),
    "short audio": (zeros("audio/mpeg", 3_000), 30, 7),
    "audio by URL": ({"type": "audio", "url": URL}, 1_900, 30),
    "video": (zeros("video/mp4", 900_000), 360, 60),
    "video by URL": ({"type": "video", "url": URL}, 6_000, 60),
    "text file": (zeros("text/plain", 4_000), 1_000, 200),
}


@pytest.mark.parametrize(("block", "typical", "minimum"), COSTS.values(), ids=COSTS.keys())
def test_media_are_counted(block: dict[str, Any], typical: int, minimum: int) -> None:
    text_only = estimate_tokens([HumanMessage("")], None)
    assert estimate_tokens([HumanMessage([block])], None) == text_only + typical
    content = [{"type": "text", "text": "x" * 60}, block]
    assert min_prompt_tokens(parse_content(HumanMessage(content))) == 10 + minimum


def test_the_tool_results_of_anthropic_are_counted() -> None:
    content = [media_block(PNG), {"type": "text", "text": "a"}]
    block = {"type": "tool_result", "tool_use_id": "c0", "content": content}
    result = ToolMessage(content, tool_call_id="c0")
    assert estimate_tokens([HumanMessage([block])], None) == estimate_tokens([result], None)


def test_size_and_tools_raise_the_minimum(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    os.truncate(path, 4_000_000)
    media: list[Media] = parse_content(HumanMessage([media_block(path)]))  # type: ignore[assignment]
    assert choose_uploads(media, Options()) == media
    assert min_prompt_tokens(media) == 200
    assert min_prompt_tokens(media, [{"name": "f" * 800}]) == 301


def test_model_estimates_messages_and_tools_without_a_request() -> None:
    image = COSTS["image"][0]
    call = {"name": "f", "args": {}, "id": "c0"}
    with_result = [AIMessage("", tool_calls=[call]), ToolMessage([image], tool_call_id="c0")]
    tool = {"name": "f", "description": "y" * 400, "parameters": {"type": "object"}}
    with server_sending(fixture("chat_completion.json")) as server:
        model = model_at(server)
        messages = [HumanMessage([{"type": "text", "text": "x" * 4_000}, image])]
        counted = model.get_num_tokens_from_messages(messages)
        assert 2_100 <= counted <= 2_110
        assert 100 <= model.get_num_tokens_from_messages(messages, [tool]) - counted <= 140
        assert model.get_num_tokens_from_messages(with_result) > 1_100
        assert model.get_num_tokens("x" * 401) == 101
        with pytest.raises(ValueError, match="KIE cannot read files by id"):
            model.get_num_tokens_from_messages([HumanMessage([{"type": "image", "file_id": "x"}])])
        with pytest.raises(ValueError, match=r"a tool cannot be encoded as JSON: .*bytes"):
            model.get_num_tokens_from_messages([], [{**tool, "parameters": {"default": b"x"}}])
        assert server.requests == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("abcd", 1),
        ("abcde", 2),
        ("héllo wörld", 3),
        ("天空为什么是蓝色的", 9),
        ("空はなぜ青いのですか。", 11),
        ("하늘은 왜 파란가요", 9),
        ("abcd天空", 3),
        ("\U00020000\U0002a6df", 2),
        ("🌤🌤🌤🌤", 1),
    ],
)
def test_a_wide_character_is_a_token(text: str, tokens: int) -> None:
    with server_sending(fixture("chat_completion.json")) as server:
        model = model_at(server)
    assert model.get_num_tokens(text) == tokens
    of_blank = model.get_num_tokens_from_messages([HumanMessage("")])
    for content in (text, [{"type": "text", "text": text}]):
        counted = model.get_num_tokens_from_messages([HumanMessage(content)])
        assert abs(counted - of_blank - tokens) <= 1
