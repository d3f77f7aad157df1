"""Answer a question about documents, with quotes that are checked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from examples.connection import connection_settings
from examples.documents.answers import CheckedAnswer, answer_question
from examples.documents.emulated import respond
from examples.documents.library import load_all
from langchain_kie import ChatKieGemini, KieConfigurationError, KieError

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARY = Path(__file__).parent / "library"
QUESTION = "What does an overdue book cost?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print an answer.

    Args:
        arguments: The command line; that of the program by default.

    Returns:
        0 if the documents have every quote, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.documents", description=__doc__)
    parser.add_argument("--ask", default=QUESTION, help="default: %(default)s")
    parser.add_argument("--model", default="gemini-3.5-flash", help="default: %(default)s")
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[LIBRARY], help="files and folders; default: three"
    )
    options = parser.parse_args(arguments)
    try:
        documents = load_all(options.paths)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with connection_settings(respond=respond) as settings:
        try:
            model = ChatKieGemini(model=options.model, **settings)
            answer = answer_question(model, documents, options.ask)
        except KieConfigurationError as error:
            parser.error(str(error))
        except KieError as error:
            parser.exit(1, f"{error}\n")
    print_answer(answer)
    return 0 if answer.has_only_true_quotes else 1


def print_answer(answer: CheckedAnswer) -> None:
    """Print the answer and its sources."""
    print(answer.text)
    for number, source in enumerate(answer.sources, 1):
        print(f"\n[{number}] {source.document}, {source.place or 'NOT FOUND in the documents'}")
        print(f"    “{source.text}”")
    if not answer.sources:
        print("\nNo quote proves this answer.")
    print(f"\n{answer.credits:g} credits")


if __name__ == "__main__":
    raise SystemExit(main())
