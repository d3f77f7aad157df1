"""The declared lower bounds are the versions that `make test_lowest` installs."""

from __future__ import annotations

import itertools
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, Version]:
    """The versions of a constraints file."""
    lines = (ROOT / name).read_text().splitlines()
    pairs = (line.split("==") for line in lines)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


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


def add_needed(name: str, extra: str, found: set[tuple[str, str]]) -> None:
    """Add a package and what it needs, as installed here: names, each with an extra."""
    if (canonicalize_name(name), extra) in found:
        return
    found.add((canonicalize_name(name), extra))
    for requirement in map(Requirement, distribution(name).requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for one in ("", *requirement.extras):
                add_needed(requirement.name, one, found)


def test_the_demo_needs_at_most_40_packages() -> None:
    """`make demo` installs the package with the extra `emulator`."""
    found: set[tuple[str, str]] = set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["emulator"]]:
        add_needed(Requirement(line).name, "", found)
    assert (
        '".[emulator]"' in (ROOT / "Makefile").read_text().partition("\n$(DEMO)/.ready:")[2][:200]
    )
    names = {name for name, _ in found} | {project["name"]}
    assert len(names) <= 40, sorted(names)
