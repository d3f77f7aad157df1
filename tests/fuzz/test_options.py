"""Every value of every option, tool and schema is used, or rejected with a `ValueError`."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import event, given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langchain_core.utils.function_calling import convert_to_json_schema

from fuzz.bodies import JSON, words
from fuzz.laws import KEY, MODELS, body_of, sized
from langchain_kie import ChatKieGemini
from langchain_kie._settings import ALIASES, CALL_ONLY, OPTION_NAMES, OTHER_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

_WORDS = st.sampled_from(
    words("""function functions name tool tools google_search googleSearch code_execution type f
    object json_schema json_object schema auto any required ANY mode low http://a.example a""")
)
_KEYS = st.sampled_from(
    words("""type name function parameters input_schema inputSchema properties title description
    toolSpec json functionDeclarations google_search urlContext web_search allowed_tools tools
    functionCallingConfig allowedFunctionNames mode json_schema schema strict items $ref enum""")
)
_CODE: st.SearchStrategy[Any] = st.sampled_from(
    [dict, int, len, list[int], dict[str, int], int | str, b"x", 1j, object(), HumanMessage("a")]
)
PROMPT = [HumanMessage("a")]
VALUES = st.recursive(
    JSON | _WORDS | _CODE | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS, inner, max_size=4)
        | st.dictionaries(st.integers() | st.none(), inner, max_size=1)
    ),
    max_leaves=12,
)
_NAMES = st.sampled_from(sorted({*OPTION_NAMES, *CALL_ONLY, *OTHER_NAMES, *ALIASES}))


def check(use: Callable[[], Any], *values: Any) -> None:
    """Check that a function raises nothing but a `ValueError`, and changes no value."""
    before = repr(values)
    with warnings.catch_warnings(), suppress(ValueError):
        warnings.simplefilter("ignore")
        use()
        event("accepted")
    assert repr(values) == before


@sized(600)
@given(st.sampled_from(MODELS), st.dictionaries(_NAMES, VALUES, min_size=1, max_size=3))
def test_any_option_of_a_call_is_used_or_a_value_error(
    model: ChatKieGemini, options: dict[str, Any]
) -> None:
    check(lambda: body_of(model, PROMPT, **options), options)


@sized(300)
@given(st.dictionaries(st.sampled_from(sorted(ChatKieGemini.model_fields)), VALUES, max_size=3))
def test_any_argument_of_the_constructor_is_used_or_a_value_error(args: dict[str, Any]) -> None:
    check(lambda: ChatKieGemini(**{"model": "gemini-3-flash", "api_key": KEY, **args}), args)


@sized(400)
@given(st.sampled_from(MODELS), VALUES | st.lists(VALUES, max_size=2), VALUES)
def test_any_tools_and_choice_are_sent_or_a_value_error(
    model: ChatKieGemini, tools: Any, choice: Any
) -> None:
    def send() -> None:
        bound: Any = model.bind_tools(tools, tool_choice=choice)
        body_of(model, PROMPT, **bound.kwargs)

    check(send, tools, choice)
    check(lambda: model.get_num_tokens_from_messages(PROMPT, tools), tools)


@sized(400)
@given(
    st.sampled_from(MODELS),
    VALUES,
    st.sampled_from(["json_schema", "function_calling", "json_mode"]),
)
def test_any_schema_of_an_answer_is_sent_or_a_value_error(
    model: ChatKieGemini, schema: Any, method: Any
) -> None:
    def send() -> None:
        bound: Any = model.with_structured_output(schema, method=method)
        options = dict(bound.first.kwargs)
        if traced := options.pop("ls_structured_output_format"):
            convert_to_json_schema(traced["schema"])  # as LangChain does for traces
        body_of(model, PROMPT, **options)

    check(send, schema)
