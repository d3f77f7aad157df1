#!/usr/bin/env bash
# Guess: httpcore shields the closing of connections from cancellation, so that a cancelled
# `aclose` of a pool closes all of them, or at least the next `aclose` does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet httpcore==1.0.9 httpcore2==2.16.0 anyio==4.16.0
"$folder/venv/bin/python" - <<'EOF'
import asyncio
import gc
import importlib
from contextlib import suppress
from importlib.metadata import version

CONNECTIONS = 4


async def open_after_a_cancelled_close(package):
    """Use some connections at once, cancel the closing of their pool, and count those left."""
    open_connections = set()

    async def serve(reader, writer):
        open_connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.05)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        open_connections.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    pool = importlib.import_module(package).AsyncConnectionPool()
    await asyncio.gather(*(pool.request("GET", url) for _ in range(CONNECTIONS)))
    assert len(open_connections) == CONNECTIONS
    closing = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing
    assert closing.cancelled()
    del closing
    await pool.aclose()
    await asyncio.sleep(0.5)
    left = len(open_connections), len(pool.connections)
    gc.collect()
    while open_connections:
        await asyncio.sleep(0.01)
    server.close()
    return left


gc.disable()
for package in ("httpcore", "httpcore2"):
    left, known = asyncio.run(open_after_a_cancelled_close(package))
    print(f"{package} {version(package)}, anyio {version('anyio')}: of {CONNECTIONS} connections, "
          f"{left} are open after a cancelled and a second `aclose`; the pool knows {known}")
    assert (left, known) == (CONNECTIONS - 1, 0)
print("The shield of httpcore is a scope of anyio, which a cancellation by asyncio passes. The")
print("connections that are left are closed when the garbage collector finds them.")
EOF
