"""Documents: their text, and where a quote stands in it.

Depends on files; independent of models.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from langchain_kie import media_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_TEXT_SUFFIXES = {".csv", ".json", ".md", ".txt"}
_HYPHENATED = re.compile(r"(?<=\w)[-\u00ad]\s*\n\s*(?=\w)")
_AS_IN_ASCII = str.maketrans(dict(zip("‘’“”–—\u2011", "''\"\"---", strict=True)))  # noqa: RUF001


@dataclass(frozen=True)
class Document:
    """A document that was read.

    Attributes:
        path: The file.
        pages: The text of each page; a text file has one.
    """

    path: Path
    pages: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that the model and the user see."""
        return self.path.name

    @property
    def is_pdf(self) -> bool:
        """Whether the model gets the file instead of its text."""
        return self.path.suffix.lower() == ".pdf"

    def blocks(self) -> list[dict[str, Any]]:
        """Content blocks for the model: a PDF as a file, so that it sees tables and pictures."""
        start = {"type": "text", "text": f'<document name="{self.name}">\n'}
        end = {"type": "text", "text": "\n</document>\n"}
        body = media_block(self.path) if self.is_pdf else {"type": "text", "text": self.pages[0]}
        return [start, body, end]

    def locate(self, quote: str) -> str | None:
        """Find a quote, whatever its case, line breaks and typography.

        Args:
            quote: The quote.

        Returns:
            Its page or line, such as "page 2"; `None` if the document does not have it.
        """
        wanted = _plain(quote)
        for number, page in enumerate(self.pages, 1):
            if wanted and wanted in _plain(page):
                return f"page {number}" if self.is_pdf else f"line {_line(wanted, page)}"
        is_across_pages = bool(wanted) and wanted in _plain("\n".join(self.pages))
        return "across pages" if is_across_pages else None


def load(path: Path) -> Document:
    """Read a document.

    Args:
        path: A PDF or a text file.

    Raises:
        ValueError: If it is neither, or has no text.
        OSError: If it cannot be read.
    """
    if path.suffix.lower() == ".pdf":
        try:
            pages = tuple(page.extract_text() for page in PdfReader(path).pages)
        except PyPdfError as error:
            raise ValueError(f"cannot read {path}: {error}") from error
    elif path.suffix.lower() in _TEXT_SUFFIXES:
        pages = (path.read_text(encoding="utf-8"),)
    else:
        suffixes = ", ".join(sorted({".pdf"} | _TEXT_SUFFIXES))
        raise ValueError(f"cannot read {path}: the name must end with one of {suffixes}")
    if not any(page.strip() for page in pages):
        raise ValueError(f"{path} has no text to check quotes with; a scanned PDF needs OCR first")
    return Document(path, pages)


def load_all(paths: Iterable[Path]) -> list[Document]:
    """Read files, and the documents of folders; two of the same name are rejected.

    Args:
        paths: Files and folders.

    Raises:
        ValueError: As `load`; if there is none, or if two have the same name.
        OSError: If one cannot be read.
    """
    suffixes = {".pdf"} | _TEXT_SUFFIXES
    files = [
        file
        for path in paths
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file == path or file.suffix.lower() in suffixes
    ]
    names = [file.name for file in files]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several documents have the same name: {', '.join(repeated)}")
    if not files:
        raise ValueError("there are no documents")
    return [load(file) for file in files]


def locate(documents: Sequence[Document], name: str, quote: str) -> tuple[str, str] | None:
    """Find a quote in the named document, else in any other.

    Returns:
        The name of the document, and the place there; `None` if no document has the quote.
    """
    for document in sorted(documents, key=lambda document: document.name != name):
        if place := document.locate(quote):
            return document.name, place
    return None


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", _HYPHENATED.sub("", text))
    return " ".join(text.translate(_AS_IN_ASCII).casefold().split())


def _line(wanted: str, text: str) -> int:
    """The line in which the first occurrence of a plain quote starts."""
    lines = text.split("\n")
    end = next(n for n in range(1, len(lines) + 1) if wanted in _plain("\n".join(lines[:n])))
    return next(n for n in range(end, 0, -1) if wanted in _plain("\n".join(lines[n - 1 : end])))
