"""One emulator for all tests of this folder."""

from __future__ import annotations

import pytest

from langchain_kie.emulator import Emulator
from unit_tests.emulator.emulator_client import MEDIA, EmulatorClient


@pytest.fixture(scope="session")
def client():
    with Emulator(media=MEDIA) as emulator:
        client = EmulatorClient(emulator)
        yield client
        client.http.close()


@pytest.fixture
def isolated():
    """A client of an emulator that no other test uses."""
    with Emulator() as emulator:
        client = EmulatorClient(emulator)
        yield client
        client.http.close()
