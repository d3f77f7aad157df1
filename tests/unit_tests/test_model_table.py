"""`models()`: the table of models that ships with the package."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

import langchain_kie
from langchain_kie import KieAccount
from langchain_kie._catalog import MODELS
from langchain_kie._model_names import resolve
from langchain_kie.emulator import Emulator

if TYPE_CHECKING:
    from langchain_kie import KieModel


def test_the_table_has_every_model_and_spelling() -> None:
    rows = langchain_kie.models()
    assert [row.name for row in rows] == [spec.name for spec in MODELS]
    for row in rows:
        assert resolve(row.name).api == row.apis[0].api
        for api in row.apis:
            resolved = resolve(api.model)
            assert (resolved.name, resolved.api) in {
                (row.name, api.api),
                (row.name, row.apis[0].api),
            }
            assert resolve(row.name, api.api).route.model == api.model
    flash = next(row for row in rows if row.name == "gemini-3.5-flash")
    assert flash.is_listed
    assert [(api.api, api.model) for api in flash.apis] == [
        ("generate_content", "gemini-3-5-flash"),
        ("chat_completions", "gemini-3-5-flash-openai"),
    ]
    assert flash.apis[0].efforts == ("low", "high")
    assert flash.apis[0].documented == ("functions", "search")
    assert flash.max_input_tokens == 1_048_576
    assert not next(row for row in rows if row.name == "gemini-3-flash").is_listed


def test_the_table_agrees_with_the_live_list() -> None:
    with Emulator() as emulator:
        account = KieAccount(api_key=emulator.api_key, base_url=emulator.base_url)
        live = {model.model for model in account.models(task_type="Chat")}
    shipped = {api.model for row in langchain_kie.models() for api in row.apis if api.is_listed}
    assert shipped == live


def test_rows_are_values() -> None:
    rows: tuple[KieModel, ...] = langchain_kie.models()
    assert pickle.loads(pickle.dumps(rows)) == copy.deepcopy(rows) == rows
    assert len({*rows}) == len(rows)


def test_names_of_the_package_are_imported_when_they_are_used() -> None:
    for name in langchain_kie.__all__:
        assert getattr(langchain_kie, name) is not None
        assert name in dir(langchain_kie)
    with pytest.raises(AttributeError, match="KieNothing"):
        _ = langchain_kie.KieNothing
