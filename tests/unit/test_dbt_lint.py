"""What dbt does not forbid by itself: reading the clock, reaching over layers, silent columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.core.home import DBT_PROJECT

MODELS = DBT_PROJECT / "models"
CLOCK = re.compile(
    r"\b(now|today|getdate|sysdate|get_current_\w+)\s*\(|\b(current_(timestamp|date|time)|localtime"
    r"|localtimestamp|transaction_timestamp|run_started_at)\b|modules\.datetime",
    re.IGNORECASE,
)
REFERENCE = re.compile(r"ref\(\s*['\"](\w+)['\"]\s*\)")
SOURCE = re.compile(r"source\(\s*['\"](\w+)['\"]")
#: Models above staging that count the sources' own rows, or read what is no raw table.
SOURCE_READERS = {"int_source_presence", "int_version_counts", "int_risk_scores"}
#: What decides something by itself.
RULE = re.compile(r"\bcase\b|\bfilter\s*\(|\bover\s*\(|\bqualify\b")
#: What a run says of itself; every other variable changes what a number means.
RUN_VARIABLES = {"as_of", "knowledge_cutoff", "snapshot_id", "definitions"}


def code(path: Path) -> str:
    """The file without comments of Jinja, SQL and YAML."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"--.*|^\s*#.*", "", text, flags=re.MULTILINE)


def models() -> dict[str, Path]:
    return {path.stem: path for path in MODELS.rglob("*.sql")}


def project() -> dict[str, Any]:
    text = (DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def all_code() -> dict[str, str]:
    folders = [MODELS, DBT_PROJECT / "macros", DBT_PROJECT / "tests"]
    return {path.name: code(path) for folder in folders for path in folder.rglob("*.sql")}


def test_no_model_macro_or_test_reads_the_clock() -> None:
    assert [name for name, text in all_code().items() if CLOCK.search(text)] == []


@pytest.mark.parametrize(
    "text", ["where at < now()", "Current_Timestamp", "select today()", "{{ run_started_at }}"]
)
def test_the_clock_is_recognised(text: str) -> None:
    assert CLOCK.search(text)


def test_only_staging_and_the_named_models_read_sources() -> None:
    readers = {name for name, path in models().items() if SOURCE.search(code(path))}
    assert readers == {name for name in models() if name.startswith("stg_")} | SOURCE_READERS


def test_features_read_marts_only_and_nothing_reads_features() -> None:
    layer = {name: path.relative_to(MODELS).parts[0] for name, path in models().items()}
    for name, path in models().items():
        layers = {layer[parent] for parent in REFERENCE.findall(code(path))}
        assert "features" not in layers, name
        assert layer[name] != "features" or layers == {"marts"}, name
        assert layer[name] != "staging" or not layers, name


def test_every_model_has_its_promise_beside_it() -> None:
    """The YAML of its name, with words for the model and for each of its columns."""
    for name, path in models().items():
        document = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
        [model] = document["models"]
        assert model["name"] == name
        assert model["description"], name
        assert model["columns"], name
        assert all(c.get("description") and c.get("data_type") for c in model["columns"]), name


def test_every_variable_is_declared_and_part_of_the_definition_version() -> None:
    variables = project()["vars"]
    used = set(re.findall(r"\bvar\(\s*['\"](\w+)['\"]\s*\)", " ".join(all_code().values())))
    assert used <= set(variables), "a variable without a default"
    assert sorted(variables["definitions"]) == sorted(set(variables) - RUN_VARIABLES)


def test_every_model_that_judges_or_ranks_has_a_unit_test() -> None:
    for name, path in models().items():
        document = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
        assert "unit_tests" in document or not RULE.search(code(path)), name
