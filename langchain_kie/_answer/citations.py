"""The sources of an answer, as LangChain's citations and server tool blocks.

The server's metadata is kept unchanged in `response_metadata`. Gemini counts UTF-8 bytes of the
complete text; a citation counts characters of its text block. The end of an answer therefore adds
the converted spans, one list for each citation:

    message.response_metadata["citation_spans"] = [[["lc_txt_0", 0, 12]], ...]

With them, the last chunk of a stream has the same citations as the message, although it has no
text. For a message without them, they are computed again. Pure; independent of the APIs.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_kie._json import json_key, without_none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langchain_kie._json import Json

Span = list[Any]
"""The index of a text block, and start and end in its text, `None` if unknown."""

CITATION_SPANS_KEY = "citation_spans"
FIRST_TEXT = "lc_txt_0"

_CHUNK_INDICES = "groundingChunkIndices"
_STATUS_PREFIX = "URL_RETRIEVAL_STATUS_"


# --- metadata of several events -------------------------------------------------------------


def merge_metadata(key: str, old: Any, new: Any) -> Any:
    """Merge the values of two events for a key of `MERGED_KEYS`."""
    kind, merge = _MERGES[key]
    return merge(old, new) if isinstance(old, kind) and isinstance(new, kind) else new


def merge_grounding(old: Json, new: Json) -> Json:
    """Merge the grounding metadata of two events without loss and without duplicates.

    Supports refer to sources by index. If an event repeats the earlier sources, or has indices
    larger than its list of sources, its indices count from the first source of the answer;
    otherwise from its first source.
    """
    old_sources, new_sources = _list(old, "groundingChunks"), _list(new, "groundingChunks")
    supports = _dicts(new, "groundingSupports")
    if new_sources[: len(old_sources)] == old_sources:
        sources = new_sources
    elif old_sources[: len(new_sources)] == new_sources:
        sources = old_sources
    elif any(index >= len(new_sources) for s in supports for index in _chunk_indices(s)):
        sources = old_sources + new_sources
    else:
        sources = _union(old_sources, new_sources)
        indices = [sources.index(source) for source in new_sources]
        supports = [
            {**support, _CHUNK_INDICES: [indices[index] for index in _chunk_indices(support)]}
            for support in supports
        ]
    lists = {
        "webSearchQueries": _union(_list(old, "webSearchQueries"), _list(new, "webSearchQueries")),
        "groundingChunks": sources,
        "groundingSupports": _merge_supports(_dicts(old, "groundingSupports"), supports),
    }
    return {**old, **new, **{name: value for name, value in lists.items() if value}}


def _merge_supports(old: list[Json], new: list[Json]) -> list[Json]:
    """Merge supports; of two for the same segment, the one with more sources remains."""
    merged = list(old)
    positions: dict[bytes, list[int]] = {}
    for position, support in enumerate(old):
        positions.setdefault(json_key(support.get("segment")), []).append(position)
    for support in new:
        same = positions.setdefault(json_key(support.get("segment")), [])
        if any(_includes(merged[n], support) for n in same):
            continue
        position = next((n for n in same if _includes(support, merged[n])), len(merged))
        if position == len(merged):
            same.append(position)
        merged[position : position + 1] = [support]
    return merged


def _includes(support: Json, other: Json) -> bool:
    """Whether a support has at least the sources of another one."""
    return set(_chunk_indices(support)) >= set(_chunk_indices(other))


def _union(old: list[Any], new: list[Any]) -> list[Any]:
    """The items of a list, and those of another one that it does not have."""
    known = set(map(json_key, old))
    added = {key: item for item in new if (key := json_key(item)) not in known}
    return [*old, *added.values()]


def _merge_lists(join: Callable[[list[Any], list[Any]], list[Any]], old: Json, new: Json) -> Json:
    """Two objects, with the lists that both have joined."""
    lists = {
        name: join(old[name], value)
        for name, value in new.items()
        if isinstance(value, list) and isinstance(old.get(name), list)
    }
    return {**old, **new, **lists}


_unite_lists = partial(_merge_lists, _union)
_append_lists = partial(_merge_lists, operator.add)

_MERGES: Mapping[str, tuple[type, Callable[[Any, Any], Any]]] = {
    "grounding_metadata": (dict, merge_grounding),
    "url_context_metadata": (dict, _unite_lists),
    "citation_metadata": (dict, _unite_lists),
    "annotations": (list, _union),
    "logprobs": (dict, _append_lists),
    "logprobs_result": (dict, _append_lists),
    "reasoning_details": (list, operator.add),
    "extra_content": (dict, operator.or_),
    "provider_specific_fields": (dict, _append_lists),
}
MERGED_KEYS = _MERGES.keys()
"""The keys whose values are merged; for other keys the value of the last event counts."""


# --- metadata to citations ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Citation:
    """A cited part of the answer's text, and its sources.

    Attributes:
        start: Its start in the complete text.
        end: Its end, `None` if unknown.
        text: The text, as the server quotes it.
        in_bytes: Whether the positions count UTF-8 bytes.
        sources: For each source, the `url`, `title` and `extras` of LangChain's citation.
    """

    start: int
    end: int | None
    text: str
    in_bytes: bool
    sources: list[Json]


def _citations(metadata: Json) -> list[Citation]:
    return [
        citation
        for key, parse in _CITATION_PARSERS.items()
        if (value := metadata.get(key))
        for citation in parse(value)
    ]


def _from_grounding(grounding: Any) -> Iterator[Citation]:
    sources = [_source(chunk) for chunk in _list(grounding, "groundingChunks")]
    for support in _dicts(grounding, "groundingSupports"):
        segment = support.get("segment")
        segment = segment if isinstance(segment, dict) else {}
        start, end = _positions(segment, "startIndex", "endIndex")
        text = segment.get("text")
        text = text if isinstance(text, str) else ""
        if end is None and text:
            end = start + len(_encode(text))
        indices = _chunk_indices(support)
        scores = dict(zip(indices, _list(support, "confidenceScores"), strict=False))
        cited = [
            {**sources[n], **({"extras": {"confidence_score": scores[n]}} if n in scores else {})}
            for n in indices
            if n < len(sources) and sources[n]
        ]
        yield Citation(start, end, text, in_bytes=True, sources=cited)


def _from_citation_metadata(citations: Any) -> Iterator[Citation]:
    for source in (*_dicts(citations, "citationSources"), *_dicts(citations, "citations")):
        start, end = _positions(source, "startIndex", "endIndex")
        extras = without_none(license=source.get("license")) or None
        cited = without_none(url=source.get("uri"), title=source.get("title"), extras=extras)
        yield Citation(start, end, "", in_bytes=True, sources=[cited])


def _from_annotations(annotations: Any) -> Iterator[Citation]:
    for annotation in annotations if isinstance(annotations, list) else ():
        if isinstance(annotation, dict) and annotation.get("type") == "url_citation":
            inner = annotation.get("url_citation")
            citation = inner if inner and isinstance(inner, dict) else annotation
            start, end = _positions(citation, "start_index", "end_index")
            cited = without_none(url=citation.get("url"), title=citation.get("title"))
            yield Citation(start, end, "", in_bytes=False, sources=[cited])


_CITATION_PARSERS: Mapping[str, Callable[[Any], Iterator[Citation]]] = {
    "grounding_metadata": _from_grounding,
    "citation_metadata": _from_citation_metadata,
    "annotations": _from_annotations,
}


def _positions(segment: Json, start: str, end: str) -> tuple[int, int | None]:
    """Start and end; protocol buffers omit a start of 0."""
    first, last = segment.get(start), segment.get(end)
    return (first if isinstance(first, int) else 0), (last if isinstance(last, int) else None)


def _source(chunk: Any) -> Json:
    """The URL and title of a source: a web page, a place on a map, or a document."""
    members = chunk.values() if isinstance(chunk, dict) else ()
    source = next((member for member in members if isinstance(member, dict)), {})
    return without_none(url=source.get("uri"), title=source.get("title"))


# --- citations to spans ---------------------------------------------------------------------


def citation_spans(metadata: Json, texts: Mapping[str, str]) -> list[list[Span]]:
    """Return, for each citation, its spans in the text blocks.

    Args:
        metadata: A message's `response_metadata`.
        texts: The message's text blocks in order, by their index.
    """
    if _CITATION_PARSERS.keys().isdisjoint(metadata) or not texts:
        return []
    citations = _citations(metadata)
    if not citations:
        return []
    full_text = "".join(texts.values())
    encoded = _encode(full_text)
    return [_block_spans(*_text_span(c, full_text, encoded), texts) for c in citations]


def _text_span(citation: Citation, full_text: str, encoded: bytes) -> tuple[int, int]:
    """Start and end in the complete text, in characters; an empty span if they are unknown.

    If the text at these positions is not the quoted text, the nearest place that has it counts.
    """
    if citation.end is None:
        return 0, 0
    start, end = citation.start, citation.end
    if citation.in_bytes:
        start = len(encoded[: max(0, start)].decode(errors="ignore"))
        end = len(encoded[: max(0, end)].decode(errors="replace"))
    text = citation.text
    if text and full_text[start:end] != text:
        found = [full_text.find(text, start), full_text.rfind(text, 0, start + len(text))]
        if places := [place for place in found if place >= 0]:
            start = min(places, key=lambda place: abs(place - start))
            end = start + len(text)
    return start, end


def _block_spans(start: int, end: int, texts: Mapping[str, str]) -> list[Span]:
    """The parts of a span that are in each text block; without any, the last block."""
    spans: list[Span] = []
    offset = 0
    for index, text in texts.items():
        first, last = max(start - offset, 0), min(end - offset, len(text))
        if first < last:
            spans.append([index, first, last])
        offset += len(text)
    return spans or [[index, None, None]]


# --- spans and metadata to blocks -----------------------------------------------------------


def add_sources(blocks: list[Json], metadata: Json, *, is_chunk: bool) -> None:
    """Add citations to the text blocks, and blocks for searches and fetched pages at the end.

    Existing ones are not changed. They are at the end because a stream sends them there.

    Args:
        blocks: A message's standard blocks.
        metadata: A message's `response_metadata`.
        is_chunk: Whether the text may be in earlier chunks. If so, the citations are in an
            empty text block, which LangChain adds to the block with the same index.
    """
    citations = _citations(metadata)
    texts = {block.get("index", FIRST_TEXT): block for block in blocks if block["type"] == "text"}
    if citations and not any(block.get("annotations") for block in texts.values()):
        spans = metadata.get(CITATION_SPANS_KEY) or citation_spans(
            metadata, {index: block["text"] for index, block in texts.items()}
        )
        for index, annotations in _annotations(citations, spans).items():
            if index not in texts and is_chunk:
                texts[index] = {"type": "text", "text": "", "index": index}
                blocks.append(texts[index])
            if index in texts:
                texts[index]["annotations"] = annotations
    ids = {block.get("id") for block in blocks}
    for tool_blocks in _web_search_blocks(metadata), _web_fetch_blocks(metadata):
        if tool_blocks and tool_blocks[0]["id"] not in ids:
            blocks.extend(tool_blocks)


def _annotations(citations: list[Citation], spans: list[list[Span]]) -> dict[str, list[Json]]:
    """LangChain's citations by text block: one for each citation, span and source."""
    annotations: dict[str, list[Json]] = {}
    for citation, block_spans in zip(citations, spans, strict=False):
        for index, start, end in block_spans:
            span = without_none(start_index=start, end_index=end, cited_text=citation.text or None)
            for source in citation.sources:
                annotation = {"type": "citation", **source, **span}
                annotations.setdefault(index, []).append(annotation)
    return annotations


