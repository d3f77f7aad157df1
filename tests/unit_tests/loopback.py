"""What the tests of connections share: an echo server, subprocesses, and waiting for events."""

from __future__ import annotations

import asyncio
import atexit
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import orjson
import pytest
from limits import MAX_RUN, MAX_WAIT
from scripted_server import sse

from langchain_kie._settings import _warn_of_http, checked_base_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripted_server import ScriptedServer

TEXT_EVENTS = [sse({"choices": [{"index": 0, "delta": {"content": c}}]}) for c in "abc"]
"""The first events of a stream, without a terminal event."""

PRELUDE = """
import asyncio, gc, os, sys
from langchain_kie import ChatKieGemini
model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=sys.argv[1], max_retries=0)
"""
"""The start of a script for `fork_script`; its first argument is the base URL."""


class Echo:
    """A server that answers each request with the text of its last message."""

    def __enter__(self) -> Self:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                request = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = request["messages"][-1]["content"]
                event = {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}
                body = sse(event, "[DONE]")
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def log_message(self, *args: object) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def named_host(base_url: str) -> Iterator[str]:
    """The URL of a server of this machine with a host name that is not of this machine."""

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if name == "emulator" else host, *args, **kwargs)

    checked_base_url.cache_clear()
    _warn_of_http.cache_clear()
    resolve = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield base_url.replace("127.0.0.1", "emulator")


def run_script(script: str, *args: str, base_url: str = "", flags: tuple[str, ...] = ()) -> str:
    """Run a script in a new process, which must succeed, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(script), base_url, *args],
        capture_output=True,
        text=True,
        timeout=MAX_RUN,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


FORKS = f"""
import gc, json, os, signal, sys, warnings
from langchain_kie import ChatKieGemini
gc.freeze()

def next_script():
    for line in sys.stdin.buffer:
        job = json.loads(line)
        child = os.fork()
        if not child:
            return started(**job)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()

def started(script, args, environment, output, strict):
    signal.alarm({MAX_WAIT:.0f})
    for number, path in enumerate([os.devnull, *output]):
        os.dup2(os.open(path, os.O_RDWR), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = args
    if strict:
        warnings.simplefilter("error", ResourceWarning)
    return script

exec(next_script())
"""
"""Runs each script in a fork: a process that has imported this package, and called nothing."""


@cache
def forking_process() -> subprocess.Popen[str]:
    """The process of `FORKS`; a test's process has one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command, pipe = [sys.executable, "-c", FORKS], subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    atexit.register(process.communicate)
    return process


def fork_script(script: str, *args: str, base_url: str = "", strict: bool = False) -> str:
    """Do what `run_script` does a second sooner: the package is imported already.

    With `strict`, a socket, file or event loop that is left open is an error.
    """
    process = forking_process()
    assert process.stdin
    assert process.stdout
    with tempfile.NamedTemporaryFile("r") as output, tempfile.NamedTemporaryFile("r") as errors:
        job = {
            "script": textwrap.dedent(script),
            "args": [base_url, *args],
            "environment": dict(os.environ),
            "output": [output.name, errors.name],
            "strict": strict,
        }
        print(json.dumps(job), file=process.stdin, flush=True)
        code, text = process.stdout.readline(), errors.read()
        assert code == "0\n", text or code
        assert text == "", text
        return output.read()


def errors_without(packages: list[str], code: str, modules: str) -> list[str]:
    """What a line of code raises where one of the packages is not installed, for each of them.

    Args:
        packages: The packages, one after the other.
        code: The line.
        modules: The start of the names of the modules that it imports again each time.
    """
    script = f"""
import sys

for package in {packages!r}:
    sys.modules[package] = None
    try:
        {code}
    except (ImportError, SystemExit) as error:
        print(error)
    for name in [package, *sys.modules]:
        if name == package or name.startswith({modules!r}):
            sys.modules.pop(name, None)
"""
    return fork_script(script).splitlines()


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while the event loop runs."""
    deadline = time.monotonic() + MAX_WAIT
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        await asyncio.sleep(0.005)


async def all_closed(server: ScriptedServer) -> None:
    """Wait until the server has no open connection."""
    await until(lambda: server.open_connections == 0)
