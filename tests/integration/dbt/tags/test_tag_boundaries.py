"""The boundary tests that stand in the tag catalogue, run on the SQL that dbt makes of its rules.

A tag added to the catalogue is tested here without a line of code: every case is a row of facts.
The example of docs/tags.md is added to a copy of the project, by the catalogue alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
import yaml

from pipelines.core.home import DBT_PROJECT
from pipelines.core.tag_catalogue import DOCS, FOLDER, MACRO, Case, TagCatalogue, macro_text

pytestmark = pytest.mark.integration

EXAMPLE = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]


def extended(tags: Path) -> TagCatalogue:
    """The shipped catalogue with the documented example, written to `tags`."""
    shutil.copytree(FOLDER, tags, dirs_exist_ok=True)
    with (tags / "activity.yml").open("a", encoding="utf-8") as group:
        group.write("\n" + EXAMPLE)
    return TagCatalogue.load(tags)


with tempfile.TemporaryDirectory() as scratch:
    CATALOGUE = extended(Path(scratch) / "tags")
CASES = {
    f"{case.tag}-{case.param}-{('below', 'at', 'above')[place % 3]}-{place}": case
    for place, case in enumerate(CATALOGUE.cases)
}
TZ = ZoneInfo("Asia/Shanghai")
LONG_AGO, FOREVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def compiled(project: Path, **variables: Any) -> dict[str, str]:
    """The SQL of each group's intervals, its facts read from tables of the models' names."""
    facts = {tag.facts for tag in CATALOGUE.tags.values()}
    relations = "{" + ", ".join(f"'{name}': '{name}'" for name in facts) + "}"
    inline = "\n;\n".join(
        f"{{{{ tag_group_intervals('{name}', {relations}) }}}}" for name in CATALOGUE.groups
    )
    done = subprocess.run(
        [
            Path(sys.executable).parent / "dbt",
            *("--quiet", "compile", "--inline", inline, "--output", "json"),
            *("--project-dir", project, "--profiles-dir", project),
            *("--vars", json.dumps(variables)),
        ],
        env={
            **os.environ,
            "HUITOU_ROOT": str(project),
            "DBT_TARGET_PATH": str(project / "target"),
            "DBT_LOG_PATH": str(project / "logs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sql = json.loads(done.stdout[done.stdout.index("{") :])["compiled"]
    return dict(zip(CATALOGUE.groups, sql.split("\n;\n"), strict=True))


def columns_of(facts: str) -> dict[str, str]:
    """Columns of a facts model and their types."""
    path = DBT_PROJECT / "models" / "intermediate" / f"{facts}.yml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {column["name"]: column["data_type"] for column in document["models"][0]["columns"]}


def as_instant(value: Any) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), TZ)
    return value if value.tzinfo else value.replace(tzinfo=TZ)


def row_of(member: str, case: Case, columns: dict[str, str]) -> list[Any]:
    """The row of facts that a case gives; what it does not say is null."""
    unknown = set(case.given) - set(columns)
    assert not unknown, f"{case.tag}: its facts have no {sorted(unknown)}"
    full = {"facts_from": LONG_AGO, "facts_until": FOREVER, **case.given, "member_id": member}
    values = {name: full.get(name) for name in columns}
    return [
        as_instant(value) if value is not None and columns[name] == "timestamptz" else value
        for name, value in values.items()
    ]


def tags_of(sql: dict[str, str], cases: dict[str, Case]) -> dict[str, set[str]]:
    """For each case the tags of its group that hold at the case's instant."""
    held: dict[str, set[str]] = {name: set() for name in cases}
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for facts in {tag.facts for tag in CATALOGUE.tags.values()}:
            columns = columns_of(facts)
            listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            connection.execute(f"create table {facts} ({listed})")
            rows = [
                row_of(name, case, columns)
                for name, case in cases.items()
                if CATALOGUE.tags[case.tag].facts == facts
            ]
            places = ", ".join("?" for _ in columns)
            if rows:
                connection.executemany(f"insert into {facts} values ({places})", rows)
        for text in sql.values():
            query = f"select member_id, tag, valid_from, valid_until from ({text})"
            for member, tag, start, end in connection.execute(query).fetchall():
                if start <= as_instant(cases[member].at) < end:
                    held[member].add(tag)
    return held


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project, its catalogue extended and nothing else written by hand."""
    copy = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(DBT_PROJECT, copy, ignore=ignored, dirs_exist_ok=True)
    extended(copy / "tags")
    (copy / MACRO.relative_to(DBT_PROJECT)).write_text(macro_text(CATALOGUE), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def sql(project: Path) -> dict[str, str]:
    return compiled(project)


@pytest.fixture(scope="module")
def held(sql: dict[str, str]) -> dict[str, set[str]]:
    return tags_of(sql, CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_tag_begins_and_ends_where_the_catalogue_says(
    name: str, held: dict[str, set[str]]
) -> None:
    assert (CASES[name].tag in held[name]) == CASES[name].holds


def test_the_documented_example_is_among_the_cases() -> None:
    assert sum(case.tag == "active.quarter" for case in CASES.values()) == 3


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if CATALOGUE.tags[c.tag].exclusive])
def test_an_exclusive_group_has_one_tag_on_either_side_of_a_boundary(
    name: str, held: dict[str, set[str]]
) -> None:
    assert len(held[name]) == 1


def test_a_variable_that_names_no_parameter_stops_the_build(project: Path) -> None:
    with pytest.raises(AssertionError, match="first_new_hours, which is no parameter"):
        compiled(project, tag_params={"lifecycle": {"first_new_hours": 10}})
