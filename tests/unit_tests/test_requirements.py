"""The declared lower bounds are the versions that `make test_lowest` installs."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, Version]:
    """The versions of a constraints file."""
    lines = (ROOT / name).read_text().splitlines()
    return {package: Version(version) for package, version in (line.split("==") for line in lines)}


def declared() -> list[Requirement]:
    """The packages that the tests need: of the package, of the emulator and of the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    lines = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["emulator"],
        *(line for line in groups["test"] if isinstance(line, str)),
    ]
    return [Requirement(line) for line in lines]


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    lowest = pins("constraints-lowest.txt")
    bounds = {
        requirement.name: Version(specifier.version)
        for requirement in declared()
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }
    assert {name: lowest[name] for name in bounds} == bounds


def test_the_tested_versions_are_allowed() -> None:
    tested = pins("constraints.txt")
    assert all(
        requirement.specifier.contains(tested[requirement.name]) for requirement in declared()
    )
