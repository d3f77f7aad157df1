"""`python -m langchain_kie.emulator`: serve until interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from langchain_kie.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT = 8787


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m langchain_kie.emulator",
        description="Serve an emulation of KIE.ai's Gemini API on this machine.",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 for a free port (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for interruption in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interruption, lambda *_: stopped.set())
    with ExitStack() as stack:
        try:
            emulator = stack.enter_context(Emulator(host=options.host, port=options.port))
        except OSError as error:
            parser.error(f"cannot use port {options.port}: {error}. Choose another with --port.")
        sys.stdout.write(
            f"KIE_BASE_URL={emulator.base_url}\n"
            f"KIE_API_KEY={emulator.api_key}\n"
            "Connect a client to it: "
            f'ChatKieGemini(model="gemini-3.5-flash", base_url="{emulator.base_url}", '
            f'api_key="{emulator.api_key}")\n'
            "Press Ctrl-C to stop.\n"
        )
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
