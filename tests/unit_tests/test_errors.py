"""Which error a failure of KIE becomes, what the error holds, and how often it is retried."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    KEY,
    ainvoke,
    astream,
    fixture,
    invoke,
    model_at,
    server_sending,
    stream,
)
from error_texts import (
    CREDITS,
    FREQUENCY,
    MAINTENANCE,
    NO_FEATURE,
    NOT_ENABLED,
    RETRIES_FAILED,
    SERVER_EXCEPTION,
    TOO_LARGE,
    UNSUPPORTED_CHANNEL,
    UNSUPPORTED_NAME,
)
from langchain_core import exceptions as core
from langchain_core.runnables import RunnableLambda
from scripted_server import Scripted, ScriptedServer, sse

import langchain_kie
from langchain_kie import (
    KieAuthenticationError,
    KieConfigurationError,
    KieConnectionError,
    KieContextOverflowError,
    KieEmptyResponseError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieMediaNotSeenError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieProtocolError,
    KieRateLimitError,
    KieRefusalError,
    KieServerError,
    KieStreamInterruptedError,
    KieTimeoutError,
    KieToolCallMissingError,
)
from langchain_kie.errors import ModelRefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

UNAUTHORIZED = orjson.loads(fixture("envelope_401.json"))["msg"]


@dataclass(frozen=True)
class Row:
    """A code and a message, the class of their error, and the number of its retries.

    Attributes:
        retries: `None` for as many as the model allows.
        hint: A part of the hint.
        fact: The id of the fact in docs/wire.md.
    """

    code: int
    message: str
    cls: type[KieError]
    retries: int | None = 0
    hint: str = ""
    fact: str = ""

    @property
    def name(self) -> str:
        """Name the row in the ids of tests."""
        fact = f"wire.md {self.fact}: " if self.fact else ""
        return f"{fact}{self.code}-{self.message[:25]}"

    @property
    def body(self) -> dict[str, Any]:
        return {"code": self.code, "msg": self.message, "data": None}


_DOWNLOAD = "The image URL <https://a.b/c> image download failed: HTTP 403: Forbidden"
_EMPTY_TEXT = "The 'text' field within the message content cannot be empty."
_SCHEMA = "$.response_format.json_schema.schema.properties.type must be string or array"
_BUDGET = "Budget has been exceeded! Current cost: 1.0, Max budget: 0.5"
_NO_ACCESS = "key not allowed to access model. This key can only access models=['a']"

GATEWAY_TIMEOUTS = {504, 522, 524}
"""HTTP statuses that are time-outs; as codes in a body of status 200 they are none."""

ROWS = [
    Row(400, "Invalid parameter: messages", KieInvalidRequestError),
    Row(400, _DOWNLOAD, KieInvalidRequestError, fact="7-1"),
    Row(400, "The image URL <x> image download failed: HTTP 429", KieInvalidRequestError),
    Row(
        400,
        "The 'type' property must be a single string, not an array",
        KieInvalidRequestError,
        fact="7-3",
    ),
    Row(400, MAINTENANCE, KieServerError, None, fact="7-4"),
    Row(400, "input token count 2000000 exceeds the maximum", KieContextOverflowError),
    Row(400, "litellm.ContextWindowExceededError: x", KieContextOverflowError),
    Row(500, "litellm.ContextWindowExceededError: x", KieContextOverflowError),
    Row(400, "context_length_exceeded", KieContextOverflowError),
    Row(400, _BUDGET, KieInsufficientCreditsError, hint="spending limit"),
    Row(429, _BUDGET, KieInsufficientCreditsError),
    Row(401, _NO_ACCESS, KiePermissionDeniedError, hint="Enable the model"),
    Row(401, UNAUTHORIZED, KieAuthenticationError, fact="7-5"),
    Row(400, "x is not a valid model ID", KieModelNotFoundError),
    Row(400, "Invalid model name passed in model=x", KieModelNotFoundError),
    Row(400, TOO_LARGE, KieInvalidRequestError, hint="media_upload", fact="7-2"),
    Row(400, FREQUENCY, KieRateLimitError, None),
    Row(401, NOT_ENABLED, KiePermissionDeniedError, hint="https://kie.ai/api-key", fact="7-6"),
    Row(401, "You do not have access permissions", KieAuthenticationError, fact="7-5"),
    Row(402, CREDITS, KieInsufficientCreditsError, fact="7-7"),
    Row(402, "no money", KieInsufficientCreditsError),
    Row(402, "Insufficient", KieInsufficientCreditsError, hint="Add credits", fact="7-7"),
    Row(403, "Your request was blocked", KiePermissionDeniedError),
    Row(403, "Insufficient permissions", KiePermissionDeniedError),
    Row(403, "error code: 1010", KiePermissionDeniedError, hint="default_headers", fact="7-19"),
    Row(403, "Error 1010: Access denied", KiePermissionDeniedError, hint="User-Agent"),
    Row(404, "Not found", KieModelNotFoundError),
    Row(404, UNSUPPORTED_NAME, KieModelNotFoundError, fact="7-8"),
    Row(408, "Upstream is timed out", KieTimeoutError, 1, fact="7-9"),
    Row(408, "Request timeout, please try again later", KieTimeoutError, 1),
    Row(413, "Payload too large", KieInvalidRequestError),
    Row(422, _EMPTY_TEXT, KieInvalidRequestError, fact="7-12"),
    Row(422, _SCHEMA, KieInvalidRequestError, fact="7-12"),
    Row(422, "The model is not supported", KieModelNotFoundError, fact="7-10"),
    Row(422, "channel not supported", KieModelNotFoundError),
    Row(422, NO_FEATURE, KieInvalidRequestError, hint="base_url", fact="1-8"),
    Row(422, UNSUPPORTED_CHANNEL, KieModelNotFoundError, fact="7-11"),
    Row(422, UNSUPPORTED_NAME, KieModelNotFoundError),
    Row(422, "validation failed", KieInvalidRequestError),
    Row(429, "Too many requests", KieRateLimitError, None),
    Row(429, "Rate limit: you must be patient, please try again later", KieRateLimitError, None),
    Row(429, "Credits insufficient", KieInsufficientCreditsError),
    Row(433, "The sub-key has reached its spending limit", KieInsufficientCreditsError),
    Row(429, FREQUENCY, KieRateLimitError, None, hint="fewer requests", fact="7-13"),
    Row(433, "limit", KieInsufficientCreditsError, fact="7-14"),
    Row(455, "Service unavailable: maintenance", KieServerError, None, fact="7-4"),
    Row(455, "later", KieServerError, None),
    Row(455, FREQUENCY, KieRateLimitError, None, fact="7-13"),
    Row(500, SERVER_EXCEPTION, KieServerError, None, fact="7-15"),
    Row(500, "Internal error, please contact support", KieServerError, None),
    Row(500, "The server must be restarted", KieServerError, None),
    Row(500, "oops", KieServerError, None),
    Row(500, FREQUENCY, KieRateLimitError, None, fact="7-13"),
    Row(500, TOO_LARGE, KieInvalidRequestError, hint="inline_media_limit"),
    Row(500, "The page does not exist", KieModelNotFoundError, fact="7-16"),
    Row(500, CREDITS, KieInsufficientCreditsError, fact="7-7"),
    Row(501, "Generation failed", KieServerError, 1, fact="7-9"),
    Row(502, "Bad gateway", KieServerError, None),
    Row(503, "insufficient resources", KieServerError, None),
    Row(503, FREQUENCY, KieRateLimitError, None, fact="7-13"),
    Row(503, UNSUPPORTED_CHANNEL, KieModelNotFoundError),
    Row(504, "Gateway timeout", KieServerError, None),
    Row(505, "The feature is disabled", KiePermissionDeniedError, fact="7-14"),
    Row(520, "Unknown", KieServerError, None),
    Row(522, "Timed out", KieServerError, None),
    Row(524, "no user can use", KieServerError, 1, fact="7-18"),
    Row(524, RETRIES_FAILED, KieServerError, None, fact="7-17"),
]

CORE: dict[type[KieError], type[core.ModelError]] = {
    KieConfigurationError: core.ModelInvalidRequestError,
    KieAuthenticationError: core.ModelAuthenticationError,
    KiePermissionDeniedError: core.ModelPermissionDeniedError,
    KieInsufficientCreditsError: core.ModelPermissionDeniedError,
    KieInvalidRequestError: core.ModelInvalidRequestError,
    KieContextOverflowError: core.ContextOverflowError,
    KieModelNotFoundError: core.ModelNotFoundError,
    KieRateLimitError: core.ModelRateLimitError,
    KieServerError: core.ModelAPIError,
    KieEmptyResponseError: core.ModelAPIError,
    KieMediaNotSeenError: core.ModelAPIError,
    KieToolCallMissingError: core.ModelAPIError,
    KieRefusalError: ModelRefusalError,
    KieProtocolError: core.ModelAPIError,
    KieTimeoutError: core.ModelTimeoutError,
    KieConnectionError: core.ModelConnectionError,
    KieStreamInterruptedError: core.ModelConnectionError,
}

TEXT = {"id": "x", "choices": [{"index": 0, "delta": {"content": "Once"}}]}
ROLE = {"choices": [{"delta": {"role": "assistant"}}]}


@dataclass(frozen=True)
class Place:
    """Where a failure is reported.

    Attributes:
        respond: Makes the response of a row.
        in_body: Whether the body has the code.
        is_partial: Whether text comes before the failure.
    """

    respond: Callable[[Row], Scripted]
    in_body: bool = True
    is_partial: bool = False


PLACES = {
    "a document": Place(lambda row: Scripted([orjson.dumps(row.body)])),
    "a document with the code as text": Place(
        lambda row: Scripted([orjson.dumps({"code": str(row.code), "msg": row.message})])
    ),
    "the first event": Place(lambda row: Scripted([sse(row.body)])),
    "an event after an empty one": Place(lambda row: Scripted([sse(ROLE, row.body)])),
    "an event after text": Place(lambda row: Scripted([sse(TEXT, row.body)]), is_partial=True),
    "an OpenAI error after text": Place(
        lambda row: Scripted([sse(TEXT, {"error": {"message": row.message, "code": row.code}})]),
        is_partial=True,
    ),
    "a status and KIE's body": Place(
        lambda row: Scripted([orjson.dumps(row.body)], status=row.code)
    ),
    "a status and an OpenAI error": Place(
        lambda row: Scripted([orjson.dumps({"error": {"message": row.message}})], row.code),
        in_body=False,
    ),
    "a status and an error that is text": Place(
        lambda row: Scripted([orjson.dumps({"error": row.message})], row.code), in_body=False
    ),
    "a status and plain text": Place(
        lambda row: Scripted([row.message.encode()], row.code), in_body=False
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_failure_is_the_same_error_wherever_it_is_reported(row: Row, place: str) -> None:
    """Each row and each place has all call modes: two here, the others at its neighbours."""
    response = PLACES[place].respond(row)
    is_odd = (ROWS.index(row) + [*PLACES].index(place)) % 2
    with ScriptedServer(response) as server:
        for call_mode in (ainvoke, stream) if is_odd else (invoke, astream):
            with pytest.raises(KieError) as caught:
                await call_mode(model_at(server, model="gemini-3.1-pro"))
            error = caught.value
            cls = KieTimeoutError if response.status in GATEWAY_TIMEOUTS else row.cls
            assert type(error) is cls
            assert isinstance(error, CORE[cls])
            assert row.hint in str(error).removeprefix(row.message)
            assert error.code == (row.code if PLACES[place].in_body else None)
            assert error.status_code == response.status
            assert error.message == row.message
            assert row.message.rstrip(".") in str(error)
            assert error.model == "gemini-3.1-pro"
            assert error.is_retryable == (row.retries != 0)
            assert error.partial == (PLACES[place].is_partial and call_mode in (stream, astream))
            assert error.__cause__ is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_failure_is_retried_as_often_as_that_can_help(row: Row, no_sleep) -> None:
    with ScriptedServer(Scripted([orjson.dumps(row.body)])) as server:
        for call_mode in (invoke, astream):
            server.requests.clear()
            with pytest.raises(row.cls):
                await call_mode(model_at(server, max_retries=3))
            assert len(server.requests) == 1 + (3 if row.retries is None else row.retries)


def every_class() -> list[type[KieError]]:
    values = [getattr(langchain_kie, name) for name in langchain_kie.__all__]
    return [value for value in values if isinstance(value, type) and issubclass(value, KieError)]


def test_the_table_of_core_s_classes_is_complete() -> None:
    assert set(CORE) == set(every_class()) - {KieError}


@pytest.mark.parametrize("cls", every_class())
def test_an_error_survives_pickle_copy_and_deepcopy_with_its_attributes(cls) -> None:
    error = cls(
        "m",
        code=500,
        status_code=200,
        model="gemini-3-flash",
        partial=True,
        max_retries=1,
        retry_after=2.5,
    )
    error.add_note("a note")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert vars(twin) == vars(error)
        assert (str(twin), twin.args) == (str(error), error.args)


@pytest.mark.parametrize("cls", every_class())
def test_every_class_has_the_retryability_of_core_s_class(cls: type[KieError]) -> None:
    error = cls("m")
    assert isinstance(error, CORE.get(cls, core.ModelError))
    assert error.is_retryable == cls.is_retryable
    assert cls.__doc__
    assert str(error).startswith("m")


def test_a_rejected_key_comes_with_a_hint() -> None:
    error = KieAuthenticationError("no.", code=401, status_code=200, model="gemini-3-flash")
    hint = "Check the API key: api_key= or KIE_API_KEY."
    assert str(error) == f"no (code 401, HTTP 200, model gemini-3-flash). {hint}"


async def test_a_network_error_is_kept_as_the_cause_and_not_pickled() -> None:
    with ScriptedServer(Scripted([sse(TEXT)], ending="fin-mid-chunk")) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieStreamInterruptedError) as caught:
                await call_mode(model_at(server))
            assert type(caught.value.__cause__).__module__.startswith("httpx")
            assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize(
    "response",
    [
        Scripted([sse(TEXT)], ending="fin-mid-chunk"),
        Scripted([orjson.dumps({"code": 401, "msg": f"no access with {KEY}"})], status=401),
        Scripted([b"not found"], status=404),
    ],
    ids=["interrupted", "key in the answer", "no JSON"],
)
async def test_the_bytes_of_a_pickled_error_have_neither_key_nor_request(response, api) -> None:
    question = "a question of nobody else"
    with ScriptedServer(response) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await call_mode(model_at(server, api=api), question)
            sent = server.requests.pop()
            assert KEY in sent.headers["authorization"]
            assert question.encode() in sent.body
            pickled = pickle.dumps(caught.value)
            assert caught.value.message.encode() in pickled  # the bytes are readable
            assert KEY.encode() not in pickled
            assert question.encode() not in pickled


async def test_an_error_of_a_later_step_is_not_changed() -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    with server_sending(fixture("shape_a.sse")) as server:
        chain = model_at(server) | RunnableLambda(fail)
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(ZeroDivisionError):
                await call_mode(chain)
