"""What an adapter declares: which landing files feed which table, and how a record maps.

Declarations only. Reading files, judging rows and keeping count is the business of the ingest;
the adapters themselves live in `pipelines/adapters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

import polars as pl

from pipelines.core.contracts import TABLES
from pipelines.core.errors import HuitouError


class AdapterError(HuitouError):
    """An adapter broke its promise: a fault in its code, not in the data."""


@dataclass(frozen=True, eq=False)
class Files:
    """Landing files of one shape.

    Parameters
    ----------
    patterns
        Globs below the landing folder; the first that finds anything is the one that counts.
        `.csv`, `.csv.gz` and `.parquet` are read.
    columns
        The columns every file has, and the type each is read as. A file without one of them is
        refused; a cell that is not of the type sends its record to the quarantine.
    optional
        Columns that a file may lack; they are null then.
    aliases
        Name in the file → name here, where formats of the same data differ.
    required
        Whether it is an error that no such file is there.
    """

    patterns: tuple[str, ...]
    columns: Mapping[str, pl.DataType]
    optional: Mapping[str, pl.DataType] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    required: bool = True

    @property
    def types(self) -> dict[str, pl.DataType]:
        """Every column that a mapping may read, with its type."""
        return {**self.columns, **self.optional}


@dataclass(frozen=True, eq=False)
class Feed:
    """One way from landing files to a table.

    A feed takes *records*: its mapping returns one row for each record it is given. Of the feeds
    of the same files each record goes to the first whose `where` is true of it, and to the one
    without `where` otherwise, so that every record is claimed exactly once.
    A *derived* feed sees all records and returns rows of another grain, such as the orders that
    lines belong to; `_file` and `_row` then name the first record a row was made from.

    Parameters
    ----------
    needs
        Other files the mapping looks things up in; it gets each whole, as a keyword argument.
    history
        The mapping also gets `history`: the records of these files from the first day on.
    stream
        The mapping looks at each record by itself, so that large files may come in pieces.
    method
        The adapter's method, `map_<table>` unless named.
    """

    table: str
    files: Files
    where: pl.Expr | None = None
    derived: bool = False
    needs: Mapping[str, Files] = field(default_factory=dict)
    history: bool = False
    stream: bool = False
    method: str = ""

    @property
    def name(self) -> str:
        """The mapping's name, which tells feeds of one table apart."""
        return self.method or f"map_{self.table}"


class Adapter:
    """A source system. Subclasses declare; the ingest does the work.

    A mapping gets a polars frame of records with the columns of `Files.types` and `_file`, `_row`
    (1-based, header not counted), `_day` (landing day), and returns one with `_file`, `_row` and
    any of the contract's columns; those it leaves out are null. It may add

    - `event_at`, for tables whose rows have no time of their own,
    - `is_deleted`, false unless given,
    - `_reject`, a reason of `reasons` for rows that the brand's numbers must not hold.
    """

    name: ClassVar[str]
    business_tz: ClassVar[str]
    currency: ClassVar[str]
    feeds: ClassVar[tuple[Feed, ...]]
    #: Reasons the mappings put in `_reject`, with the remedy a reader is given.
    reasons: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        for feed in cls.feeds:
            if feed.table not in TABLES:
                message = f"{cls.__name__} feeds {feed.table!r}, which is no source table"
                raise TypeError(message)
            if not callable(getattr(cls, feed.name, None)):
                message = f"{cls.__name__} has no method {feed.name}"
                raise TypeError(message)
            homes = [f for f in cls._siblings(feed) if f.where is None]
            if not feed.derived and len(homes) != 1:
                message = (
                    f"{cls.__name__}: of the feeds of {feed.files.patterns} one must have no "
                    f"`where`, to take the records that no other claims; {len(homes)} have none"
                )
                raise TypeError(message)

    @classmethod
    def _siblings(cls, feed: Feed) -> list[Feed]:
        return [f for f in cls.feeds if f.files is feed.files and not f.derived]

    def landing_day(self, path: str) -> date | None:  # noqa: ARG002  # undated unless overridden
        """The day that landed the file at `path` (relative to the landing folder).

        None means an undated extract: it belongs to the last day of the load that first sees it.
        """
        return None

    def is_home(self, feed: Feed) -> bool:
        """Whether the feed takes the records that no other feed of its files claims."""
        return not feed.derived and feed.where is None

    def shares(self, feed: Feed) -> list[str]:
        """The tables that the records of the feed's files go to."""
        return sorted({f.table for f in self._siblings(feed)})

    def claim(self, feed: Feed) -> pl.Expr:
        """True for the records that are the feed's; every record is exactly one feed's."""
        if feed.derived:
            return pl.lit(True)
        siblings = self._siblings(feed)
        others = siblings if feed.where is None else siblings[: siblings.index(feed)]
        taken = [f.where.fill_null(False) for f in others if f.where is not None]
        free = ~pl.any_horizontal(taken) if taken else pl.lit(True)
        return free if feed.where is None else feed.where.fill_null(False) & free
