"""The facts of docs/wire.md have ids, and tests name the facts that they check."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (\d+(?:\.\d+)?)-(\d+) \|", re.MULTILINE)
_NAMED = re.compile(r"wire\.md ((?:\d+(?:\.\d+)?-\d+(?:, )?)+)")
_FACT_OF_A_ROW = re.compile(r'fact="([\d.-]+)"')

FACTS = _ROW.findall((ROOT / "docs/wire.md").read_text(encoding="utf-8"))

UNTESTED = {
    *("1-4", "1-6"),  # what other clients send
    *("2.1-4", "2.1-9", "2.1-10", "2.1-12"),  # effects of parameters at the server
    *("3-5", "3-6"),  # what answers lack
    *("5-1", "5-4"),  # which models can call functions
    *("8-2", "8-4", "8-5", "8-6", "8-7", "8-8", "8-9"),  # how long, how much, and for how much
    *("9-7", "9-8"),  # tokens of media
    *("10-5", "10-6", "10-7"),  # outages
}
"""Facts about the servers on which no behaviour of this package depends."""


def named_facts() -> set[str]:
    """Return the ids that tests name."""
    named: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named.update(*(found.strip(", ").split(", ") for found in _NAMED.findall(text)))
        named.update(_FACT_OF_A_ROW.findall(text))
    return named


def test_the_ids_of_a_section_are_numbered() -> None:
    for section, facts in groupby(FACTS, lambda fact: fact[0]):
        numbers = [int(number) for _, number in facts]
        assert numbers == [*range(1, len(numbers) + 1)], section


def test_tests_name_facts_that_exist() -> None:
    assert named_facts() <= {"-".join(fact) for fact in FACTS}


def test_each_fact_that_concerns_the_package_is_named_by_a_test() -> None:
    assert {"-".join(fact) for fact in FACTS} - UNTESTED - named_facts() == set()
