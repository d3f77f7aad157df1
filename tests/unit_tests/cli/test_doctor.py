"""`langchain-kie doctor` on the emulator: all questions, and what a changed emulator changes."""

from __future__ import annotations

import json
import os
import re
import socket
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from langchain_kie import ChatKieGemini, models
from langchain_kie._account import state
from langchain_kie.cli import app as app_module
from langchain_kie.cli.advice import Advice
from langchain_kie.cli.emulated import emulator_with, respond
from langchain_kie.cli.examination import QUESTION_NAMES
from langchain_kie.cli.questions import QUESTIONS
from langchain_kie.emulator import Emulator
from unit_tests.cli.command_line import MODEL, Result, run

if TYPE_CHECKING:
    from pathlib import Path

NATIVE, CHAT = "generate_content", "chat_completions"


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the doctor on the emulator; the account is read without a second between requests."""
    monkeypatch.setattr(type(state.process.value), "limiter_of", lambda *_: None)

    def run_doctor(*arguments: str, emulator: bool = True) -> Result:
        options = ["--emulator"] if emulator else []
        return run("doctor", *options, *arguments, json_file=tmp_path / "report.json")

    return run_doctor


@pytest.fixture
def without_limiter(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for KIE's rate limit."""
    monkeypatch.setattr(app_module, "KieRateLimiter", lambda: None)


@pytest.mark.parametrize(
    ("model", "api", "others", "settings"),
    [
        (
            MODEL,
            NATIVE,
            {"max_tokens": "ignored"},
            {"api": NATIVE, "reasoning_effort": "low"},
        ),
        (
            "gemini-3.8-flash",
            CHAT,
            {"search": "partly"},
            {"api": CHAT, "reasoning_effort": "none"},
        ),
        (
            "gemini-2.5-flash",
            CHAT,
            {"catalogue": "partly", "efforts": "ignored", "search": "partly"},
            {"api": CHAT},
        ),
        (
            "gemini-3.8-flash",
            "gateway",
            {"efforts": "partly", "max_tokens": "ignored", "search": "partly"},
            {"api": "gateway"},
        ),
    ],
)
def test_every_question_is_answered(
    doctor: Any, model: str, api: str, others: dict[str, str], settings: dict[str, str]
) -> None:
    result = doctor("--models", model, "--api", api)
    assert result.outcomes == {**dict.fromkeys(QUESTION_NAMES, "works"), **others}
    assert result.settings == settings
    assert result.exit_code == 0
    assert f'ChatKieGemini(model="{model}", api="{api}"' in result.output
    assert 0 < result.json["credits_used"] < 10


