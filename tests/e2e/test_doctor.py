"""`huitou doctor` on machines that are not ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import command

pytestmark = pytest.mark.e2e


def test_a_home_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    home = tmp_path / "not" / "there" / "yet"
    assert str(home) in command(home)("doctor").stdout
    assert not home.exists()


def test_a_home_that_takes_no_files_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = command(tmp_path / "file" / "home")("doctor", exit_code=1).stdout
    assert "takes no files: set it to a folder of yours" in told
