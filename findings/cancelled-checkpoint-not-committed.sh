#!/usr/bin/env bash
# Guess: a checkpoint whose write was cancelled is stored, or it is not; all readers agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langgraph-checkpoint-sqlite==3.1.2 langgraph-checkpoint==4.3.2 \
  aiosqlite==0.22.1
"$folder/venv/bin/python" - "$folder/checkpoints.sqlite" <<'EOF'
import asyncio
import sys
import time
from importlib.metadata import version

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

PATH = sys.argv[1]
CONFIG = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}


async def is_stored():
    async with AsyncSqliteSaver.from_conn_string(PATH) as saver:
        return await saver.aget_tuple(CONFIG) is not None


async def cancelled_write(*, commit):
    """Cancel a write that waits for the database, and return whether its saver reads it."""
    async with AsyncSqliteSaver.from_conn_string(PATH) as saver:
        await saver.setup()
        await saver.conn.create_function("busy", 0, lambda: time.sleep(0.5))
        busy = asyncio.create_task(saver.conn.execute("SELECT busy()"))
        await asyncio.sleep(0)
        write = asyncio.create_task(saver.aput(CONFIG, empty_checkpoint(), {}, {}))
        await asyncio.sleep(0.1)
        write.cancel()
        await asyncio.wait([busy, write])
        assert write.cancelled()
        if commit:
            await saver.conn.commit()
        return await saver.aget_tuple(CONFIG) is not None


async def main():
    print("langgraph-checkpoint-sqlite", version("langgraph-checkpoint-sqlite"))
    print("AsyncSqliteSaver.aput that is cancelled while it inserts leaves the insert without a")
    print("commit. The saver reads the checkpoint, so that a resumed graph returns as if it were")
    print("done; if nothing else is written before the saver is closed, the checkpoint is lost.")
    seen, kept = await cancelled_write(commit=False), await is_stored()
    print("cancelled: read by its saver:", seen, "- after closing:", kept)
    assert (seen, kept) == (True, False), "changed"
    seen, kept = await cancelled_write(commit=True), await is_stored()
    print("cancelled, then saver.conn.commit(): read by its saver:", seen, "- after closing:", kept)
    assert (seen, kept) == (True, True), "changed"


asyncio.run(main())
EOF
