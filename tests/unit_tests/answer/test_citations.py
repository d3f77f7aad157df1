"""Citations and server tool blocks from the metadata of an answer, in every call mode."""

from __future__ import annotations

import pickle

import orjson
import pytest
from call_modes import CALL_MODES, blocks_of, invoke, model_at, server_sending, stream
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage
from scripted_server import sse

from langchain_kie._answer.citations import merge_grounding, merge_metadata
from unit_tests.answer.rows import completion, delta, native

NATIVE = "gemini-3.5-flash"
ROME, OSLO = (
    {"web": {"uri": f"https://{name}.example", "title": name.title()}} for name in ("rome", "oslo")
)
SENTENCES = {
    "ascii": ("It rains.", "It snows."),
    "accents": ("À Rome, c'est l'été.", "À Oslo, la forêt gelée."),
    "chinese": ("罗马很热。", "奥斯陆很冷。"),
    "emoji": ("Rome 🌞👨‍👩‍👧 hot.", "Oslo 🇳🇴❄️ cold."),
    "combining": ("Cafe\u0301 e\u0300 buono.", "No\u0308rd\u0300 lys."),
    "mixed": ("a é 中 🌞 e\u0301", "\u200f\u05e9\u05dc 1"),
}


def support(text, sentence, *numbers, **segment):
    """A grounding support for `sentence`, in bytes; as Google does, it omits a start of 0."""
    start = len(text[: text.index(sentence)].encode())
    given = {"startIndex": start} if start else {}
    given |= {"endIndex": start + len(sentence.encode()), "text": sentence} | segment
    return {"segment": given, "groundingChunkIndices": list(numbers)}


def grounding(supports, chunks=(ROME, OSLO), queries=("weather",)):
    return {
        "webSearchQueries": list(queries),
        "groundingChunks": list(chunks),
        "groundingSupports": list(supports),
        "searchEntryPoint": {"renderedContent": "<div></div>"},
    }


def event(*parts, **candidate):
    """An event of `generate_content`, with further members of its candidate."""
    body = native(*parts)
    body["candidates"][0] |= candidate
    return body