def _web_search_blocks(metadata: Json) -> list[Json]:
    grounding = metadata.get("grounding_metadata")
    queries = _list(grounding, "webSearchQueries")
    sources = [_source(chunk) for chunk in _list(grounding, "groundingChunks")]
    if not (queries or sources):
        return []
    return _server_tool_blocks("web_search", {"queries": queries}, sources, is_ok=True)


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
    urls = [page["url"] for page in pages]
    return _server_tool_blocks("web_fetch", {"urls": urls}, pages, is_ok=is_ok)


def _server_tool_blocks(name: str, args: Json, output: list[Json], *, is_ok: bool) -> list[Json]:
    """A call of a server tool, and its result; an answer has at most one of each name."""
    call_id = f"{name}_1"
    call = {"type": "server_tool_call", "id": call_id, "name": name, "args": args}
    result = {
        "type": "server_tool_result",
        "tool_call_id": call_id,
        "status": "success" if is_ok else "error",
        "output": output,
    }
    return [{**call, "index": f"lc_{name}_call"}, {**result, "index": f"lc_{name}_result"}]


# --- members of unchecked metadata ----------------------------------------------------------


def _list(value: Any, member: str) -> list[Any]:
    items = value.get(member) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []


def _dicts(value: Any, member: str) -> list[Json]:
    return [item for item in _list(value, member) if isinstance(item, dict)]


def _chunk_indices(support: Json) -> list[int]:
    return [n for n in _list(support, _CHUNK_INDICES) if isinstance(n, int) and n >= 0]


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")
