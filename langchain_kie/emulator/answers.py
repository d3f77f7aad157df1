"""What to say when no function is called.

Knows a few kinds of request by their words, in a table of rules from which the first that
fits answers. Does not know tools, schemas or the wire.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_kie.emulator.arithmetic import evaluate, find_expression
from langchain_kie.emulator.hints import quotes_in, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langchain_kie.emulator.choosing import Active
    from langchain_kie.emulator.conversation import Medium

_QUOTED_LENGTH = 120
_USUAL_SENTENCES = 8
_LONG_SENTENCES = 40
_MOST_SENTENCES = 1000
_LONGEST_COUNT = 2000

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
_COUNT = re.compile(
    r"\bcount\b.{0,20}?\bfrom\s+(\d+)\s+(?:up\s+)?to\s+(\d+)|\bcount\s+(?:up\s+)?to\s+(\d+)",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(
    r"\b(?:what(?:'s| is) my name|who am i|do you (?:know|remember) my name)\b", re.IGNORECASE
)
_TELLS_NAME = re.compile(r"\b(?:my name is|i am|i'm|call me)\s+([A-Z][\w'-]*)", re.IGNORECASE)
_ASKS_BEFORE = re.compile(
    r"\b(?:what did i (?:just )?(?:say|ask|tell)|my (?:last|previous) (?:message|question))\b",
    re.IGNORECASE,
)


def plain_answer(active: Active, media: Iterable[Medium], said: Iterable[str]) -> str:
    """Answer a prompt in words.

    Args:
        active: The turn to answer.
        media: The files that came with it.
        said: What the user said before, oldest first.
    """
    seen = _describe(list(media))
    if active.results:
        answer = _report(active)
    elif seen:
        answer = f"You asked: {_quote(active.prompt)}." if active.prompt else ""
    else:
        answer = next(filter(None, (rule(active.prompt, list(said)) for rule in _RULES)))
    return f"{seen} {answer}".strip()


def _report(active: Active) -> str:
    """Use every result in the answer."""
    failed = [text for text in active.results if text.lower().lstrip(' {"').startswith("error")]
    worked = [text for text in active.results if text not in failed]
    sentences = []
    if worked:
        sentences.append(f"Here is what I found: {'; '.join(worked)}")
    if failed:
        sentences.append(f"A tool reported an error: {'; '.join(failed)}")
    return "\n".join(sentences)


def _describe(media: list[Medium]) -> str:
    if not media:
        return ""
    files = ", ".join(f"{medium.mime_type} ({len(medium.data)} bytes)" for medium in media)
    noun = "file" if len(media) == 1 else "files"
    return f"I received {len(media)} {noun}: {files}."


def _quote(prompt: str) -> str:
    text = " ".join(prompt.split())
    if len(text) > _QUOTED_LENGTH:
        text = text[:_QUOTED_LENGTH].rsplit(" ", 1)[0] + "\u2026"
    return f"\u201c{text}\u201d"


def _say(prompt: str, _said: list[str]) -> str | None:
    found = _SAY.search(prompt)
    return next((group for group in found.groups() if group), None) if found else None


def _name(prompt: str, said: list[str]) -> str | None:
    if not _ASKS_NAME.search(prompt):
        return None
    names = [name for text in said for name in _TELLS_NAME.findall(text)]
    return f"Your name is {names[-1]}." if names else "You have not told me your name yet."


def _before(prompt: str, said: list[str]) -> str | None:
    if not _ASKS_BEFORE.search(prompt):
        return None
    return f"You said: {_quote(said[-1])}." if said else "You have not said anything before."


def _greet(prompt: str, _said: list[str]) -> str | None:
    if _HOW_ARE_YOU.search(prompt):
        return "I am well, thank you for asking! How can I help you today?"
    if not _GREETING.match(prompt):
        return None
    name = _TELLS_NAME.search(prompt)
    return f"Hello{', ' + name.group(1) if name else ''}! How can I help you today?"


def _write(prompt: str, _said: list[str]) -> str | None:
    kind, amount = _WRITE.search(prompt), _AMOUNT.search(prompt)
    if not kind:
        return None
    count = _LONG_SENTENCES if _LONG.search(prompt) else _USUAL_SENTENCES
    count = next((n for noun, n in _SENTENCES_OF.items() if kind.group(1).startswith(noun)), count)
    if amount:
        number, noun = int(amount.group(1)), amount.group(2).lower()
        each = _SENTENCES_OF.get(noun, 1)
        count = number * each if noun != "word" else number // 8 + 1
    topic = topic_of(prompt) if re.search(r"\b(?:about|on|of)\b", prompt) else "a small thing"
    sentences = (
        _SENTENCES[number % len(_SENTENCES)].format(topic=topic)
        for number in range(min(max(count, 1), _MOST_SENTENCES))
    )
    return " ".join(sentences)


def _count(prompt: str, _said: list[str]) -> str | None:
    found = _COUNT.search(prompt)
    if not found:
        return None
    first, last = int(found.group(1) or 1), int(found.group(2) or found.group(3))
    return ", ".join(str(n) for n in range(first, min(last, first + _LONGEST_COUNT) + 1)) or None


def _sum(prompt: str, _said: list[str]) -> str | None:
    expression = find_expression(prompt)
    return f"{expression} = {evaluate(expression)}." if expression else None


def _echo(prompt: str, _said: list[str]) -> str:
    if not prompt.strip():
        return "I am listening. What would you like to know?"
    quoted = quotes_in(prompt)
    closing = f" I take note of {quoted[0].value}." if quoted else ""
    return f"You asked: {_quote(prompt)}. I am an emulator, so this is all I can say.{closing}"


_RULES: tuple[Callable[[str, list[str]], str | None], ...] = (
    _say,
    _name,
    _before,
    _write,
    _count,
    _greet,
    _sum,
    _echo,
)
