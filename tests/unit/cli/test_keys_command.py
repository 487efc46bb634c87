"""`huitou keys`: a key is bound to services that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli.commands.keys import create
from pipelines.core.errors import UsageError
from pipelines.core.home import Brand, Home
from pipelines.online.access.keys import list_keys
from tests import gateway_sample as sample


@pytest.fixture
def brand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Brand:
    monkeypatch.setenv("HUITOU_HOME", str(tmp_path))
    monkeypatch.delenv("HUITOU_BRAND", raising=False)
    brand = sample.make_brand(tmp_path)
    Home(tmp_path).choose(brand)
    brand.agree("shop", tmp_path, "Asia/Shanghai", "CNY")
    return brand


def test_a_key_for_an_unknown_service_is_refused_with_the_services_there_are(brand: Brand) -> None:
    with pytest.raises(UsageError, match="'nope'") as error:
        create("app", ["lenient_v1", "nope"])
    assert "lenient_v1" in error.value.remedy
    assert list_keys(brand) == []


@pytest.mark.parametrize("service", ["lenient_v1", "*"])
def test_a_key_for_a_service_that_is_there_or_for_all_is_made(brand: Brand, service: str) -> None:
    create("app", [service])
    assert [key.services for key in list_keys(brand)] == [(service,)]


def test_a_brand_whose_services_are_not_known_yet_can_have_keys(brand: Brand) -> None:
    brand.catalog.unlink()
    create("app", ["anything_v1"])
    assert len(list_keys(brand)) == 1
