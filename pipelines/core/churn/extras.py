"""What the feature log knows beyond purchases, as columns that trees can read.

The table is what the point-in-time join returns: `member_id`, `event_timestamp` (of the cut-off,
see `seen_at`) and any features. Numbers stay numbers, instants become days before the row's own,
lists their length and whether they hold each of their frequent words, texts their rank by
frequency.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn.history import EPOCH, Floats, Ints
from pipelines.core.clock import as_of_for

KEY, AT = "member_id", "event_timestamp"
PREFIX = "log_"
#: Texts that have a rank of their own, and words of a list that have a column of their own.
MOST_TEXTS, MOST_WORDS = 50, 20
#: Known values, of past cut-offs, that a column or word needs to be learnt from.
LEAST_KNOWN = 100
#: Words that become names of columns; those of the model itself do not: it would read its own echo.
WORD, OWN_WORDS = "[A-Za-z0-9_.-]+", "risk."
MICROSECONDS_A_DAY = 86_400_000_000
INSTANT = pa.timestamp("us", tz="UTC")

#: Tells of members, by ascending id, what the log knew of them at one cut-off: a row each.
Known: TypeAlias = Callable[[pa.Array], pa.Table]


def seen_at(cutoff: int, business_tz: str) -> datetime:
    """The instant of a row at the end of day `cutoff`: the last one before its run's `as_of`.

    So a night learns from the nights before it, and the same night run again learns the same.
    """
    return as_of_for(EPOCH + timedelta(days=cutoff), business_tz) - timedelta(microseconds=1)


@dataclass(frozen=True)
class Extras:
    """Feature values at several instants; days are cut in the brand's time zone."""

    table: pa.Table
    business_tz: str

    def at(self, cutoff: int) -> pa.Table:
        """The rows of the cut-off at the end of that day."""
        return self.table.filter(pc.equal(self.table[AT].cast(INSTANT), self._instant(cutoff)))

    def until(self, cutoff: int) -> Extras:
        """The rows of cut-offs up to the end of day `cutoff`."""
        before = pc.less_equal(self.table[AT].cast(INSTANT), self._instant(cutoff))
        return Extras(self.table.filter(before), self.business_tz)

    def only(self, cutoffs: Sequence[int]) -> Extras:
        """The rows of these cut-offs."""
        wanted = pa.array([seen_at(each, self.business_tz) for each in cutoffs], INSTANT)
        chosen = pc.is_in(self.table[AT].cast(INSTANT), value_set=wanted)
        return Extras(self.table.filter(chosen), self.business_tz)

    def _instant(self, cutoff: int) -> pa.Scalar:
        return pa.scalar(seen_at(cutoff, self.business_tz), INSTANT)


@dataclass(frozen=True)
class Column:
    """One column of numbers, and how `source` becomes it.

    `words` are the texts of a `text` by frequency, or the word that a list `has`.
    """

    source: str
    kind: str
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the column."""
        return f"{self.source}.{self.words[0]}" if self.kind == "has" else self.source

    def values(self, rows: pa.Table) -> Floats:
        """The column as numbers, NaN for null."""
        column = rows[self.source].combine_chunks()
        if self.kind == "has":
            return _holds(column, self.words[0])
        if self.kind == "instant":
            apart = pc.subtract(rows[AT].cast(pa.int64()), column.cast(INSTANT).cast(pa.int64()))
            column = pc.divide(pc.cast(apart, pa.float64()), float(MICROSECONDS_A_DAY))
        elif self.kind == "list":
            column = pc.list_value_length(column)
        elif self.kind == "text":
            column = pc.index_in(column, value_set=pa.array(self.words, pa.string()))
        values: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
        return values


def _holds(lists: pa.Array, word: str) -> Floats:
    """1 for each list that holds the word, 0 for each that does not, NaN for null."""
    found = pc.equal(pc.list_flatten(lists), word).to_numpy(zero_copy_only=False)
    owners: Ints = pc.list_parent_indices(lists).to_numpy()[found.astype(bool)]
    held = np.bincount(owners, minlength=len(lists)) > 0
    return np.where(lists.is_valid().to_numpy(zero_copy_only=False), held, np.nan)


@dataclass(frozen=True)
class Encoder:
    """Which columns of the feature log a model reads, fixed when it is trained."""

    columns: tuple[Column, ...] = ()

    @classmethod
    def learn(cls, extras: Extras | None) -> Encoder:
        """An encoder of every column that says enough to learn from."""
        if extras is None:
            return cls()
        table = extras.table
        names = [name for name in table.column_names if name not in (KEY, AT)]
        return cls(tuple(column for name in names for column in _columns(name, table[name])))

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
            if column.source in rows.column_names
            else absent
            for column in self.columns
        }

    def to_json(self) -> list[dict[str, Any]]:
        """The encoder as `from_json` reads it."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> Encoder:
        """What `to_json` gave."""
        return cls(tuple(Column(c["source"], c["kind"], tuple(c["words"])) for c in value))


def _columns(name: str, values: pa.ChunkedArray) -> list[Column]:
    """What is read of a column; nothing where too few values are known, or of other types."""
    kind = values.type
    if len(values) - values.null_count < LEAST_KNOWN:
        return []
    if pa.types.is_timestamp(kind):
        return [Column(name, "instant")]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        words = _frequent(pc.list_flatten(values)) if _is_text(kind.value_type) else ()
        return [Column(name, "list"), *(Column(name, "has", (word,)) for word in words)]
    if _is_text(kind):
        return [Column(name, "text", tuple(text for text, _ in _counts(values)[:MOST_TEXTS]))]
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return [Column(name, "number")]
    return []


def _frequent(words: pa.ChunkedArray) -> list[str]:
    """The words that a list holds often enough to learn from, most frequent first."""
    counts = [(word, count) for word, count in _counts(words) if count >= LEAST_KNOWN]
    fit = [w for w, _ in counts if re.fullmatch(WORD, w) and not w.startswith(OWN_WORDS)]
    return fit[:MOST_WORDS]


def _counts(texts: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Each text and its count, most frequent first, then by the text itself."""
    counts = [(c["values"], c["counts"]) for c in pc.value_counts(texts.drop_null()).to_pylist()]
    return sorted(counts, key=lambda each: (-each[1], each[0]))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
