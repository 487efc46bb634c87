"""Words that mappings share: money, local times, the record that a derived row came from."""

from __future__ import annotations

import polars as pl


def minor(amount: pl.Expr) -> pl.Expr:
    """An amount of whole units as a whole number of minor units."""
    return (amount * 100).round().cast(pl.Int64)


def instant(local: pl.Expr, tz: str) -> pl.Expr:
    """The UTC instant of a local time in `tz`.

    An hour that happens twice is taken as its first, one that is skipped as the hour after it.
    """
    known = local.dt.replace_time_zone(tz, ambiguous="earliest", non_existent="null")
    skipped = local.dt.offset_by("1h").dt.replace_time_zone(
        tz, ambiguous="earliest", non_existent="null"
    )
    return pl.coalesce(known, skipped).dt.convert_time_zone("UTC")


def midnight(day: pl.Expr, tz: str) -> pl.Expr:
    """The UTC instant at which a local day begins in `tz`."""
    return instant(day.cast(pl.Datetime("us")), tz)


def local_day(at: pl.Expr, tz: str) -> pl.Expr:
    """The local day that an instant belongs to in `tz`."""
    return at.dt.convert_time_zone(tz).dt.date()


def first_record() -> tuple[pl.Expr, pl.Expr]:
    """In a grouping of records, the place of the group's first one."""
    return pl.col("_file").first(), pl.col("_row").first()
