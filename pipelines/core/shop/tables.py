"""The tables a shop exports: their columns, and how numbers become the text of a CSV file.

Inside the shop every column of an event table is a vector of whole numbers. Rows become text
some thousands at a time, in one matrix of bytes: a field for every piece of every column, padded
with NUL, which is dropped at the end. Values no system should export have numbers too, so dirt
stays a vector.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.shop.season import DAY_MS
from pipelines.core.shop.streams import Array

#: Columns by name, all of one length, among them LAND and MARK.
Rows = dict[str, Array]
LAND = "_land"  # index of the day the row lands
MARK = "_mark"  # CLEAN, LATE or CORRECTED
CLEAN, LATE, CORRECTED = 0, 1, 2

NULL = -1  # of a key, word or stamp
NULL_NUMBER = np.iinfo(np.int64).min
BAD_NUMBER = NULL_NUMBER + 1  # written "12.5x"
BAD_STAMP = -2  # written "2025-02-30T25:61:00.000000+08:00"
SHANGHAI_MS = 8 * 3_600_000
CALENDAR = (np.datetime64("2000-01-01"), np.datetime64("2200-01-01"))
BLOCK = 4096  # rows turned into text at once: the matrix stays in the processor's cache


class Column(Protocol):
    """How one column is written: into byte fields, or as an Arrow array."""

    def widths(self, values: Array, /) -> list[int]:
        """Widths of the fields it needs for values such as these."""
        ...

    def write(self, fields: list[Array], values: Array) -> None:
        """Write the values as text into their fields."""
        ...

    def typed(self, values: Array) -> pa.Array:
        """The values as the contract types them."""
        ...


@cache
def _groups() -> Array:
    """0 to 9999 as they begin a number, then as they go on with it."""
    numbers = np.arange(10_000).astype("S4")
    return np.concatenate([numbers, np.char.zfill(numbers, 4)])


@dataclass(frozen=True)
class Key:
    """An id: a prefix and a number of so many digits, a multiple of four."""

    prefix: str
    digits: int

    def widths(self, _values: Array) -> list[int]:
        """The prefix, then four digits at a time."""
        return [len(self.prefix), *[4] * (self.digits // 4)]

    def write(self, fields: list[Array], values: Array) -> None:
        """The ids; nothing where NULL."""
        fields[0][:] = self.prefix.encode()
        padded, rest = _groups()[10_000:], _wide(values)
        for field in reversed(fields[1:]):
            higher = rest // 10_000
            field[:] = padded[rest - higher * 10_000]
            rest = higher
        _blank(fields, values == NULL)

    def typed(self, values: Array) -> pa.Array:
        """The ids."""
        if not len(values):
            return pa.array([], pa.string())
        matrix = _matrix(self.widths(values), len(values))
        self.write([matrix[name] for name in matrix.dtype.names or ()], values)
        width = matrix.dtype.itemsize
        ids = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), len(values), [None, pa.py_buffer(matrix.view(np.uint8))]
        )
        text = ids.cast(pa.binary()).cast(pa.string())
        return pc.if_else(pa.array(values == NULL), pa.scalar(None, pa.string()), text)


def _wide(values: Array) -> Array:
    return values.astype(np.int64, copy=False)


def _blank(fields: list[Array], where: Array) -> None:
    if where.any():
        for field in fields:
            field[where] = b""


@cache
def _clock() -> tuple[Array, Array, Array]:
    first, end = CALENDAR
    days = np.arange(first, end).astype("S10")
    seconds = [f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]
    thousandths = [f".{ms:03d}000+08:00" for ms in range(1000)]
    return days, np.array(seconds, "S9"), np.array(thousandths, "S13")


@dataclass(frozen=True)
class Stamp:
    """An instant: milliseconds since the local 1970-01-01 00:00 in Shanghai."""

    def widths(self, _values: Array) -> list[int]:
        """Day, time, fraction with offset."""
        return [10, 9, 13]

    def write(self, fields: list[Array], values: Array) -> None:
        """ISO-8601 with microseconds and offset; a broken one where BAD_STAMP."""
        days, seconds, thousandths = _clock()
        instants = np.maximum(_wide(values), 0)
        whole = instants // 1000
        fields[2][:] = thousandths[instants - whole * 1000]
        day = whole // 86_400
        fields[1][:] = seconds[whole - day * 86_400]
        fields[0][:] = days[np.maximum(day - CALENDAR[0].astype(np.int64), 0)]
        _blank(fields, values == NULL)
        bad = values == BAD_STAMP
        if bad.any():
            fields[0][bad], fields[1][bad], fields[2][bad] = b"2025-02-30", b"T25:61:00", b"+08:00"

    def typed(self, values: Array) -> pa.Array:
        """UTC, microseconds."""
        instants = (_wide(values) - SHANGHAI_MS) * 1000
        return pa.array(instants, pa.timestamp("us", "UTC"), mask=values == NULL)


def quoted(word: str) -> bytes:
    """A word as a CSV field."""
    if any(sign in word for sign in ',"\r\n'):
        word = '"' + word.replace('"', '""') + '"'
    return word.encode()


def as_json(value: object) -> str:
    """JSON without spaces, Chinese as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Words:
    """One of some words, by position; `bad` is a word of that column which nobody agreed on."""

    words: tuple[str, ...]
    bad: str = ""

    @cached_property
    def _table(self) -> Array:
        """The fields by position; NULL, as position -1, finds the empty one at the end."""
        return np.array([quoted(word) for word in (*self.words, self.bad, "")])

    def widths(self, _values: Array) -> list[int]:
        """The longest word."""
        return [self._table.dtype.itemsize]

    def write(self, fields: list[Array], values: Array) -> None:
        """The words."""
        fields[0][:] = self._table[values]

    def typed(self, values: Array) -> pa.Array:
        """The words."""
        return pa.array(self.words, pa.string()).take(_places(values))