@pytest.mark.parametrize(
    ("model", "api"),
    [(model.name, api.api) for model in models() for api in model.apis]
    + [(model.name, "gateway") for model in models()],
)
def test_what_is_advised_is_sent_as_it_was_measured(
    doctor: Any, model: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator(respond=respond) as emulator:
        monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
        monkeypatch.setenv("KIE_API_KEY", emulator.api_key)
        monkeypatch.setattr(app_module, "KieRateLimiter", lambda: None)
        options = ["--models", model, "--api", api, "--questions", "stream,efforts"]
        result = doctor(*options, emulator=False)
        measured = [effort_of(request.body) for request in emulator.requests]
        keywords = [result.settings]
        for body in re.findall(r"model_kwargs=({.*}) thinks", result.notes):
            keywords.append({"api": api, "model_kwargs": json.loads(body)})
        for each in keywords:
            line = Advice(model, each, ()).code
            emulator.clear()
            with warnings.catch_warnings(action="error"):
                eval(line, {"ChatKieGemini": ChatKieGemini}).invoke("Hello")
            [request] = emulator.requests
            sent = effort_of(request.body)
            advised = {**each, **each.get("model_kwargs", {})}
            assert sent == effort_of(advised)
            assert sent is None or sent in measured
    assert Advice(model, result.settings, ()).code in result.output


def effort_of(body: dict[str, Any] | None) -> Any:
    """The effort that a request or advice has, in the words of `reasoning_effort`."""
    body = body or {}
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    level = thinking.get("thinkingLevel", body.get("reasoning_effort"))
    return "none" if thinking.get("thinkingBudget") == 0 else level


SWITCHES = [
    (
        "hang_on_stream_false=true",
        "stream,no_stream",
        {"no_stream": "fails"},
        "stream_invoke=True streams in invoke too",
        {"api": NATIVE, "stream_invoke": True},
    ),
    ("ignore_nullable=true", "nullable", {"nullable": "ignored"}, "null is ignored", None),
    (
        "ignore_tool_choice=prose",
        "forced_choice,map",
        {"forced_choice": "ignored", "map": "ignored"},
        "tool_choice is ignored",
        {},
    ),
    (
        "drops_media=true",
        "stream,image_inline,image_url",
        {"image_inline": "ignored", "image_url": "ignored"},
        "does not see images",
        None,
    ),
    (
        "fail_uploads=400",
        "image_inline,image_url",
        {"image_url": "fails"},
        'media_upload="never"',
        None,
    ),
]


@pytest.mark.parametrize(
    ("switch", "names", "changed", "note", "settings"), SWITCHES, ids=[row[0] for row in SWITCHES]
)
def test_a_switch_of_the_emulator_changes_the_advice(
    doctor: Any,
    switch: str,
    names: str,
    changed: dict[str, str],
    note: str,
    settings: dict[str, Any] | None,
) -> None:
    options = ["--models", MODEL, "--api", NATIVE, "--questions", names]
    before = doctor(*options)
    after = doctor(*options, "--emulator-setting", switch, "--wait", "1")
    assert note not in before.notes
    assert note in after.notes
    assert set(before.outcomes.values()) == {"works"}
    assert after.outcomes == {**before.outcomes, **changed}
    assert after.exit_code == 0
    if settings is not None:
        assert after.settings in (settings, {"api": NATIVE})


def test_efforts_that_time_out_are_not_called_refused(doctor: Any) -> None:
    options = ["--models", MODEL, "--api", NATIVE, "--questions", "efforts", "--wait", "0.1"]
    result = doctor(*options, "--emulator-setting", "delay=60")
    [finding] = result.json["findings"]
    assert finding["outcome"] == "fails"
    for effort in ("none", "low", "high"):
        assert finding["facts"]["failed"][effort] == "no response within 0.1 s"
    assert finding["detail"].startswith("no response within 0.1 s (none, ")
    assert result.exit_code == 1


def test_everything_broken_at_once(doctor: Any) -> None:
    """The complete run; only the efforts, which have the same time limit, are left out."""
    switches = [switch for switch, *_ in SWITCHES]
    options = [word for switch in switches for word in ("--emulator-setting", switch)]
    names = [name for name in QUESTION_NAMES if name != "efforts"]
    chosen = ["--models", MODEL, "--api", NATIVE, "--questions", ",".join(names)]
    result = doctor(*chosen, *options, "--wait", "1")
    changed = {name: outcome for row in SWITCHES for name, outcome in row[2].items()}
    changed |= {"image_url": "fails", "max_tokens": "ignored"}
    assert result.outcomes == {**dict.fromkeys(names, "works"), **changed}
    assert all(note in result.notes for _, names, _, note, _ in SWITCHES if "url" not in names)
    assert result.settings == {"api": NATIVE, "stream_invoke": True}
    assert "calls without a report: 1" in result.output


FATAL = [
    ("credits=0", "stream", {"stream": "skipped"}, "There are no credits"),
    (
        "credits=0.01",
        "stream,no_stream,thoughts",
        {"stream": "works", "no_stream": "fails", "thoughts": "skipped"},
        "There are no credits",
    ),
    (
        'unauthorized_models=["gemini-3-5-flash"]',
        "stream,no_stream,search",
        {"stream": "fails", "no_stream": "skipped", "search": "skipped"},
        "enable it for the key",
    ),
    (
        'unsupported_models=["gemini-3-5-flash"]',
        "catalogue,stream,search",
        {"catalogue": "works", "stream": "fails", "search": "skipped"},
        "KIE does not serve the model here",
    ),
]


@pytest.mark.parametrize(("switch", "names", "outcomes", "note"), FATAL, ids=[r[0] for r in FATAL])
def test_it_stops_where_no_call_can_succeed(
    doctor: Any, switch: str, names: str, outcomes: dict[str, str], note: str
) -> None:
    options = ["--models", MODEL, "--api", NATIVE, "--questions", names]
    result = doctor(*options, "--emulator-setting", switch)
    assert result.outcomes == outcomes
    assert note in result.notes
    assert "stream_invoke" not in result.settings
    assert result.exit_code == 1


def test_the_api_on_which_more_works_is_advised(doctor: Any) -> None:
    options = ["--models", MODEL, "--questions", "stream,forced_choice"]
    assert doctor(*options).settings["api"] == NATIVE
    switch = 'unsupported_models=["gemini-3-5-flash"]'
    assert doctor(*options, "--emulator-setting", switch).settings["api"] == CHAT


def test_a_wrong_key_stops_it_and_is_not_shown(
    doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-0123456789abcdef"
    with Emulator() as emulator:
        monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
        monkeypatch.setenv("KIE_API_KEY", key)
        result = doctor("--models", MODEL, emulator=False)
        assert len(emulator.requests) == 1  # the balance
    assert result.exit_code == 1
    assert set(result.outcomes.values()) == {"skipped"}
    assert "check KIE_API_KEY" in result.notes
    assert key[:8] not in result.output + str(result.json)


def test_a_rate_limit_is_advised(
    doctor: Any, monkeypatch: pytest.MonkeyPatch, without_limiter: None
) -> None:
    with Emulator() as emulator:
        monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
        monkeypatch.setenv("KIE_API_KEY", emulator.api_key)
        emulator.answer("A story.")
        emulator.fail_next(429)
        options = ["--models", MODEL, "--api", CHAT, "--questions", "stream,no_stream"]
        result = doctor(*options, emulator=False)
    assert result.outcomes == {"stream": "works", "no_stream": "fails"}
    assert "rate_limiter=KieRateLimiter()" in result.notes
    assert result.settings == {"api": CHAT}  # a refusal for the rate is no missing feature


def test_kies_rate_limit_without_a_limiter(
    doctor: Any, monkeypatch: pytest.MonkeyPatch, without_limiter: None
) -> None:
    with Emulator(rate_limit=True, clock=lambda: 0.0, respond=respond) as emulator:
        monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
        monkeypatch.setenv("KIE_API_KEY", emulator.api_key)
        names = "stream,no_stream,thoughts,efforts,tool_call,map"
        result = doctor("--models", MODEL, "--questions", names, emulator=False)
    assert [row["outcome"] for row in result.json["findings"]] == ["works"] * 9 + ["fails"] * 3
    assert result.settings["api"] == NATIVE
    assert result.exit_code == 0


def test_no_call_is_sent_after_the_limit(doctor: Any) -> None:
    options = ["--models", MODEL, "--api", NATIVE, "--questions", "catalogue,stream,thoughts,map"]
    nothing = doctor(*options, "--max-credits", "0")
    assert nothing.outcomes == {
        "catalogue": "works",
        "stream": "skipped",
        "thoughts": "skipped",
        "map": "skipped",
    }
    assert nothing.json["credits_used"] == 0
    one_call = doctor(*options, "--max-credits", "0.01")
    assert one_call.outcomes["stream"] == "works"
    assert one_call.outcomes["thoughts"] == one_call.outcomes["map"] == "skipped"
    assert "Some questions were skipped" in one_call.notes
    assert "No call is sent after 0.01 credits" in one_call.output
    assert f"Used {one_call.json['credits_used']:.2f} of 0.01 credits" in one_call.output
    assert one_call.exit_code == 0


def test_a_server_that_cannot_be_reached_is_a_failure(
    doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("KIE_BASE_URL", address)
    monkeypatch.setenv("KIE_API_KEY", "key")
    result = doctor(
        *("--models", MODEL, "--api", CHAT, "--questions", "stream,no_stream,map"), emulator=False
    )
    assert result.outcomes == {"stream": "fails", "no_stream": "fails", "map": "skipped"}
    assert result.json["key"]["facts"]["error"] == "KieConnectionError"
    assert "Nothing works" in result.notes
    assert result.exit_code == 1


PRICES = [
    (None, ""),
    ("Input 45 credits / 1M tokens, Output 225 credits / 1M tokens", "45/225 credits"),
    ("Input 45 credits / 1M tokens, cached 4.5 credits, Output 225 credits / 1M tokens", None),
    ("Up to 200k tokens: input 100, output 600;\nabove: input 200, output 900", None),
    ("Free until Sunday", None),
]


@pytest.mark.parametrize(("text", "shown"), PRICES)
def test_each_price_is_shown(
    doctor: Any, text: str | None, shown: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_kie.emulator.catalog._price_text", lambda _endpoint: text)
    row = PRICES.index((text, shown))
    key = f"api_key=key-{row}"  # a process keeps the list of models of a key
    options = ["--questions", "catalogue", "--emulator-setting", key]
    result = doctor("--models", MODEL, "--api", NATIVE, *options)
    [finding] = result.json["findings"]
    assert finding["outcome"] == "works"
    assert finding["detail"].startswith("listed; 98.5 % succeeded in a day")
    assert (" ".join((text or "").split()) if shown is None else shown) in finding["detail"]
    assert "Advice" not in result.output
    listed = run("models", "--emulator", "--emulator-setting", f"{key}-2")
    assert listed.exit_code == 0
    if text:
        assert (shown or text).split()[0] in listed.output


def test_an_unlisted_model_is_not_rejected(doctor: Any) -> None:
    with pytest.warns(UserWarning, match="gemini-9-flash"):
        result = doctor("--models", "gemini-9-flash", "--questions", "catalogue,stream,search")
    assert result.outcomes == {"catalogue": "partly", "stream": "fails", "search": "skipped"}
    assert "1 other questions" in result.output
    assert result.exit_code == 1


def test_a_mistake_in_a_question_is_a_finding(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_target: object) -> None:
        raise KeyError("city")

    monkeypatch.setattr(
        "langchain_kie.cli.examination.QUESTIONS",
        [replace(q, run=fail) if q.name == "thoughts" else q for q in QUESTIONS],
    )
    result = doctor("--models", MODEL, "--api", CHAT, "--questions", "stream,thoughts,map")
    assert result.outcomes == {"stream": "works", "thoughts": "unclear", "map": "works"}
    assert "please report it" in result.notes


def test_ctrl_c_shows_what_was_asked_before(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "langchain_kie.cli.examination.QUESTIONS",
        [replace(q, run=interrupt) if q.name == "thoughts" else q for q in QUESTIONS],
    )
    result = doctor("--models", MODEL, "--api", CHAT, "--questions", "stream,thoughts,map")
    assert result.outcomes == {"stream": "works"}
    assert "Stopped by Ctrl-C" in result.output
    assert result.settings == {"api": CHAT}


def test_the_emulator_needs_no_variables(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator() as other:
        for name in ("KIE_API_KEY", "KIE_BASE_URL", "KIE_UPLOAD_URL"):
            monkeypatch.setenv(name, other.base_url)
        result = doctor("--models", MODEL, "--api", NATIVE, "--questions", "catalogue,image_url")
        assert other.requests == []
        assert os.environ["KIE_UPLOAD_URL"] == other.base_url
    assert set(result.outcomes.values()) == {"works"}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hang_on_stream_false=False", False),
        ("rate_limit=off", False),
        ("rate_limit=Yes", True),
        ("drops_media", True),
        ("delay=0.25", 0.25),
        ("credits=12", 12.0),
        ("context_tokens=1000", 1000),
        ("fail_uploads=402", 402),
        ("ignore_tool_choice=fenced", "fenced"),
        ("api_key=1234", "1234"),
        ("unsupported_models=gemini-3-5-flash", ["gemini-3-5-flash"]),
        ("unsupported_models=gemini-3-5-flash, gemini-3.5-flash", ["gemini-3-5-flash", MODEL]),
        ('unauthorized_models=["gemini-3-5-flash"]', ["gemini-3-5-flash"]),
        ("unauthorized_models=", []),
    ],
)
def test_a_setting_has_the_type_of_the_emulator(setting: str, value: object) -> None:
    name = setting.partition("=")[0]
    with emulator_with([setting]) as emulator:
        found = getattr(emulator, name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "a/b"], "'a/b' cannot be a model name"),
        (["--api", "native"], "unknown api 'native'"),
        (["--questions", "stream,poems"], "unknown question 'poems'"),
        (["--emulator-setting", "speed=1"], "the emulator has no setting 'speed'"),
        (
            ["--emulator-setting", "rate_limit=maybe"],
            "rate_limit=maybe: Input should be a valid bo",
        ),
        (["--emulator-setting", "rate_limit="], "rate_limit=: Input should be a valid boolean"),
        (["--emulator-setting", "delay=abc"], "delay=abc: Input should be a valid number"),
        (["--emulator-setting", "delay=-1"], "delay is out of range: -1"),
        (["--emulator-setting", "piece_delay=nan"], "piece_delay is out of range: nan"),
        (["--emulator-setting", "credits=abc"], "credits=abc: Input should be a valid number"),
        (["--emulator-setting", "credits"], "credits=true: Input should be a valid number"),
        (["--emulator-setting", "context_tokens=1.5"], "Input should be a valid integer"),
        (["--emulator-setting", "fail_uploads=yes"], "Input should be a valid integer"),
        (
            ["--emulator-setting", "ignore_tool_choice=poem"],
            "should be 'prose', 'json' or 'fenced'",
        ),
        (["--emulator-setting", "port=99999"], "port is out of range: 99999"),
        (["--emulator-setting", "host=192.0.2.1"], "the emulator cannot start"),
        (["--emulator-setting", "respond=abc"], "the emulator has no setting 'respond'"),
        (
            ["--emulator-setting", "unsupported_models=gemini-3-5-flash,gemini-3-6-flsh"],
            "there is no model 'gemini-3-6-flsh'; near names: gemini-3-6-flash, ",
        ),
        (
            ["--emulator-setting", "unauthorized_models=a"],
            "no model 'a'; near names: gemini-2.5-fl",
        ),
        (["--record", "."], "--record needs a new or empty folder"),
    ],
)
def test_a_wrong_option_is_one_line(doctor: Any, arguments: list[str], message: str) -> None:
    result = doctor(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_without_a_key_nothing_is_asked(doctor: Any) -> None:
    result = doctor(emulator=False)
    assert (result.exit_code, result.output) == (
        2,
        "error: set KIE_API_KEY, or use --emulator\n",
    )


def test_a_folder_that_does_not_exist_is_reported_before_anything_is_sent(tmp_path: Path) -> None:
    result = run("doctor", "--emulator", json_file=tmp_path / "missing" / "report.json")
    assert result.exit_code == 2
    assert "there is no such folder" in result.output
    assert "Balance" not in result.output
