"""Serve the page: `make chat`."""

from __future__ import annotations

import argparse

import uvicorn

from examples.chat.app import create_app
from examples.connection import connection_settings


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m examples.chat", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--model", default="gemini-3.8-flash", help="default: %(default)s")
    arguments = parser.parse_args()
    with connection_settings() as settings:
        app = create_app(model=arguments.model, **settings)
        print(f"Open http://127.0.0.1:{arguments.port}", flush=True)
        uvicorn.run(app, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
