"""What the emulator says and calls, and that what it makes up is valid."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from langchain_kie.emulator.arithmetic import evaluate, find_expression
from langchain_kie.emulator.hints import Hints, names_in
from langchain_kie.emulator.instances import fill
from unit_tests.emulator.emulator_client import ADDER, INTEGER, STRING, WEATHER, function_tool

MULTIPLY = function_tool("multiply", "Multiply two numbers.", a=INTEGER, b=INTEGER)
CALCULATE = function_tool("calculate", "Calculate an arithmetic expression.", expression=STRING)
SEARCH_WEB = function_tool("search_web", "Search the web.", query=STRING)
SEND = function_tool("send_email", "Send an email.", to=STRING, subject=STRING, body=STRING)
BOOK = function_tool(
    "book_flight",
    "Book a flight.",
    origin=STRING,
    destination=STRING,
    date={"type": "string", "format": "date"},
)
BOOK["function"]["parameters"]["properties"] |= {
    "passengers": INTEGER,
    "cabin": {"type": "string", "enum": ["economy", "business"]},
}
TOTAL = function_tool("sum_numbers", "Sum a list.", numbers={"type": "array", "items": INTEGER})

CALLS = {
    "What is the weather in San Francisco, CA?": [
        ("get_weather", {"location": "San Francisco, CA"})
    ],
    "Weather in Paris, Rome and New York?": [
        ("get_weather", {"location": "Paris"}),
        ("get_weather", {"location": "Rome"}),
        ("get_weather", {"location": "New York"}),
    ],
    "What is 3 + 4?": [("add_numbers", {"a": 3, "b": 4})],
    "What is 6 times 7?": [("multiply", {"a": 6, "b": 7})],
    "Use multiply(8, b=9).": [("multiply", {"a": 8, "b": 9})],
    "What is the weather in Oslo, and how much is 2 * 5?": [
        ("get_weather", {"location": "Oslo"}),
        ("multiply", {"a": 2, "b": 5}),
    ],
    "Send an email to bob@example.com with subject 'Hi' and body 'See you'": [
        ("send_email", {"to": "bob@example.com", "subject": "Hi", "body": "See you"})
    ],
    "Search the web for the best pizza": [("search_web", {"query": "the best pizza"})],
    "Book a flight from Paris to Rome on 2026-03-04 for two passengers": [
        (
            "book_flight",
            {"origin": "Paris", "destination": "Rome", "date": "2026-03-04", "passengers": 2},
        )
    ],
    "Sum these numbers in a list: 1, 2 and 3": [("sum_numbers", {"numbers": [1, 2, 3]})],
    "Hello!": [],
    "Who wrote Hamlet?": [],
    "Tell me a story about a cat": [],
}
OFFERED = [WEATHER, ADDER, MULTIPLY, SEARCH_WEB, SEND, BOOK, TOTAL]


def message_of(body):
    return body["choices"][0]["message"]


def calls_of(body):
    made = [call["function"] for call in message_of(body).get("tool_calls", ())]
    return [(call["name"], json.loads(call["arguments"])) for call in made]


@pytest.mark.parametrize(("prompt", "calls"), CALLS.items(), ids=CALLS.keys())
def test_prompts_choose_calls_and_arguments(wire, prompt, calls):
    """Seven functions are on offer; those that the prompt asks for are called, with its values."""
    assert calls_of(wire.chat(prompt, tools=OFFERED)) == calls


def test_choices_are_obeyed(wire):
    """`none` never calls, `required` always does, and a name is a name."""
    prompt = "What is the weather in Oslo?"
    named = {"type": "function", "function": {"name": "multiply"}}
    assert calls_of(wire.chat(prompt, tools=OFFERED, tool_choice="none")) == []
    assert len(calls_of(wire.chat("Hello!", tools=OFFERED, tool_choice="required"))) == 1
    assert calls_of(wire.chat(prompt, tools=OFFERED, tool_choice=named))[0][0] == "multiply"
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["multiply"]}}
    tools = [{"functionDeclarations": [tool["function"] for tool in OFFERED[:3]]}]
    body = wire.native("Hello!", tools=tools, toolConfig=config)
    parts = body["candidates"][0]["content"]["parts"]
    assert [p["functionCall"]["name"] for p in parts if "functionCall" in p] == ["multiply"]


def loop(wire, prompt, tools, result, **body):
    """Ask, answer every call with `result`, and ask again, until there are no calls."""
    messages = [{"role": "user", "content": prompt}]
    rounds = []
    while True:
        message = message_of(wire.chat(messages, tools=tools, **body))
        calls = message.get("tool_calls")
        if not calls or len(rounds) == 3:
            return rounds, message["content"]
        rounds.append([call["function"]["name"] for call in calls])
        messages.append(message)
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": result} for call in calls
        ]


def test_results_are_told(wire):
    """The answer holds what the functions gave back, and a function is not called twice."""
    rounds, answer = loop(wire, "Weather in Oslo?", [WEATHER], "It is 21 \u00b0C.")
    assert rounds == [["get_weather"]]
    assert "It is 21 \u00b0C." in answer


def test_errors_are_told(wire):
    """A tool that failed is said to have failed."""
    _, answer = loop(wire, "Weather in Oslo?", [WEATHER], "Error: no such place")
    assert "error" in answer
    assert "no such place" in answer


def test_steps_are_taken_one_by_one(wire):
    """ "First ..., then ..." is two rounds."""
    prompt = "First look up the weather in Oslo, then send an email to a@b.example about it"
    rounds, _ = loop(wire, prompt, [SEND, WEATHER], "sunny")
    assert rounds == [["get_weather"], ["send_email"]]


def test_a_forced_choice_goes_through_the_functions(wire):
    """As agents with a tool for their answer need it: first the tool that fits, then the next."""
    report = function_tool("WeatherReport", "Give the final answer.", summary=STRING)
    rounds, _ = loop(wire, "Weather in Oslo?", [report, WEATHER], "sunny", tool_choice="required")
    assert rounds[:2] == [["get_weather"], ["WeatherReport"]]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Hello", "Hello! How can I help you today?"),
        ("Reply with the single word pong", "pong"),
        ("Say 'it works'", "it works"),
        ("Count from 3 to 6", "3, 4, 5, 6"),
        ("What is (2 + 3) * 4?", "(2 + 3) * 4 = 20."),
        ("What is my name?", "You have not told me your name yet."),
    ],
)
def test_small_talk(wire, prompt, answer):
    """The few things it knows to say."""
    assert message_of(wire.chat(prompt))["content"] == answer


def test_it_remembers(wire):
    """What was said before can be asked for."""
    said = [
        {"role": "user", "content": "Hi, I'm Ada."},
        {"role": "assistant", "content": "Hello, Ada!"},
    ]
    name = wire.chat([*said, {"role": "user", "content": "What's my name?"}])
    last = wire.chat([*said, {"role": "user", "content": "What did I just say?"}])
    assert message_of(name)["content"] == "Your name is Ada."
    assert "Hi, I'm Ada." in message_of(last)["content"]


def test_long_answers_exist(wire):
    """As many sentences as asked for."""
    text = message_of(wire.chat("Write a story of 300 sentences about the sea"))["content"]
    assert text.count(".") == 300


@pytest.mark.parametrize(("stop", "answer"), [("you", "Hello! How can I help "), (["!"], "Hello")])
def test_stop_cuts_before_its_first_occurrence(wire, stop, answer):
    """On both dialects, a string or a list; an answer may be cut to nothing."""
    assert message_of(wire.chat("Hello", stop=stop))["content"] == answer
    assert message_of(wire.chat("Hello", stop=["H"]))["content"] == ""
    sequences = [stop] if isinstance(stop, str) else stop
    body = wire.native("Hello", generationConfig={"stopSequences": sequences})
    assert body["candidates"][0]["content"]["parts"][-1]["text"] == answer


def test_json_objects_have_the_quoted_keys(wire):
    """Or those of a schema that the prompt spells out."""
    form = {"response_format": {"type": "json_object"}}
    prompt = "Tell me a joke as JSON with 'setup' and 'punchline' keys."
    assert json.loads(message_of(wire.chat(prompt, **form))["content"]).keys() == {
        "setup",
        "punchline",
    }
    schema = json.dumps({"properties": {"age": INTEGER}, "required": ["age"]})
    text = message_of(wire.chat(f"Ada is 36. Use this schema: {schema}", **form))["content"]
    assert json.loads(text) == {"age": 36}


def test_native_schemas_are_filled(wire):
    """Upper-case types, nullable properties and the order asked for."""
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
    body = wire.native("John is 25 years old and lives in Paris.", generationConfig=config)
    text = body["candidates"][0]["content"]["parts"][-1]["text"]
    assert list(json.loads(text).items()) == [("city", "Paris"), ("name", "John"), ("age", 25)]


def test_expressions_are_recognised():
    """A property of that name takes the sum itself."""
    made = fill(
        CALCULATE["function"]["parameters"], Hints("What is 17 * 23?"), every_property=False
    )
    assert made == {"expression": "17 * 23"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14),
        ("7 / 2 is what?", 3.5),
        ("2 ^ 10", 1024),
        ("9 divided by 3", 3),
        ("1 / 0", None),
        ("9 ** 99999", None),
        ("2026-03-04", None),
        ("no sum", None),
    ],
)
def test_sums(text, value):
    """Found in prose, worked out without running code."""
    expression = find_expression(text)
    assert (evaluate(expression) if expression else None) == value


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Tell me about New York.", ["New York"]),
        ("Weather in Rio de Janeiro please", ["Rio de Janeiro"]),
        ("I'm asking: is Bob's dog in Europe/Paris?", ["Bob", "Europe/Paris"]),
        ("what is JSON", []),
    ],
)
def test_names(text, names):
    """Capitalised words are names, save those that open a sentence."""
    assert [found.value for found in names_in(text)] == names


NAMES = st.sampled_from(["a", "city", "userName", "query", "max_results", "email", "date", "is_on"])


def strings():
    sizes = st.tuples(st.integers(0, 12), st.integers(0, 30)).map(
        lambda pair: {"minLength": pair[0], "maxLength": sum(pair)}
    )
    formats = st.sampled_from(["date", "date-time", "email", "uri", "time"])
    return st.one_of(
        st.just({"type": "string"}),
        sizes.map(lambda size: {"type": "string", **size}),
        formats.map(lambda name: {"type": "string", "format": name}),
        st.lists(st.text(max_size=6), min_size=1, max_size=4, unique=True).map(
            lambda members: {"type": "string", "enum": members}
        ),
    )


def numbers():
    return st.tuples(
        st.sampled_from(["integer", "number"]), st.integers(-500, 500), st.integers(2, 300)
    ).flatmap(
        lambda drawn: st.sampled_from(
            [
                {"type": drawn[0]},
                {"type": drawn[0], "minimum": drawn[1], "maximum": drawn[1] + drawn[2]},
                {"type": drawn[0], "exclusiveMinimum": drawn[1]},
                {"type": drawn[0], "exclusiveMaximum": drawn[1]},
                {"type": drawn[0], "minimum": drawn[1], "multipleOf": 5},
            ]
        )
    )


def objects(children):
    return st.dictionaries(NAMES, children, max_size=4).flatmap(
        lambda properties: (
            st.lists(
                st.sampled_from(sorted(properties)), unique=True, max_size=len(properties)
            ).map(
                lambda required: {"type": "object", "properties": properties, "required": required}
            )
            if properties
            else st.just({"type": "object"})
        )
    )


def arrays(children):
    return st.tuples(children, st.integers(0, 3), st.integers(0, 3)).map(
        lambda drawn: {
            "type": "array",
            "items": drawn[0],
            "minItems": drawn[1],
            "maxItems": drawn[1] + drawn[2],
        }
    )


def alternatives(children):
    return st.tuples(children, st.sampled_from(["anyOf", "oneOf"])).map(
        lambda drawn: {drawn[1]: [{"type": "null"}, drawn[0]]}
    )


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


@given(schema=objects(SCHEMAS), prompt=PROMPTS, every_property=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_instances_are_valid(schema, prompt, every_property):
    """Whatever the schema and whatever the prompt offers."""
    instance = fill(schema, Hints(prompt), every_property=every_property)
    Draft202012Validator(schema).validate(instance)


def test_recursive_schemas_end():
    """A tree is filled to some depth, and the references are followed."""
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
    instance = fill(schema, Hints("Draw a tree"), every_property=True)
    Draft202012Validator(schema).validate(instance)
    assert instance["children"][0]["name"]


@pytest.mark.parametrize(
    "piece", ["1", "A", "((", "a1", "-1", "1 + ", "x@", "{", "'", "Paris and "]
)
def test_long_prompts_are_read_in_good_time(wire, piece):
    """No prompt makes the patterns backtrack for long; the client waits five seconds."""
    assert message_of(wire.chat(piece * 20_000, tools=[WEATHER, SEND]))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "enum": []},
        {"type": "string", "pattern": "("},
    ],
)
def test_hopeless_schemas_are_refused(wire, schema):
    """Those of which no instance can be made get an envelope, not a crash."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert wire.chat("Hello", response_format=form)["code"] == 400
