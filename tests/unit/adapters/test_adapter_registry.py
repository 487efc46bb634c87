"""Adapters are found by name, and their declarations fit the contracts."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines import adapters
from pipelines.adapters.mapping import instant, local_day, midnight, minor
from pipelines.core.contracts import TABLES
from pipelines.core.contracts.orders import CURRENCIES
from pipelines.core.errors import UsageError


def test_an_unknown_adapter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'shopify'") as error:
        adapters.get("shopify")
    assert error.value.remedy == f"choose one of {', '.join(sorted(adapters.ADAPTERS))}"


@pytest.mark.parametrize("name", adapters.ADAPTERS)
def test_an_adapter_declares_its_zone_and_currency(name: str) -> None:
    adapter = adapters.get(name)
    assert ZoneInfo(adapter.business_tz)
    assert adapter.currency in CURRENCIES
    assert adapter.name == name


@pytest.mark.parametrize("name", adapters.ADAPTERS)
def test_an_adapter_feeds_tables_that_have_a_contract_by_its_own_mappings(name: str) -> None:
    adapter = adapters.get(name)
    assert adapter.feeds
    for feed in adapter.feeds:
        assert feed.table in TABLES
        assert callable(getattr(adapter, feed.name))


def test_the_shop_feeds_every_table() -> None:
    assert {feed.table for feed in adapters.get("shop").feeds} == set(TABLES)


def test_money_is_rounded_to_minor_units_once() -> None:
    amounts = pl.DataFrame({"a": [2.55, 0.285, 0.001, 38970.0, -1.005]})
    assert amounts.select(minor(pl.col("a")))["a"].to_list() == [255, 28, 0, 3897000, -100]


@pytest.mark.parametrize(
    ("local", "tz", "utc"),
    [
        ("2011-07-01 12:00:00", "Europe/London", "2011-07-01T11:00:00Z"),
        ("2011-12-01 12:00:00", "Europe/London", "2011-12-01T12:00:00Z"),
        ("2017-10-15 00:30:00", "America/Sao_Paulo", "2017-10-15T03:30:00Z"),  # skipped hour
        ("2018-02-17 23:30:00", "America/Sao_Paulo", "2018-02-18T01:30:00Z"),  # comes twice
    ],
)
def test_a_local_time_is_one_instant(local: str, tz: str, utc: str) -> None:
    frame = pl.DataFrame({"t": [local]}).with_columns(pl.col("t").str.to_datetime(time_unit="us"))
    found = frame.select(instant(pl.col("t"), tz))["t"][0]
    assert found.isoformat().replace("+00:00", "Z") == utc


def test_a_day_begins_at_its_own_midnight_and_ends_before_the_next() -> None:
    days = pl.DataFrame({"d": ["2017-03-11", "2017-03-13"]}).with_columns(pl.col("d").str.to_date())
    tz = "America/New_York"  # the clocks change in between
    starts = days.select(at=midnight(pl.col("d"), tz))
    assert [at.hour for at in starts["at"]] == [5, 4]
    assert starts.select(local_day(pl.col("at"), tz))["at"].to_list() == days["d"].to_list()
    late = starts.select(local_day(pl.col("at").dt.offset_by("-1us"), tz))["at"]
    assert [day.day for day in late] == [10, 12]
