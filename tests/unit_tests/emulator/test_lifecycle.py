"""Start and stop, the recorded requests, and the command line."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from limits import MAX_WAIT

from langchain_kie.emulator import Emulator
from langchain_kie.emulator.__main__ import DEFAULT_PORT
from unit_tests.loopback import errors_without

BODY = {"messages": [{"role": "user", "content": "Hello"}]}
PATH = "/gemini-3-flash/v1/chat/completions"


def ask(base_url, api_key, body=None):
    headers = {"Authorization": f"Bearer {api_key}"}
    return httpx.post(
        f"{base_url}{PATH}", json=body or BODY, headers=headers, trust_env=False, verify=False
    )


@pytest.mark.filterwarnings("error")
def test_start_and_stop():
    """There are no warnings and no exceptions in threads, and the port is free afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with Emulator(api_key="my-key") as emulator:
                assert ask(emulator.base_url, "my-key").json()["choices"]
                assert ask(emulator.base_url, emulator.api_key + "x").json()["code"] == 401
                port = int(emulator.base_url.rpartition(":")[2])
            with socket.create_server(("127.0.0.1", port)):
                pass


def test_event_loop_of_the_program_stays_what_it_is():
    """uvicorn before 0.36 sets uvloop's policy for the whole process when uvloop is installed."""
    importlib.import_module("uvloop")
    before = asyncio.get_event_loop_policy()
    with Emulator():
        assert asyncio.get_event_loop_policy() is before


def test_base_url_exists_only_while_running():
    """A running emulator cannot be started again."""
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="inside its `with` block"):
        _ = emulator.base_url
    with emulator, pytest.raises(RuntimeError, match="serves already"):
        emulator.__enter__()


def test_port_in_use_is_an_error():
    """The second emulator does not start."""
    with Emulator() as first:
        port = int(first.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), Emulator(port=port):
            pass


def test_requests_are_recorded_without_the_key():
    """Rejected requests are recorded, too."""
    with Emulator() as emulator:
        ask(emulator.base_url, emulator.api_key)
        ask(emulator.base_url, "wrong", {"messages": []})
        httpx.get(f"{emulator.base_url}/elsewhere?a=b", trust_env=False, verify=False)
        first, second, third = emulator.requests
        assert (first.path, first.query, first.body) == (PATH, {}, BODY)
        assert first.headers["content-type"] == "application/json"
        assert "authorization" not in first.headers
        assert second.body == {"messages": []}
        assert (third.path, third.query, third.body) == ("/elsewhere", {"a": "b"}, None)
        emulator.reset()
        assert emulator.requests == []


def test_answers_are_deterministic():
    """Two emulators answer the same requests with the same bytes."""

    def run():
        with Emulator() as emulator:
            return [ask(emulator.base_url, emulator.api_key).text for _ in range(2)]

    first, second = run()
    assert [first, second] == run()
    assert first != second  # each answer has another id


def test_parallel_requests():
    """All of them succeed, and each has another id."""
    with Emulator() as emulator, ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda _: ask(emulator.base_url, emulator.api_key).json(), range(64))
        assert len({answer["id"] for answer in answers}) == 64


def test_media_can_be_files(tmp_path):
    """A path is read from the disk; a missing file is an error 404."""
    image = tmp_path / "photo.jpeg"
    image.write_bytes(b"12345")
    media = {"https://x.example/photo": image, "https://x.example/gone": tmp_path / "gone.png"}
    with Emulator(media=media) as emulator:

        def look(url):
            content = [{"type": "image_url", "image_url": {"url": url}}]
            body = {"messages": [{"role": "user", "content": content}]}
            return ask(emulator.base_url, emulator.api_key, body).text

        assert "image/jpeg (5 bytes)" in look("https://x.example/photo")
        assert "HTTP 404: Not Found" in look("https://x.example/gone")


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_interrupted(interruption):
    """It prints its URL, answers requests, and exits with status 0."""
    command = [sys.executable, "-m", "langchain_kie.emulator", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        base_url = re.fullmatch(r"KIE_BASE_URL=(\S+)\n", run.stdout.readline()).group(1)
        api_key = re.fullmatch(r"KIE_API_KEY=(\S+)\n", run.stdout.readline()).group(1)
        assert ask(base_url, api_key).json()["choices"]
        run.send_signal(interruption)
        _, errors = run.communicate(timeout=MAX_WAIT)
    assert (run.returncode, errors) == (0, "")


def test_command_reports_a_port_in_use():
    """In one line, which names the option to change."""
    with Emulator() as emulator:
        port = emulator.base_url.rpartition(":")[2]
        command = [sys.executable, "-m", "langchain_kie.emulator", "--port", port]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"cannot use port {port}: " in run.stderr
    assert "Choose another with --port." in run.stderr


def test_the_default_port_is_the_same_everywhere(pytestconfig):
    """The Makefile has none of its own."""
    root = pytestconfig.rootpath
    assert DEFAULT_PORT == 8787
    assert "port 8787" in (root / "README.md").read_text()
    assert "8787" not in (root / "Makefile").read_text()


def test_missing_extra_is_reported():
    """The ImportError contains the command to install it."""
    packages = ["starlette", "uvicorn", "jsonschema_rs", "python_multipart"]
    module = "langchain_kie.emulator"
    errors = errors_without(packages, f"import {module}", module)
    assert len(errors) == len(packages)
    assert all('pip install "langchain-kie[emulator]"' in error for error in errors)
