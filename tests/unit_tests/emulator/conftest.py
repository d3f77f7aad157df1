"""An emulator for all of these tests."""

from __future__ import annotations

import pytest

from langchain_kie.emulator import Emulator
from unit_tests.emulator.emulator_client import MEDIA, Wire


@pytest.fixture(scope="session")
def wire():
    with Emulator(media=MEDIA) as emulator:
        spoken = Wire(emulator)
        yield spoken
        spoken.http.close()
