"""The running of one call: check, upload, send, parse, and repeat it if KIE lost a file.

Modules that only a call needs are imported in the functions, so that the import of the package
is fast.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from langchain_kie import _settings, _warm_up
from langchain_kie._answer.messages import generation_chunks, merge_chunks
from langchain_kie._catalog import profile_of
from langchain_kie._error_bodies import is_lost_file
from langchain_kie._model_names import model_hint, resolve
from langchain_kie._settings import OPTION_NAMES, resolve_aliases
from langchain_kie.errors import KieError, KieModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.messages import AIMessageChunk, BaseMessage

    from langchain_kie._answer.assembler import MessageAssembler
    from langchain_kie._http.transport import Transport
    from langchain_kie._request import PreparedCall
    from langchain_kie.chat_models import ChatKieGemini
    from langchain_kie.files import KieFiles


def call_model(
    model: ChatKieGemini,
    messages: list[BaseMessage],
    stop: list[str] | None,
    kwargs: dict[str, Any],
    *,
    stream: bool,
) -> Iterator[Any]:
    """Make one call; yield the chunks of its answer or, without `stream`, one complete message.

    If KIE lost an uploaded file, the file is uploaded again and the call is repeated, once.

    Raises:
        ValueError: The conversation or an option cannot be sent.
        KieError: The call failed.
    """
    may_repeat, earlier_credits = True, 0.0
    while True:
        prepared = _with_uploads(model, prepare(model, messages, stop, kwargs))
        call, assembler = prepared.build(stream=stream)
        assembler.earlier_credits = earlier_credits
        chunks: list[AIMessageChunk] = []
        try:
            for event in transport_of(model).stream(call):
                chunk = assembler.feed(event)
                if chunk and stream:
                    for piece in generation_chunks(chunk):  # noqa: UP028 - as `acall_model`
                        yield piece
                elif chunk:
                    chunks.append(chunk)
            last = assembler.finish()
            ends = generation_chunks(last) if stream else [merge_chunks([*chunks, last])]
            for end in ends:  # noqa: UP028
                yield end
        except KieError as error:
            error.partial = stream and assembler.has_output
            if not (_ready_to_repeat(error, prepared, assembler) and may_repeat):
                raise
            may_repeat = False
            earlier_credits = error.credits_consumed or 0.0
        else:
            return


async def acall_model(
    model: ChatKieGemini,
    messages: list[BaseMessage],
    stop: list[str] | None,
    kwargs: dict[str, Any],
    *,
    stream: bool,
) -> AsyncIterator[Any]:
    """Make one call, and yield the chunks of its answer; as `call_model`."""
    may_repeat, earlier_credits = True, 0.0
    while True:
        prepared = await _awith_uploads(model, await aprepare(model, messages, stop, kwargs))
        call, assembler = await prepared.abuild(stream=stream)
        assembler.earlier_credits = earlier_credits
        chunks: list[AIMessageChunk] = []
        try:
            async for event in transport_of(model).astream(call):
                chunk = assembler.feed(event)
                if chunk and stream:
                    for piece in generation_chunks(chunk):
                        yield piece
                elif chunk:
                    chunks.append(chunk)
            last = assembler.finish()
            ends = generation_chunks(last) if stream else [merge_chunks([*chunks, last])]
            for end in ends:
                yield end
        except KieError as error:
            error.partial = stream and assembler.has_output
            if not (_ready_to_repeat(error, prepared, assembler) and may_repeat):
                raise
            may_repeat = False
            earlier_credits = error.credits_consumed or 0.0
        else:
            return


def prepare(
    model: ChatKieGemini,
    messages: list[BaseMessage],
    stop: list[str] | None,
    kwargs: dict[str, Any],
) -> PreparedCall:
    """Check one call; nothing is read or sent.

    Raises:
        ValueError: The conversation or an option cannot be sent.
    """
    from langchain_kie._request import PreparedCall  # noqa: PLC0415 - loads at the first call

    call_kwargs = resolve_aliases(kwargs)
    call_kwargs.pop("stream", None)
    call_kwargs["stop"] = call_kwargs.get("stop") if stop is None else stop
    model_of_call = call_kwargs.pop("model", None)
    model_name = model_of_call or model.model
    resolved = resolve(model_name, call_kwargs.pop("api", None) or model.api)
    timeout = _settings.checked_timeout(call_kwargs.pop("timeout", None))
    values = model.__dict__
    prepared = PreparedCall(
        messages,
        call_kwargs,
        {name: values[name] for name in OPTION_NAMES},
        resolved,
        model_name=model_name,
        extra=model.model_kwargs,
        timeout=timeout,
    )
    if prepared.media:
        prepared.check_media(profile_of(resolved) if model_of_call else model.profile)
    return prepared


async def aprepare(
    model: ChatKieGemini,
    messages: list[BaseMessage],
    stop: list[str] | None,
    kwargs: dict[str, Any],
) -> PreparedCall:
    """As `prepare`; the first call loads in a thread what calls need.

    Long messages are converted in a thread.
    """
    await _warm_up.aload()
    from langchain_kie._request import is_long  # noqa: PLC0415 - loads at the first call

    if not is_long(messages):
        return prepare(model, messages, stop, kwargs)
    prepared = await asyncio.to_thread(prepare, model, messages, stop, kwargs)
    prepared.is_long = True
    return prepared


def _with_uploads(model: ChatKieGemini, prepared: PreparedCall) -> PreparedCall:
    """Upload the media that do not go inline.

    Raises:
        ValueError: A file cannot be read.
        KieError: An upload failed; nothing else was sent.
    """
    if not prepared.media:
        return prepared
    from langchain_kie._uploads import choose_uploads, upload_all, warn_of_uploads  # noqa: PLC0415

    if chosen := choose_uploads(prepared.media, prepared.options):
        prepared.build(stream=False)  # raises for what cannot be sent, before a file is public
        warn_of_uploads(chosen, prepared.options)
        upload_all(chosen, files_of(model))
        prepared.has_uploads = True
    return prepared


async def _awith_uploads(model: ChatKieGemini, prepared: PreparedCall) -> PreparedCall:
    """Upload the media that do not go inline; as `_with_uploads`."""
    if not prepared.media:
        return prepared
    from langchain_kie._uploads import achoose_uploads, aupload_all, warn_of_uploads  # noqa: PLC0415

    if chosen := await achoose_uploads(prepared.media, prepared.options):
        await prepared.abuild(stream=False)
        warn_of_uploads(chosen, prepared.options)
        await aupload_all(chosen, files_of(model))
        prepared.has_uploads = True
    return prepared


def files_of(model: ChatKieGemini) -> KieFiles:
    """The file upload of the model's account."""
    from langchain_kie.files import KieFiles  # noqa: PLC0415

    return KieFiles(
        api_key=model.api_key,
        upload_url=_settings.upload_url_for(
            model.base_url, model.upload_url, allow_http=model.allow_http
        ),
        allow_http=model.allow_http,
        timeout=model.timeout,
        max_retries=model.max_retries,
        http_client=model.http_client,
        http_async_client=model.http_async_client,
    )


