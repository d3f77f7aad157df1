"""Content blocks of every form, as both APIs receive their media."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
from call_modes import BASIC_CALL_MODES
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

from langchain_kie import ChatKieGemini, KieFiles, KieMediaNotSeenError, media_block
from langchain_kie.emulator import Emulator

FOLDER = Path(__file__).parent / "media"
MODEL = "gemini-3-flash"
APIS = ["chat_completions", "generate_content"]
LIMIT = 1_500_000


@dataclass(frozen=True)
class Sample:
    """A small file."""

    mime_type: str
    data: bytes
    extension: str

    @property
    def base64(self):
        return base64.b64encode(self.data).decode()

    @property
    def url(self):
        return f"https://media.example/sample{self.extension}"

    @property
    def data_url(self):
        return f"data:{self.mime_type};base64,{self.base64}"


IMAGE = Sample("image/png", (FOLDER / "diagram.png").read_bytes(), ".png")
AUDIO = Sample("audio/wav", (FOLDER / "tone.wav").read_bytes(), ".wav")
PDF = Sample("application/pdf", (FOLDER / "document.pdf").read_bytes(), ".pdf")
VIDEO = Sample("video/mp4", b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(64), ".mp4")
TEXT = Sample("text/csv", b"city,sky\nOslo,grey\n", ".csv")
SAMPLES = [IMAGE, AUDIO, PDF, VIDEO, TEXT]

KINDS = [("image", IMAGE), ("audio", AUDIO), ("video", VIDEO), ("file", PDF)]


def v1(kind, sample, **members):
    return sample, {"type": kind, "base64": sample.base64, **members}


def v0(kind, sample, **members):
    return sample, {"type": kind, "source_type": "base64", "data": sample.base64, **members}


def anthropic(kind, sample):
    source = {"type": "base64", "media_type": sample.mime_type, "data": sample.base64}
    return sample, {"type": kind, "source": source}


AS_DATA = {
    **{f"v1 {kind}": v1(kind, s, mime_type=s.mime_type) for kind, s in KINDS},
    **{f"v1 {kind}, without a type": v1(kind, s) for kind, s in KINDS},
    **{f"v0 {kind}": v0(kind, s, mime_type=s.mime_type) for kind, s in KINDS},
    "v1 image, wrong type": v1("image", IMAGE, mime_type="image/jpeg"),
    "v1 audio, synonym": v1("audio", AUDIO, mime_type="audio/x-wav"),
    "v1 file, of text": v1("file", TEXT, mime_type="text/csv"),
    "v1 text-plain": v1("text-plain", TEXT, mime_type="text/csv"),
    "v0 image, without a type": v0("image", IMAGE),
    "v0 file, with a file name": v0("file", TEXT, filename="sky.csv"),
    "OpenAI image_url": (IMAGE, {"type": "image_url", "image_url": {"url": IMAGE.data_url}}),
    "OpenAI image_url, with detail": (
        IMAGE,
        {"type": "image_url", "image_url": {"url": IMAGE.data_url, "detail": "low"}},
    ),
    "OpenAI image_url, a string": (IMAGE, {"type": "image_url", "image_url": IMAGE.data_url}),
    "KIE image_url, of a PDF": (PDF, {"type": "image_url", "image_url": {"url": PDF.data_url}}),
    "KIE image_url, of a video": (VIDEO, {"type": "image_url", "image_url": VIDEO.data_url}),
    "OpenAI input_image": (IMAGE, {"type": "input_image", "image_url": IMAGE.data_url}),
    "OpenAI input_audio": (
        AUDIO,
        {"type": "input_audio", "input_audio": {"data": AUDIO.base64, "format": "wav"}},
    ),
    "OpenAI file": (
        PDF,
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF.data_url}},
    ),
    "OpenAI file, of text": (
        TEXT,
        {"type": "file", "file": {"filename": "sky.csv", "file_data": TEXT.data_url}},
    ),
    "OpenAI file, without a data URL": (
        PDF,
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF.base64}},
    ),
    "OpenAI input_file": (
        PDF,
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF.data_url},
    ),
    "OpenAI image_generation_call": (
        IMAGE,
        {"type": "image_generation_call", "result": IMAGE.base64},
    ),
    "Anthropic image": anthropic("image", IMAGE),
    "Anthropic document": anthropic("document", PDF),
    "Anthropic document, with blocks": (
        IMAGE,
        {
            "type": "document",
            "source": {"type": "content", "content": [anthropic("image", IMAGE)[1]]},
        },
    ),
    "Google media": (VIDEO, {"type": "media", "mime_type": "video/mp4", "data": VIDEO.base64}),
    "Google media, of bytes": (VIDEO, {"type": "media", "data": VIDEO.data}),
    "Gemini inline_data": (
        AUDIO,
        {"inline_data": {"mime_type": "audio/wav", "data": AUDIO.base64}},
    ),
    "Gemini inlineData": (
        AUDIO,
        {"type": "inlineData", "inlineData": {"mimeType": "audio/wav", "data": AUDIO.base64}},
    ),
    "Gemini inline_data, flat": (
        AUDIO,
        {"type": "inline_data", "mime_type": "audio/wav", "data": AUDIO.base64},
    ),
    "media_block of bytes": (IMAGE, media_block(IMAGE.data)),
    "media_block of a path": (IMAGE, media_block(FOLDER / "diagram.png")),
}

AS_URL = {
    "v1 image": (IMAGE, {"type": "image", "url": IMAGE.url, "mime_type": "image/png"}),
    **{f"v1 {kind}, without a type": (s, {"type": kind, "url": s.url}) for kind, s in KINDS},
    **{f"v0 {k}": (s, {"type": k, "source_type": "url", "url": s.url}) for k, s in KINDS},
    "v1 image, of a file id": (IMAGE, {"type": "image", "file_id": IMAGE.url}),
    "v1 text-plain": (TEXT, {"type": "text-plain", "url": TEXT.url}),
    "OpenAI image_url": (IMAGE, {"type": "image_url", "image_url": {"url": IMAGE.url}}),
    "OpenAI image_url, a string": (IMAGE, {"type": "image_url", "image_url": IMAGE.url}),
    "KIE image_url, of a video": (VIDEO, {"type": "image_url", "image_url": VIDEO.url}),
    "OpenAI file": (PDF, {"type": "file", "file": {"file_url": PDF.url}}),
    "OpenAI input_file": (PDF, {"type": "input_file", "file_url": PDF.url}),
    "Anthropic image": (IMAGE, {"type": "image", "source": {"type": "url", "url": IMAGE.url}}),
    "Anthropic document": (PDF, {"type": "document", "source": {"type": "url", "url": PDF.url}}),
    "Google media": (
        VIDEO,
        {"type": "media", "mime_type": "video/mp4", "file_uri": VIDEO.url},
    ),
    "Gemini file_data": (PDF, {"file_data": {"file_uri": PDF.url}}),
    "Gemini fileData": (PDF, {"fileData": {"fileUri": PDF.url, "mimeType": "application/pdf"}}),
    "media_block of a URL": (AUDIO, media_block(AUDIO.url)),
}


@pytest.fixture(scope="module")
def emulator():
    with Emulator(media={sample.url: sample.data for sample in SAMPLES}) as started:
        yield started


@pytest.fixture(autouse=True)
def cleared(emulator):
    """Forget the requests of the test before, and what it made the emulator lose."""
    emulator.reset()


@pytest.fixture(params=APIS)
def api(request):
    return request.param


def model_of(emulator, api="chat_completions", **fields):
    defaults = {"model": MODEL, "api": api, "base_url": emulator.base_url, "max_retries": 0}
    return ChatKieGemini(api_key=emulator.api_key, **{**defaults, **fields})


def asking_about(block):
    return [HumanMessage([{"type": "text", "text": "What is it?"}, block])]


def with_tool_result(block):
    """A conversation in which a tool returned the block."""
    call = {"name": "look", "args": {}, "id": "c0"}
    result = ToolMessage([{"type": "text", "text": "seen"}, block], tool_call_id="c0")
    return [HumanMessage("Look."), AIMessage("", tool_calls=[call]), result]


def uploads(emulator):
    return [r.body for r in emulator.requests if r.path == "/api/file-stream-upload"]


def received_media(emulator):
    """The media of the last request, as pairs of a MIME type and data or a URL."""
    body = emulator.requests[-1].body
    if "messages" in body:
        parts = [
            p for m in body["messages"] if isinstance(m["content"], list) for p in m["content"]
        ]
        urls = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
        return [_split(url) for url in urls]
    media = [part for turn in body["contents"] for part in turn["parts"]]
    inline = [
        (p["inline_data"]["mime_type"], p["inline_data"]["data"])
        for p in media
        if "inline_data" in p
    ]
    files = [
        (p["file_data"].get("mime_type"), p["file_data"]["file_uri"])
        for p in media
        if "file_data" in p
    ]
    return inline + files


def _split(url):
    if not url.startswith("data:"):
        return None, url
    mime_type, data = url.removeprefix("data:").split(";base64,")
    return mime_type, data


MESSAGES = pytest.mark.parametrize("messages", [asking_about, with_tool_result])


# --- every form of a block -------------------------------------------------------------------


@MESSAGES
@pytest.mark.parametrize(("sample", "block"), AS_DATA.values(), ids=AS_DATA.keys())
def test_data_is_sent_inline(emulator, api, messages, sample, block):
    answer = model_of(emulator, api).invoke(messages(block))
    assert received_media(emulator) == [(sample.mime_type, sample.base64)]
    assert f"I received 1 file: {sample.mime_type} ({len(sample.data)} bytes)" in answer.text
    assert answer.response_metadata["media_count"] == 1
    assert uploads(emulator) == []


@MESSAGES
@pytest.mark.parametrize(("sample", "block"), AS_DATA.values(), ids=AS_DATA.keys())
def test_data_is_uploaded(emulator, api, messages, sample, block):
    model = model_of(emulator, api, media_upload="always")
    answer = model.invoke(messages(block))
    ((mime_type, url),) = received_media(emulator)
    assert url.startswith(emulator.base_url)
    assert url.endswith(sample.extension)
    assert mime_type in {None, sample.mime_type}
    assert f"I received 1 file: {sample.mime_type} ({len(sample.data)} bytes)" in answer.text


@MESSAGES
@pytest.mark.parametrize("mode", ["auto", "always", "never"])
@pytest.mark.parametrize(("sample", "block"), AS_URL.values(), ids=AS_URL.keys())
def test_url_is_sent_unchanged(emulator, api, messages, mode, sample, block):
    answer = model_of(emulator, api, media_upload=mode).invoke(messages(block))
    expected = {"chat_completions": None, "generate_content": sample.mime_type}[api]
    if "file_id" not in block:
        assert received_media(emulator) == [(expected, sample.url)]
    assert f"I received 1 file: {sample.mime_type} ({len(sample.data)} bytes)" in answer.text
    assert uploads(emulator) == []


def test_v0_text_block_is_sent_as_text(emulator, api):
    block = {
        "type": "file",
        "source_type": "text",
        "text": "Say 'otter'.",
        "mime_type": "text/plain",
    }
    assert model_of(emulator, api).invoke([HumanMessage([block])]).text == "otter"


def test_blocks_of_all_forms_keep_their_order(emulator, api):
    blocks = [block for _, block in AS_DATA.values()]
    text = [{"type": "text", "text": f"{number}"} for number in range(len(blocks))]
    model_of(emulator, api).invoke(
        [HumanMessage([b for pair in zip(text, blocks, strict=True) for b in pair])]
    )
    assert received_media(emulator) == [(s.mime_type, s.base64) for s, _ in AS_DATA.values()]


# --- inline or uploaded ----------------------------------------------------------------------


_SERIALS = itertools.count(1)


def large(tmp_path, size=LIMIT + 1):
    """A unique PNG of a size in bytes."""
    number = next(_SERIALS)
    path = tmp_path / f"{number}.png"
    path.write_bytes(IMAGE.data.ljust(size - 4, b"\0") + number.to_bytes(4, "big"))
    return path


def test_largest_files_are_uploaded_above_the_limit(emulator, api, tmp_path):
    blocks = [media_block(large(tmp_path, size)) for size in (900_000, 700_000, 800_000)]
    model_of(emulator, api).invoke([HumanMessage(blocks)])
    assert [u["size"] for u in uploads(emulator)] == [900_000]
    assert len([1 for _, place in received_media(emulator) if place.startswith("http")]) == 1


def test_nothing_is_uploaded_at_the_limit(emulator, api, tmp_path):
    model_of(emulator, api).invoke(asking_about(media_block(large(tmp_path, LIMIT))))
    assert uploads(emulator) == []


def test_media_upload_never_rejects_media_above_the_limit(emulator, api, tmp_path):
    block = media_block(large(tmp_path))
    with pytest.raises(ValueError, match=r"1,500,001 bytes .* media_upload=\"auto\""):
        model_of(emulator, api, media_upload="never").invoke(asking_about(block))
    assert emulator.requests == []


def test_same_content_is_uploaded_once(emulator, tmp_path):
    """In every form, call and API."""
    path = large(tmp_path)
    blocks = [media_block(path), media_block(path.read_bytes()), media_block(path)]
    for api in APIS:
        model_of(emulator, api).invoke([HumanMessage(blocks)])
        model_of(emulator, api).invoke(asking_about(blocks[1]))
    assert len(uploads(emulator)) == 1


def test_changed_file_is_uploaded_again(emulator, tmp_path):
    path = large(tmp_path)
    block = media_block(path)
    for _ in range(2):
        model_of(emulator).invoke(asking_about(block))
        path.write_bytes(large(tmp_path, LIMIT + 2).read_bytes())
    model_of(emulator).invoke(asking_about(block))
    assert [upload["size"] for upload in uploads(emulator)] == [LIMIT + 1, LIMIT + 2, LIMIT + 2]


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_missing_file_stops_the_call_before_a_request(emulator, tmp_path, call_mode):
    there, gone = large(tmp_path), large(tmp_path)
    blocks = [media_block(there), media_block(gone)]
    gone.unlink()
    with pytest.raises(ValueError, match=rf"cannot read '{gone}': No such file"):
        await call_mode(model_of(emulator), [HumanMessage(blocks)])
    assert emulator.requests == []


# --- agents and checkpoints ------------------------------------------------------------------


def test_agent_sends_an_image_that_a_tool_returned(emulator, api):
    @tool
    def take_photo(subject: str) -> list:
        """Take a photo of a subject."""
        return [{"type": "text", "text": f"a photo of {subject}"}, media_block(IMAGE.data)]

    agent = create_agent(model_of(emulator, api), [take_photo])
    state = agent.invoke({"messages": [("user", 'Take a photo of "an otter".')]})
    assert received_media(emulator) == [("image/png", IMAGE.base64)]
    assert "I received 1 file: image/png (101 bytes)" in state["messages"][-1].text


def test_agent_uploads_a_video_that_a_tool_returned_once(emulator, api, tmp_path):
    """Also in the following turns of the conversation."""
    path = tmp_path / "film.mp4"
    path.write_bytes(VIDEO.data.ljust(LIMIT + 1, b"\0") + api.encode())

    @tool
    def record_film(subject: str) -> list:
        """Record a film of a subject."""
        return [{"type": "text", "text": f"a film of {subject}"}, media_block(path)]

    agent = create_agent(model_of(emulator, api), [record_film])
    state = agent.invoke({"messages": [("user", 'Record a film of "an otter".')]})
    assert state["messages"][-2].content[1]["kie_path"] == path
    state = agent.invoke({"messages": [*state["messages"], ("user", "And?")]})
    assert len(uploads(emulator)) == 1
    assert len({url for _, url in received_media(emulator)}) == 1


def test_file_list_of_a_tool_is_sent_as_json_and_not_read(emulator, api):
    """Although a list of files looks like content blocks."""

    @tool
    def list_files(folder: str) -> list:
        """List the files of a folder."""
        return [{"type": "file", "path": path, "name": path.name} for path in FOLDER.iterdir()]

    agent = create_agent(model_of(emulator, api), [list_files])
    state = agent.invoke({"messages": [("user", 'List the files of the folder "media".')]})
    assert received_media(emulator) == []
    assert "diagram.png" in state["messages"][-1].text
    assert uploads(emulator) == []


def test_checkpoint_stores_the_path_and_the_file_is_sent_again(emulator, api, tmp_path):
    def ask(state):
        return {"messages": [model_of(emulator, api).invoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("model", ask).add_edge(START, "model")
    thread = {"configurable": {"thread_id": "1"}}
    for messages in (asking_about(media_block(FOLDER / "diagram.png")), [HumanMessage("And?")]):
        with SqliteSaver.from_conn_string(str(tmp_path / "agent.sqlite")) as saver:
            graph.compile(saver).invoke({"messages": messages}, thread)
        assert received_media(emulator) == [("image/png", IMAGE.base64)]


def test_uploaded_file_is_sent_by_its_url(emulator, api):
    files = KieFiles(api_key=emulator.api_key, upload_url=emulator.base_url)
    for sample in SAMPLES:
        file = files.upload(sample.data, mime_type=sample.mime_type)
        answer = model_of(emulator, api).invoke(asking_about(file.block()))
        assert received_media(emulator)[0][1] == file.url
        assert f"{sample.mime_type} ({len(sample.data)} bytes)" in answer.text


# --- media that KIE loses --------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES[:4], ids=lambda sample: sample.mime_type)
@pytest.mark.parametrize("is_remote", [False, True])
def test_require_media_seen_detects_dropped_media(emulator, api, sample, is_remote):
    """wire.md 9-6."""
    block = media_block(sample.url if is_remote else sample.data)
    trusting, checking = model_of(emulator, api), model_of(emulator, api, require_media_seen=True)
    assert checking.invoke(asking_about(block)).response_metadata["media_count"] == 1
    emulator.drops_media = True
    assert "I received" not in trusting.invoke(asking_about(block)).text
    with pytest.raises(
        KieMediaNotSeenError, match=r"KIE counted \d+ tokens for a prompt with 1 media"
    ):
        checking.invoke(asking_about(block))
    with pytest.raises(KieMediaNotSeenError):
        [*checking.stream(asking_about(block))]
    with pytest.raises(KieMediaNotSeenError):
        trusting.invoke(asking_about(block), require_media_seen=True)
    assert checking.invoke("Hello!").response_metadata.get("media_count") is None


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_file_that_kie_lost_is_uploaded_again_within_the_call(emulator, api, call_mode):
    model = model_of(emulator, api, media_upload="always")
    messages = asking_about(media_block(IMAGE.data + f"{call_mode.__name__} {api}".encode()))
    await call_mode(model, messages)
    emulator.expire_files()
    assert await call_mode(model, messages)
    assert len(uploads(emulator)) == 2
