"""`langchain-kie models`, `credits` and `chat`, and the command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from limits import MAX_WAIT

from langchain_kie import __version__, models
from langchain_kie.emulator import Answer, Emulator, Failure
from unit_tests.cli.command_line import MODEL, run, run_process
from unit_tests.loopback import errors_without, fork_script, named_host

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch):
    """An emulator to which the commands connect by the environment."""
    with Emulator() as server:
        monkeypatch.setenv("KIE_BASE_URL", server.base_url)
        monkeypatch.setenv("KIE_API_KEY", server.api_key)
        yield server


# --- models, credits ---------------------------------------------------------------------------


def test_models_shows_the_catalog_and_what_kie_lists(tmp_path: Path) -> None:
    result = run("models", "--emulator", json_file=tmp_path / "models.json")
    assert result.exit_code == 0
    rows = {(row["name"], row["api"]): row for row in result.json["models"]}
    assert rows.keys() == {(model.name, api.api) for model in models() for api in model.apis}
    assert rows[MODEL, "generate_content"] == {
        "name": MODEL,
        "api": "generate_content",
        "model": "gemini-3-5-flash",
        "efforts": ["low", "high"],
        "is_listed": True,
        "input_credits": 90,
        "output_credits": 540,
        "price": "Input 90 credits / 1M tokens (\u2248 $0.45), "
        "Output 540 credits / 1M tokens (\u2248 $2.7)",
    }
    assert rows["gemini-2.5-flash", "chat_completions"]["is_listed"] is False
    assert "90/540" in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_models_that_the_table_does_not_have_are_listed_too(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_kie.cli.listing.models", lambda: models()[:-1])
    result = run("models", json_file=tmp_path / "models.json")
    [*_, native, chat] = sorted(result.json["models"], key=lambda row: row["name"] == "")
    assert {native["model"], chat["model"]} == {"gemini-3-8-flash", "gemini-3-8-flash-openai"}
    assert native["input_credits"] == 45
    assert "not in the package's table" in result.output


@pytest.mark.parametrize("arguments", [[], ["--offline"]])
def test_models_needs_no_key(arguments: list[str], tmp_path: Path) -> None:
    result = run("models", *arguments, json_file=tmp_path / "models.json")
    assert result.exit_code == 0
    assert {row["is_listed"] for row in result.json["models"]} == {None}
    assert ("Set KIE_API_KEY" in result.output) is (arguments == [])


def test_models_without_a_network_are_those_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("KIE_API_KEY", "key")
    result = run("models", "--base-url", address, json_file=tmp_path / "models.json")
    assert result.exit_code == 0
    assert {row["is_listed"] for row in result.json["models"]} == {None}
    assert "gemini-3-5-flash" in result.output
    assert "KIE's list could not be read; --offline does not try" in result.output
    assert "Set KIE_API_KEY" not in result.output


def test_models_with_a_wrong_key_are_an_error(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", "wrong")
    result = run("models")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)


def test_version() -> None:
    assert run("--version").output == f"{__version__}\n"


def test_the_emulator_of_a_command() -> None:
    assert run("credits", "--emulator").output == "1,000,000.00 credits (5,000.00 USD)\n"
    assert "\nmoin\n" in run("chat", "--emulator", stdin="Say 'moin'.\n").output


def test_credits(emulator: Emulator) -> None:
    emulator.credits = 1234.5
    assert run("credits").output == "1,234.50 credits (6.17 USD)\n"


def test_an_error_is_one_line(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIE_API_KEY", "sk-0123456789abcdef")
    result = run("credits")
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert result.output.count("\n") == 1
    assert "sk-0123" not in result.output


NEEDS_URL = [
    ["models"],
    ["credits"],
    ["chat"],
    ["doctor", "--models", MODEL, "--questions", "stream"],
]


@pytest.mark.parametrize("command", NEEDS_URL, ids=lambda command: command[0])
def test_http_to_another_machine_must_be_allowed(
    command: list[str], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.api_key = f"key-of-{command[0]}"  # a process keeps the list of models of a key
    monkeypatch.setenv("KIE_API_KEY", emulator.api_key)
    monkeypatch.delenv("KIE_BASE_URL")
    with named_host(emulator.base_url) as url:
        refused = run(*command, "--base-url", url, stdin="Say 'hello'.\n")
        assert refused.exit_code == 2
        assert "error: base_url must use https" in refused.output
        assert "allow_http=True allows http" in refused.output
        assert emulator.requests == []
        with pytest.warns(UserWarning, match="sent to emulator without encryption"):
            allowed = run(*command, "--base-url", url, "--allow-http", stdin="Say 'hello'.\n")
        assert allowed.exit_code == 0, allowed.output
        hosts = {request.headers["host"] for request in emulator.requests}
        assert hosts == {url.removeprefix("http://")}
        monkeypatch.setenv("KIE_BASE_URL", url)
        assert run(*command, "--allow-http", stdin="Say 'hello'.\n").exit_code == 0


@pytest.mark.parametrize("option", [["--base-url", "https://host"], ["--allow-http"]])
def test_the_emulator_has_its_url(option: list[str]) -> None:
    result = run("credits", "--emulator", *option)
    assert result.exit_code == 2
    assert "cannot be used with --emulator" in result.output


# --- chat --------------------------------------------------------------------------------------


def test_chat_shows_thoughts_text_and_credits(emulator: Emulator) -> None:
    emulator.answer(Answer("First.", thoughts="Let me think."), "Second.")
    result = run("chat", "--system", "Be brief.", stdin="Hello\n\nAgain\n")
    assert result.exit_code == 0
    assert "Let me think.\nFirst.\n" in result.output
    assert "Second.\n" in result.output
    assert "0.01 credits" in result.output
    assert f"{emulator.credits_charged:.2f} credits in all" in result.output
    contents = emulator.requests[-1].body["contents"]
    assert [part["text"] for turn in contents for part in turn["parts"] if part.get("text")] == [
        "Hello",
        "First.",
        "Again",
    ]
    assert "Be brief." in str(emulator.requests[-1].body["systemInstruction"])


def test_control_characters_and_markup_are_only_text(emulator: Emulator) -> None:
    emulator.answer(Answer("\x1b[2J[red]a\x07[/b]", thoughts="\x1b]0;t\x9b"))
    result = run("chat", stdin="Hello\n")
    assert "]0;t\n[2J[red]a[/b]\n" in result.output
    assert not {"\x1b", "\x07", "\x9b"} & set(result.output)


def test_chat_options(emulator: Emulator) -> None:
    emulator.answer(Answer("Yes.", thoughts="Hidden."))
    options = ["--api", "chat_completions", "--effort", "high", "--no-thoughts"]
    result = run("chat", *options, stdin="Hello\n")
    assert "Hidden." not in result.output
    body = emulator.requests[-1].body
    assert (body["reasoning_effort"], body["include_thoughts"]) == ("high", False)


def test_a_failed_message_is_not_kept(emulator: Emulator) -> None:
    emulator.answer(Failure(400, "Bad picture"), "Better.")
    result = run("chat", stdin="One\nTwo\n")
    assert "error: Bad picture" in result.output
    assert "Better." in result.output
    assert result.exit_code == 0
    [turn] = emulator.requests[-1].body["contents"]
    assert turn["parts"] == [{"text": "Two"}]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--model", "gpt-9"], 1, "The model is not supported"),
        (["--model", "a/b"], 2, "'a/b' cannot be a model name"),
        (["--api", "native"], 2, "unknown api 'native'"),
        (["--effort", "huge"], 2, "reasoning_effort must be one of"),
    ],
)
def test_chat_ends_with_one_line(
    emulator: Emulator, arguments: list[str], exit_code: int, message: str
) -> None:
    result = run("chat", *arguments, stdin="Hello\nHello\n")
    assert result.exit_code == exit_code
    [line] = [line for line in result.output.splitlines() if "error: " in line]
    assert message in line
    assert len(emulator.requests) <= 1


def read_until(stream: IO[str], text: str) -> str:
    """Read a process's output until it contains a text."""
    output = ""
    while text not in output:
        character = stream.read(1)
        assert character, output
        output += character
    return output


