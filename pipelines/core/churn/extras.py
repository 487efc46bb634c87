"""What the feature log knows beyond purchases, as columns that trees can read.

The table is what the point-in-time join returns: `member_id`, `event_timestamp` (the run's instant
that the values were known at) and any features. Numbers stay numbers, instants become days before
the row's own, lists their length, texts their rank by frequency.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn.history import EPOCH, Floats
from pipelines.core.clock import as_of_for

KEY, AT = "member_id", "event_timestamp"
PREFIX = "log_"
MOST_WORDS = 50
MICROSECONDS_A_DAY = 86_400_000_000
INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Extras:
    """Feature values at several instants; days are cut in the brand's time zone."""

    table: pa.Table
    business_tz: str

    def at(self, cutoff: int) -> pa.Table:
        """The rows of the run that ended day `cutoff`."""
        return self.table.filter(pc.equal(self.table[AT].cast(INSTANT), self._instant(cutoff)))

    def until(self, cutoff: int) -> Extras:
        """What runs up to the end of day `cutoff` knew."""
        before = pc.less_equal(self.table[AT].cast(INSTANT), self._instant(cutoff))
        return Extras(self.table.filter(before), self.business_tz)

    def _instant(self, cutoff: int) -> pa.Scalar:
        return pa.scalar(as_of_for(EPOCH + timedelta(days=cutoff), self.business_tz), INSTANT)


@dataclass(frozen=True)
class Column:
    """One column and how it becomes a number; `words` are its texts, most frequent first."""

    name: str
    kind: str
    words: tuple[str, ...] = ()

    def values(self, rows: pa.Table) -> Floats:
        """The column as numbers, NaN for null."""
        column = rows[self.name].combine_chunks()
        if self.kind == "instant":
            apart = pc.subtract(rows[AT].cast(pa.int64()), column.cast(INSTANT).cast(pa.int64()))
            column = pc.divide(pc.cast(apart, pa.float64()), float(MICROSECONDS_A_DAY))
        elif self.kind == "list":
            column = pc.list_value_length(column)
        elif self.kind == "text":
            column = pc.index_in(column, value_set=pa.array(self.words, pa.string()))
        values: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
        return values


@dataclass(frozen=True)
class Encoder:
    """Which columns of the feature log a model reads, fixed when it is trained."""

    columns: tuple[Column, ...] = ()

    @classmethod
    def learn(cls, extras: Extras | None) -> Encoder:
        """An encoder of every column that says anything."""
        if extras is None:
            return cls()
        table = extras.table
        names = [name for name in table.column_names if name not in (KEY, AT)]
        return cls(tuple(c for name in names if (c := _column(name, table[name])) is not None))

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names that `encode` gives."""
        return tuple(PREFIX + column.name for column in self.columns)

    def encode(self, rows: pa.Table | None, ids: pa.Array) -> dict[str, Floats]:
        """The columns for `ids`, NaN for those without a row.

        A column that `rows` lacks is NaN for everybody: the log may be younger than the model.
        """
        absent = np.full(len(ids), np.nan)
        if rows is None or not len(rows):
            return dict.fromkeys(self.names, absent)
        place = pc.index_in(ids, value_set=rows[KEY].combine_chunks()).to_numpy(False)
        known = ~np.isnan(place)
        where = np.where(known, place, 0).astype(np.int64)
        return {
            PREFIX + column.name: np.where(known, column.values(rows)[where], np.nan)
            if column.name in rows.column_names
            else absent
            for column in self.columns
        }

    def to_json(self) -> list[dict[str, Any]]:
        """The encoder as `from_json` reads it."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> Encoder:
        """What `to_json` gave."""
        return cls(tuple(Column(c["name"], c["kind"], tuple(c["words"])) for c in value))


def _column(name: str, values: pa.ChunkedArray) -> Column | None:
    kind = values.type
    if values.null_count == len(values):
        return None
    if pa.types.is_timestamp(kind):
        return Column(name, "instant")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return Column(name, "list")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        counts = pc.value_counts(values.drop_null()).to_pylist()
        counts.sort(key=lambda each: (-each["counts"], each["values"]))
        return Column(name, "text", tuple(each["values"] for each in counts[:MOST_WORDS]))
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return Column(name, "number")
    return None
