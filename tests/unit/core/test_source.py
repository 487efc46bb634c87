"""Adapters are checked when they are defined, not when the night's first file comes."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.core.source import Adapter, Feed, Files

FILES = Files(("*.csv",), {"kind": pl.String()})


def define(*declared: Feed) -> type[Adapter]:
    class Made(Adapter):
        name = "made"
        business_tz = "UTC"
        currency = "CNY"
        feeds = declared

        def map_orders(self, records: pl.DataFrame) -> pl.DataFrame:
            return records

        map_refunds = map_members = map_orders

    return Made


def test_a_feed_of_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match="'order', which is no source table"):
        define(Feed("order", FILES, method="map_orders"))


def test_a_feed_without_its_method_is_refused() -> None:
    with pytest.raises(TypeError, match="has no method map_stores"):
        define(Feed("stores", FILES))


@pytest.mark.parametrize("homes", [0, 2])
def test_exactly_one_feed_takes_the_records_that_no_other_claims(homes: int) -> None:
    """None would lose records, two would count them twice."""
    where = [None] * homes + [pl.col("kind") == "R"] * (2 - homes)
    with pytest.raises(TypeError, match=f"{homes} have none"):
        define(
            *(Feed(t, FILES, where=w) for t, w in zip(("orders", "refunds"), where, strict=True))
        )


def test_every_record_is_claimed_by_exactly_one_feed() -> None:
    """Also where two conditions are true of it, or its cell is empty."""
    adapter = define(
        Feed("orders", FILES),
        Feed("refunds", FILES, where=pl.col("kind").is_in(["R", "B"])),
        Feed("members", FILES, where=pl.col("kind").is_in(["M", "B"])),
        Feed("orders", FILES, derived=True, method="map_members"),
    )()
    kinds = pl.DataFrame({"kind": ["S", "R", "M", "B", None]})
    claims = {f.table: kinds.select(x=adapter.claim(f))["x"].to_list() for f in adapter.feeds[:3]}
    assert claims == {
        "orders": [True, False, False, False, True],
        "refunds": [False, True, False, True, False],
        "members": [False, False, True, False, False],
    }
    assert adapter.shares(adapter.feeds[0]) == ["members", "orders", "refunds"]
