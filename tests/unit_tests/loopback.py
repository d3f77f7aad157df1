"""What tests of connections share: servers on this machine, and Pythons of their own."""

from __future__ import annotations

import asyncio
import http.server
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Self

import orjson
from scripted_server import sse

if TYPE_CHECKING:
    from scripted_server import ScriptedServer

SLOW = [sse({"choices": [{"index": 0, "delta": {"content": c}}]}) for c in "abc"]


PRELUDE = """
import asyncio, gc, os, sys
from langchain_kie import ChatKieGemini
model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=sys.argv[1], max_retries=0)
"""


class Echo:
    """Answers each request with its own last message, a bit later."""

    def __enter__(self) -> Self:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = asked["messages"][-1]["content"]
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


def run_script(script: str, *args: str, base_url: str = "", flags: tuple[str, ...] = ()) -> str:
    """What a script prints, in a process of its own; it must succeed and not complain."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(script), base_url, *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


async def nothing_open(server: ScriptedServer, seconds: float = 2.0) -> None:
    """Wait until the server has no connection left; shared clients may keep idle ones."""
    until = time.monotonic() + seconds
    while server.open_connections and time.monotonic() < until:  # noqa: ASYNC110 - of a thread
        await asyncio.sleep(0.005)
    assert server.open_connections == 0
