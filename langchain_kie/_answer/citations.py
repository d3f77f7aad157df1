"""What an answer rests on, as LangChain's citations and server tool blocks.

The wire's metadata stays in `response_metadata` as it came. Gemini counts bytes of the whole
text in UTF-8, a citation counts characters of its own text block; so where the text is known,
at the end of an answer, the spans are kept beside the metadata, a list for each thing cited:

    message.response_metadata["citation_spans"] = [[["lc_txt_0", 0, 12]], ...]

With them the last chunk of a stream, which has no text, gives the same citations as the whole
message; a message without them has them worked out anew. Pure; knows nothing of dialects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langchain_kie._json import Json


CITATION_SPANS_KEY = "citation_spans"
FIRST_TEXT = "lc_txt_0"

_NUMBERS = "groundingChunkIndices"
_STATUS_PREFIX = "URL_RETRIEVAL_STATUS_"


# --- metadata that comes in several events --------------------------------------------------


def merged(name: str, old: Any, new: Any) -> Any:
    """What two events say under one of the names `MERGED_KEYS` of `response_metadata`."""
    kind, merge = _MERGES[name]
    return merge(old, new) if isinstance(old, kind) and isinstance(new, kind) else new


def merge_grounding(old: Json, new: Json) -> Json:
    """The grounding metadata of two events: nothing lost, nothing doubled.

    Supports name sources by number. An event that repeats the sources known so far, or names
    numbers beyond its own, counts from the answer's first source, any other from its own.
    """
    known, own = _list(old, "groundingChunks"), _list(new, "groundingChunks")
    supports = _dicts(new, "groundingSupports")
    if own[: len(known)] == known:
        sources = own
    elif known[: len(own)] == own:
        sources = known
    elif any(number >= len(own) for support in supports for number in _numbers(support)):
        sources = known + own
    else:
        sources = _joined(known, own)
        places = [sources.index(source) for source in own]
        supports = [
            {**support, _NUMBERS: [places[number] for number in _numbers(support)]}
            for support in supports
        ]
    lists = {
        "webSearchQueries": _joined(_list(old, "webSearchQueries"), _list(new, "webSearchQueries")),
        "groundingChunks": sources,
        "groundingSupports": _joined_supports(_dicts(old, "groundingSupports"), supports),
    }
    return {**old, **new, **{name: value for name, value in lists.items() if value}}


def _joined_supports(old: list[Json], new: list[Json]) -> list[Json]:
    """Supports; of two for one segment, one that names the sources of the other as well."""
    joined = list(old)
    for support in new:
        if any(_covers(known, support) for known in joined):
            continue
        covered = (n for n, known in enumerate(joined) if _covers(support, known))
        place = next(covered, len(joined))
        joined[place : place + 1] = [support]
    return joined


def _covers(support: Json, other: Json) -> bool:
    is_same = support.get("segment") == other.get("segment")
    return is_same and set(_numbers(support)) >= set(_numbers(other))


def _joined(old: list[Any], new: list[Any]) -> list[Any]:
    joined = list(old)
    for item in new:
        if item not in joined:
            joined.append(item)
    return joined


def _joining(member: str) -> Callable[[Json, Json], Json]:
    def merge(old: Json, new: Json) -> Json:
        return {**old, **new, member: _joined(_list(old, member), _list(new, member))}

    return merge


_MERGES: Mapping[str, tuple[type, Callable[[Any, Any], Any]]] = {
    "grounding_metadata": (dict, merge_grounding),
    "url_context_metadata": (dict, _joining("urlMetadata")),
    "citation_metadata": (dict, _joining("citationSources")),
    "annotations": (list, _joined),
}
MERGED_KEYS = _MERGES.keys()
"""The names whose values add up; of any other, the last event's counts."""


# --- metadata to claims: a stretch of the answer, and the sources it rests on ---------------


@dataclass(frozen=True, slots=True)
class Citation:
    """A stretch of the answer and its sources.

    Attributes:
        start: Where it starts in the whole text.
        end: Where it ends, `None` where that is not said.
        text: The stretch itself, as the wire quotes it.
        in_bytes: Whether the positions count bytes of UTF-8.
        sources: What a citation tells of each source.
    """

    start: int
    end: int | None
    text: str
    in_bytes: bool
    sources: list[Json]


