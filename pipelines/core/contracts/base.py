"""What a contract is made of: field helpers, rules, and the registry's entry.

A contract is one `pandera.polars` model a source table. Its columns, types, words and rules are
written there once; the Arrow schema, the dbt sources and the docs derive from it. What needs a
second table to be judged (an orphan line, a redemption after expiry) is no rule of a contract:
a parent may land a day later, so dbt judges it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import pandera.polars as pp
import polars as pl
import pyarrow as pa

Instant = Annotated[pl.Datetime, "us", "UTC"]
Strings = Annotated[pl.List, pl.String]
Dates = Annotated[pl.List, pl.Date]

INSTANT = pl.Datetime("us", "UTC")
#: Polars type -> (Arrow type in the lake, type in the warehouse). No contract uses any other.
TYPES: dict[pl.DataType, tuple[pa.DataType, str]] = {
    pl.String(): (pa.string(), "varchar"),
    pl.Int64(): (pa.int64(), "bigint"),
    pl.Float64(): (pa.float64(), "double"),
    pl.Boolean(): (pa.bool_(), "boolean"),
    pl.Date(): (pa.date32(), "date"),
    INSTANT: (pa.timestamp("us", tz="UTC"), "timestamptz"),
    pl.List(pl.String()): (pa.list_(pa.string()), "varchar[]"),
    pl.List(pl.Date()): (pa.list_(pa.date32()), "date[]"),
}
#: What the lake adds to every row, whatever its table. `event_at` is null where a row has no time
#: of its own: an order line happened when its order did, a survey question is timeless.
COMMON: dict[str, pl.DataType] = {
    "source_system": pl.String(),
    "source_row_id": pl.String(),
    "event_at": INSTANT,
    "known_at": INSTANT,
    "landing_day": pl.Date(),
    "source_file": pl.String(),
    "source_row": pl.Int64(),
    "is_deleted": pl.Boolean(),
    "row_hash": pl.String(),
    "load_id": pl.String(),
}
#: Joins the values of a key of several columns to one `source_row_id`.
KEY_SEPARATOR = "|"


class SourceTable(pp.DataFrameModel):  # type: ignore[misc]  # pandera has no types here
    """A row as it is judged: the table's own columns and these two of the load."""

    known_at: Instant = pp.Field(description="When the pipeline first held this version.")
    is_deleted: bool = pp.Field(description="The source says that the row is gone.")

    class Config:
        """No other columns than the declared ones."""

        strict = True


def required(description: str, *, pii: str = "", one_of: tuple[str, ...] = ()) -> Any:
    """A column that every row has; without it the reason is `<column>_missing`."""
    return _field(description, pii, one_of, nullable=False)


def optional(description: str, *, pii: str = "", one_of: tuple[str, ...] = ()) -> Any:
    """A column that may be null, which means that the source does not say."""
    return _field(description, pii, one_of, nullable=True)


def _field(description: str, pii: str, one_of: tuple[str, ...], *, nullable: bool) -> Any:
    return pp.Field(
        nullable=nullable,
        description=description,
        isin=list(one_of) or None,
        metadata={"pii": pii, "one_of": one_of},
    )


def rule(column: str, remedy: str) -> Callable[[Any], Any]:
    """Make a classmethod that returns an expression a rule of its model.

    The expression is true, or null, for the rows that keep the rule; the method's name is the
    quarantine reason of the others, `column` the one a reader should look at first.
    """

    def decorate(method: Any) -> Any:
        function = method.__func__

        def check(cls: type[SourceTable], data: pp.PolarsData) -> pl.LazyFrame:
            frame: pl.LazyFrame = data.lazyframe
            return frame.select(function(cls))

        return pp.dataframe_check(name=function.__name__, title=column, description=remedy)(check)

    return decorate


@dataclass(frozen=True)
class Column:
    """One column of a contract. `pii` says what kind of personal data it is, "" for none."""

    name: str
    dtype: pl.DataType
    required: bool
    description: str
    pii: str
    one_of: tuple[str, ...]

    @property
    def data_type(self) -> str:
        """The column's type in the warehouse."""
        return TYPES[self.dtype][1]


@dataclass(frozen=True)
class Rule:
    """A rule of a contract: `name` is the quarantine reason."""

    name: str
    column: str
    remedy: str


@dataclass(frozen=True)
class Contract:
    """What a source table promises: its columns, its key, when a row happened, its rules."""

    name: str
    model: type[SourceTable]
    key: tuple[str, ...]
    happened: str = ""  # the column that `event_at` repeats; "" where a row has no time

    @property
    def description(self) -> str:
        """What a row of the table is."""
        return " ".join((self.model.__doc__ or "").split())

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The table's own columns, in order."""
        fields = self.model.to_schema().columns
        return {
            name: Column(
                name,
                field.dtype.type,
                not field.nullable,
                field.description,
                field.metadata["pii"],
                field.metadata["one_of"],
            )
            for name, field in fields.items()
            if name not in SourceTable.to_schema().columns
        }

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """The named rules between columns of one row."""
        checks = self.model.to_schema().checks
        return {c.name: Rule(c.name, c.title, c.description) for c in checks}

    @property
    def pii(self) -> tuple[str, ...]:
        """The columns that hold personal data of any kind."""
        return tuple(c.name for c in self.columns.values() if c.pii)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table's raw files: the common columns, then its own."""
        own = {name: column.dtype for name, column in self.columns.items()}
        return pa.schema([(name, TYPES[dtype][0]) for name, dtype in {**COMMON, **own}.items()])
