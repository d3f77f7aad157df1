"""What `langchain-kie doctor --record` records, what it leaves out, and that it can be replayed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from scripted_server import Scripted, ScriptedServer

from langchain_kie.cli import app as app_module
from langchain_kie.cli.cassettes import Redactor
from langchain_kie.emulator import Emulator, Failure
from unit_tests.cli.command_line import MODEL, Result, run

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-0123456789abcdef"
BALANCE = "123456.75"
ACCOUNT_FOLDER = "kieai/100001"
TIMED = {"stream", "no_stream"}
OPTIONS = ["--models", MODEL, "--max-credits", "5"]


def record(folder: Path, *arguments: str) -> Result:
    """Record the doctor on the emulator."""
    settings = [f"credits={BALANCE}", f"api_key={KEY}"]
    options = [word for setting in settings for word in ("--emulator-setting", setting)]
    return run(
        "doctor",
        "--emulator",
        *OPTIONS,
        *options,
        *arguments,
        "--record",
        str(folder / "cassettes"),
        json_file=folder / "recorded.json",
    )


def cassettes(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "cassettes").iterdir())
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def replies(folder: Path) -> list[Scripted]:
    """The recorded responses, as a scripted server sends them."""
    script = []
    for cassette in cassettes(folder):
        for exchange in cassette["exchanges"]:
            response = exchange["response"]
            if response is None:
                script.append(Scripted(ending="stall", framing="raw"))
                continue
            headers = {"Content-Type": response["content_type"]}
            pieces = [response["body"].encode()]
            script.append(Scripted(pieces, response["status"], headers))
    return script


def comparable(result: Result) -> list[dict[str, Any]]:
    """The findings, without times."""
    return [
        {
            key: value
            for key, value in row.items()
            if key != "seconds" and not (key in {"detail", "facts"} and row["question"] in TIMED)
        }
        for row in result.json["findings"]
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [
            "--api",
            "generate_content",
            "--questions",
            "stream,no_stream,nullable,forced_choice",
            *("--emulator-setting", "hang_on_stream_false=true", "--wait", "1"),
            *("--emulator-setting", "ignore_nullable=true"),
            *("--emulator-setting", "ignore_tool_choice=prose"),
        ],
    ],
    ids=["everything works", "broken"],
)
def test_a_replayed_recording_gives_the_same_findings(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = record(tmp_path, *arguments)
    monkeypatch.setattr(app_module, "KieRateLimiter", lambda: None)
    monkeypatch.setenv("KIE_API_KEY", "another-key")
    kept = [word for word in arguments if "=" not in word and word != "--emulator-setting"]
    with ScriptedServer(*replies(tmp_path), Scripted(status=404)) as server:
        monkeypatch.setenv("KIE_BASE_URL", server.base_url)
        replayed = run("doctor", *OPTIONS, *kept, json_file=tmp_path / "replayed.json")
    assert comparable(replayed) == comparable(recorded)
    assert replayed.json["advice"] == recorded.json["advice"]
    sent = [request.path for request in server.requests]
    exchanges = [exchange for cassette in cassettes(tmp_path) for exchange in cassette["exchanges"]]
    assert sent[: len(exchanges)] == [exchange["request"]["path"] for exchange in exchanges]


def test_neither_key_nor_account_is_recorded(tmp_path: Path) -> None:
    result = record(tmp_path, "--questions", "catalogue,stream,image_url")
    assert f"{float(BALANCE):,.2f}" in result.output
    assert len(cassettes(tmp_path)) == 7  # the key, and three questions on two APIs
    files = [*(tmp_path / "cassettes").iterdir(), tmp_path / "recorded.json"]
    text = result.output + "".join(path.read_text(encoding="utf-8") for path in files)
    assert KEY[:8] not in text
    recorded = "".join(path.read_text(encoding="utf-8") for path in files)
    assert BALANCE[:6] not in recorded.replace(",", "")
    assert ACCOUNT_FOLDER not in recorded


def test_neither_is_in_an_error_of_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = base64.b64encode(KEY.encode()).decode()
    message = f"Key {encoded}, userId 100001, balance: 5916.25; you have 5,916.25 credits"
    with Emulator(api_key=KEY, respond=lambda _request: Failure(400, message)) as emulator:
        monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
        monkeypatch.setenv("KIE_API_KEY", KEY)
        options = ["--questions", "stream", "--api", "chat_completions"]
        folder = ["--record", str(tmp_path / "cassettes")]
        run("doctor", *OPTIONS, *options, *folder, json_file=tmp_path / "recorded.json")
    for path in [*sorted((tmp_path / "cassettes").iterdir())[1:], tmp_path / "recorded.json"]:
        text = path.read_text(encoding="utf-8")
        assert "Key [API key], userId 0, balance: 0; you have 0 credits" in text


def test_a_request_and_its_response_are_complete(tmp_path: Path) -> None:
    record(tmp_path, "--questions", "stream", "--api", "generate_content")
    [_, cassette] = cassettes(tmp_path)
    assert cassette["question"] == f"{MODEL} generate_content stream"
    [exchange] = cassette["exchanges"]
    assert exchange["request"]["method"] == "POST"
    assert json.loads(exchange["request"]["body"])["stream"] is True
    response = exchange["response"]
    assert response["status"] == 200
    assert response["content_type"].startswith("text/event-stream")
    assert response["body"].startswith("data: {")
    assert sum(size for _, size in response["arrivals"]) == len(response["body"].encode())


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/x", f"a {KEY} b", "a [API key] b"),
        ("/x", f"Bearer {KEY[:12]}...", "Bearer [API key]..."),
        ("/x", f"***{KEY[-8:]}", "***[API key]"),
        ("/x", f"Basic {base64.b64encode(KEY.encode()).decode()}", "Basic [API key]"),
        ("/x", base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="), "[API key]"),
        (
            "/x",
            '{"userId":100001,"user_id": "7","balance":1}',
            '{"userId":0,"user_id": "0","balance":0}',
        ),
        ("/x", "your balance is 1,234.50.", "your balance is 0."),
        (
            "/x",
            '{"credits_consumed":0.5,"role":"user","index":3}',
            '{"credits_consumed":0.5,"role":"user","index":3}',
        ),
        ("/api/v1/models", "Input 45 credits", "Input 45 credits"),
        ("/api/v1/chat/credit", '{"code":200,"data":12.5}', '{"code": 200, "data": 100.0}'),
        ("/api/v1/chat/credit", '{"code":200,"data":0}', '{"code": 200, "data": 0.0}'),
        ("/api/v1/chat/credit", '{"code":401,"msg":"No"}', '{"code": 401, "msg": "No"}'),
        ("/api/v1/chat/credit", "<html>12.5</html>", ""),
        ("/api/v1/chat/credit", "[12.5]", ""),
        ("/api/v1/chat/credit", '{"data":"12.5"}', '{"data": 100.0}'),
        ("/api/v1/chat/credit", '{"data":[12.5]}', ""),
        (
            "/api/file-stream-upload",
            '{"data":{"filePath":"kieai/7","downloadUrl":"https://h/kieai/7/a.png"}}',
            '{"data": {"downloadUrl": "https://files.invalid/file.png"}}',
        ),
    ],
)
def test_redaction(path: str, body: str, expected: str) -> None:
    assert Redactor(KEY).response(path, body) == expected


def test_the_address_of_an_upload_is_removed_from_later_texts() -> None:
    redactor = Redactor(KEY)
    redactor.response("/api/file-stream-upload", '{"data":{"downloadUrl":"https://h/kieai/7/a"}}')
    assert redactor.text("see https://h/kieai/7/a") == "see https://files.invalid/file.png"
