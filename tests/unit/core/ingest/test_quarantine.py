"""The quarantine: seen, counted, and replayed without losing or doubling a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from pipelines.core import lake, quarantine
from pipelines.core.errors import InputError
from pipelines.core.ingest import LoadReport, accounting, summary

Sale = Callable[..., str]
Shelf = Any
DAY = "2025-03-01.csv"


def replay(shelf: Shelf, table: str) -> LoadReport:
    shelf.loads += 1
    return quarantine.replay(shelf.brand, shelf.adapter, table, shelf.now(), shelf.landing)


@pytest.fixture
def lenient(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A call that mends the adapter: lines of quantity 0 sold one after all."""

    def mend() -> None:
        mapped = type(shelf.adapter).map_order_lines
        monkeypatch.setattr(
            type(shelf.adapter),
            "map_order_lines",
            lambda self, records: mapped(self, records.with_columns(pl.col("qty").replace(0, 1))),
        )

    return mend


def test_rows_are_listed_by_reason_with_an_example(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(qty=0), sale(line=2, qty=0), sale(line=3, sku="")])
    shelf.load("order_lines")
    listed = quarantine.reasons(shelf.brand).select("table", "reason", "rows", "example").rows()
    assert listed == [
        ("order_lines", "qty_not_positive", 2, f"{DAY}:1"),
        ("order_lines", "sku_id_missing", 1, f"{DAY}:3"),
    ]
    assert quarantine.rows(shelf.brand, reason="sku_id_missing")["source_row"].to_list() == [3]
    assert quarantine.rows(shelf.brand, "refunds").height == 0


def test_the_preview_is_a_table_for_people(shelf: Shelf, sale: Sale) -> None:
    assert quarantine.preview(shelf.brand, "order_lines") == "Nothing is in quarantine."
    shelf.put(DAY, [sale(qty="a|b")])
    shelf.load("order_lines")
    assert quarantine.preview(shelf.brand, "order_lines").splitlines() == [
        "| file | row | column | reason | value |",
        "|---|---|---|---|---|",
        f"| {DAY} | 1 | qty | unparsable_qty | a\\|b |",
    ]


def test_a_replay_moves_what_passes_now_and_leaves_the_rest(
    shelf: Shelf, sale: Sale, lenient: Callable[[], None]
) -> None:
    shelf.put(DAY, [sale(), sale(line=2, qty=0), sale(line=3, sku=""), "b1,4"])
    shelf.load("order_lines")
    shelf.load("refunds")
    assert replay(shelf, "order_lines").load_id is None  # nothing is mended yet
    lenient()
    report = replay(shelf, "order_lines")

    assert (report.read, report.accepted, report.new, report.quarantined) == (0, 1, 1, -1)
    left = quarantine.rows(shelf.brand, "order_lines")
    assert left["reason"].to_list() == ["sku_id_missing", "ragged_row"]
    moved = shelf.raw("order_lines").filter(source_row=2).to_dicts()[0]
    assert (moved["source_file"], moved["landing_day"]) == (DAY, date(2025, 3, 1))
    assert moved["known_at"] == shelf.now()
    assert moved["load_id"] == report.load_id
    row = next(one for one in summary(shelf.brand) if one.table == "order_lines")
    assert (row.read, row.accepted, row.quarantined) == (4, 2, 2)
    assert row.reasons == {"sku_id_missing": 1, "ragged_row": 1}
    (account,) = accounting(shelf.brand)
    assert account.tables["order_lines"] == (2, 2)
    assert account.is_balanced


def test_a_second_replay_finds_nothing_to_do(
    shelf: Shelf, sale: Sale, lenient: Callable[[], None]
) -> None:
    shelf.put(DAY, [sale(qty=0)])
    shelf.load("order_lines")
    lenient()
    assert replay(shelf, "order_lines").accepted == 1
    assert replay(shelf, "order_lines").files == []
    assert shelf.raw("order_lines").height == 1


