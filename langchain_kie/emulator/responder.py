"""The answers of an emulator without a `respond` function and without scripted answers.

They depend on the request only, and are simple rules, not intelligence:

1. A function is called if the prompt has every word of its name, such as "weather" for
   `get_weather`, and it was not called yet in this turn. "First ..., then ..." makes one call after
   another. A function with one text parameter is called once for each value of a list ("in Paris
   and in Rome"). If a call is required, the function that matches best is called.
2. Arguments, and the values of an answer with a schema, come from the prompt: what follows the
   name of the property, else quoted texts, names and numbers in their order; else placeholders.
3. An answer in prose reports the results of functions, the files, the web pages, the executed code
   or the results of a search. "Say 'x'" is answered with x, "write ..." with some sentences.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.conversation import (
    Answer,
    ChatRequest,
    CodeRun,
    Grounding,
    Support,
    ToolCall,
)
from langchain_kie.emulator.instances import fill
from langchain_kie.emulator.prompt_values import PromptValues, expression_in, texts_in

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import MediaFile, Tool, WebPage

_PARAGRAPHS = {"none": 0, "low": 1, "medium": 2, "high": 3}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_]+")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ations?|ators?|ings?|ers?|ed|es|e|s)$")
_GENERAL_WORDS = frozenset({"a", "the", "get", "fetch", "find", "my", "function", "tool"})
_ONE_BY_ONE = re.compile(r"\b(?:then|afterwards|finally)\b", re.IGNORECASE)
_USE_TOOL = re.compile(r"\bus(?:e|ing) (?:the|your|this) (?:tool|function)\b", re.IGNORECASE)
_LIST_SEPARATOR = re.compile(r"\W*(?:(?:and|or|in|of)\W+){0,2}")
_SAY = re.compile(
    r"\b(?:say|reply|respond|answer)\b[^\"'`.]{0,40}?(?:[\"'`]([^\"'`]+)[\"'`]|\bword:? (\w+))",
    re.IGNORECASE,
)
_WRITE = re.compile(
    r"\b(?:write|tell|generate|give)\b.{0,20}\b(?:story|joke|poem|haikus?)", re.IGNORECASE
)
_COUNT = re.compile(r"\b(\d{1,4}) sentences\b")
_TOPIC = re.compile(r"\b(?:about|regarding|on|of|for)\s+([^.!?,;:\n]+)", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s\"'<>)\]]*[^\s\"'<>)\].,;:!?]")
_TAG = re.compile(r"<[^>]*>")
_MAX_TOPIC_LENGTH = 80
_MAX_QUOTE_LENGTH = 120
_EXCERPT_LENGTH = 80
_USUAL_SENTENCES = 8
_SENTENCES = (
    "It begins quietly, with {topic} and nobody watching.",
    "Then the light changes, and everything about {topic} looks new.",
    "The rain comes and goes \u2013 as it does \u2013 and the road shines.",
    "And so {topic} stays with them, long after the day is over.",
)
_SITES = ("en.wikipedia.org", "britannica.com")
_FINDINGS = (
    "{topic} is described by several sources \u2013 all of them recent.",
    "The most cited article on {topic} was updated this year.",
)


def urls_in(prompt: str) -> list[str]:
    """List the URLs in a prompt."""
    return _URL.findall(prompt)


def respond(request: ChatRequest) -> Answer:
    """Answer a request as an emulator without `respond` does.

    It calls the tools that the prompt names, reports their results, fills the schema of a JSON
    answer, describes media, and else talks about the topic of the prompt.

    Args:
        request: The request, as it is passed to `respond`.

    Returns:
        The answer; the same for equal requests.
    """
    calls = _choose_calls(request)
    thoughts = _thoughts(request, calls)
    topic = _topic_of(request.prompt)
    if calls:
        return Answer(tool_calls=calls, thoughts=thoughts)
    if request.json_answer:
        text = json.dumps(_json_value(request), ensure_ascii=False, indent=2)
        grounding = Grounding(topic, _sources(topic)) if _is_search(request) else None
        return Answer(text, thoughts=thoughts, grounding=grounding)
    code_run = _run_code(request)
    text = prose(request) if code_run is None else f"The result is {code_run.output.strip()}."
    grounding = None
    if _is_search(request):
        supports = []
        for source, finding in enumerate(_FINDINGS):
            start, text = len(text) + 1, f"{text} {finding.format(topic=topic)}"
            supports.append(Support(start, len(text), source))
        grounding = Grounding(topic, _sources(topic), tuple(supports))
    return Answer(text, thoughts=thoughts, grounding=grounding, code_run=code_run)


def prose(request: ChatRequest) -> str:
    """Answer in prose."""
    if request.pages:
        return " ".join(map(_excerpt, request.pages))
    media = [file for turn in request.current_turns for file in turn.media]
    if request.results:
        answer = _report_results(request)
    elif media and request.prompt:
        answer = f"You asked: {_quote(request.prompt)}."
    else:
        answer = "" if media else _talk(request.prompt)
    return f"{_describe_media(media)} {answer}".strip()


# --- function calls --------------------------------------------------------------------------


def _choose_calls(request: ChatRequest) -> list[ToolCall]:
    """Choose the functions to call now: none, one, or several in one batch."""
    names, mode = request.choice.names, request.choice.mode
    allowed = [tool for tool in request.tools if not names or tool.name in names]
    if mode == "none" or not allowed:
        return []
    prompt = request.prompt
    words = _words_of(prompt)
    called = {call.name for turn in request.current_turns for call in turn.calls}
    new = [tool for tool in allowed if tool.name not in called]
    if mode == "any":
        best = max(new or allowed, key=lambda tool: _match(tool, words))
        return [_build_call(request, best, words)]
    is_only = len(allowed) == 1 and bool(_USE_TOOL.search(prompt))
    chosen = [tool for tool in new if is_only or _is_named(tool, words, prompt)]
    if len(chosen) > 1 and _ONE_BY_ONE.search(prompt):
        chosen = [min(chosen, key=lambda tool: _position(tool, words))]
    return [call for tool in chosen for call in _build_calls(request, tool, words)]


def _words_of(text: str) -> dict[str, int]:
    """Find the words of a text or a name, without common endings, and their first positions."""
    found: dict[str, int] = {}
    for match in _WORD.finditer(text):
        found.setdefault(_SUFFIX.sub("", match.group().lower()), match.start())
    return found


def _match(tool: Tool, words: dict[str, int]) -> tuple[int, int]:
    """Rate a tool by the words of its name that the prompt lacks (negative), then has."""
    name_words = _words_of(tool.name).keys()
    needed = name_words - _GENERAL_WORDS or name_words
    return -len(needed - words.keys()), len(name_words & words.keys())


def _is_named(tool: Tool, words: dict[str, int], prompt: str) -> bool:
    """Return whether the prompt has the words of the name, or an expression that the tool takes."""
    takes_expression = "expression" in tool.parameters.get("properties", {})
    is_expression = takes_expression and expression_in(prompt) is not None
    return _match(tool, words)[0] == 0 or is_expression


def _position(tool: Tool, words: dict[str, int]) -> int:
    """Where the prompt has all words of the name."""
    return max((words[word] for word in _words_of(tool.name) if word in words), default=0)


def _build_calls(request: ChatRequest, tool: Tool, words: dict[str, int]) -> list[ToolCall]:
    required = tool.parameters.get("required", [])
    properties = tool.parameters.get("properties", {})
    values = _list_in(request.prompt) if len(required) == 1 else []
    if len(values) > 1 and properties.get(required[0], {}).get("type") == "string":
        return [ToolCall(tool.name, {required[0]: value}) for value in values]
    return [_build_call(request, tool, words)]


def _build_call(request: ChatRequest, tool: Tool, words: dict[str, int]) -> ToolCall:
    values = PromptValues(request.prompt, _position(tool, words))
    results = "; ".join(result.text for result in request.results)
    fallback = results or _topic_of(request.prompt)
    args = fill(tool.parameters, values, fallback, every=False)
    return ToolCall(tool.name, args)


def _list_in(prompt: str) -> list[str]:
    """List the values that the prompt enumerates: "in Paris and in Rome"."""
    found = texts_in(prompt)
    gaps = [
        prompt[position + len(value) : following]
        for (position, value), (following, _) in itertools.pairwise(found)
    ]
    is_list = all(_LIST_SEPARATOR.fullmatch(gap) for gap in gaps)
    return list(dict.fromkeys(value for _, value in found)) if is_list else []


# --- texts -----------------------------------------------------------------------------------


def _thoughts(request: ChatRequest, calls: list[ToolCall]) -> tuple[str, ...]:
    plan = "I can answer this myself."
    if calls:
        plan = f"I will call {' and '.join(dict.fromkeys(call.name for call in calls))}."
    paragraphs = (
        f"**Reading the request**\n\nThe request is about this: {_topic_of(request.prompt)}.",
        f"**Weighing the options**\n\nI can call {len(request.tools)} functions.",
        f"**Deciding**\n\n{plan}",
    )
    return paragraphs[: _PARAGRAPHS[request.effort]]


def _topic_of(text: str) -> str:
    """Find the topic of a prompt: the words after "about", "of" and the like, else all of it."""
    named = _TOPIC.search(text)
    topic = (named.group(1) if named else text).strip().rstrip(".!?")
    return " ".join(topic.split())[:_MAX_TOPIC_LENGTH].strip() or "this"


def _talk(prompt: str) -> str:
    if found := _SAY.search(prompt):
        return found[1] or found[2]
    if _WRITE.search(prompt):
        number = _COUNT.search(prompt)
        count, topic = int(number[1]) if number else _USUAL_SENTENCES, _topic_of(prompt)
        sentences = itertools.islice(itertools.cycle(_SENTENCES), count)
        return " ".join(sentence.format(topic=topic) for sentence in sentences)
    if re.match(r"\s*(?:hello|hi)\b", prompt, re.IGNORECASE):
        return "Hello! How can I help you today?"
    return f"You asked: {_quote(prompt)}. I am an emulator, so this is all I can say."


def _quote(prompt: str) -> str:
    text = " ".join(prompt.split())
    if len(text) > _MAX_QUOTE_LENGTH:
        text = text[:_MAX_QUOTE_LENGTH].rsplit(" ", 1)[0] + "\u2026"
    return f"\u201c{text}\u201d"


def _excerpt(page: WebPage) -> str:
    if page.text is None:
        return f"I could not read {page.url}."
    text = " ".join(_TAG.sub(" ", page.text).split())
    return f"The page {page.url} says: {text[:_EXCERPT_LENGTH]}"


def _report_results(request: ChatRequest) -> str:
    successes = [result.text for result in request.results if not result.is_error]
    errors = [result.text for result in request.results if result.is_error]
    reports = [f"Here is what I found: {'; '.join(successes)}"] if successes else []
    reports += [f"A tool reported an error: {'; '.join(errors)}"] if errors else []
    return "\n".join(reports)


def _describe_media(media: list[MediaFile]) -> str:
    if not media:
        return ""
    files = ", ".join(f"{file.mime_type} ({len(file.data)} bytes)" for file in media)
    noun = "file" if len(media) == 1 else "files"
    return f"I received {len(media)} {noun}: {files}."


def _json_value(request: ChatRequest) -> Any:
    """Build the value of an answer that must be JSON; without a schema, the prompt has the keys."""
    prompt = request.prompt
    fallback = "; ".join(result.text for result in request.results) or _topic_of(prompt)
    if request.schema is not None:
        return fill(request.schema, PromptValues(prompt), fallback)
    keys = [value for _, value in texts_in(prompt) if value.isidentifier() and value.islower()]
    return {key: f"{key.capitalize()}: {fallback}" for key in keys or ["answer"]}


# --- built-in tools --------------------------------------------------------------------------


def _run_code(request: ChatRequest) -> CodeRun | None:
    """Calculate the expression of the prompt, if code may be executed."""
    expression = expression_in(request.prompt)
    if "codeExecution" not in request.builtins or expression is None:
        return None
    left, sign, right = expression
    results = {"+": left + right, "-": left - right, "*": left * right}
    result = results.get(sign, left / right if right else 0)
    return CodeRun(f"print({left} {sign} {right})\n", f"{result:g}\n")


def _is_search(request: ChatRequest) -> bool:
    return "googleSearch" in request.builtins


def _sources(topic: str) -> tuple[tuple[str, str], ...]:
    path = "-".join(_words_of(topic)) or "result"
    return tuple((f"https://{site}/{path}", site) for site in _SITES)
