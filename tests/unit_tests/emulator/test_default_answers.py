"""The answers of the default rules: function calls, arguments, schemas and texts."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from langchain_kie.emulator.instances import fill
from langchain_kie.emulator.prompt_values import PromptValues
from unit_tests.emulator.emulator_client import (
    ADDER,
    INTEGER,
    STRING,
    WEATHER,
    function_tool,
)

MULTIPLY = function_tool("multiply", "Multiply two numbers.", a=INTEGER, b=INTEGER)
CALCULATE = function_tool("calculate", "Calculate an arithmetic expression.", expression=STRING)
SEARCH_WEB = function_tool("search_web", "Search the web.", query=STRING)
SEND = function_tool("send_email", "Send an email.", to=STRING, subject=STRING, body=STRING)
TOTAL = function_tool("sum_list", "Sum a list.", numbers={"type": "array", "items": INTEGER})
FLIGHTS = function_tool("list_flights", "List flights.", origin=STRING, destination=STRING)
FLIGHTS["function"]["parameters"]["properties"]["seats"] = INTEGER
FUNCTIONS = [WEATHER, ADDER, MULTIPLY, SEARCH_WEB, SEND, FLIGHTS, TOTAL]

CALLS = {
    "What is the weather in San Francisco, CA?": [
        ("get_weather", {"location": "San Francisco, CA"})
    ],
    "Weather in Paris, Rome and New York?": [
        ("get_weather", {"location": "Paris"}),
        ("get_weather", {"location": "Rome"}),
        ("get_weather", {"location": "New York"}),
    ],
    "Add the numbers 3 and 4": [("add_numbers", {"a": 3, "b": 4})],
    "Use multiply(8, b=9).": [("multiply", {"a": 8, "b": 9})],
    "What is the weather in Oslo? Then multiply 2 by 5.": [("get_weather", {"location": "Oslo"})],
    "Multiply 2 by 5, with the weather in Oslo": [
        ("get_weather", {"location": "Oslo"}),
        ("multiply", {"a": 2, "b": 5}),
    ],
    "Send an email to bob@example.com with subject 'Hi' and body 'See you'": [
        ("send_email", {"to": "bob@example.com", "subject": "Hi", "body": "See you"})
    ],
    "Search the web for the best pizza": [("search_web", {"query": "the best pizza"})],
    'List the flights with origin "Oslo" and destination "Rome"': [
        ("list_flights", {"origin": "Oslo", "destination": "Rome"})
    ],
    "List flights to Rome from Oslo, seats: 3": [
        ("list_flights", {"origin": "Rome", "destination": "Oslo", "seats": 3})
    ],
    "Sum this list: 1, 2 and 3": [("sum_list", {"numbers": [1, 2, 3]})],
    "Hello!": [],
    "Who wrote Hamlet?": [],
    "Tell me a story about a cat": [],
}


def message_of(body):
    return body["choices"][0]["message"]


def calls_of(body):
    functions = [call["function"] for call in message_of(body).get("tool_calls", ())]
    return [(function["name"], json.loads(function["arguments"])) for function in functions]


@pytest.mark.parametrize(("prompt", "calls"), CALLS.items(), ids=CALLS.keys())
def test_prompt_determines_calls_and_arguments(client, prompt, calls):
    """Functions whose names are in the prompt are called, with the values of the prompt."""
    assert calls_of(client.chat(prompt, tools=FUNCTIONS)) == calls


def test_tool_choice(client):
    """`none` never calls, `required` always calls, and a name calls this function."""
    prompt = "What is the weather in Oslo?"
    named = {"type": "function", "function": {"name": "multiply"}}
    assert calls_of(client.chat(prompt, tools=FUNCTIONS, tool_choice="none")) == []
    assert len(calls_of(client.chat("Hello!", tools=FUNCTIONS, tool_choice="required"))) == 1
    assert calls_of(client.chat(prompt, tools=FUNCTIONS, tool_choice=named))[0][0] == "multiply"
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["multiply"]}}
    tools = [{"functionDeclarations": [tool["function"] for tool in FUNCTIONS[:3]]}]
    body = client.native("Hello!", tools=tools, toolConfig=config)
    parts = body["candidates"][0]["content"]["parts"]
    assert [p["functionCall"]["name"] for p in parts if "functionCall" in p] == ["multiply"]


def loop(client, prompt, tools, result, **body):
    """Run an agent loop in which every call has the same result."""
    messages = [{"role": "user", "content": prompt}]
    rounds = []
    while True:
        message = message_of(client.chat(messages, tools=tools, **body))
        calls = message.get("tool_calls")
        if not calls or len(rounds) == 3:
            return rounds, message["content"]
        rounds.append([call["function"]["name"] for call in calls])
        messages.append(message)
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": result} for call in calls
        ]


def test_answer_reports_results(client):
    """The answer contains the results, and a function is not called twice in a turn."""
    rounds, answer = loop(client, "Weather in Oslo?", [WEATHER], "It is 21 \u00b0C.")
    assert rounds == [["get_weather"]]
    assert "It is 21 \u00b0C." in answer


def test_answer_reports_errors(client):
    """The answer contains the error of a tool."""
    _, answer = loop(client, "Weather in Oslo?", [WEATHER], "Error: no such place")
    assert "error" in answer
    assert "no such place" in answer


def test_sequential_steps(client):
    """ "First ..., then ..." makes two rounds of calls."""
    prompt = "First look up the weather in Oslo, then send an email to a@b.example about it"
    rounds, _ = loop(client, prompt, [SEND, WEATHER], "sunny")
    assert rounds == [["get_weather"], ["send_email"]]


def test_required_choice_calls_each_function_once(client):
    """Agents with a tool for the final answer need this order."""
    report = function_tool("WeatherReport", "Give the final answer.", summary=STRING)
    rounds, _ = loop(client, "Weather in Oslo?", [report, WEATHER], "sunny", tool_choice="required")
    assert rounds[:2] == [["get_weather"], ["WeatherReport"]]


def test_expression_is_calculated_by_a_tool(client):
    """A tool with a parameter of this name is called for an expression."""
    calls = calls_of(client.chat("What is 17 * 23?", tools=[CALCULATE]))
    assert calls == [("calculate", {"expression": "17 * 23"})]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Hello", "Hello! How can I help you today?"),
        ("Reply with the single word pong", "pong"),
        ("Say 'it works'", "it works"),
        ("Why?", "You asked: \u201cWhy?\u201d. I am an emulator, so this is all I can say."),
    ],
)
def test_fixed_answers(client, prompt, answer):
    """Prompts that tests often use have short answers."""
    assert message_of(client.chat(prompt))["content"] == answer


def test_answer_has_the_requested_length(client):
    """The prompt can request a number of sentences."""
    text = message_of(client.chat("Write a story of 300 sentences about the sea"))["content"]
    assert text.count(".") == 300


@pytest.mark.parametrize(("stop", "answer"), [("you", "Hello! How can I help "), (["!"], "Hello")])
def test_stop_sequences(client, stop, answer):
    """Both APIs truncate before the first occurrence; the answer can become empty."""
    assert message_of(client.chat("Hello", stop=stop))["content"] == answer
    assert message_of(client.chat("Hello", stop=["H"]))["content"] == ""
    sequences = [stop] if isinstance(stop, str) else stop
    body = client.native("Hello", generationConfig={"stopSequences": sequences})
    assert body["candidates"][0]["content"]["parts"][-1]["text"] == answer


def test_json_mode(client):
    """The keys are quoted words of the prompt."""
    form = {"response_format": {"type": "json_object"}}
    prompt = "Tell me a joke as JSON with 'setup' and 'punchline' keys."
    assert json.loads(message_of(client.chat(prompt, **form))["content"]).keys() == {
        "setup",
        "punchline",
    }


def test_native_schema(client):
    """Upper-case types, nullable properties and the order of properties."""
    schema = {
        "type": "OBJECT",
        "propertyOrdering": ["city", "name"],
        "properties": {
            "name": {"type": "STRING"},
            "age": {"type": "INTEGER", "nullable": True},
            "city": {"type": "STRING", "enum": ["Rome", "Paris"]},
        },
    }
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    body = client.native("John is 25 years old and lives in Paris.", generationConfig=config)
    text = body["candidates"][0]["content"]["parts"][-1]["text"]
    assert list(json.loads(text).items()) == [("city", "Paris"), ("name", "John"), ("age", 25)]


NAMES = st.sampled_from(["a", "city", "userName", "query", "max_results", "email", "date", "is_on"])


def strings():
    formats = st.sampled_from(["date", "date-time", "email", "uri", "time"])
    return st.one_of(
        st.just({"type": "string"}),
        formats.map(lambda name: {"type": "string", "format": name}),
        st.builds(
            lambda minimum, more: {
                "type": "string",
                "minLength": minimum,
                "maxLength": minimum + more,
            },
            st.integers(0, 12),
            st.integers(0, 30),
        ),
        st.lists(st.text(max_size=6), min_size=1, max_size=4, unique=True).map(
            lambda members: {"type": "string", "enum": members}
        ),
    )


@st.composite
def numbers(draw):
    low = draw(st.integers(-500, 500))
    limits = [
        {},
        {"minimum": low, "maximum": low + draw(st.integers(2, 300))},
        {"exclusiveMinimum": low},
        {"exclusiveMaximum": low},
        {"minimum": low, "multipleOf": 5},
    ]
    return {"type": draw(st.sampled_from(["integer", "number"])), **draw(st.sampled_from(limits))}


@st.composite
def objects(draw, children):
    properties = draw(st.dictionaries(NAMES, children, max_size=4))
    if not properties:
        return {"type": "object"}
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    return {"type": "object", "properties": properties, "required": required}


@st.composite
def arrays(draw, children):
    minimum, more = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    items = {"items": draw(children), "minItems": minimum, "maxItems": minimum + more}
    return {"type": "array", **items}


@st.composite
def alternatives(draw, children):
    return {draw(st.sampled_from(["anyOf", "oneOf"])): [{"type": "null"}, draw(children)]}


SCHEMAS = st.recursive(
    st.one_of(strings(), numbers(), st.just({"type": "boolean"}), st.just({"const": [1, "x"]})),
    lambda children: st.one_of(objects(children), arrays(children), alternatives(children)),
    max_leaves=8,
)
PROMPTS = st.sampled_from(
    [
        "",
        "Book 'The Ritz' in Paris for 3 nights from 2026-05-01, mail bob@example.com, 12.5 euros",
        'query: "deep sea", max results 7, is on, city Rome, date 2026-01-02T03:04:05Z',
    ]
)


@given(schema=objects(SCHEMAS), prompt=PROMPTS, every=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_instance_is_valid(schema, prompt, every):
    """For any schema and any prompt."""
    instance = fill(schema, PromptValues(prompt), "the sea", every=every)
    Draft202012Validator(schema).validate(instance)


def test_recursive_schema():
    """References are resolved, up to a maximum depth."""
    node = {
        "type": "object",
        "properties": {
            "name": STRING,
            "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            "parent": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        },
        "required": ["name", "children"],
    }
    schema = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    instance = fill(schema, PromptValues("Draw a tree"), "a tree")
    Draft202012Validator(schema).validate(instance)
    assert instance["children"][0]["name"]


@pytest.mark.parametrize(
    "piece", ["1", "A", "((", "a1", "-1", "1 + ", "x@", "{", "'", "'a ", "\u201c", "Paris and "]
)
def test_long_prompts_are_fast(client, piece):
    """No prompt causes catastrophic backtracking; the client has a timeout of five seconds."""
    assert message_of(client.chat(piece * 20_000, tools=[WEATHER, SEND]))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "enum": []},
        {"type": "string", "pattern": "("},
    ],
)
def test_schemas_without_instances_are_rejected(client, schema):
    """The emulator rejects them with an envelope instead of failing."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert client.chat("Hello", response_format=form)["code"] == 400