def _places(values: Array) -> pa.Array:
    return pa.array(values, mask=values == NULL)


@dataclass(frozen=True)
class WordLists:
    """One of some lists of words, by position."""

    lists: tuple[tuple[str, ...], ...]
    bad: tuple[str, ...] = ()

    @cached_property
    def _json(self) -> Words:
        return Words(tuple(as_json(words) for words in self.lists), as_json(self.bad))

    def widths(self, values: Array) -> list[int]:
        """The longest list."""
        return self._json.widths(values)

    def write(self, fields: list[Array], values: Array) -> None:
        """JSON arrays."""
        self._json.write(fields, values)

    def typed(self, values: Array) -> pa.Array:
        """Lists of strings."""
        return pa.array(self.lists, pa.list_(pa.string())).take(_places(values))


@dataclass(frozen=True)
class Flag(Words):
    """Yes or no."""

    words: tuple[str, ...] = ("false", "true")

    def write(self, fields: list[Array], values: Array) -> None:
        """`true` or `false`."""
        super().write(fields, values.astype(np.int8))

    def typed(self, values: Array) -> pa.Array:
        """Booleans."""
        return pa.array(values.astype(bool))


@dataclass(frozen=True)
class Number:
    """A whole number of at most twelve digits; `type` is the contract's."""

    type: pa.DataType

    def widths(self, _values: Array) -> list[int]:
        """A sign, then four digits at a time."""
        return [1, 4, 4, 4]

    def write(self, fields: list[Array], values: Array) -> None:
        """Digits; nothing where NULL_NUMBER, and no number where BAD_NUMBER."""
        odd = values <= BAD_NUMBER
        known = np.where(odd, 0, _wide(values))
        fields[0][:] = np.where(known < 0, b"-", b"")
        rest, groups = np.abs(known), _groups()
        fields[1][:] = fields[2][:] = b""
        for field in reversed(fields[1:]):
            higher = rest // 10_000
            goes_on = higher > 0
            some = rest > 0 if field is not fields[-1] else slice(None)
            field[some] = groups[rest - higher * 10_000 + 10_000 * goes_on][some]
            rest = higher
            if not goes_on.any():
                break
        _blank(fields, odd)
        bad = values == BAD_NUMBER
        if bad.any():
            fields[2][bad], fields[3][bad] = b"12.5", b"x"

    def typed(self, values: Array) -> pa.Array:
        """The numbers."""
        return pa.array(values, pa.int64(), mask=values == NULL_NUMBER).cast(self.type)


@dataclass(frozen=True)
class Plain:
    """Python values of a small table, of the Arrow type given; lists are written as JSON."""

    type: pa.DataType

    def widths(self, values: Array) -> list[int]:
        """The longest value."""
        return [max([len(_plain(value)) for value in values], default=1) or 1]

    def write(self, fields: list[Array], values: Array) -> None:
        """The values, as text."""
        fields[0][:] = np.array([_plain(value) for value in values], fields[0].dtype)

    def typed(self, values: Array) -> pa.Array:
        """The values."""
        return pa.array(list(values), self.type)


def _plain(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, tuple):
        return quoted(as_json([str(item) for item in value]))
    return quoted(f"{value:.6f}" if isinstance(value, float) else str(value))


def _matrix(widths: Sequence[int], n: int) -> Array:
    return np.zeros(n, np.dtype([(f"f{i}", f"S{width}") for i, width in enumerate(widths)]))


