"""From a parsed request to an answer: scripted, from the `respond` function, or the default."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator import responder
from langchain_kie.emulator.conversation import Answer, Failure, RawAnswer
from langchain_kie.emulator.errors import (
    LOST_FILE,
    MESSAGES,
    SERVER_EXCEPTION,
    TOO_MANY_TOKENS,
    ApiError,
    bad_request,
)
from langchain_kie.emulator.usage import (
    count_prompt,
    count_usage,
    credits_for,
    limit_output,
    truncate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from langchain_kie.emulator.conversation import AnyAnswer, ChatRequest, Usage
    from langchain_kie.emulator.media import UrlFetcher
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.state import ServerState

logger = logging.getLogger(__name__)


class ConnectionCutError(Exception):
    """The emulator closes the connection in the middle of an answer, as `cut_next` demands."""


async def prepare(
    request: ChatRequest, endpoint: Endpoint, state: ServerState, fetcher: UrlFetcher
) -> tuple[ChatRequest, int]:
    """Complete a request with what KIE adds or loses, and count the tokens of the prompt.

    Raises:
        ApiError: If the prompt is longer than the context.
    """
    settings = state.settings
    if settings.drops_media:
        turns = tuple(replace(turn, media=()) for turn in request.turns)
        request = replace(request, turns=turns)
    prompt, maximum = count_prompt(endpoint, request), settings.context_tokens
    if prompt > maximum:
        raise bad_request(TOO_MANY_TOKENS.format(count=prompt, maximum=maximum))
    if "urlContext" in request.builtins:
        pages = await fetcher.web_pages(responder.urls_in(request.prompt))
        request = replace(request, pages=pages)
    return request, prompt


async def find_answer(request: ChatRequest, state: ServerState) -> Answer | RawAnswer:
    """Take the next scripted answer, else call the `respond` function, else use the default.

    Raises:
        ApiError: If the answer is a failure.
    """
    answer: Any
    if state.script:
        answer = state.script.popleft()
    elif any(file.is_lost for turn in request.turns for file in turn.media):
        answer = LOST_FILE
    elif state.settings.respond is None:
        answer = responder.respond(request)
    else:
        answer = await _call_respond(request, state)
    if isinstance(answer, str):
        answer = Answer(answer)
    if isinstance(answer, Failure):
        message = answer.message or MESSAGES.get(answer.code, SERVER_EXCEPTION)
        raise ApiError(answer.code, message)
    if not isinstance(answer, Answer | RawAnswer):
        raise bad_request(f"The emulator's respond function returned {answer!r}, not an answer.")
    return answer


async def _call_respond(request: ChatRequest, state: ServerState) -> AnyAnswer:
    function: Any = state.settings.respond
    try:
        if inspect.iscoroutinefunction(function):
            answer = await function(request)
        else:
            answer = await asyncio.to_thread(function, request)
            answer = await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        logger.exception("The emulator's respond function failed")
        description = f"{type(error).__name__}: {error}"
        raise bad_request(f"The emulator's respond function raised {description}") from error
    else:
        result: AnyAnswer = answer
        return result


def finish(
    answer: Answer, request: ChatRequest, endpoint: Endpoint, prompt: int, state: ServerState
) -> tuple[Answer, Usage]:
    """Apply the tool choice, the stop sequences and the maximum of tokens; charge for the answer.

    Args:
        answer: The answer.
        request: The request.
        endpoint: The model.
        prompt: The tokens of the prompt.
        state: The account, and whether the tool choice is ignored.
    """
    ignored = state.settings.ignore_tool_choice
    if ignored and answer.tool_calls and request.choice.mode == "any":
        args = json.dumps(dict(answer.tool_calls[0].args), ensure_ascii=False)
        prose = answer.text or responder.prose(request)
        text = {"json": args, "fenced": f"```json\n{args}\n```"}.get(ignored, prose)
        answer = replace(answer, text=text, tool_calls=())
    ends = [answer.text.find(sequence) for sequence in request.stop if sequence in answer.text]
    answer = truncate(answer, min(ends)) if ends else answer
    usage = answer.usage
    if usage is None:
        usage = count_usage(endpoint, prompt, request.effort, answer)
        if endpoint.honours_max_tokens and request.max_tokens is not None:
            answer, usage = limit_output(answer, usage, request.max_tokens)
    state.charge(credits_for(endpoint, usage))
    return answer, usage


def cut_events(events: Iterable[dict[str, Any]], after: int) -> Iterator[dict[str, Any]]:
    """Yield the first `after` characters of a streamed text, at most all but the end.

    Raises:
        ConnectionCutError: Always, in the end.
    """
    for event in events:
        outputs: Any = event.get("choices") or event.get("candidates")
        is_end = not outputs or outputs[0].get("finish_reason") or outputs[0].get("finishReason")
        if is_end or after <= 0:
            break
        owner, key = outputs[0].get("delta"), "content"
        if owner is None:
            owner, key = outputs[0]["content"]["parts"][0], "text"
        if owner.get(key) and not owner.get("thought"):
            owner[key] = owner[key][:after]
            after -= len(owner[key])
        yield event
    raise ConnectionCutError


def cut_bytes(pieces: Iterable[bytes], after: int) -> Iterator[bytes]:
    """Yield the first `after` bytes of a body.

    Raises:
        ConnectionCutError: Always, in the end.
    """
    for piece in pieces:
        if after > 0:
            yield piece[:after]
        after -= len(piece)
    raise ConnectionCutError
