"""What `langchain-kie doctor` asks of each model and API, one row a question.

A question makes one or a few calls with the public `ChatKieGemini`, and returns a finding. To add
a question, add a row to `QUESTIONS`, its expected answer to `emulated`, and a line to `advice`.
"""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, Field

from langchain_kie import (
    KieError,
    KieInsufficientCreditsError,
    KieRateLimitError,
    media_block,
)
from langchain_kie.cli.findings import (
    FATAL_ERRORS,
    REFUSALS,
    Finding,
    Question,
    Target,
    error_finding,
)
from langchain_kie.cli.output import price_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.messages import AIMessage

    from langchain_kie import KieAccount
    from langchain_kie.cli.findings import Outcome

EFFORTS = ("none", "minimal", "low", "medium", "high")

SHORT_STORY = "Write a short story about the sea in 8 sentences."
LONG_STORY = "Write a long story about a lighthouse in 40 sentences."
RIDDLE = "Which number is larger, 9.11 or 9.9? Answer with the number, and explain why."
ONE_CITY = "What is the temperature in Lisbon?"
TWO_CITIES = "What is the temperature in Lisbon and in Oslo?"
GREETING = "Good morning!"
COLOUR = "Which colour does this image have? Answer with one word."
SYSTEM = "Answer every message with the single word 'marigold', and nothing else."
NEWS = "Who won the most recent football World Cup? Search the web."

_MAX_TOKENS = 64
_BUFFERED_SHARE = 0.9
"""If the first piece of a longer stream comes after this share of its time, it may be held back."""
_BUFFERED_SECONDS = 3.0
_CLEARLY_MORE = 1.5


# --- the account -----------------------------------------------------------------------------


def ask_key(account: KieAccount) -> tuple[Finding, float | None]:
    """Whether the key is accepted and has credits; the finding does not contain the balance."""
    try:
        balance = account.credits()
    except KieError as error:
        return error_finding(error), None
    if balance <= 0:
        facts = {"error": KieInsufficientCreditsError.__name__}
        return Finding("fails", "the account has no credits", facts=facts), balance
    return Finding("works", "accepted; the account has credits"), balance


def _ask_catalogue(target: Target) -> Finding:
    listed = {model.model: model for model in target.account.models()}
    model = listed.get(target.spelling)
    if model is None:
        return Finding("partly", f"{target.spelling} is not in KIE's list; it may work")
    mean = target.account.success_rate(target.spelling).mean
    rate = "no data of the last day" if mean is None else f"{mean:.1f} % succeeded in a day"
    price = price_text(model.price, " credits for 1M tokens")
    detail = "; ".join(filter(None, ("listed", rate, price)))
    return Finding("works", detail, facts={"success_rate": mean})


# --- streams and thoughts --------------------------------------------------------------------


def _ask_stream(target: Target) -> Finding:
    """Repeat a stream whose text came only at its end: the model may have been slow that once."""
    for _ in range(2):
        times, total = _time_stream(target)
        if not times:
            return Finding("fails", "the stream has no text")
        first = times[0]
        buffered = total > _BUFFERED_SECONDS and first > total * _BUFFERED_SHARE
        if not buffered:
            break
    facts = {"pieces": len(times), "total_seconds": round(total, 3), "buffered": buffered}
    detail = f"first piece after {first:.1f} s, {len(times)} pieces in {total:.1f} s"
    return Finding("partly" if buffered else "works", detail, round(first, 3), facts)


def _time_stream(target: Target) -> tuple[list[float], float]:
    """After how many seconds each piece came, and the end."""
    model = target.without_limiter()
    start = time.monotonic()
    times = [
        time.monotonic() - start
        for chunk in model.stream(SHORT_STORY)
        if chunk.content or chunk.additional_kwargs.get("reasoning_content")
    ]
    return times, time.monotonic() - start


def _ask_no_stream(target: Target) -> Finding:
    model = target.without_limiter(stream_invoke=False, timeout=target.wait)
    start = time.monotonic()
    answer = model.invoke(SHORT_STORY)
    total = time.monotonic() - start
    if not answer.text:
        return Finding("fails", "the answer has no text")
    return Finding("works", f"complete after {total:.1f} s", round(total, 3))


def _ask_thoughts(target: Target) -> Finding:
    lengths = {}
    for include in (True, False):
        answer = target.with_settings(include_thoughts=include).invoke(RIDDLE)
        lengths[include] = len(answer.additional_kwargs.get("reasoning_content", ""))
    facts = {"with": lengths[True], "without": lengths[False]}
    if not lengths[True]:
        return Finding("ignored", "include_thoughts=True shows no thoughts", facts=facts)
    if lengths[False]:
        return Finding("ignored", "include_thoughts=False shows thoughts too", facts=facts)
    return Finding("works", f"{lengths[True]} characters; none if switched off", facts=facts)


