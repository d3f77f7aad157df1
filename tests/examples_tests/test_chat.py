"""The chat example: its events, and what happens when the reader leaves."""

from __future__ import annotations

import json
import sys
import threading

import httpx
import pytest
from chat_server import LONG, PROTOCOLS, open_requests, served, wait_until
from langchain_core.tools import tool
from limits import MAX_WAIT

from examples.chat.__main__ import main
from langchain_kie.emulator import Answer, Failure, Grounding, Support, ToolCall


def ask(url, text, thread="1", **members):
    """The events of one turn, as (type, event)."""
    with httpx.stream(
        "POST", f"{url}/chat", json={"thread": thread, "text": text, **members}, timeout=MAX_WAIT
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield from events_of(response)


def events_of(response):
    for line in response.iter_lines():
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            yield event.pop("type"), event


def texts(events):
    return "".join(event["text"] for kind, event in events if kind == "text")


def test_a_turn_has_thoughts_tool_calls_results_and_credits(kie_emulator):
    kie_emulator.answer(
        Answer(thoughts="I calculate.", tool_calls=[ToolCall("calculate", {"expression": "6*7"})]),
        "It is 42.",
    )
    with served() as url:
        events = list(ask(url, "What is 6 * 7?"))
    assert [kind for kind, _ in events if kind != "text"] == [
        "reasoning",
        "tool_call",
        "usage",
        "tool_result",
        "usage",
        "end",
    ]
    found = dict(events)
    assert found["reasoning"]["text"] == "I calculate."
    assert found["tool_call"]["name"] == "calculate"
    assert found["tool_call"]["args"] == {"expression": "6*7"}
    result = {"id": found["tool_call"]["id"], "text": "42", "is_error": False}
    assert found["tool_result"] == result
    assert texts(events) == "It is 42."
    charged = sum(event["credits"] for kind, event in events if kind == "usage")
    assert charged > 0
    assert charged == pytest.approx(kie_emulator.credits_charged)


def test_search_has_sources_and_the_thread_goes_on(kie_emulator):
    source = ("https://example.org/otters", "Otters")
    grounding = Grounding("otters", (source,), (Support(0, 13, 0),))
    kie_emulator.answer("Hello.", Answer("Otters float.", grounding=grounding))
    with served() as url:
        list(ask(url, "Hi"))
        events = dict(ask(url, "What do otters do?", search=True))
    assert events["source"]["title"] == "Otters"
    assert events["source"]["url"].startswith("https://")  # Google's redirect
    assert "Hello." in json.dumps(kie_emulator.requests[-1].body)


def test_an_error_is_an_event(kie_emulator):
    kie_emulator.answer(Failure(402), "Welcome back.")
    with served() as url:
        events = list(ask(url, "Hi"))
        assert [kind for kind, _ in events] == ["error", "end"]
        assert not events[0][1]["retryable"]
        assert texts(ask(url, "Again")) == "Welcome back."


def test_an_error_of_the_server_ends_the_turn_without_its_text(kie_emulator):
    @tool
    def explode() -> str:
        """Explode."""
        raise RuntimeError("secret")

    kie_emulator.answer(Answer(tool_calls=[ToolCall("explode")]))
    with served(tools=[explode]) as url:
        *_, error, end = ask(url, "Explode.")
    assert error == ("error", {"text": "The server has an error.", "retryable": False})
    assert end[0] == "end"


@pytest.mark.parametrize("http", PROTOCOLS)
@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-3.5-flash"])
def test_a_reader_that_leaves_closes_the_connection_to_kie(kie_emulator, http, model):
    kie_emulator.piece_delay = LONG
    kie_emulator.answer("One two three four five six seven eight nine ten eleven twelve. " * 20)
    with served(http, model=model, include_thoughts=False) as url:
        events = ask(url, "Count.")
        if model != "gemini-3-flash":  # its first event has no text
            assert next(events)[0] == "text"
            assert open_requests(kie_emulator)
            events.close()
        else:
            with httpx.Client(timeout=MAX_WAIT) as client:
                leave_without_event(client, url, kie_emulator)
        wait_until(lambda: not open_requests(kie_emulator))


def leave_without_event(client, url, emulator):
    """Leave as soon as the emulator answers."""
    body = {"thread": "2", "text": "Count."}
    with client.stream("POST", f"{url}/chat", json=body):
        wait_until(lambda: emulator.requests)


def test_a_new_question_stops_the_turn_that_runs(kie_emulator):
    kie_emulator.piece_delay = LONG
    kie_emulator.answer("One two three four five six seven eight. " * 20, "Yes.")
    with served(include_thoughts=False) as url:
        first = ask(url, "Count.")
        next(first)
        httpx.get(kie_emulator.base_url)  # by its answer, the emulator waits for the next piece
        kie_emulator.piece_delay = 0.0
        assert texts(ask(url, "Are you there?")) == "Yes."
        assert [kind for kind, _ in first if kind != "text"] == ["end"]
        wait_until(lambda: not open_requests(kie_emulator))


def test_a_thread_that_was_stopped_in_a_tool_goes_on(kie_emulator):
    called = threading.Event()
    released = threading.Event()

    @tool
    def dig(place: str) -> str:
        """Dig a hole."""
        called.set()
        released.wait(MAX_WAIT)
        return f"a hole in {place}"

    dig_in_oslo = Answer(tool_calls=[ToolCall("dig", {"place": "Oslo"})])
    kie_emulator.answer(dig_in_oslo, "Never mind.", dig_in_oslo, "Done.")
    try:
        with served(tools=[dig]) as url:
            for kind, _ in ask(url, "Dig."):
                if kind == "usage":
                    break
            assert called.wait(MAX_WAIT)
            assert texts(ask(url, "Stop digging.")) == "Never mind."
            released.set()
            assert texts(ask(url, "Dig again.")) == "Done."
    finally:
        released.set()
    sent = json.dumps(kie_emulator.requests[-1].body)
    assert sent.count('"functionCall"') == sent.count('"functionResponse"') == 2


def test_a_model_that_cannot_be_used_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["chat", "--model", "gemini 9"])
    with pytest.raises(SystemExit, match=r"^2$"):
        main()
    assert "'gemini 9' cannot be a model name" in capsys.readouterr().err.splitlines()[-1]
