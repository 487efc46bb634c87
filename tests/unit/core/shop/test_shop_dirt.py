"""The dirty shop: what its truth says of unclean rows is what stands in its files."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.adapters.shop import Shop
from pipelines.core.contracts import TABLES
from pipelines.core.home import Home
from pipelines.core.ingest import load
from pipelines.core.shop.dirt import BREAKERS, JUDGED_LATER
from tests.unit.core.shop.conftest import DIRTY, Drawn

#: How each way of breaking a row looks in the file: the column, and what must be true of its text.
BROKEN_LOOKS = {
    "missing": lambda row, column: row[column] == "",
    "unparsable": lambda row, column: row[column] in ("2025-02-30T25:61:00+08:00", "12.5x"),
    "unknown": lambda row, column: row[column] in WORDS_NOBODY_KNOWS,
}
WORDS_NOBODY_KNOWS = {
    "alien", "asleep", "astrology", "perhaps", "teleported", "telepathy", "XXQ",
    "bad_karma", "stolen",
}  # fmt: skip
OTHER_LOOKS = {
    "joined_in_future": lambda row: row["joined_at"].startswith("2199"),
    "bad_geohash": lambda row: row["geohash6"] == "wtw3a!",
    "negative_amount": lambda row: int(row.get("paid_minor") or row["discount_minor"]) < 0,
    "amount_not_positive": lambda row: int(row["amount_minor"]) < 0,
    "paid_gt_gross": lambda row: int(row["paid_minor"]) > int(row["gross_minor"]) + 800,
    "paid_before_ordered": lambda row: "" < row["paid_at"] < row["ordered_at"],
    "qty_not_positive": lambda row: row["qty"] == "0",
    "expires_before_issue": lambda row: row["expires_at"] < row["issued_at"],
    "unknown_option": lambda row: row["option_codes"] == '["none_of_these"]',
}


def records(folder: Path, day: date, table: str) -> list[dict[str, str]]:
    packed = (folder / "landing" / str(day) / f"{table}.csv.gz").read_bytes()
    return list(csv.DictReader(gzip.decompress(packed).decode().splitlines(keepends=True)))


def looks_broken(rule: str, row: dict[str, str]) -> bool:
    if rule in OTHER_LOOKS:
        return OTHER_LOOKS[rule](row)
    if rule.endswith("_missing"):
        return BROKEN_LOOKS["missing"](row, rule.removesuffix("_missing"))
    kind, _, column = rule.partition("_")
    return BROKEN_LOOKS[kind](row, column)


def test_every_way_to_break_a_row_occurs(dirty: Drawn) -> None:
    """The fixture is large enough that none goes untested, but where a table has few rows."""
    asked = {(table, rule) for table, rules in BREAKERS.items() for rule in rules}
    found = {(table, rule) for table, rules in dirty.report.broken.items() for rule in rules}
    assert found <= asked
    assert {table for table, _ in asked - found} <= {"refunds", "coupon_redemptions"}


def test_the_report_counts_what_the_truth_lists(dirty: Drawn) -> None:
    rows = dirty.db.execute(
        "select kind, table_name, rule, count(*) from truth_dirt group by all"
    ).fetchall()
    kinds: Counter[tuple[str, str]] = Counter()
    rules: Counter[tuple[str, str]] = Counter()
    for kind, table, rule, n in rows:
        kinds[kind, table] += n
        if rule:
            rules[table, rule] += n
    assert kinds == {
        (k, t): n for k, tables in dirty.report.dirt.items() for t, n in tables.items()
    }
    assert rules == {
        (t, r): n for t, found in dirty.report.broken.items() for r, n in found.items()
    }


def test_broken_rows_stand_where_the_truth_says(dirty: Drawn) -> None:
    listed = dirty.db.execute(
        "select table_name, landing_day, source_row, rule from truth_dirt where kind = 'broken'"
    ).fetchall()
    assert len(listed) > 100
    for table, day, source_row, rule in listed:
        row = records(dirty.folder, day, table)[source_row - 1]
        assert looks_broken(rule, row), (table, day, source_row, rule, row)


def test_no_row_is_broken_that_the_truth_does_not_list(dirty: Drawn) -> None:
    for table, rules in BREAKERS.items():
        broken = 0
        for path in (dirty.folder / "landing").glob(f"*/{table}.csv.gz"):
            for row in records(dirty.folder, date.fromisoformat(path.parent.name), table):
                broken += any(looks_broken(rule, row) for rule in rules)
        assert broken == sum(dirty.report.broken.get(table, {}).values()), table


def test_duplicates_are_second_copies_in_the_same_file(dirty: Drawn) -> None:
    """Every exact copy of a sound row is listed, and nothing else is."""

    def listed(kind: str) -> set[tuple[str, str, int]]:
        found = dirty.db.execute(
            "select table_name, landing_day::text, source_row from truth_dirt where kind = ?",
            [kind],
        )
        return set(found.fetchall())

    copies, broken = set(), listed("broken")
    for path in (dirty.folder / "landing").glob("*/*.csv.gz"):
        seen = set()
        table, day = path.name.removesuffix(".csv.gz"), path.parent.name
        for number, row in enumerate(records(dirty.folder, date.fromisoformat(day), table), 1):
            content = tuple(row.items())
            if content in seen and (table, day, number) not in broken:
                copies.add((table, day, number))
            seen.add(content)
    assert copies == listed("duplicate")
    assert len(copies) > 100


@pytest.mark.parametrize(
    ("table", "at"),
    [
        ("members", "joined_at"),
        ("orders", "ordered_at"),
        ("consents", "at"),
        ("coupon_issues", "issued_at"),
        ("coupon_redemptions", "redeemed_at"),
        ("refunds", "refunded_at"),
        ("survey_answers", "answered_at"),
    ],
)
def test_late_rows_land_one_to_twenty_one_days_after_they_happened(
    dirty: Drawn, table: str, at: str
) -> None:
    days = dirty.db.execute(
        "select landing_day, source_row from truth_dirt "
        f"where table_name = '{table}' and kind = 'late'"
    ).fetchall()
    waited = []
    for day, number in days:
        text = records(dirty.folder, day, table)[number - 1][at]
        if not text or text[5:10] == "02-30" or text[:4] == "2199":
            continue  # broken as well as late
        waited.append((day - datetime.fromisoformat(text).date()).days)
    assert waited
    assert min(waited) >= 1
    assert max(waited) <= 21


def test_lines_land_with_their_order(dirty: Drawn) -> None:
    """The first landing of a line is that of its order; only corrections come later."""
    apart = dirty.one(
        """
        with orders_at as (select order_id, min(day) as day from orders group by 1),
        lines_at as (select order_line_id, order_id, min(day) as day from order_lines
                     where order_line_id is not null group by all)
        select count(*) from lines_at join orders_at using (order_id)
        where lines_at.day < orders_at.day
            and lines_at.order_id not in (select row_id from truth_dirt where kind = 'broken')
        """
    )
    assert apart == 0


def test_corrected_orders_land_again_with_another_channel_or_amount(dirty: Drawn) -> None:
    rows = dirty.db.execute(
        """
        with fixed as (
            select row_id as order_id, landing_day as day from truth_dirt
            where table_name = 'orders' and kind = 'correction'
        ),
        versions as (
            select order_id, day, channel, paid_minor::int as paid, gross_minor as gross
            from orders
            where order_id not in (select row_id from truth_dirt where kind = 'broken')
        )
        select a.channel <> b.channel, b.paid - a.paid, a.gross = b.gross
        from fixed join versions b using (order_id, day)
        join versions a on a.order_id = fixed.order_id and a.day < fixed.day
        """
    ).fetchall()
    assert len(rows) > 20
    assert {(moved, same_gross) for moved, _, same_gross in rows} == {(True, True), (False, True)}
    assert all((change == 0) if moved else (change <= 0) for moved, change, _ in rows)
    assert any(change < 0 for _, change, _ in rows)


def test_what_was_refunded_is_not_corrected(dirty: Drawn) -> None:
    """So that no refund comes to exceed its order."""
    corrected = "select row_id from truth_dirt where table_name = 'orders' and kind = 'correction'"
    assert dirty.one(f"select count(*) from refunds where order_id in ({corrected})") == 0


def test_a_correction_keeps_the_order_the_sum_of_its_lines(dirty: Drawn) -> None:
    """Where nothing is broken or still to come, the last versions of order and lines agree."""
    off = dirty.one(
        """
        with bad as (
            select row_id from truth_dirt where kind = 'broken'
            union select order_id from truth_dirt d
            join order_lines on order_line_id = row_id
            where kind = 'broken' and table_name = 'order_lines'
        ),
        lines as (
            select order_id, sum(line_net_minor::int) as net from (
                select * from order_lines
                where order_id not in (select order_id from order_lines where order_line_id is null)
                qualify row_number() over (partition by order_line_id order by day desc) = 1
            ) group by 1
        )
        select count(*) from (
            select * from orders
            qualify row_number() over (partition by order_id order by day desc) = 1
        ) join lines using (order_id)
        where order_id not in (select row_id from bad)
            and order_id not in (select order_id from order_lines where qty = '0'
                or unit_price_minor = '12.5x')
            and net + shipping_minor::int <> paid_minor::int
        """
    )
    assert off == 0


def test_ingest_quarantines_the_broken_rows_for_the_reason_the_truth_gives(
    dirty: Drawn, tmp_path: Path
) -> None:
    """And takes every duplicate for a row it holds already."""
    brand = Home(tmp_path).brand("dirty")
    landing = dirty.folder / "landing"
    brand.agree(Shop.name, landing, Shop.business_tz, Shop.currency)
    span = (DIRTY.first, DIRTY.last)
    for table in TABLES:
        report = load(brand, Shop(), table, landing, span, datetime(2030, 1, 1, tzinfo=UTC))
        broken = dirty.report.broken.get(table, {})
        assert report.reasons == {r: n for r, n in broken.items() if r not in JUDGED_LATER}, table
        assert report.unchanged == dirty.report.dirt["duplicate"].get(table, 0), table
        assert report.read == dirty.report.rows[table], table


def test_a_clean_shop_lists_nothing(clean: Drawn) -> None:
    assert clean.one("select count(*) from truth_dirt") == 0
    assert not any(clean.report.dirt.values())
    assert DIRTY.first + timedelta(days=DIRTY.days - 1) == DIRTY.last
