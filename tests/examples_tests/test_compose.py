"""The compose file of the chat: its commands, each run as in its container, but on this machine.

`pip` does nothing, because the packages are installed, and `emulator` is a name of this machine.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import yaml
from chat_server import wait_until
from limits import MAX_WAIT
from test_chat import ask, texts

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "chat" / "compose.yaml"
NAMES = """
import socket

resolve = socket.getaddrinfo


def getaddrinfo(host, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    return resolve("127.0.0.1" if name == "emulator" else host, *args, **kwargs)


socket.getaddrinfo = getaddrinfo
"""
"""Every Python process runs it: the names of the network of the containers."""


@pytest.fixture
def ports():
    """The ports of the file, and free ones of this machine."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in ("8787", "8000")
        ]
        free = [str(each.getsockname()[1]) for each in sockets]
    return dict(zip(("8787", "8000"), free, strict=True))


@pytest.fixture
def services(ports):
    """The services of the file, on free ports."""
    text = FILE.read_text()
    for port, free in ports.items():
        assert port in text
        text = text.replace(port, free)
    return yaml.safe_load(text)["services"]


@pytest.fixture
def start(services, tmp_path):
    """Starts the command of a service, and returns the process and its output so far."""
    (tmp_path / "sitecustomize.py").write_text(NAMES)
    for name, script in {"pip": 'echo "pip $@"', "python": f'exec {sys.executable} "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    with ExitStack() as stack:

        def start_service(name, *, without=""):
            service = services[name]
            folder = (FILE.parent / service["volumes"][0].partition(":")[0]).resolve()
            assert service["volumes"][0].endswith(f":{service['working_dir']}")
            command = [part.replace(without, "") for part in shlex.split(service["command"])]
            log = tmp_path / f"{name}.log"
            environment = {
                "PATH": f"{tmp_path}{os.pathsep}{os.defpath}",
                "PYTHONPATH": str(tmp_path),
                "PYTHONUNBUFFERED": "1",
                **service.get("environment", {}),
            }
            with log.open("w") as to:
                process = subprocess.Popen(
                    command, cwd=folder, env=environment, stdout=to, stderr=subprocess.STDOUT
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process, log.read_text

        yield start_service


def wait_for(text, process, output):
    wait_until(lambda: text in output() or process.poll() is not None)
    assert text in output()


def is_up(url):
    try:
        return httpx.get(url).is_success
    except httpx.ConnectError:
        return False


def test_the_chat_answers_from_the_emulator(start, ports):
    emulator, of_emulator = start("emulator")
    wait_for("KIE_API_KEY=", emulator, of_emulator)
    chat, of_chat = start("chat")
    wait_for("Open http://", chat, of_chat)
    url = f"http://127.0.0.1:{ports['8000']}"
    wait_until(lambda: is_up(url) or chat.poll() is not None)
    events = list(ask(url, "Say 'good morning'."))
    assert texts(events) == "good morning", of_chat()
    assert "sent to emulator without encryption" in of_chat()
    for output in (of_emulator(), of_chat()):
        options = output.splitlines()[0].split()
        assert options[:3] == ["pip", "install", "-c"]
        assert (ROOT / options[3]).is_file()


def test_without_allow_http_the_chat_does_not_start(start):
    chat, output = start("chat", without=" --allow-http")
    assert chat.wait(MAX_WAIT) != 0
    assert "allow_http=True" in output()


def test_the_page_shows_the_file():
    assert f"```yaml\n{FILE.read_text()}```" in (ROOT / "docs" / "web-backends.md").read_text()
