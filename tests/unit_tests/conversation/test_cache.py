"""Messages are parsed once, and again after any change, also in place."""

from __future__ import annotations

import base64
import copy
import gc
import json
import pickle
import warnings
import weakref
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_kie import ChatKieGemini
from langchain_kie._chat_model.call import prepare
from langchain_kie._conversation import cache, prefix, turns

if TYPE_CHECKING:
    from collections.abc import Callable

APIS = ("chat_completions", "generate_content", "gateway")
MODEL = "gemini-3-flash"
PNG, GIF = (
    base64.b64encode(head + bytes(100)).decode()
    for head in (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"GIF89a")
)


def entry(**members: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": "c0", "at": 0, "signature": "sig", **members}


def conversation() -> list[BaseMessage]:
    """A conversation in which every field that a request depends on has a value."""
    args = {"query": "x", "count": 1, "inner": {"list": [1, {"deep": None}]}}
    entries = [entry(), {"type": "text", "start": 0, "end": 4, "signature": "text"}]
    invalid = {
        "name": "broken",
        "args": "{}",
        "id": "c1",
        "error": None,
        "type": "invalid_tool_call",
    }
    return [
        SystemMessage("Be brief."),
        HumanMessage("Look.", name="ann"),
        AIMessage(
            "Sure",
            name="bot",
            tool_calls=[{"name": "search", "args": args, "id": "c0"}],
            invalid_tool_calls=[invalid],
            additional_kwargs={
                "thought_signatures": {MODEL: entries},
                "invalid_arguments": {"c1": "{"},
                "audio": {"id": "audio_1", "transcript": "Sure"},
            },
            response_metadata={"model_provider": "kie"},
        ),
        ToolMessage("Found.", tool_call_id="c0"),
        ToolMessage([{"type": "text", "text": "No."}, {"more": [1]}], tool_call_id="c1"),
        HumanMessage(
            [
                {"type": "text", "text": "And"},
                {"type": "image", "base64": PNG, "mime_type": "image/png"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ]
        ),
        AIMessage([{"type": "text", "text": "It is"}, {"type": "reasoning", "reasoning": "hm"}]),
        HumanMessage("this?"),
    ]


def body(api: Any, messages: list[BaseMessage]) -> str:
    """The request, without the spaces that only a body with a long integer has."""
    model = ChatKieGemini(model=MODEL, api=api, api_key="k")
    call, _ = prepare(model, messages, None, {}).build(stream=False)
    return json.dumps(json.loads(bytes(call.body)))  # type: ignore[arg-type]


def outcome(api: str, messages: list[BaseMessage]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return body(api, messages)
    except ValueError as error:
        return str(error)


def set_field(position: int, name: str, value: Any) -> Callable[[list[BaseMessage]], None]:
    return lambda messages: setattr(messages[position], name, value)


def on(position: int, change: Callable[[Any], Any]) -> Callable[[list[BaseMessage]], None]:
    return lambda messages: change(messages[position])


def signatures(message: AIMessage) -> list[Any]:
    return message.additional_kwargs["thought_signatures"][MODEL]


CHANGES: dict[str, Callable[[list[BaseMessage]], None]] = {
    "content of a system message": set_field(0, "content", "Be long."),
    "content of a human message": set_field(1, "content", "Look!"),
    "content becomes a list": set_field(1, "content", ["Look", "here"]),
    "name": set_field(1, "name", "bob"),
    "name of an AI message": set_field(2, "name", None),
    "content of an AI message": set_field(2, "content", "No"),
    "tool call's name": on(2, lambda m: m.tool_calls[0].update(name="find")),
    "tool call's id": on(2, lambda m: m.tool_calls[0].update(id="c9")),
    "argument": on(2, lambda m: m.tool_calls[0]["args"].update(query="y")),
    "argument, an equal bool": on(2, lambda m: m.tool_calls[0]["args"].update(count=True)),
    "argument, an equal float": on(2, lambda m: m.tool_calls[0]["args"].update(count=1.0)),
    "argument, a long integer": on(2, lambda m: m.tool_calls[0]["args"].update(count=1 << 70)),
    "argument's order": on(
        2, lambda m: m.tool_calls[0]["args"].update(query=m.tool_calls[0]["args"].pop("query"))
    ),
    "deep argument": on(2, lambda m: m.tool_calls[0]["args"]["inner"]["list"].append(2)),
    "deepest argument": on(
        2, lambda m: m.tool_calls[0]["args"]["inner"]["list"][1].update(deep=False)
    ),
    "another tool call": on(2, lambda m: m.tool_calls.append({**m.tool_calls[0], "id": "c2"})),
    "no tool calls": on(2, lambda m: m.tool_calls.clear()),
    "invalid tool call": on(2, lambda m: m.invalid_tool_calls[0].update(args="[")),
    "no invalid tool calls": on(2, lambda m: m.invalid_tool_calls.clear()),
    "signature": on(2, lambda m: signatures(m)[0].update(signature="other")),
    "digest": on(2, lambda m: signatures(m)[0].update(digest="0")),
    "text signature": on(2, lambda m: signatures(m)[1].update(end=2)),
    "invalid arguments": on(2, lambda m: m.additional_kwargs["invalid_arguments"].update(c1="")),
    "refusal": on(2, lambda m: m.additional_kwargs.update(refusal="I will not.")),
    "transcript": on(2, lambda m: m.additional_kwargs["audio"].update(transcript="No.")),
    "no signatures": on(2, lambda m: signatures(m).clear()),
    "no additional_kwargs": on(2, lambda m: m.additional_kwargs.clear()),
    "model_provider": on(2, lambda m: m.response_metadata.update(model_provider="openai")),
    "response_metadata": set_field(2, "response_metadata", {"model_provider": "openai"}),
    "content of a tool result": set_field(3, "content", "None."),
    "tool result becomes JSON": set_field(3, "content", '{"found": 1}'),
    "status": set_field(3, "status", "error"),
    "tool_call_id": set_field(3, "tool_call_id", "c7"),
    "block of a tool result": on(4, lambda m: m.content[0].update(text="Yes.")),
    "other block of a tool result": on(4, lambda m: m.content[1].update(more=[True])),
    "deep in a tool result": on(4, lambda m: m.content[1]["more"].append(2)),
    "text of a block": on(5, lambda m: m.content[0].update(text="Or")),
    "media": on(5, lambda m: m.content[1].update(base64=GIF)),
    "media that are not base64": on(5, lambda m: m.content[1].update(base64="%")),
    "data URL": on(5, lambda m: m.content[2]["image_url"].update(url=f"data:;base64,{GIF}")),
    "block that is removed": on(5, lambda m: m.content.pop(1)),
    "block that is added": on(5, lambda m: m.content.append({"type": "text", "text": "!"})),
    "block that is replaced": on(5, lambda m: m.content.__setitem__(0, "text")),
    "block that becomes an object": on(
        5, lambda m: m.content.__setitem__(0, OrderedDict(type="text", text="Or"))
    ),
    "text of an AI message's block": on(6, lambda m: m.content[0].update(text="That is")),
    "function call": on(
        6, lambda m: m.additional_kwargs.update(function_call={"name": "f", "arguments": "{}"})
    ),
    "id, which is not sent": set_field(2, "id", "other"),
    "artifact, which is not sent": set_field(3, "artifact", {"a": 1}),
    "a message that is removed": lambda messages: messages.__delitem__(1),
    "a tool result that is removed": lambda messages: messages.__delitem__(3),
    "tool results in another order": lambda messages: messages.insert(3, messages.pop(4)),
    "a message between": lambda messages: messages.insert(3, HumanMessage("Wait")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("min_messages", [1, 100], ids=["joined", "each"])
@pytest.mark.parametrize("api", APIS)
def test_a_request_follows_every_change_in_place(
    api: str,
    min_messages: int,
    change: Callable[[list[BaseMessage]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefix, "MIN_MESSAGES", min_messages)
    monkeypatch.setattr(turns, "MIN_MESSAGES", min_messages)
    messages = conversation()
    first = body(api, messages)
    assert body(api, messages) == first
    change(messages)
    fresh = copy.deepcopy(messages)
    cache._messages.clear()
    expected = outcome(api, fresh)
    messages = conversation()
    for _ in range(3):  # noted, kept, used
        assert body(api, messages) == first
    change(messages)
    assert outcome(api, messages) == expected
    assert outcome(api, messages) == expected


def steps(count: int) -> list[list[BaseMessage]]:
    """What an agent adds in each step; some messages are between a call and its results."""
    added: list[list[BaseMessage]] = [[SystemMessage("Be brief."), HumanMessage("Find them.")]]
    for n in range(count):
        calls = [
            {"name": "search", "args": {"n": n}, "id": f"c{n}_{part}"} for part in range(1 + n % 2)
        ]
        results: list[BaseMessage] = [
            ToolMessage(f'{{"found": {n}}}', tool_call_id=call["id"]) for call in calls
        ]
        step: list[BaseMessage] = [AIMessage("" if n % 3 else "Next.", tool_calls=calls), *results]
        if n % 4 == 1:
            step.insert(2, HumanMessage("Go on."))
        if n % 4 == 2:
            step.insert(0, AIMessage("Wait."))
        if n % 4 == 3:
            step += [AIMessage("That is all."), HumanMessage("More.")]
        added.append(step)
    return added


@pytest.mark.parametrize("api", APIS)
def test_a_growing_conversation_is_sent_as_if_it_were_new(api: str) -> None:
    messages: list[BaseMessage] = []
    for step in steps(24):
        messages += step
        assert body(api, messages) == body(api, copy.deepcopy(messages))
    for end in (len(messages) - 3, 20, 11):  # from an earlier checkpoint
        assert step_back(messages, end) == step_back(copy.deepcopy(messages), end)
    for branch in ("left", "right"):
        both = [*messages, HumanMessage(branch)]
        for _ in range(3):
            assert body(api, both) == body(api, copy.deepcopy(both))


def step_back(messages: list[BaseMessage], end: int) -> list[str]:
    """The requests from the first `end` messages, as they are or an error, and a question."""
    return [outcome(api, [*messages[:end], HumanMessage("Why?")]) for api in APIS]


def test_only_the_last_prefix_of_a_growing_conversation_is_kept() -> None:
    messages: list[BaseMessage] = []
    for step in steps(24):
        messages += step
        body("chat_completions", messages)
    parsed = [cache._messages[id(message)] for message in messages]
    prefixes = [one.prefix for one in parsed if one.prefix]
    assert len(prefixes) == 1
    assert len(prefixes[0].parsed) > len(messages) - 8  # the last step is not yet kept


def test_threads_that_continue_one_conversation_get_their_own_requests() -> None:
    start = [message for step in steps(12) for message in step]

    def grow(number: int) -> bool:
        messages = [*start]
        for step in range(20):
            messages += [HumanMessage(f"{number}: {step}"), AIMessage("Yes.")]
            question = [*messages, HumanMessage("And?")]
            if body("chat_completions", question) != body(
                "chat_completions", copy.deepcopy(question)
            ):
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(grow, range(16)))


def test_most_changes_change_the_request() -> None:
    unchanged = {
        "id, which is not sent",
        "artifact, which is not sent",
        "tool results in another order",
    }
    for name, change in CHANGES.items():
        messages = conversation()
        before = [outcome(api, messages) for api in APIS]
        change(messages)
        assert ([outcome(api, messages) for api in APIS] == before) == (name in unchanged), name


def test_a_message_stays_what_it_was() -> None:
    messages, others = conversation(), conversation()
    body("chat_completions", messages)
    assert messages == others
    assert [pickle.dumps(m) for m in messages] == [pickle.dumps(m) for m in others]
    assert [vars(m).keys() for m in messages] == [vars(m).keys() for m in others]
    assert [copy.copy(m) for m in messages] == messages


def test_a_message_is_forgotten_when_it_ends() -> None:
    gc.collect()
    count = len(cache._messages)
    messages = conversation()
    for api in APIS:
        body(api, messages)
    assert len(cache._messages) == count + len(messages)
    references = [weakref.ref(message) for message in messages]
    del messages
    assert not any(reference() for reference in references)
    assert len(cache._messages) == count


def test_everything_is_forgotten_when_too_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache._messages, "max_bytes", 10_000)
    messages: list[BaseMessage] = [HumanMessage("word " * 500) for _ in range(20)]
    first = body("chat_completions", messages)
    assert len(cache._messages) < len(messages)
    assert body("chat_completions", messages) == first


def test_a_message_of_another_role_is_parsed_each_time() -> None:
    message = ChatMessage("Hi", role="user")
    body("chat_completions", [message])
    message.content = "Ho"
    assert "Ho" in body("chat_completions", [message])


def test_a_warning_is_given_with_every_call() -> None:
    call = {"name": "f", "args": {}, "id": "c0"}
    result = ToolMessage([{"type": "image", "file_id": "x"}], tool_call_id="c0")
    for _ in range(2):
        with pytest.warns(UserWarning, match="sent as JSON"):
            body("chat_completions", [HumanMessage("?"), AIMessage("", tool_calls=[call]), result])


@pytest.mark.parametrize(
    "change",
    [
        on(1, lambda m: setattr(m, "content", "\ud800")),
        on(2, lambda m: m.tool_calls[0]["args"].update(n="\ud800")),
    ],
    ids=["content", "argument"],
)
@pytest.mark.parametrize("api", APIS)
def test_a_text_that_is_not_utf_8_gives_a_warning_with_every_call(api: str, change: Any) -> None:
    messages = [message for step in steps(8) for message in step]
    change(messages)
    for _ in range(3):
        with pytest.warns(UserWarning, match="U\\+FFFD"):
            body(api, messages)


def test_a_message_that_is_corrected_for_langchain_follows_its_changes() -> None:
    message = HumanMessage([{"type": "image", "base64": PNG}])
    first = cache.repaired_message(message)
    assert first is not message
    assert cache.repaired_message(message) is first
    message.name = "ann"
    assert cache.repaired_message(message).name == "ann"
    message.content[0]["base64"] = GIF  # type: ignore[index]
    assert cache.repaired_message(message).content == [
        {"type": "image", "base64": GIF, "mime_type": "image/gif"}
    ]


def test_objects_that_may_change_are_read_each_time() -> None:
    class Text(dict):  # type: ignore[type-arg]
        pass

    block = Text(type="text", text="a")
    message = HumanMessage("x")
    message.content = [block]
    assert '"a"' in body("chat_completions", [message])
    block["text"] = "b"
    assert '"b"' in body("chat_completions", [message])


def test_only_messages_that_must_be_converted_count() -> None:
    text, blocks = HumanMessage("abc"), HumanMessage([{"type": "text", "text": "abc"}])
    assert cache.size_to_convert([text]) == len("abc")
    sizes = cache.size_to_convert([text, blocks])
    model = ChatKieGemini(model=MODEL, api_key="k")
    prepare(model, [text, blocks], None, {}).build(stream=False)
    assert cache.size_to_convert([text]) == 0
    assert cache.size_to_convert([text, blocks]) == sizes - len("abc")
    assert sizes == len("abc") + len("text") + len("abc")
