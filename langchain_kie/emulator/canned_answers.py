"""Text answers to common prompts: the first rule of `_RULES` that matches gives the answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_kie.emulator.arithmetic import evaluate, find_expression
from langchain_kie.emulator.hints import quotes_in, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie.emulator.conversation import CurrentTurn, MediaFile

_MAX_QUOTE_LENGTH = 120
_USUAL_SENTENCES = 8
_LONG_SENTENCES = 40
_MAX_SENTENCES = 1000
_MAX_NUMBERS = 2000
_WORDS_PER_SENTENCE = 8

_SENTENCES = (
    "It begins quietly, with {topic} and nobody watching.",
    "Then the light changes, and everything about {topic} looks new.",
    "A friend arrives and asks the question that no one had asked before.",
    "Together they follow {topic} down a long and winding road.",
    "The rain comes and goes \u2013 as it does \u2013 and the road shines.",
    "Someone laughs, someone sings, and the hours pass without a sound.",
    "By evening they have learned more than they had hoped for.",
    "And so {topic} stays with them, long after the day is over.",
)
_SENTENCES_OF = {
    "haiku": 3,
    "poem": 8,
    "verse": 4,
    "paragraph": 4,
    "sentence": 1,
    "line": 1,
    "joke": 2,
}

_GREETING = re.compile(
    r"\s*(?:hello|hi|hey|good (?:morning|evening|day)|greetings)\b", re.IGNORECASE
)
_HOW_ARE_YOU = re.compile(r"\bhow are you\b", re.IGNORECASE)
_SAY = re.compile(
    r"\b(?:say|repeat|echo|reply|respond|answer)\b(?:[^\"'\u201c`.]{0,40}?)"
    r"(?:[\"\u201c`']([^\"\u201d`']+)[\"\u201d`']|\bword:?\s+(\w+)|\bexactly:?\s+(\w+))",
    re.IGNORECASE,
)
_WRITE = re.compile(
    r"\b(?:write|tell|compose|create|generate|give|draft)\b.{0,60}?"
    r"\b(stor(?:y|ies)|poems?|jokes?|haikus?|essays?|songs?|articles?|verses?|"
    r"sentences?|paragraphs?|lines?|letters?|texts?)\b",
    re.IGNORECASE | re.DOTALL,
)
_AMOUNT = re.compile(
    r"\b(\d{1,4})\s+(?:\w+\s+)?(haiku|poem|verse|paragraph|sentence|line|joke|word)s?\b",
    re.IGNORECASE,
)
_LONG = re.compile(r"\b(?:long|detailed|in depth|at length)\b", re.IGNORECASE)
_HAS_TOPIC = re.compile(r"\b(?:about|on|of)\b")
_COUNT = re.compile(
    r"\bcount\b.{0,20}?\bfrom\s+(\d+)\s+(?:up\s+)?to\s+(\d+)|\bcount\s+(?:up\s+)?to\s+(\d+)",
    re.IGNORECASE,
)
_NAME_QUESTION = re.compile(
    r"\b(?:what(?:'s| is) my name|who am i|do you (?:know|remember) my name)\b", re.IGNORECASE
)
_INTRODUCTION = re.compile(r"\b(?:my name is|i am|i'm|call me)\s+([A-Z][\w'-]*)", re.IGNORECASE)
_HISTORY_QUESTION = re.compile(
    r"\b(?:what did i (?:just )?(?:say|ask|tell)|my (?:last|previous) (?:message|question))\b",
    re.IGNORECASE,
)


def text_answer(turn: CurrentTurn) -> str:
    """Answer a turn in prose."""
    if turn.results:
        answer = _report_results(turn.results)
    elif turn.media:
        answer = f"You asked: {_quote(turn.prompt)}." if turn.prompt else ""
    else:
        answer = next(filter(None, (rule(turn) for rule in _RULES)))
    return f"{_describe_media(turn.media)} {answer}".strip()


def _report_results(results: tuple[str, ...]) -> str:
    """Put the results of all functions into the answer."""
    errors = [text for text in results if text.lower().lstrip(' {"').startswith("error")]
    successes = [text for text in results if text not in errors]
    sentences = []
    if successes:
        sentences.append(f"Here is what I found: {'; '.join(successes)}")
    if errors:
        sentences.append(f"A tool reported an error: {'; '.join(errors)}")
    return "\n".join(sentences)


def _describe_media(media: tuple[MediaFile, ...]) -> str:
    if not media:
        return ""
    files = ", ".join(f"{file.mime_type} ({len(file.data)} bytes)" for file in media)
    noun = "file" if len(media) == 1 else "files"
    return f"I received {len(media)} {noun}: {files}."


def _quote(prompt: str) -> str:
    text = " ".join(prompt.split())
    if len(text) > _MAX_QUOTE_LENGTH:
        text = text[:_MAX_QUOTE_LENGTH].rsplit(" ", 1)[0] + "\u2026"
    return f"\u201c{text}\u201d"


def _repeat(turn: CurrentTurn) -> str | None:
    found = _SAY.search(turn.prompt)
    return next((group for group in found.groups() if group), None) if found else None


def _recall_name(turn: CurrentTurn) -> str | None:
    if not _NAME_QUESTION.search(turn.prompt):
        return None
    names = [name for text in turn.earlier for name in _INTRODUCTION.findall(text)]
    return f"Your name is {names[-1]}." if names else "You have not told me your name yet."


def _recall_message(turn: CurrentTurn) -> str | None:
    if not _HISTORY_QUESTION.search(turn.prompt):
        return None
    if not turn.earlier:
        return "You have not said anything before."
    return f"You said: {_quote(turn.earlier[-1])}."


def _greet(turn: CurrentTurn) -> str | None:
    if _HOW_ARE_YOU.search(turn.prompt):
        return "I am well, thank you for asking! How can I help you today?"
    if not _GREETING.match(turn.prompt):
        return None
    name = _INTRODUCTION.search(turn.prompt)
    return f"Hello{', ' + name.group(1) if name else ''}! How can I help you today?"


def _write(turn: CurrentTurn) -> str | None:
    prompt = turn.prompt
    kind, amount = _WRITE.search(prompt), _AMOUNT.search(prompt)
    if not kind:
        return None
    if amount:
        number, noun = int(amount.group(1)), amount.group(2).lower()
        is_words = noun == "word"
        count = number // _WORDS_PER_SENTENCE + 1 if is_words else number * _SENTENCES_OF[noun]
    else:
        usual = _LONG_SENTENCES if _LONG.search(prompt) else _USUAL_SENTENCES
        counts = (n for noun, n in _SENTENCES_OF.items() if kind.group(1).startswith(noun))
        count = next(counts, usual)
    topic = topic_of(prompt) if _HAS_TOPIC.search(prompt) else "a small thing"
    sentences = (
        _SENTENCES[number % len(_SENTENCES)].format(topic=topic)
        for number in range(min(max(count, 1), _MAX_SENTENCES))
    )
    return " ".join(sentences)


def _count(turn: CurrentTurn) -> str | None:
    found = _COUNT.search(turn.prompt)
    if not found:
        return None
    first, last = int(found.group(1) or 1), int(found.group(2) or found.group(3))
    return ", ".join(str(n) for n in range(first, min(last, first + _MAX_NUMBERS) + 1)) or None


def _calculate(turn: CurrentTurn) -> str | None:
    expression = find_expression(turn.prompt)
    return f"{expression} = {evaluate(expression)}." if expression else None


def _echo(turn: CurrentTurn) -> str:
    if not turn.prompt.strip():
        return "I am listening. What would you like to know?"
    quotes = quotes_in(turn.prompt)
    note = f" I take note of {quotes[0].value}." if quotes else ""
    return f"You asked: {_quote(turn.prompt)}. I am an emulator, so this is all I can say.{note}"


_RULES: tuple[Callable[[CurrentTurn], str | None], ...] = (
    _repeat,
    _recall_name,
    _recall_message,
    _write,
    _count,
    _greet,
    _calculate,
    _echo,
)