def answer(text, *, pieces=1, **last):
    """A stream of `generate_content` with `text` in pieces; its last event has the metadata."""
    size = -(-len(text) // pieces)
    texts = [native({"text": text[n : n + size]}) for n in range(0, len(text), size)]
    return sse(*texts, event({"text": ""}, finishReason="STOP", **last))


async def message_of(body, call_mode=invoke, model=NATIVE):
    with server_sending(body) as server:
        return await call_mode(model_at(server, model=model))


def text_block(message):
    return next(block for block in message.content_blocks if block["type"] == "text")


def cited(message):
    """The cited text and the URL of each citation."""
    return [
        (block["text"][note["start_index"] : note["end_index"]], note["url"])
        for block in message.content_blocks
        if block["type"] == "text"
        for note in block.get("annotations", ())
    ]


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
async def test_a_citation_counts_characters(sentences, pieces):
    first, second = sentences
    text = f"{first} {second}"
    metadata = grounding([support(text, first, 0), support(text, second, 0, 1)])
    message = await message_of(answer(text, pieces=pieces, groundingMetadata=metadata))
    assert message.content == message.text == text
    assert message.response_metadata["grounding_metadata"] == metadata
    assert cited(message) == [
        (first, "https://rome.example"),
        (second, "https://rome.example"),
        (second, "https://oslo.example"),
    ]
    assert [note["cited_text"] for note in text_block(message)["annotations"]] == [
        first,
        second,
        second,
    ]


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize(
    "keep",
    [
        lambda m: m,
        lambda m: loads(dumps(m), allowed_objects="messages"),
        lambda m: m.model_copy(deep=True),
    ],
)
async def test_the_blocks_are_the_same_in_every_call_mode(call_mode, keep):
    text = "Été à Rome. 中文 in Oslo."
    metadata = grounding([support(text, "Été à Rome.", 0), support(text, "中文 in Oslo.", 1)])
    body = sse(
        event({"text": "Let me see.", "thought": True}),
        event({"text": text[:7]}),
        event({"text": text[7:]}),
        event(
            {"functionCall": {"name": "f", "args": {}, "id": "1"}},
            finishReason="STOP",
            groundingMetadata=metadata,
        ),
    )
    message = pickle.loads(pickle.dumps(keep(await message_of(body, call_mode))))
    assert message.text == text
    citation = {"type": "citation", "title": "Rome", "url": "https://rome.example"}
    other = {"type": "citation", "title": "Oslo", "url": "https://oslo.example"}
    assert blocks_of(message) == [
        {"type": "reasoning", "reasoning": "Let me see."},
        {
            "type": "text",
            "text": text,
            "annotations": [
                {**citation, "start_index": 0, "end_index": 11, "cited_text": "Été à Rome."},
                {**other, "start_index": 12, "end_index": 23, "cited_text": "中文 in Oslo."},
            ],
        },
        {"type": "tool_call", "id": "1", "name": "f", "args": {}},
        {
            "type": "server_tool_call",
            "id": "web_search_1",
            "name": "web_search",
            "args": {"queries": ["weather"]},
        },
        {
            "type": "server_tool_result",
            "tool_call_id": "web_search_1",
            "status": "success",
            "output": [
                {"url": "https://rome.example", "title": "Rome"},
                {"url": "https://oslo.example", "title": "Oslo"},
            ],
        },
    ]


TEXT = "Été 🌞 now. Été 🌞 now."
ODD = {
    "an end beyond the text": ({"startIndex": 16, "endIndex": 900}, "Été 🌞 now."),
    "inside a character": ({"startIndex": 1, "endIndex": 9}, "Été 🌞"),
    "the wrong place": ({"startIndex": 4, "endIndex": 9, "text": "now."}, "now."),
    "the nearer of two": ({"startIndex": 20, "endIndex": 21, "text": "🌞"}, "🌞"),
    "characters, not bytes": ({"startIndex": 12, "endIndex": 22, "text": TEXT[12:]}, TEXT[12:]),
    "text that is not there": ({"startIndex": 0, "endIndex": 5, "text": "Summer"}, "Été"),
    "no end": ({"startIndex": 0, "text": "Été"}, "Été"),
}


@pytest.mark.parametrize(("segment", "stretch"), ODD.values(), ids=ODD)
async def test_wrong_positions_are_corrected_by_the_quoted_text(segment, stretch):
    metadata = grounding([{"segment": segment, "groundingChunkIndices": [0]}])
    message = await message_of(answer(TEXT, groundingMetadata=metadata))
    assert cited(message) == [(stretch, "https://rome.example")]


async def test_of_two_equal_texts_the_nearer_one_is_cited():
    segment, _ = ODD["the nearer of two"]
    metadata = grounding([{"segment": segment, "groundingChunkIndices": [0]}])
    message = await message_of(answer(TEXT, groundingMetadata=metadata))
    assert text_block(message)["annotations"][0]["start_index"] == TEXT.rindex("🌞")


@pytest.mark.parametrize("segment", [{}, {"startIndex": 500, "endIndex": 600}, {"endIndex": None}])
@pytest.mark.parametrize("call_mode", CALL_MODES[:4])
async def test_a_support_without_valid_positions_is_cited_without_them(call_mode, segment):
    metadata = grounding([{"segment": segment, "groundingChunkIndices": [0]}])
    message = await message_of(answer("Hello.", groundingMetadata=metadata), call_mode)
    assert text_block(message)["annotations"] == [
        {"type": "citation", "url": "https://rome.example", "title": "Rome"}
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        grounding([{"segment": {"endIndex": 2}, "groundingChunkIndices": [2, 7, -1, "0", None]}]),
        grounding([{"groundingChunkIndices": 0}, None, "odd"], chunks=(None, {}, {"web": None})),
        {"groundingSupports": "odd", "groundingChunks": 3, "webSearchQueries": {"a": 1}},
        ["odd"],
        "odd",
    ],
)
async def test_malformed_metadata_does_not_lose_the_text(metadata):
    message = await message_of(answer("Hello.", groundingMetadata=metadata))
    assert message.content_blocks[0] == {"type": "text", "text": "Hello."}
    assert message.response_metadata["grounding_metadata"] == metadata


async def test_confidence_scores_are_in_extras():
    scored = {**support("Hi you.", "you.", 0, 1), "confidenceScores": [0.5]}
    message = await message_of(answer("Hi you.", groundingMetadata=grounding([scored])))
    first, second = text_block(message)["annotations"]
    assert first["extras"] == {"confidence_score": 0.5}
    assert "extras" not in second


async def test_an_answer_without_text_has_only_the_search():
    last = event(groundingMetadata=grounding([]), finishReason="STOP")
    with pytest.warns(UserWarning, match="the answer is empty"):
        message = await message_of(sse({**last, "usageMetadata": {"totalTokenCount": 5}}), stream)
    assert [block["type"] for block in blocks_of(message)] == [
        "server_tool_call",
        "server_tool_result",
    ]


async def test_citations_of_text_that_was_removed_are_left_out():
    message = await message_of(
        answer("Hi you.", groundingMetadata=grounding([support("Hi you.", "you.", 0)]))
    )
    removed = message.model_copy(update={"content": ""})
    assert {block["type"] for block in removed.content_blocks} == {
        "server_tool_call",
        "server_tool_result",
    }


