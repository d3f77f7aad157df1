"""The page of the chat example in Chromium."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from chat_server import LONG, open_requests, served, wait_until

from langchain_kie.emulator import Answer, Failure, Grounding, Support, ToolCall

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "chat.png"
"""Written again with `make chat_picture`."""

EVIL = "<img src=x onerror=\"document.title='hit'\"> <script>alert(1)</script> **a** & b"


@pytest.fixture
def chat(page, kie_emulator):
    """The page."""
    with served() as url:
        page.goto(url)
        yield page
        page.close()


def ask(page, text):
    page.fill("#text", text)
    page.click("#send")


def wait_for_end(page):
    page.locator("#send", has_text="Send").wait_for()


def test_the_page_shows_a_conversation(chat, kie_emulator):
    answer = "17 \N{MULTIPLICATION SIGN} 23 is 391. The line has six words."
    kie_emulator.answer(
        Answer(
            thoughts="The user wants a product and a number of words. I call a tool for each.",
            tool_calls=[
                ToolCall("calculate", {"expression": "17 * 23"}),
                ToolCall("count_words", {"text": "to be or not to be"}),
            ],
        ),
        Answer(answer),
    )
    ask(chat, "What is 17 * 23? And how many words has “to be or not to be”?")
    wait_for_end(chat)
    assert [text.split("\n")[0] for text in chat.locator(".tool").all_inner_texts()] == [
        'calculate(expression="17 * 23")',
        'count_words(text="to be or not to be")',
    ]
    assert chat.locator(".tool .result").first.inner_text() == "\N{RIGHTWARDS ARROW} 391"
    assert chat.locator(".model").all_inner_texts() == [answer]
    chat.locator("summary").click()
    assert "a product and a number" in chat.locator(".reasoning p").inner_text()

    claims = (
        "Sea otters hold hands while they sleep. ",
        "They wrap themselves in kelp, so that they do not drift apart.",
    )
    text = "".join(claims)
    supports = (Support(0, len(claims[0]) - 1, 0), Support(len(claims[0]), len(text), 1))
    sources = (
        ("https://en.wikipedia.org/wiki/Sea_otter", "wikipedia.org"),
        ("https://www.britannica.com/animal/sea-otter", "britannica.com"),
    )
    kie_emulator.answer(Answer(text, grounding=Grounding("sea otters", sources, supports)))
    chat.check("#search")
    ask(chat, "Do sea otters hold hands?")
    wait_for_end(chat)
    links = chat.locator(".sources a")
    assert links.all_inner_texts() == [title for _, title in sources]
    assert chat.locator("#total").inner_text() == f"{kie_emulator.credits_charged:g} credits"
    if os.environ.get("CHAT_PICTURE"):
        PICTURE.parent.mkdir(exist_ok=True)
        chat.screenshot(path=PICTURE)


def test_what_the_model_and_tools_write_is_never_html(chat, kie_emulator):
    source = ("https://example.org/", EVIL)
    kie_emulator.answer(
        Answer(EVIL, thoughts=EVIL, tool_calls=[ToolCall("calculate", {"expression": EVIL})]),
        Answer(EVIL, grounding=Grounding(EVIL, (source,), (Support(0, len(EVIL), 0),))),
        Failure(500, EVIL),
    )
    ask(chat, EVIL)
    wait_for_end(chat)
    ask(chat, "Fail.")
    wait_for_end(chat)
    assert chat.title() == "Chat"
    assert chat.locator("#log img, #log script").count() == 0
    assert chat.locator("#log a").all_text_contents() == [EVIL]
    shown = {
        kind: chat.locator(f".{kind}").first.text_content()
        for kind in ("user", "model", "reasoning", "tool")
    }
    assert shown["user"] == shown["model"] == EVIL
    assert EVIL in shown["reasoning"]
    assert "<img" in shown["tool"]
    assert chat.locator(".error").count() == 1


def test_a_source_that_is_no_web_page_has_no_link(chat):
    events = [
        {"type": "source", "title": "bad", "url": "javascript:document.title='hit'"},
        {"type": "source", "title": "good", "url": "https://example.org/"},
        {"type": "of a later version"},
        {"type": "end"},
    ]
    body = ": a comment\n\n" + "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    chat.route("**/chat", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    ask(chat, "Sources?")
    wait_for_end(chat)
    assert chat.locator("#log a").all_text_contents() == ["good"]
    assert chat.locator(".error").count() == 0


@pytest.mark.parametrize("leave", ["stop", "close"])
def test_stop_and_close_end_the_call_to_kie(chat, kie_emulator, leave):
    kie_emulator.piece_delay = LONG
    kie_emulator.answer("One two three four five six seven eight nine ten. " * 20, "Yes.")
    ask(chat, "Count.")
    chat.locator(".model").wait_for()
    assert open_requests(kie_emulator)
    if leave == "close":
        chat.goto("about:blank")
    else:
        chat.click("#send")
        chat.locator(".error", has_text="stopped").wait_for()
    wait_until(lambda: not open_requests(kie_emulator))
    if leave == "stop":
        kie_emulator.piece_delay = 0.0
        ask(chat, "Are you there?")
        wait_for_end(chat)
        assert chat.locator(".model").last.inner_text() == "Yes."


def test_the_thread_survives_an_error(chat, kie_emulator):
    kie_emulator.answer(Failure(402), "Hello.")
    ask(chat, "Hi")
    wait_for_end(chat)
    assert "credits" in chat.locator(".error").inner_text().lower()
    ask(chat, "Hi again")
    wait_for_end(chat)
    assert chat.locator(".model").inner_text() == "Hello."
