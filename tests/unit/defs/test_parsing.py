"""When the parsed dbt project is stale."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.defs.transform.parsing import MANIFEST, PROJECT, STAMP, fingerprint, parse


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two models in a folder."""
    models = tmp_path / "project" / "models"
    models.mkdir(parents=True)
    for name in ("kept", "dropped"):
        (models / f"{name}.sql").write_text("select 1")
    return models.parent


def of(project: Path, *more: str) -> str:
    return fingerprint([PROJECT, str(project), *more])


def test_a_project_is_the_same_whatever_the_times_of_its_files(project: Path) -> None:
    before = of(project)
    for then in (1_700_000_000, 2_000_000_000):
        for path in (*project.rglob("*"), project):
            os.utime(path, (then, then))
        assert of(project) == before
    (project / "models" / "notes.txt").write_text("dbt does not read this")
    compiled = project / "target" / "compiled" / "models" / "kept.yml"  # a folder, as dbt makes it
    compiled.mkdir(parents=True)
    (compiled / "a_test.sql").write_text("select 1")
    assert of(project) == before


def test_an_edited_added_moved_or_dropped_file_and_another_word_are_changes(project: Path) -> None:
    seen = {of(project), of(project, "--vars", "{}")}
    kept = project / "models" / "kept.sql"
    kept.write_text("select 2")
    seen.add(of(project))
    kept.rename(kept.with_name("renamed.sql"))
    seen.add(of(project))
    (project / "models" / "dropped.sql").unlink()
    seen.add(of(project))
    kept.write_text("select 3")
    seen.add(of(project))
    assert len(seen) == 6


def test_the_stamp_is_of_what_was_parsed_and_stays_with_its_manifest(
    project: Path, tmp_path: Path
) -> None:
    target, words = tmp_path / "target", [PROJECT, str(project)]

    def dbt(words: list[str]) -> bool:
        if "--no-write-json" not in words:
            Path(words[words.index("--target-path") + 1], MANIFEST).write_text("{}")
        return "fail" not in words

    before = fingerprint(words)
    assert not parse(target, [*words, "fail"], dbt)
    assert not (target / STAMP).exists()
    assert parse(target, words, dbt)
    assert (target / STAMP).read_text() == before
    (project / "models" / "kept.sql").write_text("select 2")
    assert parse(target, [*words, "--no-write-json"], dbt)
    assert (target / STAMP).read_text() == before
    assert parse(target, words, dbt)
    assert (target / STAMP).read_text() == fingerprint(words) != before
