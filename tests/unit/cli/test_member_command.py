"""`huitou member`: what it refuses, in words for a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli.commands.member import ask
from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from tests import gateway_sample as sample


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return sample.make_brand(tmp_path)


def test_an_unknown_service_is_a_usage_error_with_those_there_are(brand: Brand) -> None:
    sample.sqlite_store(brand).close()
    with pytest.raises(UsageError, match="'nope'") as error:
        ask(brand, "anna", "nope", None)
    assert error.value.exit_code == 2
    assert error.value.remedy.startswith("--service is one of ")
    assert "lenient_v1" in error.value.remedy
    assert "store_v1" not in error.value.remedy  # a member's id is not enough to read it


def test_a_brand_of_which_nothing_is_published_is_told_so(brand: Brand) -> None:
    with pytest.raises(UsageError, match="nothing of the brand") as error:
        ask(brand, "anna", "lenient_v1", None)
    assert "huitou publish" in error.value.remedy
