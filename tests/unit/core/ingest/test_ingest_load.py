"""Loads: every record counted, every version kept once, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines.core import lake
from pipelines.core.contracts import TABLES
from pipelines.core.errors import InputError, UsageError
from pipelines.core.ingest import accounting, load, loading, pending_files, summary, versions
from pipelines.core.ingest.staging import Staging
from pipelines.core.source import AdapterError

Sale = Callable[..., str]
Shelf = Any
DAY = "2025-03-01.csv"


def test_each_record_is_accepted_or_quarantined_by_exactly_one_table(
    shelf: Shelf, sale: Sale
) -> None:
    shelf.put(
        DAY,
        [
            sale(),
            sale(line=2, kind="R"),
            sale(line=3, qty="many"),  # unparsable: the table without `where` takes it
            sale(line=4, kind="R", amount=0),  # a refund of nothing
            "b1,5",  # ragged
            sale(line=6, kind="T"),  # refused by the adapter
        ],
    )
    lines, refunds, orders = (shelf.load(t) for t in ("order_lines", "refunds", "orders"))

    assert (lines.read, lines.accepted, lines.quarantined) == (4, 1, 3)
    assert lines.reasons == {"unparsable_qty": 1, "ragged_row": 1, "training": 1}
    assert (refunds.read, refunds.accepted, refunds.reasons) == (2, 1, {"amount_not_positive": 1})
    assert (orders.read, orders.accepted) == (1, 1)
    (account,) = accounting(shelf.brand)
    assert account.records == 6
    assert account.tables == {"order_lines": (1, 3), "refunds": (1, 1)}
    assert account.is_complete
    assert account.is_balanced


def test_an_account_is_open_until_every_table_of_the_file_is_loaded(
    shelf: Shelf, sale: Sale
) -> None:
    shelf.put(DAY, [sale(), sale(line=2, kind="R")])
    shelf.load("order_lines")
    (account,) = accounting(shelf.brand, "refunds")
    assert account.missing == ("refunds",)
    assert not account.is_complete


def test_a_mapping_that_loses_a_record_is_refused(
    shelf: Shelf, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(DAY, [sale(), sale(line=2)])
    mapped = type(shelf.adapter).map_order_lines
    monkeypatch.setattr(
        type(shelf.adapter), "map_order_lines", lambda self, records: mapped(self, records)[1:]
    )
    with pytest.raises(AdapterError, match="given 2 records and returned 1 rows"):
        shelf.load("order_lines")
    assert lake.manifests(shelf.brand) == []


def test_a_mapping_that_returns_an_unknown_column_is_refused(
    shelf: Shelf, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(DAY, [sale()])
    mapped = type(shelf.adapter).map_order_lines
    monkeypatch.setattr(
        type(shelf.adapter),
        "map_order_lines",
        lambda self, records: mapped(self, records).with_columns(colour=pl.lit("red")),
    )
    with pytest.raises(AdapterError, match="colour"):
        shelf.load("order_lines")


def test_a_quarantined_row_says_where_it_stood_what_was_wrong_and_what_it_was(
    shelf: Shelf, sale: Sale
) -> None:
    shelf.put(DAY, [sale(), sale(line=2, qty=0)])
    report = shelf.load("order_lines")
    (row,) = shelf.held("order_lines").to_dicts()
    assert row == {
        "table": "order_lines",
        "source_system": "till",
        "feed": "map_order_lines",
        "source_file": DAY,
        "source_row": 2,
        "source_row_id": "b1/2",
        "landing_day": date(2025, 3, 1),
        "column": "qty",
        "reason": "qty_not_positive",
        "reasons": ["qty_not_positive"],
        "value": "0",
        "remedy": "A line sells at least one; land returns as refunds.",
        "original": '{"bill":"b1","line":"2","sku":"tea","qty":"0","amount":"500",'
        '"sold_at":"2025-03-01T10:00:00+08:00","kind":"S"}',
        "first_seen_at": shelf.now(),
        "load_id": report.load_id,
    }


def test_a_row_that_breaks_two_rules_is_quarantined_once_with_both_reasons(
    shelf: Shelf, sale: Sale
) -> None:
    shelf.put(DAY, [sale(sku="", qty=0)])
    assert shelf.load("order_lines").quarantined == 1
    (row,) = shelf.held("order_lines").to_dicts()
    assert row["reason"] == "sku_id_missing"
    assert row["reasons"] == ["sku_id_missing", "qty_not_positive"]


def test_raw_rows_have_the_contracts_schema_and_the_loads_stamp(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(kind="R")])
    report = shelf.load("refunds")
    path = lake.raw_file(shelf.brand, "refunds", report.load_id)
    schema = pq.read_schema(path)
    assert schema.names == TABLES["refunds"].schema.names
    assert schema.types == TABLES["refunds"].schema.types
    (row,) = shelf.raw("refunds").to_dicts()
    assert row["event_at"] == datetime(2025, 3, 1, 2, tzinfo=UTC)  # 10:00 in Shanghai
    assert row["known_at"] == shelf.now()
    assert (row["landing_day"], row["source_file"], row["source_row"]) == (
        date(2025, 3, 1),
        DAY,
        1,
    )
    assert row["source_row_id"] == "b1/1"


def test_every_table_is_readable_before_anything_is_loaded(shelf: Shelf) -> None:
    lake.prepare(shelf.brand)
    for name, contract in TABLES.items():
        frame = pl.read_parquet(shelf.brand.raw / name / "*.parquet")
        assert frame.height == 0
        assert frame.columns == contract.schema.names


def test_the_same_file_again_reports_its_counts_and_adds_nothing(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(), sale(line=2, qty=0)])
    first = shelf.load("order_lines")
    manifests = list(shelf.brand.loads.rglob("*.json"))
    again = shelf.load("order_lines")
    assert (first.read, first.new, first.quarantined) == (2, 1, 1)
    assert (again.read, again.accepted, again.new, again.unchanged) == (2, 1, 0, 1)
    assert again.quarantined == 1
    assert again.load_id is None
    assert list(shelf.brand.loads.rglob("*.json")) == manifests
    assert shelf.raw("order_lines").height == 1


def test_the_same_rows_in_another_file_are_unchanged(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(), sale(line=2)])
    shelf.load("order_lines")
    shelf.put("2025-03-02.csv", [sale(line=2), sale(), sale(line=3)])
    report = shelf.load("order_lines")
    by_file = {f.path: (f.new, f.unchanged) for f in report.files}
    assert by_file == {DAY: (0, 2), "2025-03-02.csv": (1, 2)}
    assert shelf.raw("order_lines").height == 3


def test_a_row_twice_in_one_file_is_kept_once(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(), sale()])
    report = shelf.load("order_lines")
    assert (report.accepted, report.new, report.unchanged) == (2, 1, 1)


def test_a_row_that_goes_back_to_what_it_was_is_a_new_version(shelf: Shelf, sale: Sale) -> None:
    for day, amount in enumerate((500, 600, 500), start=1):
        shelf.put(f"2025-03-0{day}.csv", [sale(amount=amount)])
        assert shelf.load("order_lines", last=date(2025, 3, day)).new == 1
    assert shelf.raw("order_lines")["unit_price_minor"].to_list() == [500, 600, 500]


def test_several_landing_days_in_one_load_keep_every_version_in_order(
    shelf: Shelf, sale: Sale
) -> None:
    for day, amount in ((3, 500), (1, 500), (2, 600)):
        shelf.put(f"2025-03-0{day}.csv", [sale(amount=amount)])
    report = shelf.load("order_lines")
    assert report.new == 3
    rows = shelf.raw("order_lines")
    assert rows["known_at"].n_unique() == 1
    assert rows["unit_price_minor"].to_list() == [500, 600, 500]


def test_only_the_days_asked_for_are_loaded_and_the_others_are_pending(
    shelf: Shelf, sale: Sale
) -> None:
    for day in (1, 2, 3):
        shelf.put(f"2025-03-0{day}.csv", [sale(line=day)])
    report = shelf.load("order_lines", first=date(2025, 3, 2), last=date(2025, 3, 2))
    assert [f.path for f in report.files] == ["2025-03-02.csv"]
    for table in ("refunds", "orders"):
        shelf.load(table, first=date(2025, 3, 2), last=date(2025, 3, 2))
    assert set(pending(shelf).values()) == {date(2025, 3, 1), date(2025, 3, 3)}


def pending(shelf: Shelf) -> dict[str, date]:
    return pending_files(shelf.brand, shelf.adapter, shelf.landing, date(2025, 3, 3))


def test_a_file_that_is_corrected_is_pending_as_another(shelf: Shelf, sale: Sale) -> None:
    """Who starts loads tells by it that there is something new to do."""
    shelf.put(DAY, [sale(qty="x")])
    before = pending(shelf)
    assert pending(shelf) == before
    shelf.put(DAY, [sale(qty=7)])
    assert set(pending(shelf).values()) == set(before.values()) != set()
    assert pending(shelf).keys().isdisjoint(before)


def test_a_corrected_file_of_the_same_name_is_read_again(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(), sale(line=2, qty="x")])
    shelf.load("order_lines")
    shelf.put(DAY, [sale(), sale(line=2, qty=7)])
    report = shelf.load("order_lines")
    assert (report.read, report.new, report.unchanged, report.quarantined) == (2, 1, 1, 0)


def test_knowledge_cannot_go_back(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale()])
    shelf.load("order_lines")
    shelf.put("2025-03-02.csv", [sale(line=2)])
    with pytest.raises(UsageError, match="later than"):
        load(
            shelf.brand,
            shelf.adapter,
            "order_lines",
            shelf.landing,
            (date(2025, 3, 1), date(2025, 3, 2)),
            shelf.now() - timedelta(seconds=1),
        )
    assert shelf.raw("order_lines").height == 1


@pytest.mark.parametrize(
    "victim",
    [(versions, "store"), (Staging, "_quarantine"), (lake, "commit")],
    ids=["before raw", "after raw", "before the manifest"],
)
def test_a_load_that_died_half_way_is_done_again_in_full(
    shelf: Shelf, sale: Sale, monkeypatch: pytest.MonkeyPatch, victim: tuple[Any, str]
) -> None:
    shelf.put(DAY, [sale(), sale(line=2, qty=0)])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*victim, die)
        with pytest.raises(KeyboardInterrupt):
            shelf.load("order_lines")
    assert lake.manifests(shelf.brand) == []
    assert lake.raw_files(shelf.brand, "order_lines") == []

    report = shelf.load("order_lines")
    assert (report.read, report.new, report.quarantined) == (2, 1, 1)
    assert shelf.raw("order_lines").height == 1
    assert shelf.held("order_lines").height == 1
    assert not list(lake.staging(shelf.brand, "order_lines").iterdir())


def test_large_files_are_judged_in_pieces_with_the_same_outcome(
    shelf: Shelf, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "CHUNK_RECORDS", 3)
    for day in (1, 2, 3):
        rows = [sale(line=n, qty=0 if n == 4 else 1) for n in range(1, 6)]
        shelf.put(f"2025-03-0{day}.csv", rows)
    report = shelf.load("order_lines")
    assert (report.read, report.new, report.unchanged, report.quarantined) == (15, 4, 8, 3)


def test_the_summary_adds_up_over_loads(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale(), sale(line=2, qty=0)])
    shelf.load("order_lines")
    shelf.put("2025-03-02.csv", [sale(), sale(line=3, qty=0), sale(line=4, sku="")])
    shelf.load("order_lines")
    row = next(one for one in summary(shelf.brand) if one.table == "order_lines")
    assert (row.files, row.read, row.accepted, row.new, row.unchanged) == (2, 5, 2, 1, 1)
    assert row.quarantined == 3
    assert row.reasons == {"qty_not_positive": 2, "sku_id_missing": 1}


def test_a_table_that_the_adapter_does_not_feed_is_empty_not_wrong(
    shelf: Shelf, sale: Sale
) -> None:
    shelf.put(DAY, [sale()])
    report = shelf.load("consents")
    assert (report.files, report.read, report.load_id) == ([], 0, None)
    assert (shelf.brand.raw / "consents" / lake.EMPTY).exists()


def test_progress_names_each_file(shelf: Shelf, sale: Sale) -> None:
    shelf.put(DAY, [sale()])
    heard: list[str] = []
    days = date(2025, 3, 1), date(2025, 3, 1)
    load(shelf.brand, shelf.adapter, "orders", shelf.landing, days, shelf.now(), heard.append)
    assert heard == [f"orders {DAY}"]


def test_a_landing_folder_of_something_else_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.landing / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no file that the adapter 'till' reads"):
        shelf.load("orders")
    shelf.landing = shelf.landing / "notes.txt"
    with pytest.raises(UsageError, match=r"notes\.txt is a file"):
        shelf.load("orders")
    shelf.landing = tmp_path / "nowhere"
    with pytest.raises(UsageError, match="does not exist"):
        shelf.load("orders")


def test_a_file_whose_name_is_no_day_is_named(shelf: Shelf, sale: Sale) -> None:
    shelf.put("march.csv", [sale()])
    with pytest.raises(InputError, match=r"march\.csv says no landing day"):
        shelf.load("orders")
