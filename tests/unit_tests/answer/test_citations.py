"""Sources: grounding metadata to citations and server tool blocks, whatever the way."""

from __future__ import annotations

import pickle

import orjson
import pytest
from call_modes import CALL_MODES, blocks_of, invoke, model_at, server_sending, stream
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage

from langchain_kie._answer.citations import merge_grounding, merge_metadata

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
EVENTS_PER_ANSWER = (1, 3)


def support(text, sentence, *numbers, **segment):
    """What Google says of `sentence`, in bytes; a start of 0 is left out."""
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


def native(*parts, **candidate):
    """An event of the native dialect."""
    content = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"content": content, "index": 0, **candidate}]}


def sse(*events):
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)


def answer(text, *, pieces=1, **last):
    """A native stream that says `text` in pieces and closes with an event of metadata."""
    size = -(-len(text) // pieces)
    said = [native({"text": text[n : n + size]}) for n in range(0, len(text), size)]
    return sse(*said, native({"text": ""}, finishReason="STOP", **last))


async def ask(body, call_mode=invoke, model=NATIVE):
    with server_sending(body) as server:
        return await call_mode(model_at(server, model=model))


def text_block(message):
    return next(block for block in message.content_blocks if block["type"] == "text")


def cited(message):
    """What each citation points at, and the address it names."""
    return [
        (block["text"][note["start_index"] : note["end_index"]], note["url"])
        for block in message.content_blocks
        if block["type"] == "text"
        for note in block.get("annotations", ())
    ]


@pytest.mark.parametrize("pieces", EVENTS_PER_ANSWER)
@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
async def test_a_citation_counts_characters(sentences, pieces):
    first, second = sentences
    text = f"{first} {second}"
    metadata = grounding([support(text, first, 0), support(text, second, 0, 1)])
    message = await ask(answer(text, pieces=pieces, groundingMetadata=metadata))
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
    "again",
    [
        lambda m: m,
        lambda m: loads(dumps(m), allowed_objects="messages"),
        lambda m: m.model_copy(deep=True),
    ],
)
async def test_all_ways_give_the_same_blocks_once(call_mode, again):
    text = "Été à Rome. 中文 in Oslo."
    metadata = grounding([support(text, "Été à Rome.", 0), support(text, "中文 in Oslo.", 1)])
    body = sse(
        native({"text": "Let me see.", "thought": True}),
        native({"text": text[:7]}),
        native({"text": text[7:]}),
        native(
            {"functionCall": {"name": "f", "args": {}, "id": "1"}},
            finishReason="STOP",
            groundingMetadata=metadata,
        ),
    )
    message = pickle.loads(pickle.dumps(again(await ask(body, call_mode))))
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
async def test_odd_positions_still_point_into_the_text(segment, stretch):
    metadata = grounding([{"segment": segment, "groundingChunkIndices": [0]}])
    message = await ask(answer(TEXT, groundingMetadata=metadata))
    assert cited(message) == [(stretch, "https://rome.example")]


async def test_the_nearer_of_two_is_the_second():
    segment, _ = ODD["the nearer of two"]
    metadata = grounding([{"segment": segment, "groundingChunkIndices": [0]}])
    message = await ask(answer(TEXT, groundingMetadata=metadata))
    assert text_block(message)["annotations"][0]["start_index"] == TEXT.rindex("🌞")


@pytest.mark.parametrize("segment", [{}, {"startIndex": 500, "endIndex": 600}, {"endIndex": None}])
@pytest.mark.parametrize("call_mode", CALL_MODES[:4])
async def test_a_support_that_points_nowhere_is_a_citation_without_positions(call_mode, segment):
    metadata = grounding([{"segment": segment, "groundingChunkIndices": [0]}])
    message = await ask(answer("Hello.", groundingMetadata=metadata), call_mode)
    assert text_block(message)["annotations"] == [
        {"type": "citation", "url": "https://rome.example", "title": "Rome"}
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        grounding([{"segment": {"endIndex": 2}, "groundingChunkIndices": [7, -1, "0", None]}]),
        grounding([{"groundingChunkIndices": 0}, None, "odd"], chunks=(None, {}, {"web": None})),
        {"groundingSupports": "odd", "groundingChunks": 3, "webSearchQueries": {"a": 1}},
        ["odd"],
        "odd",
    ],
)
async def test_malformed_metadata_costs_no_text(metadata):
    message = await ask(answer("Hello.", groundingMetadata=metadata))
    assert message.content_blocks[0] == {"type": "text", "text": "Hello."}
    assert message.response_metadata["grounding_metadata"] == metadata


async def test_scores_go_into_extras():
    scored = {**support("Hi you.", "you.", 0, 1), "confidenceScores": [0.5]}
    message = await ask(answer("Hi you.", groundingMetadata=grounding([scored])))
    first, second = text_block(message)["annotations"]
    assert first["extras"] == {"confidence_score": 0.5}
    assert "extras" not in second


async def test_an_answer_without_text_has_the_search_alone():
    last = native(groundingMetadata=grounding([]), finishReason="STOP")
    message = await ask(sse({**last, "usageMetadata": {"totalTokenCount": 5}}), stream)
    assert [block["type"] for block in blocks_of(message)] == [
        "server_tool_call",
        "server_tool_result",
    ]


async def test_a_message_without_spans_has_them_worked_out_anew():
    text = "Été. Oslo."
    metadata = {
        "model_provider": "kie",
        "grounding_metadata": grounding([support(text, "Oslo.", 1)]),
    }
    message = AIMessage(text, response_metadata=metadata)
    assert cited(message) == [("Oslo.", "https://oslo.example")]
    assert message.response_metadata == metadata


