"""Every answer of the account and of an upload is a value or a `KieError`."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from call_modes import response_reader
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import sse

from fuzz import bodies
from fuzz.bodies import words
from fuzz.laws import sized
from langchain_kie import KieError, account, files
from langchain_kie._account.answers import parse_success_rate, price_of
from langchain_kie._error_bodies import only_item
from langchain_kie._upload_request import upload_call
from langchain_kie._uploads import is_fresh

if TYPE_CHECKING:
    from langchain_kie._http.response import HttpCall
    from langchain_kie._json import Json


CALLS: dict[str, HttpCall[Any]] = {
    "balance": account._BALANCE,
    "listing": account._LISTING,
    "price": account._model_call("x", "price", price_of),
    "success rate": account._model_call("x", "success-rate", parse_success_rate),
    "receipt": upload_call(b"a", "a.png", "image/png", None, ExitStack(), files._parse_receipt),
}
_KEYS = words("""model models slug title provider taskType description pricingDesc points start end
    successRate errorRate isNormal downloadUrl fileUrl fileName fileSize expiresAt""")
_PRICE = [*words("Input Output 45 1,000 1M million tokens credits $ 0.2 , . / ("), " "]
_TIME = words("0001-01-01 9999-12-31 2026-11-30 T 00:30:00 23:59:59 Z +05:00 -23:59 +00:00")
_TEXTS = (
    st.sampled_from([bodies.LONG_INTEGER, "", "nan", "1e400", "x", "https://files.example/a.png"])
    | st.lists(st.sampled_from(_PRICE), max_size=12).map(" ".join)
    | st.lists(st.sampled_from(_TIME), max_size=4).map("".join)
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-9, 9) | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
        | st.fixed_dictionaries({"model": _TEXTS, "points": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"start": _TEXTS, "end": _TEXTS, "successRate": inner})
        | st.fixed_dictionaries({"models": st.lists(inner, max_size=2)})
    ),
    max_leaves=10,
)
_RECEIPTS = st.fixed_dictionaries(
    {"downloadUrl": st.just("https://files.example/a.png"), "expiresAt": _TEXTS},
    optional={"fileName": _VALUES, "fileSize": _VALUES},
)
_ANSWERS = st.fixed_dictionaries({"code": st.just(200), "data": _VALUES | _RECEIPTS})


@sized(400)
@given(
    st.sampled_from(sorted(CALLS)),
    st.lists(_ANSWERS, min_size=1, max_size=2),
    st.sampled_from(["document", "document", "array", "stream"]),
)
def test_any_answer_of_the_account_is_a_value_or_a_kie_error(
    name: str, answers: list[Json], form: str
) -> None:
    body = {
        "document": orjson.dumps(answers[0]),
        "array": orjson.dumps(answers),
        "stream": sse(*answers),
    }[form]
    reader = response_reader(CALLS[name])
    try:
        items = reader.feed(bodies.with_long_integers(body))
        reader.raise_if_failed()
        value = only_item([*items, *reader.close()]).value
    except KieError:
        return
    assert repr(value)
    if name == "receipt":
        assert value.block() if not value.is_expired else str(value.expires_at)
        assert is_fresh(value) <= (value.expires_at > datetime.now(UTC))
