"""The documents example: answers, and quotes that are checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.documents.__main__ import LIBRARY, main
from examples.documents.emulated import respond
from examples.documents.library import load, load_all

ROOT = Path(__file__).parents[2]


def test_it_starts_without_a_key():
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KIE_")}
    command = [sys.executable, "-m", "examples.documents"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "20 cents a day" in run.stdout
    assert "[1] loans.txt, line 6" in run.stdout
    assert "using the KIE emulator" in run.stderr


@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-3.5-flash"])
@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("What does an overdue book cost?", "loans.txt, line 6"),
        ("What does a membership cost a year?", "membership.pdf, page 1"),
        ("When is the reading room open on weekdays?", "opening-hours.md, line 3"),
    ],
)
def test_the_answer_comes_from_what_was_sent(kie_emulator, capsys, model, question, source):
    kie_emulator.respond = respond
    assert main(["--model", model, "--ask", question]) == 0
    output = capsys.readouterr().out
    assert f"[1] {source}\n" in output
    assert f"{kie_emulator.credits_charged:g} credits" in output


def test_an_answer_that_no_document_has(kie_emulator, capsys):
    kie_emulator.respond = respond
    assert main(["--ask", "Who wrote Faust?"]) == 0
    assert "No quote proves this answer." in capsys.readouterr().out


def test_invented_quotes_are_marked(kie_emulator, capsys):
    quotes = [
        {"document": "loans.txt", "text": "An overdue book costs 20 euros a day"},
        {"document": "loans.txt", "text": "It is free for PUPILS, for students and for anyone"},
        {"document": "loans.txt", "text": ""},
    ]
    kie_emulator.answer(json.dumps({"answer": "It is dear.", "quotes": quotes}))
    assert main([]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert lines == [
        "[1] loans.txt, NOT FOUND in the documents",
        "[2] membership.pdf, page 1",
        "[3] loans.txt, NOT FOUND in the documents",
    ]


@pytest.mark.parametrize(
    ("text", "quote", "place"),
    [
        ("One.\nTwo three\nfour.", "two THREE four.", "line 2"),
        ("One.\nIt\u2019s \u201cso\u201d \u2013 yes.", 'It\'s "so" - yes.', "line 2"),
        ("A long exam-\nple.", "a long example", "line 1"),
        ("Same.\nSame.", "Same.", "line 1"),
        ("One.\r\nTwo.\r\n", "One. Two.", "line 1"),
        ("One.", "Two.", None),
        ("One.", " ", None),
    ],
)
def test_a_quote_is_found_whatever_its_typography(tmp_path, text, quote, place):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    assert load(path).locate(quote) == place


def test_what_cannot_be_read_is_named(tmp_path, capsys):
    other = tmp_path / "loans.txt"
    other.write_text("x")
    for name, data in {"a.docx": b"PK", "b.pdf": b"no PDF", "c.txt": b" "}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=name):
            load(tmp_path / name)
    with pytest.raises(ValueError, match=r"same name: loans\.txt"):
        load_all([other, LIBRARY])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no documents"):
        load_all([tmp_path / "empty"])
    with pytest.raises(SystemExit):
        main([str(tmp_path / "missing.txt")])
    assert "missing.txt" in capsys.readouterr().err


def test_a_model_that_cannot_be_used_is_one_line(capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["--model", "gemini 9"])
    assert "'gemini 9' cannot be a model name" in capsys.readouterr().err.splitlines()[-1]
