"""The rules by which the emulator answers: general, deterministic, and small.

1. A forced tool choice calls one allowed function, the one that fits the prompt best and was
   not called yet in this turn; `none` calls nothing.
2. Otherwise each function that shares enough telling words with the prompt is called once in
   the turn, several in one batch, and a function of one text for each value that the prompt
   lists ("in Paris and in Rome"). "First ..., then ..." calls them one after the other.
3. Arguments come from the prompt (numbers, quotes, names, dates, `function(3)`), else they are
   placeholders; they are valid under the schema. Optional ones need a value in the prompt.
4. A schema for the answer is filled with a valid instance, all properties included; JSON
   without a schema has the prompt's quoted words as keys.
5. What functions gave back is told; so are files, web pages, code that was run and what a
   search found. Else a rule of `answers` speaks.
6. A stop sequence cuts the answer before its first occurrence.

Knows conversations and replies. Knows nothing of the wire.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.answers import plain_answer
from langchain_kie.emulator.arithmetic import evaluate, find_expression
from langchain_kie.emulator.choosing import Active, choose_calls
from langchain_kie.emulator.conversation import CodeRun, Grounding, Reply, Support
from langchain_kie.emulator.hints import Hints, quotes_in, telling_words, topic_of, urls_in
from langchain_kie.emulator.instances import fill

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import Call, Conversation, Page, Schema

_CODE_WORDS = re.compile(r"\b(?:comput|calculat|run|execut|evaluat|code|sum|python)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_KEY = re.compile(r"[A-Za-z_][\w -]*")
_EXCERPT = 80
_SITES = ("en.wikipedia.org", "britannica.com", "reuters.com")
_FINDINGS = (
    "{topic} is described by several sources \u2013 all of them recent.",
    "The most cited article on {topic} was updated this year.",
)


def page_urls(conversation: Conversation) -> list[str]:
    """List the web pages to read before answering: those that the prompt names."""
    offered = "urlContext" in conversation.builtins
    return urls_in(_active(conversation).prompt) if offered else []


def think(conversation: Conversation) -> Reply:
    """Answer a conversation."""
    active = _active(conversation)
    calls = choose_calls(conversation, active)
    thoughts = _thoughts(conversation, active, calls)
    if calls:
        return Reply(thoughts, calls=calls)
    if conversation.json_answer:
        text = json.dumps(_instance(conversation, active), ensure_ascii=False, indent=2)
        grounding = _search(conversation, active, "")
        return Reply(thoughts, _cut(text, conversation.stop), grounding=grounding)
    code_run = _run_code(conversation, active.prompt)
    said = _prose(conversation, active, code_run)
    grounding = _search(conversation, active, said)
    if grounding is not None:
        said = f"{said} {_findings(active)}"
    text = _cut(said, conversation.stop)
    if grounding is not None:
        kept = tuple(s for s in grounding.supports if s.end <= len(text))
        grounding = replace(grounding, supports=kept)
    return Reply(thoughts, text, grounding=grounding, code_run=code_run, pages=conversation.pages)


def _active(conversation: Conversation) -> Active:
    """Find the turn to answer: the last thing the user said, and what happened since."""
    spoken = [n for n, turn in enumerate(conversation.turns) if _is_said(turn.role, turn.results)]
    start = spoken[-1] if spoken else 0
    since = conversation.turns[start:]
    before = conversation.turns[spoken[-2]].text if len(spoken) > 1 else ""
    return Active(
        prompt=conversation.turns[start].text if spoken else "",
        before=before,
        results=tuple(result.text for turn in since for result in turn.results),
        called=frozenset(call.name for turn in since for call in turn.calls),
    )


def _is_said(role: str, results: tuple[Any, ...]) -> bool:
    return role == "user" and not results


def _thoughts(
    conversation: Conversation, active: Active, calls: tuple[Call, ...]
) -> tuple[str, ...]:
    topic = topic_of(active.prompt)
    if calls:
        plan = f"I will call {' and '.join(dict.fromkeys(call.name for call in calls))}."
    elif active.results:
        plan = "The tools have answered, so I can tell the user what they said."
    else:
        plan = "No tool is needed, so I can answer this myself."
    paragraphs = (
        f"**Reading the request**\n\nThe request is about this: {topic}.",
        f"**Weighing the options**\n\n{len(conversation.functions)} functions are on offer.",
        f"**Deciding**\n\n{plan}",
    )
    return paragraphs if conversation.effort == "high" else paragraphs[:1]


def _cut(text: str, stop: tuple[str, ...]) -> str:
    ends = [text.find(sequence) for sequence in stop if sequence in text]
    return text[: min(ends)] if ends else text


def _instance(conversation: Conversation, active: Active) -> Any:
    hints = Hints(active.prompt, active.results)
    schema = conversation.schema or _schema_in_words(conversation)
    if schema is not None:
        return fill(schema, hints, every_property=True)
    asked = [found.value for turn in conversation.turns[-1:] for found in quotes_in(turn.text)]
    asked = asked or [found.value for found in quotes_in(active.prompt)]
    keys = [value for value in dict.fromkeys(asked) if _KEY.fullmatch(value)] or ["answer"]
    subject = " ".join(active.results) or hints.topic
    return {key: f"{key.capitalize()}: {subject}" for key in keys}


def _schema_in_words(conversation: Conversation) -> Schema | None:
    """Find a JSON Schema written out in an instruction or a prompt."""
    decoder = json.JSONDecoder()
    for turn in reversed(conversation.turns):
        for match in re.finditer(r"\{", turn.text) if turn.role != "model" else ():
            try:
                found, _ = decoder.raw_decode(turn.text, match.start())
            except ValueError:
                continue
            if isinstance(found.get("properties"), dict):
                return {"type": "object", **found}
    return None


def _prose(conversation: Conversation, active: Active, code_run: CodeRun | None) -> str:
    if code_run is not None:
        return f"The result is {code_run.output.strip()}."
    if conversation.pages:
        return " ".join(_excerpt(page) for page in conversation.pages)
    spoken = [turn.text for turn in conversation.turns if _is_said(turn.role, turn.results)]
    last = max(
        (n for n, turn in enumerate(conversation.turns) if _is_said(turn.role, turn.results)),
        default=0,
    )
    media = [medium for turn in conversation.turns[last:] for medium in turn.media]
    return plain_answer(active, media, spoken[:-1])


def _excerpt(page: Page) -> str:
    if page.text is None:
        return f"I could not read {page.url}."
    text = " ".join(re.sub(r"<[^>]*>", " ", page.text).split())
    return f"The page {page.url} says: {text[:_EXCERPT]}"


def _run_code(conversation: Conversation, prompt: str) -> CodeRun | None:
    """Run the prompt's sum, or add its numbers up, where code may be run and is asked for."""
    expression = find_expression(prompt)
    if "codeExecution" not in conversation.builtins:
        return None
    if expression is None and not _CODE_WORDS.search(prompt):
        return None
    code = expression or " + ".join(_NUMBER.findall(prompt)) or "0"
    return CodeRun(f"print({code})\n", f"{evaluate(code)}\n")


def _findings(active: Active) -> str:
    return " ".join(_sentences(topic_of(active.prompt)))


def _sentences(topic: str) -> list[str]:
    return [finding.format(topic=topic[:1].upper() + topic[1:]) for finding in _FINDINGS]


def _search(conversation: Conversation, active: Active, said: str) -> Grounding | None:
    """Search where searching is offered; the findings follow what is `said`."""
    if "googleSearch" not in conversation.builtins:
        return None
    topic = topic_of(active.prompt)
    path = "-".join(telling_words(topic)) or "result"
    sources = tuple(
        (f"https://{site}/{number + 1}/{path}", site)
        for number, (site, _) in enumerate(zip(_SITES, _FINDINGS, strict=False))
    )
    supports, position = [], len(said) + 1
    for number, sentence in enumerate(_sentences(topic)):
        supports.append(Support(position, position + len(sentence), number))
        position += len(sentence) + 1
    return Grounding(topic, sources, tuple(supports) if said else ())
