"""Serve a chat in the browser."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from examples.chat.app import create_app
from examples.connection import connection_settings
from langchain_kie import KieConfigurationError

_EMULATOR_PIECE_DELAY = 0.03
"""Seconds between the events of the emulator, so that one sees the answer grow."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m examples.chat", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--model", default="gemini-3.5-flash", help="default: %(default)s")
    parser.add_argument(
        "--allow-http", action="store_true", help="KIE_BASE_URL may be http, as in compose.yaml"
    )
    arguments = parser.parse_args()
    with connection_settings(piece_delay=_EMULATOR_PIECE_DELAY) as settings:
        try:
            app = create_app(model=arguments.model, allow_http=arguments.allow_http, **settings)
        except KieConfigurationError as error:
            parser.error(str(error))
        sys.stderr.write(f"Open http://{arguments.host}:{arguments.port}\n")
        uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
