"""A browser."""

from __future__ import annotations

import os
import shutil

import pytest
from limits import MAX_WAIT

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


def chromium() -> str:
    """The path of Chromium; the test is skipped without it, unless `CHROMIUM` names it."""
    name = os.environ.get("CHROMIUM")
    path = shutil.which(name or "chromium") or (None if name else shutil.which("chromium-browser"))
    if path is None and name:
        pytest.fail(f"CHROMIUM={name}, but there is no such program")
    if path is None:
        pytest.skip("no Chromium found: install it (apt-get install chromium), or set CHROMIUM")
    return path


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium with an empty profile.

    Not for the session: until its end, Playwright's event loop counts as running in this thread.
    """
    path = chromium()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only with Chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page in a new profile; the test fails if a script of it fails."""
    errors = []
    viewport = {"width": 900, "height": 680}
    with browser.new_context(viewport=viewport, device_scale_factor=2) as context:
        context.set_default_timeout(MAX_WAIT * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - playwright 1.65 rejects a built-in method
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        yield page
    assert not errors
