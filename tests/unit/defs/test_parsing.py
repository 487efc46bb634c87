"""When the parsed dbt project is stale."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.defs.transform.parsing import newest_change

THEN = 1_700_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two models in a folder; nothing has changed since then."""
    (tmp_path / "models").mkdir()
    for name in ("kept", "dropped"):
        (tmp_path / "models" / f"{name}.sql").write_text("select 1")
    for path in (*tmp_path.rglob("*"), tmp_path):
        os.utime(path, (THEN, THEN))
    return tmp_path


def test_a_project_that_nobody_touched_is_as_old_as_its_newest_file(project: Path) -> None:
    assert newest_change(project) == THEN


def test_an_edited_file_is_a_change(project: Path) -> None:
    (project / "models" / "kept.sql").write_text("select 2")
    assert newest_change(project) > THEN


def test_a_file_that_is_taken_away_is_a_change(project: Path) -> None:
    """No file that is left is younger for it, and Dagster would go on to show its model."""
    (project / "models" / "dropped.sql").unlink()
    assert newest_change(project) > THEN