def _ask_efforts(target: Target) -> Finding:
    """Each effort is sent unchanged, also those that the package would replace."""
    levels = (target.model.profile or {}).get("reasoning_effort_levels", ())
    accepted: dict[str, int | None] = {}
    failed: dict[str, str] = {}
    by_model_kwargs: dict[str, dict[str, Any]] = {}
    for effort in EFFORTS:
        body = _effort_body(target, effort)
        model = target.with_settings(reasoning_effort=None, timeout=target.wait, model_kwargs=body)
        try:
            accepted[effort] = _reasoning_tokens(model.invoke(RIDDLE))
            if effort not in levels:
                by_model_kwargs[effort] = body
        except (*FATAL_ERRORS, *REFUSALS, KieRateLimitError):
            raise
        except KieError as error:
            failed[effort] = error_finding(error).detail
    facts = {"accepted": accepted, "by_model_kwargs": by_model_kwargs, "failed": failed}
    failures = "; ".join(
        f"{message} ({', '.join(name for name in failed if failed[name] == message)})"
        for message in dict.fromkeys(failed.values())
    )
    if not accepted:
        return Finding("fails", failures, facts=facts)
    texts = [f"{name} ({'?' if n is None else n} tokens)" for name, n in accepted.items()]
    detail = ", ".join(texts) + (f"; {failures}" if failures else "")
    return Finding(_effect_of(list(accepted.values())), detail, facts=facts)


def _effect_of(counts: list[int | None]) -> Outcome:
    """Whether efforts change the reasoning tokens, by more than answers differ anyway."""
    least, most = counts[0], counts[-1]
    if len(counts) == 1 or least is None or most is None:
        return "partly"
    return "works" if least * _CLEARLY_MORE < most else "ignored"


def _effort_body(target: Target, effort: str) -> dict[str, Any]:
    if target.api != "generate_content":
        return {"reasoning_effort": effort}
    config = {"thinkingBudget": 0} if effort == "none" else {"thinkingLevel": effort}
    return {"generationConfig": {"thinkingConfig": config}}


def _reasoning_tokens(answer: AIMessage) -> int | None:
    usage = answer.usage_metadata
    return usage.get("output_token_details", {}).get("reasoning") if usage else None


# --- tools -----------------------------------------------------------------------------------


def get_temperature(city: str) -> str:
    """Get the temperature in a city."""
    return f"21 degrees in {city}"


def _ask_tool_call(target: Target) -> Finding:
    model = target.model.bind_tools([get_temperature])
    question = HumanMessage(ONE_CITY)
    answer = model.invoke([question])
    has_signature = bool(answer.additional_kwargs.get("thought_signatures"))
    facts = {"signature": has_signature}
    if not answer.tool_calls:
        return Finding("ignored", "an answer in prose instead of a call", facts=facts)
    results = [
        ToolMessage(get_temperature(str(call["args"].get("city"))), tool_call_id=call["id"])
        for call in answer.tool_calls
    ]
    last = model.invoke([question, answer, *results])
    signed = "with" if has_signature else "without"
    if "21" not in last.text:
        return Finding("partly", f"a call {signed} signature; its result is ignored", facts=facts)
    return Finding("works", f"a call {signed} signature, then an answer", facts=facts)


def _ask_forced_choice(target: Target) -> Finding:
    model = target.model.bind_tools(
        [get_temperature], tool_choice="get_temperature", require_tool_call=False
    )
    answer = model.invoke(GREETING)
    if not answer.tool_calls:
        return Finding("ignored", f"text instead of the call: {answer.text[:60]!r}")
    return Finding("works", "the required call came")


def _ask_parallel_calls(target: Target) -> Finding:
    answer = target.model.bind_tools([get_temperature]).invoke(TWO_CITIES)
    count = len(answer.tool_calls)
    return Finding("works" if count > 1 else "ignored", f"{count} calls in one answer")


# --- structured output -----------------------------------------------------------------------


class Sensor(BaseModel):
    """What is known of a sensor."""

    name: str
    owner: str | None = Field(description="null if it is unknown")
    readings: list[int | None] = Field(description="null for a missing reading")


class Shirt(BaseModel):
    """A shirt."""

    size: Literal["small", "medium", "large"]


class Cities(BaseModel):
    """Cities."""

    cities: list[str]


class Stock(BaseModel):
    """The stock of a shop."""

    stock: dict[str, int]