@dataclass(frozen=True)
class Table:
    """A table of the shop: its columns in the order of the file; the first one names the row."""

    name: str
    columns: dict[str, Column]

    def csv(self, rows: Rows, start: int, end: int) -> bytes:
        """The rows from `start` to `end` as a CSV file with its header."""
        header = ",".join(self.columns).encode() + b"\n"
        return header + b"".join(self._blocks(rows, start, end))

    def _blocks(self, rows: Rows, start: int, end: int) -> Iterator[bytes]:
        widths: list[int] = []
        slots: list[list[str]] = []
        separators: list[str] = []
        for name, column in self.columns.items():
            own = column.widths(rows[name][start:end])
            slots.append([f"f{len(widths) + i}" for i in range(len(own))])
            separators.append(f"f{len(widths) + len(own)}")
            widths += [*own, 1]
        matrix = _matrix(widths, min(BLOCK, end - start))
        for separator in separators[:-1]:
            matrix[separator] = b","
        matrix[separators[-1]] = b"\n"
        for first in range(start, end, BLOCK):
            last = min(first + BLOCK, end)
            block = matrix[: last - first]
            for names, (name, column) in zip(slots, self.columns.items(), strict=True):
                column.write([block[slot] for slot in names], rows[name][first:last])
            yield block.tobytes().translate(None, b"\0")

    def typed(self, rows: Rows, first_epoch_day: int) -> pa.Table:
        """The rows typed by the contract, and the day they landed."""
        arrays = {name: column.typed(rows[name]) for name, column in self.columns.items()}
        landed = rows[LAND].astype(np.int32) + np.int32(first_epoch_day)
        return pa.table({**arrays, "landing_day": pa.array(landed, pa.int32()).cast(pa.date32())})


def rows(n: int, land: Array, **columns: Array | int | bool) -> Rows:
    """`n` clean rows that land on `land`; single values are repeated."""
    given = {LAND: land, MARK: np.zeros(n, np.int8), "is_deleted": False, **columns}
    return {name: _full(n, values) for name, values in given.items()}


def _full(n: int, values: Array | int | bool) -> Array:
    if isinstance(values, np.ndarray):
        return values
    return np.full(n, values, np.int8 if -128 <= values < 128 else np.int64)


def objects(values: Sequence[object]) -> Array:
    """A vector of Python values, tuples among them."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def take(source: Rows, which: Array) -> Rows:
    """The rows at those positions."""
    return {name: values[which] for name, values in source.items()}


def stack(parts: list[Rows]) -> Rows:
    """All rows, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def count(source: Rows) -> int:
    """How many rows."""
    return len(source[LAND])


@dataclass(frozen=True)
class Part:
    """Rows that wait to land: those of `base` at `which`, some columns of their own."""

    base: Rows
    which: Array
    own: Rows

    def column(self, name: str, chosen: Array) -> Array:
        """The values of a column at some positions of the part."""
        values: Array = (
            self.own[name][chosen] if name in self.own else self.base[name][self.which[chosen]]
        )
        return values

    def land(self) -> Array:
        """When each lands."""
        values: Array = self.own[LAND] if LAND in self.own else self.base[LAND][self.which]
        return values

    def only(self, chosen: Array) -> Part:
        """The rows at some positions of the part."""
        own = {name: values[chosen] for name, values in self.own.items()}
        return Part(self.base, self.which[chosen], own)


def part(base: Rows, which: Array | None = None, **own: Array) -> Part:
    """The rows of `base` at `which` (all of them by default), with columns changed."""
    return Part(base, np.arange(count(base)) if which is None else which, own)


def gather(parts: list[Part], source: Array) -> Rows:
    """The rows at those positions of all parts put one after the other; each is copied once."""
    ends = np.cumsum([len(each.which) for each in parts])
    owner = np.searchsorted(ends, source, side="right").astype(np.int16)
    places = [np.flatnonzero(owner == i) for i in range(len(parts))]
    chosen = [
        source[place] - (end - len(each.which))
        for each, place, end in zip(parts, places, ends, strict=True)
    ]
    found: Rows = {}
    for name in parts[0].base:
        columns = [each.column(name, which) for each, which in zip(parts, chosen, strict=True)]
        values = np.empty(len(source), np.result_type(*columns))
        for column, place in zip(columns, places, strict=True):
            values[place] = column
        found[name] = values
    return found


def day_of(at: Array, epoch_day: int) -> Array:
    """Index of the day an instant falls on."""
    day: Array = (at // DAY_MS - epoch_day).astype(np.int32)
    return day
