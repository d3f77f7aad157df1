"""The contracts of `make lint` list every module that they are about."""

from __future__ import annotations

import tomllib
from pathlib import Path

import langchain_kie

ROOT = Path(__file__).parents[2]
NOT_OF_THE_CLIENT = {"_version", "emulator"}


def test_the_emulator_is_forbidden_to_import_each_module_of_the_client() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c.get("source_modules") == ["langchain_kie.emulator"])
    files = Path(langchain_kie.__file__).parent.glob("*")
    modules = {it.stem for it in files if it.suffix == ".py" or (it / "__init__.py").is_file()}
    client = modules - NOT_OF_THE_CLIENT - {"__init__"}
    assert set(contract["forbidden_modules"]) == {f"langchain_kie.{name}" for name in client}