INTERRUPTIBLE_CHAT = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["langchain-kie", "chat"]
runpy.run_module("langchain_kie", run_name="__main__")
"""
"""The command; SIGINT is not ignored, as in the jobs that a shell starts in the background."""


@contextmanager
def killed_at_the_limit(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process that does not end in time, so that reading its output ends too."""
    timer = threading.Timer(MAX_WAIT, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_ctrl_c_stops_an_answer_and_ctrl_d_ends(emulator: Emulator) -> None:
    emulator.piece_delay = 0.05
    emulator.answer("One two three. " * 400, "The end.")
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", INTERRUPTIBLE_CHAT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process, killed_at_the_limit(process):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Count\n")
        process.stdin.flush()
        read_until(process.stdout, "One two three.")
        process.send_signal(signal.SIGINT)
        stopped = read_until(process.stdout, "[stopped]")
        assert "The end." not in stopped
        emulator.piece_delay = 0
        process.stdin.write("Go on\n")
        process.stdin.close()
        assert "The end." in process.stdout.read()
        assert process.wait(MAX_WAIT) == 0
    texts = [
        part["text"] for turn in emulator.requests[-1].body["contents"] for part in turn["parts"]
    ]
    assert texts[0] == "Count"
    assert texts[1].startswith("One two three.")
    assert texts[-1] == "Go on"


# --- the process -------------------------------------------------------------------------------


def test_the_command_runs_in_a_process(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"langchain-kie": "langchain_kie.cli:main"}
    file = tmp_path / "report.json"
    options = ["--models", MODEL, "--questions", "stream", "--json", str(file)]
    doctor = run_process("doctor", "--emulator", *options)
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert f'ChatKieGemini(model="{MODEL}", api="generate_content")' in doctor.stdout
    assert len(json.loads(file.read_text())["findings"]) == 2


def test_warnings_and_errors_of_the_process_are_lines() -> None:
    unlisted = run_process("chat", "--emulator", "--model", "gemini-9-flash", stdin="Hi\n")
    warning, error = unlisted.stderr.splitlines()
    assert warning.startswith("warning: 'gemini-9-flash' is not in langchain_kie.models()")
    assert error.startswith("error: The model is not supported")
    assert unlisted.returncode == 1


def test_a_missing_extra_is_one_line() -> None:
    packages, code = ["typer", "rich"], "import langchain_kie.cli; langchain_kie.cli.main()"
    assert errors_without(packages, code, "langchain_kie.cli.") == [
        f"langchain-kie needs {package}, which is not installed. "
        'Run: pip install "langchain-kie[cli]"'
        for package in packages
    ]


def test_a_missing_emulator_is_one_line() -> None:
    script = "import sys; sys.modules['uvicorn'] = None; import langchain_kie.cli as c; c.main()"
    process = subprocess.run(
        [sys.executable, "-c", script, "credits", "--emulator"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr == (
        "error: The emulator needs uvicorn, which is not installed. "
        'Run: pip install "langchain-kie[emulator]"\n'
    )


def test_the_package_does_not_import_the_command_line() -> None:
    script = """
        import sys, langchain_kie.account, langchain_kie.cli
        print([m for m in ("typer", "langchain_kie.cli.app") if m in sys.modules])
    """
    assert fork_script(script) == "[]\n"
