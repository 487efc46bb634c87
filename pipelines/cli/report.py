"""What a run left behind, in a screenful: rows by table, the rates, the risk bands, the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.cli.runner import Outcome
from pipelines.core.clock import business_day
from pipelines.core.feature_log import FeatureLog
from pipelines.core.home import Brand
from pipelines.core.ingest import TableSummary, accounting, summary

RATES = """
    select metric, period_kind, numerator, denominator, value, is_small_n
    from marts.mart_repurchase_kpi
    where period_kind in ('rolling_90d', 'rolling_365d')
        and dimension = 'brand' and maturity = 'raw'
        and (metric, variant) in (
            ('user_repurchase_rate', 'days'),
            ('order_repurchase_rate', 'days'),
            ('active_members', 'purchasers')
        )
    order by metric desc, period_kind
"""
BANDS = """
    with bands as (
        select coalesce(churn_band, 'unscored') as band, count(*) as members
        from features.member_risk_v1
        group by all
    )

    select band, members from bands
    order by array_position(['high', 'mid', 'low', 'unscored'], band)
"""
AS_OF = "select max(as_of) from marts.mart_repurchase_kpi"
VISITS = """
    select redemptions, redemptions_on_visit_day
    from marts.mart_redemption_visit_check
    where redemptions > 0
"""


def show(brand: Brand, outcome: Outcome, console: Console) -> None:
    """Print all of it, from the manifests, the marts and the run's own events."""
    rows = [row for row in summary(brand) if row.files]
    console.print(_rows(rows))
    for row in rows:
        for reason, count in row.reasons.items():
            console.print(
                f"  quarantined, {row.table}: {escape(reason)} {count:,}", highlight=False
            )
    files = accounting(brand)
    records, accounted = sum(f.records for f in files), sum(f.accounted for f in files)
    console.print(f"{records:,} records in {len(files):,} files, {accounted:,} accounted for\n")
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        for line in _marts(warehouse):
            console.print(line, highlight=False)
        as_of = warehouse.sql(AS_OF).fetchall()[0][0]
    console.print(_published(outcome), highlight=False)
    served = FeatureLog(brand.log).latest()
    if served and as_of and served.as_of > as_of:
        day = business_day(served.as_of, brand.config().business_tz)
        console.print(f"[yellow]not served:[/] {day} was run before, and an older day is history")
    warned = f", {len(outcome.checks_warned)} warned" if outcome.checks_warned else ""
    console.print(f"checks: {outcome.checks_passed} passed{warned}", highlight=False)
    for name in outcome.checks_warned:
        console.print(f"  [yellow]warned[/] {name}", highlight=False)


def _rows(rows: Iterable[TableSummary]) -> Table:
    """Rows by table over all loads."""
    table = Table("table", "read", "accepted", "new", "unchanged", "quarantined",
                  title="rows of all loads so far", title_justify="left",
                  box=None, pad_edge=False)  # fmt: skip
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        counts = (row.read, row.accepted, row.new, row.unchanged, row.quarantined)
        table.add_row(row.table, *(f"{count:,}" for count in counts))
    return table


def _marts(warehouse: duckdb.DuckDBPyConnection) -> Iterable[str]:
    for metric, period, numerator, denominator, value, is_small in _all(warehouse, RATES):
        share = "–" if value is None else f"{value:.1%}"
        small = " (small n)" if is_small else ""
        name = f"{metric.replace('_', ' ')}, {period.removeprefix('rolling_')}"
        yield f"{name:<32} {share:>7}   {numerator or 0:,} / {denominator or 0:,}{small}"
    bands = ", ".join(f"{band} {count:,}" for band, count in _all(warehouse, BANDS))
    yield f"{'churn risk, members by band':<32} {bands or 'nobody scored'}"
    for total, met in _all(warehouse, VISITS):
        yield f"{'redemptions on a day of a visit':<32} {met:,} of {total:,}"


def _all(warehouse: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = warehouse.execute(query).fetchall()
    return rows


def _published(outcome: Outcome) -> str:
    """What the run appended to the log and wrote to the store, over all views."""
    total = {
        (kind, count): sum(
            values.get(count, 0) for key, values in outcome.counts.items() if key[0] == kind
        )
        for kind, count in (
            ("log", "upserts"), ("log", "tombstones"), ("online", "upserts"), ("online", "deletes")
        )
    }  # fmt: skip
    return (
        f"feature log: {total['log', 'upserts']:,} changed rows, "
        f"{total['log', 'tombstones']:,} tombstones; "
        f"online store: {total['online', 'upserts']:,} written, "
        f"{total['online', 'deletes']:,} deleted"
    )
