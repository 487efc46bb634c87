"""Purchase histories as flat arrays: one row per customer and local day with positive net.

Readers and the view of a history at a cut-off stand here; what is learnt from them does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

EPOCH = date(1970, 1, 1)
#: Buyers by whom a brand has begun, and the share of all: fewer may be wrong dates.
ENOUGH, ENOUGH_SHARE = 20, 0.01


def day_number(day: date) -> int:
    """Days from 1970-01-01 to `day`."""
    return (day - EPOCH).days


@dataclass(frozen=True)
class Snapshot:
    """What was known of every customer at the end of day `cutoff`; one entry per buyer by then.

    `row` is the customer's index in the history, `n` the purchase days so far, `gap` the days
    from `cutoff` to the next purchase day within the history, 0 where there is none.
    """

    cutoff: int
    row: Ints
    n: Ints
    first: Ints
    last: Ints
    net: Floats
    gap: Ints

    def part(self, rows: slice) -> Snapshot:
        """Some of the buyers."""
        return Snapshot(
            self.cutoff,
            self.row[rows],
            self.n[rows],
            self.first[rows],
            self.last[rows],
            self.net[rows],
            self.gap[rows],
        )

    @property
    def recency(self) -> Ints:
        """Whole days since the last purchase day."""
        return self.cutoff - self.last

    @property
    def mean_gap(self) -> Floats:
        """Mean days between purchase days; 0 for one-time buyers."""
        return (self.last - self.first) / np.maximum(self.n - 1, 1)

    def silent_for(self, days: int) -> npt.NDArray[np.bool_]:
        """Who has no purchase day in the `days` after the cut-off, as far as the history goes."""
        silent: npt.NDArray[np.bool_] = ~((self.gap > 0) & (self.gap <= days))
        return silent


@dataclass(frozen=True)
class History:
    """Purchase days of customers, sorted by customer, then day.

    Customer i owns rows `offsets[i]` to `offsets[i + 1]`; `net` is in minor units. `start` is the
    day the brand began (`start_of`), also where only some of its customers are looked at.
    """

    ids: pa.Array
    offsets: Ints
    day: npt.NDArray[np.int32]
    net: Floats
    start: int

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, cutoff: int) -> Snapshot:
        """The buyers as they stood at the end of day `cutoff`, and their next purchase day."""
        seen = np.concatenate([[0], np.cumsum(self.day <= cutoff, dtype=np.int64)])
        starts, ends = self.offsets[:-1], self.offsets[1:]
        counts = seen[ends] - seen[starts]
        row = np.flatnonzero(counts)
        n, begin = counts[row], starts[row]
        after = begin + n
        following = np.minimum(after, max(len(self.day) - 1, 0))
        gap = np.where(after < ends[row], self.day[following] - cutoff, 0)
        net = sums_between(self.net, begin, after)
        first, last = self.day[begin].astype(np.int64), self.day[after - 1].astype(np.int64)
        return Snapshot(cutoff, row, n, first, last, net, gap.astype(np.int64))

    def days_within(self, snapshot: Snapshot, days: int) -> Ints:
        """Purchase days of each buyer in the `days` after the snapshot's cut-off."""
        end = snapshot.cutoff + days
        inside = (self.day > snapshot.cutoff) & (self.day <= end)
        seen = np.concatenate([[0], np.cumsum(inside, dtype=np.int64)])
        within: Ints = (seen[self.offsets[1:]] - seen[self.offsets[:-1]])[snapshot.row]
        return within

    def part(self, begin: int, end: int) -> History:
        """The customers `begin` to `end`, as a view."""
        first, last = int(self.offsets[begin]), int(self.offsets[end])
        return History(
            self.ids.slice(begin, end - begin),
            self.offsets[begin : end + 1] - first,
            self.day[first:last],
            self.net[first:last],
            self.start,
        )

    def choose(self, customers: Ints) -> History:
        """The history of some customers, given by ascending index."""
        counts = np.diff(self.offsets)[customers]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[customers] - offsets[:-1], counts)
        ids = self.ids.take(pa.array(customers))
        return History(ids, offsets, self.day[rows], self.net[rows], self.start)

    def sample(self, size: int) -> History:
        """At most `size` customers, drawn the same way each time."""
        if len(self) <= size:
            return self
        drawn = np.random.default_rng(0).choice(len(self), size, replace=False)
        return self.choose(np.sort(drawn).astype(np.int64))

    def until(self, cutoff: int) -> History:
        """What was known at the end of day `cutoff`: earlier purchase days, their customers."""
        kept = self.day <= cutoff
        seen = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
        counts = np.diff(seen[self.offsets])
        customers = np.flatnonzero(counts)
        offsets = np.concatenate([[0], np.cumsum(counts[customers])])
        ids = self.ids.take(pa.array(customers))
        return History(ids, offsets, self.day[kept], self.net[kept], self.start)


def sums_between(values: Floats, begin: Ints, end: Ints) -> Floats:
    """The sum of `values[begin:end]` for each pair; every range holds something.

    Each sum depends on nothing outside its range, not even in the last bit.
    """
    if not len(begin):
        return np.zeros(0)
    pairs = np.column_stack([begin, end]).ravel()
    sums: Floats = np.add.reduceat(np.append(values, 0.0), pairs)[::2]
    return sums


def from_rows(ids: pa.Array, day: npt.NDArray[np.int32], net: Floats) -> History:
    """The history of rows sorted by id and day; rows of one customer and day become one."""
    if not len(ids):
        return History(ids, np.zeros(1, np.int64), day, net, 0)
    new_id = np.ones(len(ids), bool)
    new_id[1:] = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(False)
    new_row = new_id.copy()
    new_row[1:] |= day[1:] != day[:-1]
    rows = np.flatnonzero(new_row)
    if len(rows) < len(day):
        net = np.add.reduceat(net, rows)
        day, new_id = day[rows], new_id[rows]
    starts = np.flatnonzero(new_id)
    names = ids.take(pa.array(rows[starts]))
    offsets = np.append(starts, len(day)).astype(np.int64)
    return History(names, offsets, day, net, start_of(day[starts]))


def start_of(first: npt.NDArray[np.int32]) -> int:
    """The day a brand began, from each customer's first purchase day; strays do not count.

    The pace of new buyers, once there are enough, is followed back to where it began.
    """
    enough = min(max(ENOUGH, int(ENOUGH_SHARE * len(first))), (len(first) + 1) // 2)
    ordered = np.sort(first)
    reached, again = int(ordered[enough - 1]), int(ordered[min(2 * enough, len(first)) - 1])
    return int(ordered[np.searchsorted(ordered, 2 * reached - again)])


def read_purchase_days(source: pa.Table | Path, until: int) -> History:
    """The history in `mart_purchase_days`, a table or a Parquet file, up to the day `until`.

    Equal rows in any order give an equal history.
    """
    with duckdb.connect() as connection:
        if isinstance(source, pa.Table):
            connection.register("purchase_days", source)
        else:
            connection.read_parquet(str(source)).create_view("purchase_days")
        rows = connection.sql(
            """
            select
                member_id,
                (purchase_date - date '1970-01-01')::integer as day,
                net_minor::double as net,
            from purchase_days
            where purchase_date <= date '1970-01-01' + $until::integer
                and net_minor > 0
            order by member_id, day, net
            """,
            params={"until": until},
        ).to_arrow_table()
    ids = rows["member_id"].combine_chunks()
    return from_rows(ids, rows["day"].to_numpy(), rows["net"].to_numpy())
