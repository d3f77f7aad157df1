"""The demo, as `make demo` runs it."""

from __future__ import annotations

import pytest

from demo.__main__ import main


@pytest.fixture(autouse=True)
def without_key_or_url(monkeypatch):
    """Without a key, the demo starts an emulator."""
    monkeypatch.delenv("KIE_API_KEY", raising=False)
    monkeypatch.delenv("KIE_BASE_URL", raising=False)


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["demo", *arguments])
    monkeypatch.setattr("warnings.showwarning", print)  # the demo replaces it
    main()


@pytest.mark.parametrize("api", ["generate_content", "chat_completions"])
def test_demo_calls_tools_and_answers(api, monkeypatch, capsys):
    run(monkeypatch, f"--api={api}")
    lines = capsys.readouterr().out.splitlines()
    assert "call  calculate(expression='17 * 23')" in lines
    assert "tool  391" in lines
    assert "tokens in" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--model=no-such-model"], "no-such-model"),
        (["--model=a/b"], "a/b"),
        (["--image=missing.png"], "missing.png"),
        (["--model=gemini-3.1-pro", "--api=generate_content"], "gemini-3.1-pro"),
    ],
    ids=str,
)
def test_an_error_is_one_line(arguments, named, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *arguments)
    message = str(stopped.value.code)
    assert message.startswith("error: ")
    assert named in message
    assert "\n" not in message