def transport_of(model: ChatKieGemini) -> Transport:
    """The transport; settings are checked again, because assignments do not check them."""
    from langchain_kie._http.transport import transport_for  # noqa: PLC0415 - loads httpx

    return transport_for(
        api_key=model.api_key,
        base_url=model.base_url,
        allow_http=model.allow_http,
        timeout=model.timeout,
        max_retries=model.max_retries,
        retry_on_timeout=model.retry_on_timeout,
        headers=model.default_headers or {},
        client=model.http_client,
        async_client=model.http_async_client,
    )


def _ready_to_repeat(error: KieError, prepared: PreparedCall, assembler: MessageAssembler) -> bool:
    """Evict uploaded files that KIE lost, and return whether the call can be repeated.

    Adds to the error what KIE charged, and near names if the model is unknown.
    """
    if isinstance(error, KieModelNotFoundError):
        error.hint = model_hint(error.model or "")
    if HTTPStatus.REQUEST_ENTITY_TOO_LARGE in (error.code, error.status_code):
        error.hint = prepared.size_hint()
    if error.credits_consumed is None:
        error.credits_consumed = assembler.credits_consumed
    else:
        error.credits_consumed += assembler.earlier_credits
    if not (prepared.has_uploads and is_lost_file(error)):
        return False
    from langchain_kie._uploads import evict  # noqa: PLC0415 - only for calls with media

    evict(prepared.media)  # another call may have done it, and uploaded them again
    if error.partial:
        error.is_retryable = True  # the next call uploads them again
    return not error.partial