def test_a_replayed_row_never_overtakes_its_own_correction(
    shelf: Shelf, sale: Sale, lenient: Callable[[], None]
) -> None:
    """Else the replay of an old mistake would undo what the source said since."""
    shelf.put(DAY, [sale(qty=0, amount=500)])
    shelf.load("order_lines")
    shelf.put("2025-03-02.csv", [sale(qty=3, amount=900)])
    shelf.load("order_lines")
    lenient()
    report = replay(shelf, "order_lines")
    assert (report.accepted, report.new, report.unchanged) == (1, 0, 1)
    assert shelf.raw("order_lines")["unit_price_minor"].to_list() == [900]
    assert quarantine.rows(shelf.brand).height == 0


def test_a_replay_needs_no_landing_file(
    shelf: Shelf, sale: Sale, lenient: Callable[[], None]
) -> None:
    path = shelf.put(DAY, [sale(qty=0), sale(line=2, qty=0)])
    shelf.load("order_lines")
    path.unlink()
    lenient()
    assert replay(shelf, "order_lines").new == 2


def test_records_that_were_never_read_are_not_replayed(shelf: Shelf, sale: Sale) -> None:
    """What the quarantine holds of them is not what the file meant."""
    bad = sale(line=2).encode().replace(b"tea", b"caf\xe9")
    shelf.put(DAY, [sale(), bad])
    shelf.load("order_lines")
    assert replay(shelf, "order_lines").load_id is None
    assert quarantine.rows(shelf.brand)["reason"].to_list() == ["invalid_utf8"]


def test_rows_of_a_derived_feed_are_made_again_from_their_file(
    shelf: Shelf, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(DAY, [sale(), sale(bill="b2", amount=-5), sale(bill="b2", line=2)])
    assert shelf.load("orders").new == 2
    shelf.put("2025-03-02.csv", [sale(bill="b3", amount=-5), sale(bill="b3", line=2, amount=1)])
    assert shelf.load("orders").reasons == {"negative_amount": 1}
    mapped = type(shelf.adapter).map_orders
    monkeypatch.setattr(
        type(shelf.adapter),
        "map_orders",
        lambda self, records: mapped(self, records).with_columns(
            pl.col("gross_minor", "paid_minor").clip(0)
        ),
    )
    report = replay(shelf, "orders")
    assert (report.accepted, report.new, report.quarantined) == (1, 1, -1)
    raw = dict(shelf.raw("orders").select("order_id", "paid_minor").iter_rows())
    assert raw == {"b1": 1000, "b2": 990, "b3": 0}


def test_a_derived_replay_without_its_file_says_so(shelf: Shelf, sale: Sale) -> None:
    path = shelf.put(DAY, [sale(amount=-5)])
    shelf.load("orders")
    path.unlink()
    with pytest.raises(InputError, match=r"cannot replay: 2025-03-01\.csv: missing_file"):
        replay(shelf, "orders")


def test_a_replay_that_died_half_way_is_done_again(
    shelf: Shelf, sale: Sale, lenient: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(DAY, [sale(qty=0)])
    shelf.load("order_lines")
    lenient()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lake, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            replay(shelf, "order_lines")
    assert quarantine.rows(shelf.brand).height == 1
    assert replay(shelf, "order_lines").new == 1
    assert quarantine.rows(shelf.brand).height == 0
    assert shelf.raw("order_lines").height == 1


def test_values_of_parquet_files_survive_the_quarantine(
    shelf: Shelf, lenient: Callable[[], None]
) -> None:
    """Numbers, instants and nulls are the same after a stay as JSON."""
    at = datetime(2025, 3, 1, 2, 0, 0, 123456, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "bill": ["b1"],
            "line": [7],
            "sku": ["tea"],
            "qty": [0],
            "amount": [9_007_199_254_740_993],  # one more than a double can hold
            "sold_at": pl.Series([at], dtype=pl.Datetime("us", "UTC")),
            "kind": ["S"],
        }
    )
    frame.write_parquet(shelf.landing / "2025-03-01.parquet")
    shelf.load("order_lines")
    lenient()
    replay(shelf, "order_lines")
    (row,) = shelf.raw("order_lines").to_dicts()
    assert row["unit_price_minor"] == 9_007_199_254_740_993
    assert row["order_line_id"] == "b1/7"
