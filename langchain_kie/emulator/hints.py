"""The words and the values of an English prompt, for choosing functions and their arguments."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from langchain_kie.emulator.arithmetic import find_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def words_of(text: str) -> frozenset[str]:
    """Split a list of words, which is written as a paragraph."""
    return frozenset(text.split())


_STOP_WORDS = words_of(
    """a about all also am an and any are as at be been but by can could did do does down for from
    give had has have he her him his how i if in into is it its just let like make may me more my
    no not now of off on only or our out over please should so some such than that the their them
    then there these they this those to too under up us very was we well were what what's when
    where which who whom whose why will with would yes you your"""
)
_GENERIC_WORDS = words_of(
    """based call called current execute fetch function functions get given input name output
    perform provide return returns run set tool tools use used useful user uses using value
    values"""
)
_SENTENCE_OPENERS = words_of(
    """add answer ask book calculate check choose compare compute count create describe draw email
    explain extract fetch find first generate get hello help hey hi list look multiply name
    next open plan put read remember reply report return run say schedule search send
    show summarise summarize tell thanks today tomorrow translate update write"""
)
EXPRESSION_PROPERTIES = words_of("calculation equation expression formula")
_OPERATOR_WORDS: dict[str, tuple[str, ...]] = {
    "+": ("add", "sum", "plus"),
    "-": ("subtract", "minus", "difference"),
    "*": ("multiply", "product", "times"),
    "/": ("divide", "division", "quotient"),
    "**": ("power", "exponent"),
}
_NUMBER_NAMES = "two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: number for number, word in enumerate(_NUMBER_NAMES.split(" "), start=2)}
_SUFFIXES = (
    "ication", "ations", "ation", "ings", "ing", "ies", "ers", "er", "ed", "es", "e", "s", "y",
)  # fmt: skip
_MIN_STEM_LENGTH = 3

_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_TOKEN = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?", re.UNICODE)
_QUOTED = re.compile(
    r"\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|\u300c([^\u300d]+)\u300d|`([^`]+)`"
    r"|(?<!\w)'([^']+(?:'\w+[^']*)*)'(?!\w)"
)
_CAPITALISED = re.compile(
    r"(?<![\w'])[A-Z\u00c0-\u00de][\w'\u2019/-]*"
    r"(?:\s+(?:(?:de|da|del|la|of|van|von)\s+)?[A-Z\u00c0-\u00de][\w'\u2019/-]*)*"
    r"(?:,\s[A-Z]{2}\b)?"
)
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?!\w)|\d+(?:\.\d+)?(?!\d))")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_URL = re.compile(r"https?://[^\s\"'<>)\]]*[^\s\"'<>)\].,;:!?]")
_TOPIC = re.compile(r"\b(?:about|regarding|on|of|for)\s+([^.!?,;:\n]+)", re.IGNORECASE)
_NEVER_NAMES = frozenset({"json", "i", "i'm", "i'd", "i'll", "i've", "pdf", "url", "api", "ai"})
_PREPOSITION = re.compile(r"\s+(?:in|of|for|at|to|from|on|about)\b")
_LIST_SEPARATOR = re.compile(r"\W*(?:(?:and|or|in|for|of|to)\W+){0,2}|\W*,\W*")
_MAX_TOPIC_LENGTH = 80
_LOOK_BEHIND_LENGTH = 16


class Found(NamedTuple):
    """A value and its position in the prompt."""

    position: int
    value: str


def stem(word: str) -> str:
    """Remove the ending of a word, so that `adder` and `adding` are equal."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM_LENGTH:
            return word.removesuffix(suffix)
    return word


def split_identifier(name: str) -> list[str]:
    """Split `getWeather_now` into its lower-case words."""
    return [part.lower() for part in _CAMEL.findall(name)]


def content_words(text: str) -> dict[str, int]:
    """Find the stems of all words that are neither common nor generic, and their positions.

    The sign of an expression counts as its words: `3 + 4` contains "add", "sum" and "plus".
    """
    found: dict[str, int] = {}
    for match in _TOKEN.finditer(text):
        for word in {match.group().lower(), *split_identifier(match.group())}:
            if word not in _STOP_WORDS and word not in _GENERIC_WORDS:
                found.setdefault(stem(word), match.start())
    expression, number = find_expression(text), _NUMBER.search(text)
    position = number.start() if number else 0
    for sign, words in _OPERATOR_WORDS.items():
        if expression and sign in expression.replace("**", "^").replace("^", "**"):
            for word in words:
                found.setdefault(stem(word), position)
    return found


def urls_in(text: str) -> list[str]:
    """List the URLs in a text."""
    return _URL.findall(text)


def quotes_in(text: str) -> list[Found]:
    """List what a text quotes, in any common kind of quotation marks."""
    return [
        Found(match.start(), next(group for group in match.groups() if group).strip())
        for match in _QUOTED.finditer(text)
    ]


def names_in(text: str) -> list[Found]:
    """List the capitalised phrases outside quotations that look like names."""
    return list(_names(_QUOTED.sub(lambda match: " " * len(match.group()), text)))