def _claims(metadata: Json) -> list[Citation]:
    return [
        claim
        for name, read in _READERS.items()
        if (value := metadata.get(name))
        for claim in read(value)
    ]


def _from_grounding(grounding: Any) -> Iterator[Citation]:
    sources = _list(grounding, "groundingChunks")
    for support in _dicts(grounding, "groundingSupports"):
        segment = _dict(support.get("segment"))
        start, end = _positions(segment, "startIndex", "endIndex")
        text = _text(segment)
        if end is None and text:
            end = start + len(_encoded(text))
        scores = dict(zip(_numbers(support), _list(support, "confidenceScores"), strict=False))
        cited = [
            {
                **_source(sources[number]),
                **({"extras": {"confidence_score": scores[number]}} if number in scores else {}),
            }
            for number in _numbers(support)
            if number < len(sources) and _source(sources[number])
        ]
        yield Citation(start, end, text, in_bytes=True, sources=cited)


def _from_citation_metadata(citations: Any) -> Iterator[Citation]:
    for source in _dicts(citations, "citationSources"):
        start, end = _positions(source, "startIndex", "endIndex")
        cited = _known(
            url=source.get("uri"),
            title=source.get("title"),
            extras=_known(license=source.get("license")),
        )
        yield Citation(start, end, "", in_bytes=True, sources=[cited])


def _annotated(annotations: Any) -> Iterator[Citation]:
    for annotation in annotations if isinstance(annotations, list) else ():
        if isinstance(annotation, dict) and annotation.get("type") == "url_citation":
            citation = _dict(annotation.get("url_citation")) or annotation
            start, end = _positions(citation, "start_index", "end_index")
            cited = _known(url=citation.get("url"), title=citation.get("title"))
            yield Citation(start, end, "", in_bytes=False, sources=[cited])


_READERS: Mapping[str, Callable[[Any], Iterator[Citation]]] = {
    "grounding_metadata": _from_grounding,
    "citation_metadata": _from_citation_metadata,
    "annotations": _annotated,
}


def _positions(segment: Json, start: str, end: str) -> tuple[int, int | None]:
    """Start and end; a start of 0 is left out, as protocol buffers do."""
    first, last = segment.get(start), segment.get(end)
    return (first if isinstance(first, int) else 0), (last if isinstance(last, int) else None)


def _source(chunk: Any) -> Json:
    """Address and title of a source: a web page, a place on the map, or a document."""
    members = chunk.values() if isinstance(chunk, dict) else ()
    source = next((member for member in members if isinstance(member, dict)), {})
    return _known(url=source.get("uri"), title=source.get("title"))


# --- claims to spans ------------------------------------------------------------------------


def citation_spans(metadata: Json, texts: Mapping[str, str]) -> list[list[list[Any]]]:
    """For each claim, the text blocks that hold it, each with start and end in its own text.

    Args:
        metadata: A message's `response_metadata`.
        texts: The message's text blocks in order, by their index.
    """
    claims = _claims(metadata) if texts else []
    if not claims:
        return []
    whole = "".join(texts.values())
    encoded = _encoded(whole)
    return [_pieces(*_located(claim, whole, encoded), texts) for claim in claims]


def _located(claim: Citation, whole: str, encoded: bytes) -> tuple[int, int]:
    """Where a claim is in the whole text, in characters; an empty span where nobody knows.

    Positions are taken at their word unless the quoted text says that they are wrong.
    """
    if claim.end is None:
        return 0, 0
    start, end = claim.start, claim.end
    if claim.in_bytes:
        start, end = _characters(encoded, start)[0], _characters(encoded, end)[1]
    if claim.text and whole[start:end] != claim.text:
        found = [
            whole.find(claim.text, start),
            whole.rfind(claim.text, 0, start + len(claim.text)),
        ]
        if places := [place for place in found if place >= 0]:
            start = min(places, key=lambda place: abs(place - start))
            end = start + len(claim.text)
    return start, end


def _characters(encoded: bytes, position: int) -> tuple[int, int]:
    """How many characters end by a byte's position, and how many begin before it."""
    head = encoded[: max(0, position)]
    ended = len(head.decode(errors="ignore"))
    return ended, len(head.decode(errors="replace"))