async def test_citations_and_calls_that_the_content_has_are_not_added_again():
    text = "Été. Oslo."
    note = {"type": "citation", "url": "https://kept.example"}
    call = {"type": "tool_call", "id": "c1", "name": "f", "args": {}}
    message = AIMessage(
        [{"type": "text", "text": text, "annotations": [note]}, call],
        tool_calls=[call, {**call, "id": "c2"}],
        response_metadata={
            "model_provider": "kie",
            "grounding_metadata": grounding([support(text, "Oslo.", 1)]),
        },
    )
    assert text_block(message)["annotations"] == [note]
    calls = [block for block in message.content_blocks if block["type"] == "tool_call"]
    assert calls == [call, {**call, "id": "c2"}]


async def test_the_spans_of_a_message_without_them_are_computed():
    text = "Été. Oslo."
    metadata = {
        "model_provider": "kie",
        "grounding_metadata": grounding([support(text, "Oslo.", 1)]),
    }
    message = AIMessage(text, response_metadata=metadata)
    assert cited(message) == [("Oslo.", "https://oslo.example")]
    assert message.response_metadata == metadata


# --- several texts --------------------------------------------------------------------------


CODE = event({"executableCode": {"language": "PYTHON", "code": "1"}})
RESULT = event({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}})


@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_a_citation_is_on_the_text_block_that_contains_it(call_mode):
    before, after = "Été. ", "Là-bas. 中文."
    text = before + after
    supports = [support(text, s, 0) for s in ("Été.", "中文.", "Été. Là-bas.")]
    body = sse(
        event({"text": before}),
        CODE,
        RESULT,
        event({"text": after}),
        event({"text": ""}, finishReason="STOP", groundingMetadata=grounding(supports)),
    )
    message = await message_of(body, call_mode)
    assert message.text == text
    assert [block["type"] for block in message.content_blocks] == [
        "text",
        "server_tool_call",
        "server_tool_result",
        "text",
        "server_tool_call",
        "server_tool_result",
    ]
    assert [stretch for stretch, _ in cited(message)] == ["Été.", "Été. ", "中文.", "Là-bas."]


# --- several events -------------------------------------------------------------------------


FIRST, SECOND = "Été à Rome.", "Gel à Oslo."
BOTH = f"{FIRST} {SECOND}"
ABOUT_ROME, ABOUT_OSLO = support(BOTH, FIRST, 0), support(BOTH, SECOND, 1)
ALL = grounding([ABOUT_ROME, ABOUT_OSLO], queries=("rome", "oslo"))
PART = grounding([ABOUT_ROME], [ROME], ["rome"])
SEVERAL = {
    "one event": [ALL],
    "the same event twice": [ALL, ALL],
    "the earlier sources again": [PART, ALL],
    "new sources, numbered from 0": [
        PART,
        grounding([support(BOTH, SECOND, 0)], [OSLO], ["oslo"]),
    ],
    "new sources, numbered on": [PART, grounding([ABOUT_OSLO], [OSLO], ["oslo"])],
    "overlapping sources": [
        PART,
        grounding([support(BOTH, SECOND, 0), support(BOTH, FIRST, 1)], [OSLO, ROME], ["oslo"]),
    ],
    "the sources first, supports later": [
        grounding([], queries=("rome", "oslo")),
        {"groundingSupports": [ABOUT_ROME, ABOUT_OSLO]},
    ],
    "the queries first": [
        {"webSearchQueries": ["rome"]},
        grounding([ABOUT_ROME, ABOUT_OSLO], queries=("rome", "oslo")),
    ],
    "an entry point last": [ALL, {"searchEntryPoint": {"renderedContent": "<div></div>"}}],
    "an empty one last": [ALL, {}],
}


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize("events", SEVERAL.values(), ids=SEVERAL)
async def test_the_metadata_of_several_events_is_merged(call_mode, events):
    text = event({"text": BOTH})
    body = sse(text, *(event(groundingMetadata=e) for e in events), event(finishReason="STOP"))
    message = await message_of(body, call_mode)
    assert message.response_metadata["grounding_metadata"] == ALL
    assert cited(message) == [(FIRST, "https://rome.example"), (SECOND, "https://oslo.example")]


def test_a_support_with_more_sources_replaces_the_earlier_one():
    fuller = support(BOTH, FIRST, 0, 1)
    both = merge_grounding(PART, grounding([fuller, ABOUT_OSLO]))
    assert both["groundingSupports"] == [fuller, ABOUT_OSLO]
    assert merge_grounding(both, PART)["groundingSupports"] == [fuller, ABOUT_OSLO]


