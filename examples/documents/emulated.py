"""How the emulator answers without a model: with the sentence that fits the question best."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

from pypdf import PdfReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator import ChatRequest

_DOCUMENT = re.compile(r'<document name="(.*?)">\n(.*?)\n</document>', re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n{2,}")
_WORD = re.compile(r"\w{3,}")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ing|ed|es|s)$")
_MIN_COMMON_WORDS = 2


def respond(request: ChatRequest) -> str:
    """Answer with one sentence of the documents, from what the request has of them."""
    _, _, question = request.prompt.rpartition("Question: ")
    wanted = _words(question)
    found = [
        (len(wanted & _words(sentence)), name, sentence)
        for name, text in _documents(request)
        for sentence in _SENTENCE_END.split(text)
    ]
    common, name, sentence = max(found, key=lambda each: each[0], default=(0, "", ""))
    if common < _MIN_COMMON_WORDS:
        return json.dumps({"answer": "The documents do not say that.", "quotes": []})
    text = " ".join(sentence.split())
    return json.dumps({"answer": text, "quotes": [{"document": name, "text": text}]})


def _documents(request: ChatRequest) -> Iterator[tuple[str, str]]:
    """The names and texts of the documents; those without text are the files, in order."""
    files = iter(request.current_turns[0].media)
    for name, text in _DOCUMENT.findall(request.prompt):
        if text.strip():
            yield name, text
        elif file := next(files, None):
            pages = PdfReader(io.BytesIO(file.data)).pages
            yield name, "\n".join(page.extract_text() for page in pages)


def _words(text: str) -> set[str]:
    return {_SUFFIX.sub("", word) for word in _WORD.findall(text.lower())}
