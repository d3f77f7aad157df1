"""The rules of the emulator's answers, which are deterministic and work for any prompt.

1. If the tool choice is `none`, no function is called. If it requires a call, one allowed
   function is called: the one that matches the prompt best and was not called yet in this turn.
2. Otherwise each function that shares enough words with the prompt is called once in the turn,
   all in one batch. A function with one text parameter is called once for each value that the
   prompt lists ("in Paris and in Rome"). "First ..., then ..." makes one call after another.
3. Arguments come from the prompt (numbers, quotes, names, dates, `function(3)`); those that it
   does not contain are placeholders. They are valid under the schema. Optional arguments are set
   only if the prompt contains a value.
4. If the answer has a schema, it is a valid instance with all properties. A JSON answer without
   a schema has the words quoted in the prompt as keys.
5. An answer in prose reports the results of functions, files, web pages, executed code and the
   results of a search; for other prompts see `canned_answers`.
6. The answer ends before the first occurrence of a stop sequence.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.arithmetic import evaluate, find_expression
from langchain_kie.emulator.canned_answers import text_answer
from langchain_kie.emulator.conversation import CodeRun, CurrentTurn, Grounding, Reply, Support
from langchain_kie.emulator.errors import LOST_FILE
from langchain_kie.emulator.hints import Hints, content_words, quotes_in, topic_of, urls_in
from langchain_kie.emulator.instances import fill
from langchain_kie.emulator.tool_selection import choose_calls

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import Call, Conversation, Schema, WebPage

_CODE_WORDS = re.compile(r"\b(?:comput|calculat|run|execut|evaluat|code|sum|python)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_KEY = re.compile(r"[A-Za-z_][\w -]*")
_EXCERPT_LENGTH = 80
_PARAGRAPHS = {"none": 0, "low": 1, "medium": 2, "high": 3}
_CALL_AS_TEXT = {"prose": "", "json": "{}", "fenced": "```json\n{}\n```"}
_SITES = ("en.wikipedia.org", "britannica.com")
_FINDINGS = (
    "{topic} is described by several sources \u2013 all of them recent.",
    "The most cited article on {topic} was updated this year.",
)


def page_urls(conversation: Conversation) -> list[str]:
    """List the web pages to fetch before answering: the URLs in the prompt."""
    is_enabled = "urlContext" in conversation.builtins
    return urls_in(_current_turn(conversation).prompt) if is_enabled else []


def respond(conversation: Conversation, ignored_choice: str | None = None) -> Reply:
    """Answer a conversation.

    Args:
        conversation: The request.
        ignored_choice: What comes instead of a required call: `ignore_tool_choice` in `Settings`.
    """
    if any(file.is_lost for turn in conversation.turns for file in turn.media):
        return Reply((), LOST_FILE)
    turn = _current_turn(conversation)
    calls = choose_calls(conversation, turn)
    call_as_text = ""
    if ignored_choice and calls and conversation.choice.mode == "any":
        args = json.dumps(dict(calls[0].args), ensure_ascii=False)
        call_as_text = _truncate(_CALL_AS_TEXT[ignored_choice].format(args), conversation.stop)
        calls = ()
    thoughts = _thoughts(conversation, turn, calls)
    if calls or call_as_text:
        return Reply(thoughts, call_as_text, calls)
    return _respond_in_text(conversation, turn, thoughts)


def _respond_in_text(
    conversation: Conversation, turn: CurrentTurn, thoughts: tuple[str, ...]
) -> Reply:
    is_search = "googleSearch" in conversation.builtins
    topic = topic_of(turn.prompt)
    if conversation.json_answer:
        text = json.dumps(_json_value(conversation, turn), ensure_ascii=False, indent=2)
        grounding = replace(_search(topic, 0), supports=()) if is_search else None
        return Reply(thoughts, _truncate(text, conversation.stop), grounding=grounding)
    code_run = _run_code(conversation, turn.prompt)
    text = _prose(conversation, turn, code_run)
    grounding = _search(topic, len(text) + 1) if is_search else None
    text = _truncate(" ".join([text, *(_findings(topic) if is_search else ())]), conversation.stop)
    if grounding is not None:
        grounding = grounding.up_to(len(text))
    return Reply(thoughts, text, grounding=grounding, code_run=code_run, pages=conversation.pages)


def _current_turn(conversation: Conversation) -> CurrentTurn:
    turns = conversation.turns
    prompts = [n for n, turn in enumerate(turns) if turn.role == "user" and not turn.results]
    current = turns[prompts[-1] if prompts else 0 :]
    return CurrentTurn(
        prompt=current[0].text if prompts else "",
        earlier=tuple(turns[n].text for n in prompts[:-1]),
        media=tuple(file for turn in current for file in turn.media),
        results=tuple(result.text for turn in current for result in turn.results),
        called=frozenset(call.name for turn in current for call in turn.calls),
    )


def _thoughts(
    conversation: Conversation, turn: CurrentTurn, calls: tuple[Call, ...]
) -> tuple[str, ...]:
    if calls:
        plan = f"I will call {' and '.join(dict.fromkeys(call.name for call in calls))}."
    elif turn.results:
        plan = "The tools have answered, so I can report their results to the user."
    else:
        plan = "No tool is needed, so I can answer this myself."
    paragraphs = (
        f"**Reading the request**\n\nThe request is about this: {topic_of(turn.prompt)}.",
        f"**Weighing the options**\n\nI can call {len(conversation.functions)} functions.",
        f"**Deciding**\n\n{plan}",
    )
    return paragraphs[: _PARAGRAPHS[conversation.effort]]


def _truncate(text: str, stop: tuple[str, ...]) -> str:
    ends = [text.find(sequence) for sequence in stop if sequence in text]
    return text[: min(ends)] if ends else text


def _json_value(conversation: Conversation, turn: CurrentTurn) -> Any:
    hints = Hints(turn.prompt, turn.results)
    schema = conversation.schema or _schema_in_text(conversation)
    if schema is not None:
        return fill(schema, hints, every_property=True)
    quotes = quotes_in(conversation.turns[-1].text) or quotes_in(turn.prompt)
    keys = dict.fromkeys(q.value for q in quotes if _KEY.fullmatch(q.value)) or ["answer"]
    subject = " ".join(turn.results) or hints.topic
    return {key: f"{key.capitalize()}: {subject}" for key in keys}


def _schema_in_text(conversation: Conversation) -> Schema | None:
    """Find a JSON Schema in the text of an instruction or of a prompt."""
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


def _prose(conversation: Conversation, turn: CurrentTurn, code_run: CodeRun | None) -> str:
    if code_run is not None:
        return f"The result is {code_run.output.strip()}."
    if conversation.pages:
        return " ".join(_excerpt(page) for page in conversation.pages)
    return text_answer(turn)


def _excerpt(page: WebPage) -> str:
    if page.text is None:
        return f"I could not read {page.url}."
    text = " ".join(re.sub(r"<[^>]*>", " ", page.text).split())
    return f"The page {page.url} says: {text[:_EXCERPT_LENGTH]}"


def _run_code(conversation: Conversation, prompt: str) -> CodeRun | None:
    """Evaluate the expression of the prompt, else add its numbers, if code may be executed."""
    expression = find_expression(prompt)
    if "codeExecution" not in conversation.builtins:
        return None
    if expression is None and not _CODE_WORDS.search(prompt):
        return None
    code = expression or " + ".join(_NUMBER.findall(prompt)) or "0"
    return CodeRun(f"print({code})\n", f"{evaluate(code)}\n")


def _findings(topic: str) -> list[str]:
    return [finding.format(topic=topic[:1].upper() + topic[1:]) for finding in _FINDINGS]


def _search(topic: str, start: int) -> Grounding:
    """Build the results of a search, whose findings begin at character `start` of the answer."""
    path = "-".join(content_words(topic)) or "result"
    sources = tuple(
        (f"https://{site}/{number}/{path}", site) for number, site in enumerate(_SITES, start=1)
    )
    supports = []
    for source, sentence in enumerate(_findings(topic)):
        supports.append(Support(start, start + len(sentence), source))
        start += len(sentence) + 1
    return Grounding(topic, sources, tuple(supports))
