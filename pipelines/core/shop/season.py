"""The calendar of a Chinese shop: promotions that pull purchases, holidays that push them away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipelines.core.shop.config import LATEST
from pipelines.core.shop.streams import Array

UNIX_EPOCH = date(1970, 1, 1)
DAY_MS = 86_400_000

#: First day of the lunar year, by year from 2010 on: month and day.
LUNAR_NEW_YEAR = (
    214, 203, 123, 210, 131, 219, 208, 128, 216, 205, 125, 212, 201, 122, 210, 129,
    217, 206, 126, 213, 203, 123, 211, 131, 219, 208, 128, 215, 204, 124, 212,
)  # fmt: skip


@dataclass(frozen=True)
class Promotion:
    """A sale that ends on `peak`: `length` days at `off_bp` off, waited for and caught up with."""

    code: str
    peak: date
    length: int
    off_bp: int
    waited: int
    missed: int
    pull_pct: int

    @property
    def promotion_id(self) -> str:
        """Its id, the same in every table."""
        return f"P-{self.code}-{self.peak:%Y%m}"


def lunar_new_year(year: int) -> date:
    """The first day of the lunar year."""
    month, day = divmod(LUNAR_NEW_YEAR[year - 2010], 100)
    return date(year, month, day)


def promotions(year: int) -> Iterator[Promotion]:
    """The sales of a year; where two meet, the later one of this order counts."""
    for month in range(1, 13):
        yield Promotion("MEMBERDAY", date(year, month, 18), 1, 1000, 2, 2, 12)
    yield Promotion("WOMEN", date(year, 3, 8), 3, 1500, 6, 4, 15)
    yield Promotion("D12", date(year, 12, 12), 2, 1500, 5, 4, 15)
    yield Promotion("NEWYEAR", lunar_new_year(year) - timedelta(days=12), 5, 2000, 6, 3, 20)
    yield Promotion("618", date(year, 6, 18), 4, 2500, 14, 8, 40)
    yield Promotion("D11", date(year, 11, 11), 4, 3000, 18, 12, 55)


class Season:
    """What each day does to joining and buying, from the first day to the calendar's end.

    It never depends on how many days are generated. Arrays are indexed by day, 0 the first.
    """

    def __init__(self, first: date) -> None:
        self.first = first
        self.epoch_day = (first - UNIX_EPOCH).days
        last = LATEST + timedelta(days=366)
        self.days = (last - first).days
        self.weekday = ((np.arange(self.days) + first.weekday()) % 7).astype(np.int8)
        dates = np.datetime64(first) + np.arange(self.days)
        self.month_start = dates == dates.astype("M8[M]").astype("M8[D]")
        self.month = (dates.astype("M8[M]").astype(np.int64) % 12 + 1).astype(np.int8)
        self.yyyymmdd = np.char.replace(dates.astype("S10"), b"-", b"").astype(np.int64)
        self.off_bp = np.zeros(self.days, np.int64)
        self.promotion = np.zeros(self.days, np.int16)  # position in promotion_ids
        self.promotion_ids: list[tuple[str, ...]] = [()]
        self.pull_to = np.arange(self.days, dtype=np.int32)
        self.pull_pct = np.zeros(self.days, np.int8)
        self.joins = np.where(self.weekday >= 5, 130, 100).astype(np.int64)
        for year in range(first.year, last.year):
            for promotion in promotions(year):
                self._promote(promotion)
        for year in range(first.year, last.year):
            self._rest(lunar_new_year(year))
        self.to_weekend = np.where(self.weekday < 5, 5 - self.weekday, 0).astype(np.int8)

    def index(self, day: date) -> int:
        """Position of a date."""
        return (day - self.first).days

    def day(self, index: int) -> date:
        """The date at a position."""
        return self.first + timedelta(days=int(index))

    def midnight(self, day: Array | int) -> Array:
        """Local midnight that begins a day, in milliseconds since the local 1970-01-01."""
        return (np.asarray(day, np.int64) + self.epoch_day) * DAY_MS

    def _days(self, start: int, end: int) -> slice:
        return slice(max(start, 0), min(max(end, 0), self.days))

    def _promote(self, sale: Promotion) -> None:
        peak = self.index(sale.peak)
        on = self._days(peak - sale.length + 1, peak + 1)
        self.off_bp[on] = sale.off_bp
        self.promotion[on] = len(self.promotion_ids)
        self.promotion_ids.append((sale.promotion_id,))
        self.joins[on] = self.joins[on] * (100 + 4 * sale.pull_pct) // 100
        near = self._days(peak - sale.waited, peak + sale.missed + 1)
        self.pull_to[near] = peak - np.arange(near.start, near.stop) % sale.length
        self.pull_pct[near] = sale.pull_pct

    def _rest(self, new_year: date) -> None:
        feast = self.index(new_year)
        quiet = self._days(feast - 2, feast + 7)
        self.pull_to[quiet] = feast + 7 + np.arange(quiet.start, quiet.stop) % 7
        self.pull_pct[quiet] = 75
        self.joins[quiet] = 30
