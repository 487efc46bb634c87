"""The real data sets: what was published of them is what the lake holds, and nothing is lost.

They are not part of the repository; `HUITOU_REAL_DATA` names the folder that holds them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import adapters
from pipelines.core.home import REPOSITORY, Brand
from pipelines.core.ingest import LoadReport, accounting, load, summary

pytestmark = pytest.mark.integration
DATA = Path(os.environ.get("HUITOU_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
DAYS = date(2009, 1, 1), date(2018, 12, 31)
KNOWN = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Loaded:
    """A data set in a lake; `sql` queries its raw tables by name."""

    brand: Brand
    source: str
    reports: dict[str, LoadReport]

    def sql(self, query: str) -> tuple[int, ...]:
        """The one row that the query returns."""
        with duckdb.connect() as duck:
            duck.execute("set timezone = 'UTC'")
            for folder in self.brand.raw.iterdir():
                files = f"read_parquet('{folder}/*.parquet', union_by_name = true)"
                duck.execute(f"create view {folder.name} as select * from {files}")
            row = duck.execute(query).fetchone()
            assert row
            return row

    def load(self, folder: str, *tables: str, later: int = 1) -> dict[str, LoadReport]:
        adapter, known = adapters.get(self.source), KNOWN + timedelta(days=later)
        return {t: load(self.brand, adapter, t, DATA / folder, DAYS, known) for t in tables}

    def assert_every_record_is_accounted_for(self, records: int) -> None:
        accounts = accounting(self.brand)
        assert all(account.is_complete and account.is_balanced for account in accounts)
        assert sum(account.records for account in accounts) == records
        for table in summary(self.brand):
            assert table.read == table.accepted + table.quarantined
            assert table.accepted == table.new + table.unchanged


Load = Callable[[str], Loaded]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Loads a data set once for all tests of the module."""
    kept: dict[str, Loaded] = {}

    def get(name: str) -> Loaded:
        if not (DATA / name).is_dir():
            pytest.skip(f"real data is missing: set HUITOU_REAL_DATA to the folder with {name}/")
        if name not in kept:
            brand = Brand(tmp_path_factory.mktemp(name) / "brands" / name)
            loaded = Loaded(brand, name, {})
            tables = dict.fromkeys(feed.table for feed in adapters.get(name).feeds)
            loaded.reports = loaded.load(name, *tables, later=0)
            kept[name] = loaded
        return kept[name]

    return get


def test_online_retail_ii_is_read_in_full_and_none_of_it_is_lost(real: Load) -> None:
    loaded = real("online_retail_ii")
    loaded.assert_every_record_is_accounted_for(1_067_370)
    lines, refunds = loaded.reports["order_lines"], loaded.reports["refunds"]
    assert lines.read + refunds.read == 1_067_370
    assert refunds.read == 19_494 + 3_457  # cancellations and other negative quantities
    assert loaded.reports["members"].new == 5_942
    # 6 202 lines without a price: 71 were gifts to a customer, the others stock corrections
    free = lines.reasons["stock_adjustment"] + refunds.reasons["stock_adjustment"]
    assert free == 6_202 - 71
    assert loaded.sql("select count(*) from order_lines where is_gift")[0] <= 71


def test_the_overlap_of_the_two_sheets_is_counted_once(real: Load) -> None:
    loaded = real("online_retail_ii")
    lines = pl.read_parquet(DATA / "online_retail_ii" / "lines.parquet").with_row_index("n", 1)
    first = lines.filter(sheet="2009-2010")["invoice"].unique()
    twice = lines.filter(pl.col("sheet") == "2010-2011", pl.col("invoice").is_in(first.implode()))
    assert twice.height == 22_523
    rows = f"source_row in {tuple(twice['n'])}"
    for table in ("order_lines", "refunds"):
        assert loaded.sql(f"select count(*) from {table} where {rows}") == (0,)
    unchanged = sum(loaded.reports[t].unchanged for t in ("order_lines", "refunds"))
    # the rest of the overlap has no price or no customer, and is in quarantine
    held = sum(
        pl.read_parquet(loaded.brand.quarantine / table / "*.parquet")
        .filter(pl.col("source_row").is_in(twice["n"].implode()))
        .height
        for table in ("order_lines", "refunds")
    )
    assert unchanged + held == 22_523


def test_the_csvs_by_day_are_the_second_year_of_the_parquet(real: Load) -> None:
    loaded = real("online_retail_ii")
    reports = loaded.load("online_retail_ii/by_day", "order_lines", "orders")
    assert len(reports["order_lines"].files) == 305
    assert sum(f.records for f in reports["order_lines"].files) == 541_909
    assert (reports["order_lines"].new, reports["orders"].new) == (0, 0)


