"""A server that answers every API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from call_modes import fixture, server_sending

from unit_tests.wire.request_sender import RequestSender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import ScriptedServer


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with server_sending(fixture("chat_completion.json")) as answering:
        yield answering


@pytest.fixture
def send(server: ScriptedServer) -> RequestSender:
    server.requests.clear()
    return RequestSender(server)