@dataclass(frozen=True, slots=True)
class Structured:
    """A prompt, its schema and the right answer."""

    prompt: str
    schema: type[BaseModel]
    expected: Mapping[str, Any]

    def __call__(self, target: Target) -> Finding:
        """Ask for it."""
        model = target.model.with_structured_output(self.schema, include_raw=True)
        result = model.invoke(self.prompt)
        parsed = result["parsed"]
        if parsed is None:
            text = result["raw"].text[:60]
            return Finding("ignored", f"the answer does not match the schema: {text!r}")
        values = parsed.model_dump()
        if values != self.expected:
            wrong = {key: value for key, value in values.items() if value != self.expected[key]}
            return Finding("ignored", f"wrong values: {str(wrong)[:80]}")
        return Finding("works", "the answer has the right values")


STRUCTURED = {
    "nullable": Structured(
        "Sensor A7 has no known owner. Its readings are 4, one that is missing, and 6.",
        Sensor,
        {"name": "A7", "owner": None, "readings": [4, None, 6]},
    ),
    "enum": Structured("The shirt is of the largest size.", Shirt, {"size": "large"}),
    "list": Structured(
        "Name these cities in their order: Lisbon, Porto, Faro.",
        Cities,
        {"cities": ["Lisbon", "Porto", "Faro"]},
    ),
    "map": Structured(
        "There are 3 apples and 5 pears.", Stock, {"stock": {"apples": 3, "pears": 5}}
    ),
}


# --- options, media, search ------------------------------------------------------------------


def _ask_max_tokens(target: Target) -> Finding:
    answer = target.with_settings(max_tokens=_MAX_TOKENS).invoke(LONG_STORY)
    tokens = answer.usage_metadata["output_tokens"] if answer.usage_metadata else None
    reason = answer.response_metadata["finish_reason"]
    detail = f"{tokens} tokens with max_tokens={_MAX_TOKENS}, finish_reason {reason!r}"
    facts = {"tokens": tokens, "finish_reason": reason}
    return Finding("works" if reason == "length" else "ignored", detail, facts=facts)


def _ask_system_message(target: Target) -> Finding:
    answer = target.model.invoke([SystemMessage(SYSTEM), HumanMessage(GREETING)])
    if "marigold" in answer.text.lower():
        return Finding("works", "it is followed")
    return Finding("ignored", f"the answer is {answer.text[:60]!r}")


def _ask_image(target: Target, media_upload: Literal["always", "never"]) -> Finding:
    message = HumanMessage([{"type": "text", "text": COLOUR}, media_block(red_png())])
    model = target.with_settings(media_upload=media_upload)
    answer = model.invoke([message])
    if "red" in answer.text.lower():
        return Finding("works", "the model sees it")
    return Finding("ignored", f"the model does not see it: {answer.text[:60]!r}")


def _ask_search(target: Target) -> Finding:
    answer = target.model.bind_tools([{"google_search": {}}]).invoke(NEWS)
    metadata = answer.response_metadata
    sources = [key for key in ("grounding_metadata", "annotations") if metadata.get(key)]
    if sources:
        return Finding("works", f"the answer has sources ({', '.join(sources)})")
    return Finding("partly", "an answer without sources")


def red_png(size: int = 64) -> bytes:
    """A red square."""
    row = b"\0" + b"\xe0\x10\x10" * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * size)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


QUESTIONS: tuple[Question, ...] = (
    Question("catalogue", "In KIE's list; success rate", _ask_catalogue, needs=()),
    Question("stream", "Streamed answer", _ask_stream, needs=()),
    Question("no_stream", "Answer without a stream", _ask_no_stream, needs=()),
    Question("thoughts", "Thoughts", _ask_thoughts),
    Question("efforts", "reasoning_effort", _ask_efforts),
    Question("tool_call", "Tool call and its result", _ask_tool_call),
    Question("forced_choice", "Forced tool choice", _ask_forced_choice),
    Question("parallel_calls", "Parallel tool calls", _ask_parallel_calls),
    Question("nullable", "Structured output: null", STRUCTURED["nullable"]),
    Question("enum", "Structured output: enum", STRUCTURED["enum"]),
    Question("list", "Structured output: list", STRUCTURED["list"]),
    Question("map", "Structured output: map", STRUCTURED["map"]),
    Question("max_tokens", "max_tokens", _ask_max_tokens),
    Question("system_message", "System message", _ask_system_message),
    Question("image_inline", "Image inline", lambda target: _ask_image(target, "never")),
    Question("image_url", "Image by URL", lambda target: _ask_image(target, "always")),
    Question("search", "Search", _ask_search),
)
