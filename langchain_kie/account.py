"""The account: its balance, and KIE's live list of models with prices and success rates.

Uses KIE's account endpoints (docs/catalogue.md), which are free; independent of chat.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from pydantic import SecretStr

from langchain_kie import _settings, _warm_up
from langchain_kie._account import state
from langchain_kie._account.answers import (
    KieListedModel,
    KieSuccessRate,
    parse_balance,
    parse_models,
    parse_success_rate,
    price_of,
)
from langchain_kie._account.prices import KiePrice
from langchain_kie._account.state import ModelList
from langchain_kie._error_bodies import data_from_value, only_item
from langchain_kie._http.response import HttpCall, SingleEvent, ValueT
from langchain_kie._http.transport import transport_for
from langchain_kie._model_names import model_hint, spelling_of
from langchain_kie.errors import (
    KieConfigurationError,
    KieConnectionError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_kie._http.transport import Transport
    from langchain_kie._json import Json

_Call: TypeAlias = HttpCall[SingleEvent[ValueT]]

_TIMEOUT = 30.0
"""Seconds; these endpoints answer at once, other than those of chat."""

_SERVER_FAILURES = (
    KieServerError,
    KieTimeoutError,
    KieConnectionError,
    KieRateLimitError,
    KieProtocolError,
)


class KieAccount:
    """The account of an API key, and KIE's live list of models.

    KIE accepts one request a second for an account to its list, prices and success rates. All
    objects of a process that use the same key keep to it: later requests wait.

    Example:
        ```python
        from langchain_kie import KieAccount

        account = KieAccount()
        print(account.credits())
        for model in account.models(task_type="Chat", query="gemini"):
            print(model.model, model.price.input_usd, model.price.output_usd)
        ```

    Args:
        api_key: The API key. Default: `KIE_API_KEY`.
        base_url: The URL of the API. Default: `KIE_BASE_URL`, else `https://api.kie.ai`.
        allow_http: Whether `base_url` may use http for another host than this machine; the key
            is then sent without encryption, with a warning.
        timeout: Seconds above 0 for each network operation, or a `Timeout` of httpx or httpx2.
            Default: 30 s.
        max_retries: How often a failed request is retried, 0 or more. Default: 2.
        cache_seconds: For how many seconds the list of models is used before it is read again, 0
            or more. Default: 600 s. All objects of a process with the same key share the list.
        http_client: A `Client` of httpx or httpx2 to use instead of the shared connections.
        http_async_client: The same for async calls: an `AsyncClient` of httpx or httpx2.

    Raises:
        KieConfigurationError: There is no API key, or a setting is invalid.
    """

    def __init__(
        self,
        *,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        allow_http: bool = False,
        timeout: Any = None,
        max_retries: int = 2,
        cache_seconds: float = 600.0,
        http_client: Any = None,
        http_async_client: Any = None,
    ) -> None:
        if base_url is None:
            base_url = os.environ.get("KIE_BASE_URL", _settings.DEFAULT_BASE_URL)
        transport = transport_for(
            api_key=_settings.key_or_default(api_key),
            base_url=base_url,
            allow_http=allow_http,
            timeout=_settings.checked_timeout(timeout) or _TIMEOUT,
            max_retries=_settings.checked_minimum("max_retries", max_retries, int),
            retry_on_timeout=True,
            client=_settings.checked_sync_client(http_client),
            async_client=_settings.checked_async_client(http_async_client),
        )
        self._transport = transport
        self._account = transport.account
        self._paced = replace(transport, limiter=state.process.value.limiter_of(self._account))
        self._cache_seconds = _settings.checked_minimum("cache_seconds", cache_seconds)

    def __repr__(self) -> str:
        """Show the URL, and no key."""
        return f"KieAccount(base_url={self._transport.base_url!r})"

    def credits(self) -> float:
        """Read the balance of the account; the limit of a single key is not shown.

        KIE subtracts the cost of a call 6 to 15 s after its end.

        Returns:
            The balance in credits.

        Raises:
            KieError: The request failed.
        """
        return self._read(self._transport, _BALANCE)

    async def acredits(self) -> float:
        """As `credits`, without blocking the event loop."""
        return await self._aread(self._transport, _BALANCE)

    def models(
        self, *, task_type: str | None = None, query: str | None = None, refresh: bool = False
    ) -> tuple[KieListedModel, ...]:
        """KIE's list of models, read at most once in `cache_seconds`.

        If KIE cannot send it, an old list is returned, with a warning. A key may be refused for a
        listed model, and a model that is not listed may work.

        Args:
            task_type: Only models with this task type, such as `Chat`. Default: all.
            query: Only models with this text in their name or title; upper and lower case are the
                same. Default: all.
            refresh: Whether to read it now. Default: `False`.

        Returns:
            The models that match, in KIE's order; empty if none does.

        Raises:
            KieError: The request failed, and there is no old list.
        """
        if refresh:
            state.process.value.listings.expire(self._account)
        listing = state.process.value.listings.run(self._account, self._read_listing)
        return _selected(listing.models, task_type, query)

    async def amodels(
        self, *, task_type: str | None = None, query: str | None = None, refresh: bool = False
    ) -> tuple[KieListedModel, ...]:
        """As `models`, without blocking the event loop."""
        if refresh:
            state.process.value.listings.expire(self._account)
        listing = await state.process.value.listings.arun(self._account, self._aread_listing)
        return _selected(listing.models, task_type, query)

    def price(self, model: str) -> KiePrice:
        """Read what a model costs for 1 million tokens.

        Args:
            model: A friendly name or one of KIE's spellings.

        Returns:
            The price; its numbers are `None` where KIE's text is not understood.

        Raises:
            KieModelNotFoundError: KIE does not list the model.
            KieError: The request failed.
        """
        return self._read(self._paced, _model_call(model, "price", price_of), model)

    async def aprice(self, model: str) -> KiePrice:
        """As `price`, without blocking the event loop."""
        return await self._aread(self._paced, _model_call(model, "price", price_of), model)

    def success_rate(self, model: str) -> KieSuccessRate:
        """Read how calls of a model went in the last 24 hours.

        Args:
            model: A friendly name or one of KIE's spellings.

        Returns:
            The success rate in each interval (usually ten minutes), oldest first.

        Raises:
            KieModelNotFoundError: KIE does not list the model.
            KieError: The request failed.
        """
        call = _model_call(model, "success-rate", parse_success_rate)
        return self._read(self._paced, call, model)

    async def asuccess_rate(self, model: str) -> KieSuccessRate:
        """As `success_rate`, without blocking the event loop."""
        call = _model_call(model, "success-rate", parse_success_rate)
        return await self._aread(self._paced, call, model)

    # --- requests ---------------------------------------------------------------------------

    def _read_listing(self) -> ModelList:
        try:
            listed = self._read(self._paced, _LISTING)
        except _SERVER_FAILURES as error:
            return state.process.value.listings.old(self._account, error)
        return ModelList(listed, self._cache_seconds)

    async def _aread_listing(self) -> ModelList:
        try:
            listed = await self._aread(self._paced, _LISTING)
        except _SERVER_FAILURES as error:
            return state.process.value.listings.old(self._account, error)
        return ModelList(listed, self._cache_seconds)

    def _read(self, transport: Transport, call: _Call[ValueT], model: str | None = None) -> ValueT:
        """Send one request.

        Args:
            transport: The transport with the rate limit, or the one without.
            call: The request.
            model: The model in the path, for errors.

        Raises:
            KieError: The request failed, or the answer has another form.
        """
        with _account_errors(model):
            return only_item(transport.stream(call)).value

    async def _aread(
        self, transport: Transport, call: _Call[ValueT], model: str | None = None
    ) -> ValueT:
        """As `_read`; the first call loads in a thread what calls need."""
        await _warm_up.aload()
        with _account_errors(model):
            return only_item([item async for item in transport.astream(call)]).value


def _model_call(model: str, what: str, parse: Callable[[Any], ValueT]) -> _Call[ValueT]:
    """The request for a model's price or success rate; a slash in its name is not encoded.

    Raises:
        KieConfigurationError: The name cannot be part of the path.
    """
    if not model.strip("/. ") or ".." in model:
        raise KieConfigurationError(
            f"{model[:60]!r} cannot be a model name: it needs a character other than '/', '.' and "
            "space, and must not contain '..'"
        )
    return _get_call(f"/api/v1/models/{quote(spelling_of(model))}/{what}", parse)


def _get_call(path: str, parse: Callable[[Any], ValueT]) -> _Call[ValueT]:
    """The request for a path, whose answer has the `data` that `parse` reads."""

    def parse_event(event: Json) -> SingleEvent[ValueT]:
        try:
            return SingleEvent(parse(event["data"]))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise KieProtocolError(f"cannot read the answer of {path}: {error!r}") from None

    return HttpCall(None, path, None, parse_event, event_from_value=data_from_value)


_BALANCE = _get_call("/api/v1/chat/credit", parse_balance)
_LISTING = _get_call("/api/v1/models", parse_models)


@contextmanager
def _account_errors(model: str | None) -> Iterator[None]:
    """Name the model in errors; a 404 of another server does not mean an unknown model."""
    try:
        yield
    except KieModelNotFoundError as error:
        if model is None or error.status_code == HTTPStatus.NOT_FOUND:
            message = f"there are no account endpoints at this address: {error.message}"
            code, status = error.code, error.status_code
            raise KieInvalidRequestError(message, code=code, status_code=status) from None
        error.model, error.hint = model, model_hint(model)
        raise


def _selected(
    listed: tuple[KieListedModel, ...], task_type: str | None, query: str | None
) -> tuple[KieListedModel, ...]:
    """The models that match; KIE recommends to filter its list locally."""
    word = (query or "").lower()
    return tuple(
        model
        for model in listed
        if (task_type is None or task_type in model.task_types)
        and (word in model.model.lower() or word in model.title.lower())
    )