def _names(text: str) -> Iterator[Found]:
    for match in _CAPITALISED.finditer(text):
        phrase, position = match.group(), match.start()
        first, _, rest = phrase.partition(" ")
        before = text[max(0, position - _LOOK_BEHIND_LENGTH) : position].rstrip(" \t\"'([*>#-")
        opens_sentence = not before or before[-1] in ".!?:\n"
        has_preposition = not rest and bool(_PREPOSITION.match(text, match.end()))
        is_common = first.lower() in _STOP_WORDS | _SENTENCE_OPENERS | _GENERIC_WORDS
        if (opens_sentence and (is_common or has_preposition)) or first.lower() in _NEVER_NAMES:
            position += len(phrase) - len(rest)
            phrase = rest
        if phrase and phrase[0].isupper() and phrase.lower() not in _NEVER_NAMES:
            yield Found(position, phrase.removesuffix("'s").removesuffix("\u2019s"))


def topic_of(text: str) -> str:
    """Find the topic of a prompt: the words after "about", "of" and the like, else all of it."""
    named = _TOPIC.search(text)
    topic = (named.group(1) if named else text).strip().rstrip(".!?")
    return " ".join(topic.split())[:_MAX_TOPIC_LENGTH].strip() or "this"


class Hints:
    """The values in a prompt; each can be taken once.

    Args:
        prompt: The text of the user.
        results: The results of functions, which are searched after the prompt.
        start: Where in the prompt the search begins; values before it come last.
    """

    def __init__(self, prompt: str, results: Sequence[str] = (), start: int = 0) -> None:
        self.prompt = prompt
        self.results = " ".join(results)
        text = f"{prompt}\n{self.results}"
        undated = _URL.sub(" ", _DATE.sub(" ", text))

        def ordered(found: list[Found]) -> list[str]:
            return [item.value for item in sorted(found, key=lambda f: (f.position < start, f))]

        self.quotes = ordered(quotes_in(text))
        self.names = ordered(names_in(text))
        self.dates = _DATE.findall(text)
        self.emails = _EMAIL.findall(text)
        self.urls = urls_in(text)
        self.expression = find_expression(prompt)
        self.numbers = ordered(
            [
                Found(match.start(), match.group().replace(",", ""))
                for match in _NUMBER.finditer(undated)
            ]
            + [
                Found(match.start(), str(_NUMBER_WORDS[match.group().lower()]))
                for match in _TOKEN.finditer(undated)
                if match.group().lower() in _NUMBER_WORDS
            ]
        )
        self.stems = frozenset(content_words(text))

    @property
    def topic(self) -> str:
        """The topic of the prompt."""
        return topic_of(self.prompt)

    def values_by_type(self) -> dict[str, list[str]]:
        """Group the values by the JSON types that they fit."""
        return {
            "string": [*self.quotes, *self.names],
            "integer": self.numbers,
            "number": self.numbers,
        }

    def limited_to(self, value: str) -> Hints:
        """Build hints for the same prompt in which `value` is the only text."""
        limited = Hints(self.prompt)
        limited.quotes, limited.names = [value], []
        return limited

    def enumeration(self) -> list[str]:
        """List the values that the prompt enumerates: "in Paris and in Rome"."""
        for found in (quotes_in(self.prompt), names_in(self.prompt)):
            gaps = [
                self.prompt[before.position :].split(before.value, 1)[1][
                    : max(0, after.position - before.position - len(before.value))
                ]
                for before, after in itertools.pairwise(found)
            ]
            if gaps and all(_LIST_SEPARATOR.fullmatch(gap) for gap in gaps):
                return list(dict.fromkeys(item.value for item in found))
        return []

    def labelled(self, name: str) -> str | None:
        """Find the value that follows a property's name: "title: 'x'", "limit 5"."""
        words = map(re.escape, split_identifier(name) or [name])
        label = rf"(?<!\w)(?:{re.escape(name)}|{'[ _-]'.join(words)})(?!\w)"
        separator = (
            r"\s*[=:]\s*" if len(name) == 1 else r"\s*(?:(?:is|of|=|:|to|as|named|called)\s*)*"
        )
        found = re.search(rf"{label}{separator}(.+)", self.prompt, re.IGNORECASE)
        for pattern in (_QUOTED, _EMAIL, _URL, _DATE, _NUMBER, _CAPITALISED) if found else ():
            value = pattern.match(found.group(1)) if found else None
            if value:
                return next((group for group in value.groups() if group), value.group())
        return None

    def take_labelled(self, name: str, is_valid: Callable[[str], bool]) -> str | None:
        """Take the value that follows a property's name, if it is valid."""
        text = self.labelled(name) if name else None
        if text is None or not is_valid(text):
            return None
        for values in (self.quotes, self.names, self.numbers, self.emails, self.urls):
            if text in values:
                values.remove(text)
        return text


def take(values: list[str], is_valid: Callable[[str], bool]) -> str | None:
    """Remove the first valid value from `values`, and return it."""
    for position, value in enumerate(values):
        if is_valid(value):
            return values.pop(position)
    return None
