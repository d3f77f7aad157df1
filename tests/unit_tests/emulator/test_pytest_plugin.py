"""The fixtures `kie_emulator` and `kie_model`, in the pytest of another project."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

from limits import MAX_RUN

TESTS = """
import os
import sys

import pytest


def test_nothing_is_imported_before_a_fixture_is_used():
    names = {name.partition(".")[0] for name in sys.modules}
    assert not names & {"langchain_kie", "langchain_core", "starlette", "uvicorn", "httpx"}


@pytest.mark.parametrize("number", [1, 2])
def test_every_test_starts_clean(kie_emulator, kie_model, number):
    assert kie_emulator.requests == []
    assert kie_emulator.rate_limit is False
    kie_emulator.rate_limit = True
    kie_emulator.answer(f"answer {number}", "left over")
    assert kie_model.invoke("Hi").text == f"answer {number}"


def test_models_without_a_base_url_use_the_emulator(kie_emulator):
    from langchain_kie import ChatKieGemini

    ChatKieGemini(model="gemini-3.6-flash").invoke("Hi")
    assert len(kie_emulator.requests) == 1


def test_the_environment_is_as_before():
    assert "KIE_BASE_URL" not in os.environ
"""


def pytest_in(folder, root, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    names = ("KIE_BASE_URL", "KIE_API_KEY", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=MAX_RUN,
        check=False,
    ).stdout


def test_fixtures(pytestconfig, tmp_path):
    """They start clean for every test; nothing is imported for tests that do not use them."""
    (tmp_path / "test_it.py").write_text(TESTS)
    output = pytest_in(tmp_path, pytestconfig.rootpath, "-p", "pytest_langchain_kie")
    assert "5 passed" in output, output


def test_pytest_finds_the_plugin(pytestconfig):
    """Its name is that of the module, so that `-p` and `pytest_plugins` do not load it twice."""
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"pytest_langchain_kie": "pytest_langchain_kie"}
