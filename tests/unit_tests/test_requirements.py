"""The declared lower bounds are the versions that `make test_lowest` installs."""

from __future__ import annotations

import itertools
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
    """The packages that the tests need: of the package, of its extras and of the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    lines = [
        *project["project"]["dependencies"],
        *itertools.chain(*project["project"]["optional-dependencies"].values()),
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


def test_the_documented_versions_of_other_libraries_are_the_tested_ones() -> None:
    table = (ROOT / "docs" / "other-libraries.md").read_text().split("\n\n")[2]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    documented = {
        name: Version(version)
        for names, versions, *_ in rows
        for name, version in zip(names[2:].split(", "), versions.split(", "), strict=True)
    }
    tested = pins("constraints.txt")
    assert len(documented) > 15
    assert documented == {name: tested[name] for name in documented}