# --- several texts --------------------------------------------------------------------------


CODE = native({"executableCode": {"language": "PYTHON", "code": "1"}})
RESULT = native({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}})


@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_a_citation_stands_on_the_text_block_that_holds_it(call_mode):
    before, after = "Été. ", "Là-bas. 中文."
    whole = before + after
    supports = [support(whole, s, 0) for s in ("Été.", "中文.", "Été. Là-bas.")]
    body = sse(
        native({"text": before}),
        CODE,
        RESULT,
        native({"text": after}),
        native({"text": ""}, finishReason="STOP", groundingMetadata=grounding(supports)),
    )
    message = await ask(body, call_mode)
    assert message.text == whole
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
WHOLE = grounding([ABOUT_ROME, ABOUT_OSLO], queries=("rome", "oslo"))
PART = grounding([ABOUT_ROME], [ROME], ["rome"])
SEVERAL = {
    "one event": [WHOLE],
    "the same twice": [WHOLE, WHOLE],
    "what is known so far": [PART, WHOLE],
    "only what is new": [PART, grounding([support(BOTH, SECOND, 0)], [OSLO], ["oslo"])],
    "what is new, numbered on": [PART, grounding([ABOUT_OSLO], [OSLO], ["oslo"])],
    "what overlaps": [
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
    "an entry point last": [WHOLE, {"searchEntryPoint": {"renderedContent": "<div></div>"}}],
    "nothing more": [WHOLE, {}],
}


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize("events", SEVERAL.values(), ids=SEVERAL)
async def test_metadata_of_several_events_is_one(call_mode, events):
    said = native({"text": BOTH})
    body = sse(said, *(native(groundingMetadata=e) for e in events), native(finishReason="STOP"))
    message = await ask(body, call_mode)
    assert message.response_metadata["grounding_metadata"] == WHOLE
    assert cited(message) == [(FIRST, "https://rome.example"), (SECOND, "https://oslo.example")]


def test_a_support_that_says_more_takes_the_place_of_the_former():
    fuller = support(BOTH, FIRST, 0, 1)
    both = merge_grounding(PART, grounding([fuller, ABOUT_OSLO]))
    assert both["groundingSupports"] == [fuller, ABOUT_OSLO]
    assert merge_grounding(both, PART)["groundingSupports"] == [fuller, ABOUT_OSLO]


def test_merging_changes_nothing_that_came():
    before = orjson.dumps([PART, WHOLE])
    merge_metadata("grounding_metadata", PART, WHOLE)
    assert orjson.dumps([PART, WHOLE]) == before


@pytest.mark.parametrize("old", [None, {}, [], "odd", 3])
def test_metadata_of_another_kind_is_replaced(old):
    assert merge_metadata("grounding_metadata", old, WHOLE) == WHOLE


# --- web pages, recitations, annotations ----------------------------------------------------


@pytest.mark.parametrize("call_mode", CALL_MODES)
async def test_pages_that_were_read_are_a_server_tool_call(call_mode):
    pages = {"https://a.example": "SUCCESS", "https://b.example": "PAYWALL"}
    first, second = (
        {"urlMetadata": [{"retrievedUrl": u, "urlRetrievalStatus": f"URL_RETRIEVAL_STATUS_{s}"}]}
        for u, s in pages.items()
    )
    body = sse(
        native({"text": "Read."}, urlContextMetadata=first),
        native(finishReason="STOP", urlContextMetadata=second),
    )
    message = await ask(body, call_mode)
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


async def test_a_fetch_of_which_nothing_came_is_an_error():
    page = {"retrievedUrl": "https://a.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"}
    message = await ask(answer("No.", urlContextMetadata={"urlMetadata": [page]}))
    assert blocks_of(message)[-1]["status"] == "error"


async def test_what_gemini_recited_is_cited():
    source = {"startIndex": 6, "endIndex": 10, "uri": "https://book.example", "license": "mit"}
    message = await ask(answer("Été. Été!", citationMetadata={"citationSources": [source]}))
    assert cited(message) == [(" Ét", "https://book.example")]
    assert text_block(message)["annotations"][0]["extras"] == {"license": "mit"}


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


def chat(delta, **choice):
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


CHAT = {
    "in one piece": sse(
        chat({"content": "中文, é Rome", "annotations": [NOTE]}), chat({}, finish_reason="stop")
    ),
    "at the end, and twice": sse(
        chat({"content": "中文, "}),
        chat({"content": "é Rome", "annotations": [NOTE]}),
        chat({"annotations": [NOTE]}, finish_reason="stop"),
    ),
    "flat": sse(
        chat({"content": "中文, é Rome", "annotations": [FLAT]}), chat({}, finish_reason="stop")
    ),
    "beside others": sse(
        chat({"content": "中文, é Rome", "annotations": [{"type": "file"}, NOTE]}),
        chat({"annotations": []}, finish_reason="stop"),
    ),
}


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize("body", CHAT.values(), ids=CHAT)
async def test_annotations_of_the_chat_dialect_are_citations(call_mode, body):
    message = await ask(body, call_mode, model="gemini-3-flash")
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


async def test_annotations_of_a_whole_completion_are_citations():
    said = {"role": "assistant", "content": "中文, é Rome", "annotations": [NOTE]}
    body = {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    message = await ask(orjson.dumps(body), model="gemini-3-flash")
    assert cited(message) == [("é Rom", "https://rome.example")]
    assert message.response_metadata["annotations"] == [NOTE]