def test_the_money_of_online_retail_ii_adds_up(real: Load) -> None:
    loaded = real("online_retail_ii")
    lines, orders = loaded.sql(
        "select (select sum(line_net_minor) from order_lines), (select sum(paid_minor) from orders)"
    )
    assert lines == orders
    orphans, early, above = loaded.sql(
        """
        with given_back as (select order_id, sum(amount_minor) as amount from refunds group by 1)
        select
            count(*) filter (o.order_id is null),
            (
                select count(*) from refunds join orders using (order_id)
                where refunded_at < ordered_at
            ),
            sum(greatest(amount - paid_minor, 0))
        from given_back left join orders o using (order_id)
        """
    )
    assert (orphans, early) == (0, 0)
    assert above < 0.003 * orders  # more given back than an order cost: the original was a guess


def test_completejourney_redemptions_meet_visits_on_new_yorks_days(real: Load) -> None:
    loaded = real("completejourney")
    meets = """
        select count(*) from coupon_redemptions r join coupon_issues i using (issue_id)
        where exists (
            select 1 from orders o
            where o.member_id = i.member_id
            and {} = (r.redeemed_at at time zone 'America/New_York')::date
        )
    """
    new_york = "(o.ordered_at at time zone 'America/New_York')::date"
    assert loaded.sql("select count(*), count(order_id) from coupon_redemptions") == (2_102, 1_747)
    assert loaded.sql(meets.format(new_york)) == (1_747,)
    days = pl.read_parquet(DATA / "completejourney" / "coupon_redemptions.parquet")
    kept = loaded.sql(
        "select count(distinct split_part(redemption_id, '-', 1) || redemption_id[-10:]) "
        "from coupon_redemptions "
        "where (redeemed_at at time zone 'America/New_York')::date = redemption_id[-10:]::date"
    )[0]
    assert kept == days.select("household_id", "redemption_date").n_unique()
    # the wrong zone is not harmless: on UTC's days fewer redemptions would meet a visit
    assert loaded.sql(meets.format("(o.ordered_at at time zone 'UTC')::date")) == (1_513,)


def test_completejourney_holds_what_was_published(real: Load) -> None:
    loaded = real("completejourney")
    loaded.assert_every_record_is_accounted_for(100_000 + 92_331 + 2_102)
    new = {table: report.new for table, report in loaded.reports.items()}
    assert new == {
        "order_lines": 100_000 - 577,
        "orders": 56_625,
        "stores": 308,
        "members": 2_405 + 1,  # one household of the campaigns has no sampled visit
        "products": 92_331,
        "coupon_templates": 1_197,
        "coupon_issues": 800_199,
        "coupon_redemptions": 2_102,
    }
    assert loaded.reports["order_lines"].reasons == {"qty_not_positive": 577}
    outside = """
        select count(*) filter (i.issue_id is null), count(*) filter (
            redeemed_at < i.valid_from or redeemed_at >= i.expires_at
        )
        from coupon_redemptions left join coupon_issues i using (issue_id)
    """
    assert loaded.sql(outside) == (0, 0)


def test_olist_holds_what_was_published(real: Load) -> None:
    loaded = real("olist")
    loaded.assert_every_record_is_accounted_for(14_464 + 15_570 + 14_546 + 32_951)
    new = {table: report.new for table, report in loaded.reports.items()}
    assert new["orders"] == 14_464
    assert new["order_lines"] == 15_570
    assert new["members"] == 14_298
    assert loaded.reports["products"].reasons == {"no_category": 610}
    scores, early = loaded.sql(
        """
        select count(*), count(*) filter (answered_at < ordered_at)
        from survey_answers a join orders o on o.order_id = split_part(answer_id, '-', 2)
        where question_id = 'score'
        """
    )
    assert (scores, early) == (14_546, 58)  # 58 answers predate their purchase, and are kept


@pytest.mark.parametrize("name", ["completejourney", "olist", "online_retail_ii"])
def test_loading_again_adds_nothing(real: Load, name: str) -> None:
    loaded = real(name)
    loads = sorted(loaded.brand.loads.rglob("*.json"))
    again = loaded.load(name, *loaded.reports, later=2)
    assert {table: report.new for table, report in again.items()} == dict.fromkeys(again, 0)
    assert {t: (r.read, r.accepted, r.quarantined) for t, r in again.items()} == {
        t: (r.read, r.accepted, r.quarantined) for t, r in loaded.reports.items()
    }
    assert sorted(loaded.brand.loads.rglob("*.json")) == loads