def test_merging_does_not_modify_the_metadata():
    before = orjson.dumps([PART, ALL])
    merge_metadata("grounding_metadata", PART, ALL)
    assert orjson.dumps([PART, ALL]) == before


@pytest.mark.parametrize("old", [None, {}, [], "odd", 3])
def test_metadata_of_another_type_is_replaced(old):
    assert merge_metadata("grounding_metadata", old, ALL) == ALL


# --- web pages, recitations, annotations ----------------------------------------------------


@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_fetched_pages_are_a_server_tool_call(call_mode):
    pages = {"https://a.example": "SUCCESS", "https://b.example": "PAYWALL"}
    first, second = (
        {"urlMetadata": [{"retrievedUrl": u, "urlRetrievalStatus": f"URL_RETRIEVAL_STATUS_{s}"}]}
        for u, s in pages.items()
    )
    body = sse(
        event({"text": "Read."}, urlContextMetadata=first),
        event(finishReason="STOP", urlContextMetadata=second),
    )
    message = await message_of(body, call_mode)
    assert blocks_of(message)[1:] == [
        {
            "type": "server_tool_call",
            "id": "web_fetch_1",
            "name": "web_fetch",
            "args": {"urls": list(pages)},
        },
        {
            "type": "server_tool_result",
            "tool_call_id": "web_fetch_1",
            "status": "success",
            "output": [
                {"url": "https://a.example", "status": "success"},
                {"url": "https://b.example", "status": "paywall"},
            ],
        },
    ]


async def test_a_fetch_without_a_successful_page_is_an_error():
    page = {"retrievedUrl": "https://a.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"}
    message = await message_of(answer("No.", urlContextMetadata={"urlMetadata": [page]}))
    assert blocks_of(message)[-1]["status"] == "error"


async def test_recited_text_is_cited():
    source = {"startIndex": 6, "endIndex": 10, "uri": "https://book.example", "license": "mit"}
    message = await message_of(answer("Été. Été!", citationMetadata={"citationSources": [source]}))
    assert cited(message) == [(" Ét", "https://book.example")]
    assert text_block(message)["annotations"][0]["extras"] == {"license": "mit"}


@pytest.mark.parametrize("name", ["citationSources", "citations"])
async def test_sources_of_several_events_are_kept_under_either_name(name):
    first, last = (
        {"startIndex": start, "endIndex": start + 5, "uri": f"https://{start}.example"}
        for start in (0, 7)
    )
    body = sse(
        event({"text": "Été. "}, citationMetadata={name: [first]}),
        event({"text": "Été!"}, finishReason="STOP", citationMetadata={name: [first, last]}),
    )
    message = await message_of(body)
    assert message.response_metadata["citation_metadata"] == {name: [first, last]}
    assert cited(message) == [("Été", "https://0.example"), ("Été", "https://7.example")]


NOTE = {
    "type": "url_citation",
    "url_citation": {
        "url": "https://rome.example",
        "title": "Rome",
        "start_index": 4,
        "end_index": 9,
    },
}
FLAT = {"type": "url_citation", **NOTE["url_citation"]}
CHAT = {
    "in one piece": sse(delta(content="中文, é Rome", annotations=[NOTE]), delta("stop")),
    "at the end, and twice": sse(
        delta(content="中文, "),
        delta(content="é Rome", annotations=[NOTE]),
        delta("stop", annotations=[NOTE]),
    ),
    "flat": sse(delta(content="中文, é Rome", annotations=[FLAT]), delta("stop")),
    "with another annotation": sse(
        delta(content="中文, é Rome", annotations=[{"type": "file"}, NOTE]),
        delta("stop", annotations=[]),
    ),
}


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize("body", CHAT.values(), ids=CHAT)
async def test_annotations_of_chat_completions_are_citations(call_mode, body):
    message = await message_of(body, call_mode, model="gemini-3-flash")
    assert message.text == "中文, é Rome"
    assert blocks_of(message) == [
        {
            "type": "text",
            "text": "中文, é Rome",
            "annotations": [
                {
                    "type": "citation",
                    "url": "https://rome.example",
                    "title": "Rome",
                    "start_index": 4,
                    "end_index": 9,
                }
            ],
        }
    ]


async def test_annotations_of_a_completion_without_a_stream_are_citations():
    body = completion(content="中文, é Rome", annotations=[NOTE])
    message = await message_of(body, model="gemini-3-flash")
    assert cited(message) == [("é Rom", "https://rome.example")]
    assert message.response_metadata["annotations"] == [NOTE]
