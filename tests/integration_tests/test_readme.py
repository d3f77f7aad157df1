"""The code of the README and of docs/, run unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import nbformat
import pytest
from limits import MAX_RUN
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
_SNIPPET = re.compile(r"^#+ ([^\n]+)$|^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def snippets_of(page: Path) -> list[tuple[str, str]]:
    """The Python code blocks of a page, each with its heading."""
    snippets, heading = [], page.name
    for title, code in _SNIPPET.findall(page.read_text(encoding="utf-8")):
        if title:
            heading = title
        else:
            snippets.append((f"{page.name}: {heading}", code))
    return snippets


README = snippets_of(ROOT / "README.md")
DOCS = [snippet for page in sorted((ROOT / "docs").glob("*.md")) for snippet in snippets_of(page)]


def test_readme_has_code_for_each_use():
    assert [heading.removeprefix("README.md: ") for heading, _ in README] == [
        "Invoke and stream",
        "Agents",
        "Structured output",
        "Images, audio, video and documents",
        "Testing without an API key",
    ]


PROGRAMS = [(heading, code) for heading, code in DOCS if "def test_" not in code]
TEST_FILES = [(heading, code) for heading, code in DOCS if "def test_" in code]


@pytest.mark.parametrize(("heading", "code"), PROGRAMS, ids=[h for h, _ in PROGRAMS])
def test_code_runs_and_prints_something(heading, code, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    program = compile(code, heading, "exec", dont_inherit=True)  # without this module's __future__
    exec(program, {"__name__": "__main__"})
    assert capfd.readouterr().out.strip()


def test_readme_runs_from_the_wheel(tmp_path, monkeypatch):
    """In a folder without the repository, each snippet in a new process."""
    installed, folder = tmp_path / "installed", tmp_path / "elsewhere"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(installed))
    where = "import langchain_kie as kie, pytest_langchain_kie as fixtures\n"
    where += "print(kie.__file__, fixtures.__file__)"
    for heading, code in [("where", where), *README]:
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{heading}: {run.stderr}"
        assert run.stdout.strip(), heading
        if heading == "where":
            assert all(path.startswith(str(installed)) for path in run.stdout.split())
    metadata = next(installed.glob("*.dist-info/METADATA")).read_text()
    assert re.findall(r"\]\((?!https://)", metadata) == []
    assert "Project-URL: Documentation, https://" in metadata


def test_notebook_runs(monkeypatch):
    """Every cell, on a kernel; the stored notebook has no outputs."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs/notebooks/quickstart.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells)
    NotebookClient(notebook, timeout=int(MAX_RUN), kernel_name="python3").execute()
    assert all(cell.outputs for cell in cells[1:])


def test_documented_tests_pass(tmp_path, monkeypatch):
    """Each file with tests, in one pytest that has no plugin but that of this package."""
    for number, (_, code) in enumerate(TEST_FILES):
        (tmp_path / f"test_{number}.py").write_text(code)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_langchain_kie", "-W", "error"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert re.search(
        rf"\b{sum(code.count('def test_') for _, code in TEST_FILES)} passed", run.stdout
    )
