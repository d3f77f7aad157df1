"""What the targets of the Makefile run, with stand-ins for the programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUESTION = """-a "b" 'c' $HOME $(id) $5 `id` #d \\n é"""

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


def environment(folder: Path, **programs: str) -> Path:
    """A virtual environment that is ready, with these shell scripts as its programs."""
    (folder / "bin").mkdir(parents=True)
    for name, script in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / ".ready").touch()
    return folder


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make in the repository."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["ASK", "IMAGE", "MODEL", "API"])
@pytest.mark.parametrize("is_argument", [True, False], ids=["argument", "environment"])
def test_demo_passes_values_unchanged(name, is_argument, tmp_path):
    demo = environment(tmp_path / "demo", python='printf "%s\\n" "$@"')
    given = {name: QUESTION}
    arguments = [f"{name}={QUESTION}"] if is_argument else []
    run = make("demo", f"DEMO={demo}", *arguments, **({} if is_argument else given))
    assert run.stdout.splitlines() == ["-m", "demo", f"--{name.lower()}={QUESTION}"]


def test_every_suite_runs_after_one_that_failed(tmp_path):
    programs = {
        "ruff": "exit 1",
        "mypy": "exit 1",
        "pytest": 'echo "pytest $@"',
        "lint-imports": "",
    }
    environment(tmp_path / "venv" / "examples", pytest=programs["pytest"])
    run = make("-s", "test", f"VENV={environment(tmp_path / 'venv', **programs)}")
    assert run.returncode != 0
    for suite in ("unit_tests", "integration_tests", "ecosystem_tests", "examples_tests"):
        assert f"pytest tests/{suite}" in run.stdout
    assert run.stdout.splitlines()[-1] == "Failed: lint typing"


@pytest.mark.parametrize("target", ["unit_test", "ecosystem_test"])
def test_no_variable_of_kie_reaches_tests_on_the_emulator(target, tmp_path):
    venv = environment(tmp_path / "venv", pytest="env")
    names = ("KIE_API_KEY", "KIE_BASE_URL", "KIE_UPLOAD_URL")
    run = make("-s", target, f"VENV={venv}", **dict.fromkeys(names, "https://other.example"))
    assert "PATH=" in run.stdout
    assert "KIE_" not in run.stdout


def test_check_is_the_core(tmp_path):
    """The files and folders of the short check exist."""
    programs = {"ruff": "", "mypy": "", "pytest": 'printf "%s\\n" "$@"', "lint-imports": ""}
    run = make("-s", "check", f"VENV={environment(tmp_path / 'venv', **programs)}")
    paths = [line for line in run.stdout.splitlines() if line.startswith("tests/")]
    assert len(paths) > 5
    assert all((ROOT / path).exists() for path in paths)


def test_audit_checks_each_file_of_tested_versions(tmp_path):
    """The other files too after one with a vulnerability."""
    script = f"""echo "$2"; echo '{{"skip_reason": ""}}' > {tmp_path}/venv/audit.json
        test "$2" != constraints.txt"""
    run = make("-s", "audit", f"VENV={environment(tmp_path / 'venv', **{'pip-audit': script})}")
    files = [ROOT / "constraints.txt", *ROOT.glob("[a-z]*/constraints.txt")]
    names = [str(path.relative_to(ROOT)) for path in files]
    lines = run.stdout.splitlines()
    assert len(names) == 3
    assert sorted(lines) == sorted([*names, *(f"{name}: not checked: 1." for name in names)])
    assert run.returncode != 0


def test_audit_says_that_no_package_was_checked(tmp_path):
    run = make("-s", "audit", f"VENV={environment(tmp_path / 'venv', **{'pip-audit': 'exit 1'})}")
    assert run.stdout.count("no package was checked") == 3
    assert run.returncode == 0