def _pieces(start: int, end: int, texts: Mapping[str, str]) -> list[list[Any]]:
    pieces: list[list[Any]] = []
    position = 0
    for index, text in texts.items():
        first, last = max(start - position, 0), min(end - position, len(text))
        if first < last:
            pieces.append([index, first, last])
        position += len(text)
    return pieces or [[index, None, None]]


# --- spans and metadata to blocks -----------------------------------------------------------


def add_sources(blocks: list[Json], metadata: Json, *, is_chunk: bool) -> None:
    """Put citations on the text blocks, and behind all blocks what the server's tools did.

    Blocks that have them already are left alone. They come last because in a stream they do.

    Args:
        blocks: A message's standard blocks.
        metadata: Its `response_metadata`.
        is_chunk: Whether the text may be in earlier chunks; then an empty text block, which
            LangChain adds to the one with the same index, holds the citations.
    """
    claims = _claims(metadata)
    texts = {block.get("index", FIRST_TEXT): block for block in blocks if block["type"] == "text"}
    if claims and not any(block.get("annotations") for block in texts.values()):
        spans = metadata.get(CITATION_SPANS_KEY) or citation_spans(
            metadata, {index: block["text"] for index, block in texts.items()}
        )
        for index, citations in _citations(claims, spans).items():
            if index not in texts and is_chunk:
                texts[index] = {"type": "text", "text": "", "index": index}
                blocks.append(texts[index])
            if index in texts:
                texts[index]["annotations"] = citations
    ids = {block.get("id") for block in blocks}
    for run in _web_search_blocks(metadata), _web_fetch_blocks(metadata):
        if run and run[0]["id"] not in ids:
            blocks.extend(run)


def _citations(claims: list[Citation], spans: list[list[list[Any]]]) -> dict[str, list[Json]]:
    """The citations on each text block: one for each claim and source."""
    citations: dict[str, list[Json]] = {}
    for claim, pieces in zip(claims, spans, strict=False):
        for index, start, end in pieces:
            for source in claim.sources:
                citation = _known(
                    type="citation",
                    url=source.get("url"),
                    title=source.get("title"),
                    start_index=start,
                    end_index=end,
                    cited_text=claim.text or None,
                    extras=source.get("extras"),
                )
                citations.setdefault(index, []).append(citation)
    return citations


def _web_search_blocks(metadata: Json) -> list[Json]:
    grounding = metadata.get("grounding_metadata")
    queries = _list(grounding, "webSearchQueries")
    found = [_source(chunk) for chunk in _list(grounding, "groundingChunks")]
    if not (queries or found):
        return []
    return _run("web_search", {"queries": queries}, found, is_ok=True)


def _web_fetch_blocks(metadata: Json) -> list[Json]:
    pages = [
        {
            "url": page.get("retrievedUrl"),
            "status": str(page.get("urlRetrievalStatus")).removeprefix(_STATUS_PREFIX).lower(),
        }
        for page in _dicts(metadata.get("url_context_metadata"), "urlMetadata")
    ]
    if not pages:
        return []
    is_ok = any(page["status"] == "success" for page in pages)
    return _run("web_fetch", {"urls": [page["url"] for page in pages]}, pages, is_ok=is_ok)


def _run(name: str, args: Json, output: list[Json], *, is_ok: bool) -> list[Json]:
    """A call of a server's tool and its result; an answer has at most one of each name."""
    call_id = f"{name}_1"
    return [
        {
            "type": "server_tool_call",
            "id": call_id,
            "name": name,
            "args": args,
            "index": f"lc_{name}_call",
        },
        {
            "type": "server_tool_result",
            "tool_call_id": call_id,
            "status": "success" if is_ok else "error",
            "output": output,
            "index": f"lc_{name}_result",
        },
    ]


# --- members of metadata, whatever they are -------------------------------------------------


def _list(value: Any, member: str) -> list[Any]:
    items = value.get(member) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []


def _dicts(value: Any, member: str) -> list[Json]:
    return [item for item in _list(value, member) if isinstance(item, dict)]


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(segment: Json) -> str:
    text = segment.get("text")
    return text if isinstance(text, str) else ""


def _numbers(support: Json) -> list[int]:
    return [n for n in _list(support, _NUMBERS) if isinstance(n, int) and n >= 0]


def _known(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value not in (None, {})}


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")
