"""One chunk of records through one feed: claim, cast, map, judge.

Every record of the chunk that is the feed's comes out accepted or rejected, with the record as
its file held it beside each rejected row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines.core.contracts import TABLES
from pipelines.core.ingest.cast import cast
from pipelines.core.ingest.judge import judge
from pipelines.core.source import Adapter, AdapterError, Feed, Files

#: Where a record stands: its file, its number in it; and the file's landing day.
AT = ("_file", "_row")
PLACE = (*AT, "_day")
REJECTED = {
    "_file": pl.String(),
    "_row": pl.Int64(),
    "source_row_id": pl.String(),
    "column": pl.String(),
    "reason": pl.String(),
    "reasons": pl.List(pl.String()),
    "value": pl.String(),
    "original": pl.String(),
}


@dataclass(frozen=True)
class Chunk:
    """Records as their files held them, with their places; and those that could not be read."""

    frame: pl.DataFrame
    broken: pl.DataFrame


@dataclass(frozen=True)
class Outcome:
    """What became of a chunk; `read` counts by file the feed's records, or derived rows."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    read: dict[str, int]


def typed(frame: pl.DataFrame, files: Files) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The records as a mapping reads them, and a fault for each cell that is not of its type."""
    frame = frame.rename(files.aliases, strict=False)
    absent = {n: pl.lit(None, t) for n, t in files.optional.items() if n not in frame.columns}
    return cast(frame.with_columns(**absent).select(*PLACE, *files.types), files.types)


def sound(frame: pl.DataFrame, files: Files) -> pl.DataFrame:
    """The records whose every cell is of its type: what mappings look things up in."""
    records, faults = typed(frame, files)
    return records.with_row_index("_index").join(faults, on="_index", how="anti").drop("_index")


def run(
    adapter: Adapter,
    feed: Feed,
    chunk: Chunk,
    context: Mapping[str, pl.DataFrame],
    known_at: datetime,
) -> Outcome:
    """Accept or reject every record of the chunk that is the feed's.

    Raises:
        AdapterError: the mapping lost, doubled or invented a record.
    """
    records, faults = typed(chunk.frame, feed.files)
    mine = records.with_row_index("_index").filter(adapter.claim(feed))
    good = mine.join(faults, on="_index", how="anti", maintain_order="left").drop("_index")
    mapped = getattr(adapter, feed.name)(good, **context)
    if feed.derived:
        mapped = mapped.filter(pl.col("_file").is_in(chunk.frame["_file"].unique().implode()))
        read = mapped.select(AT)
        lost = []
    else:
        _check_one_to_one(adapter, feed, good, mapped)
        broken = chunk.broken if adapter.is_home(feed) else chunk.broken.clear()
        read = pl.concat([mine.select(AT), broken.select(AT)])
        lost = [_unreadable(mine, faults), broken.with_columns(reasons=pl.concat_list("reason"))]
    verdict = judge(TABLES[feed.table], mapped, known_at)
    rejected = pl.concat([verdict.rejected, *lost], how="diagonal")
    counts = read.group_by("_file").len()
    return Outcome(
        verdict.accepted,
        _with_originals(rejected, chunk.frame).select(*REJECTED),
        dict(zip(counts["_file"], counts["len"], strict=True)),
    )


def _check_one_to_one(adapter: Adapter, feed: Feed, given: pl.DataFrame, got: pl.DataFrame) -> None:
    if got.height == given.height and got.select(AT).equals(given.select(AT)):
        return
    extra = got.join(given, on=AT, how="anti").height
    missing = given.join(got, on=AT, how="anti").height
    if extra or missing or got.height != given.height:
        message = (
            f"{adapter.name}.{feed.name} was given {given.height} records and returned "
            f"{got.height} rows; {missing} records are missing and {extra} rows have none"
        )
        raise AdapterError(message, "return one row a record, or declare the feed `derived`")


def _unreadable(mine: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    """The records with a cell that is not of its type: first fault, and all reasons."""
    first = faults.group_by("_index", maintain_order=True).agg(
        pl.col("column", "reason", "value").first(), reasons=pl.col("reason")
    )
    return mine.select("_index", *AT).join(first, on="_index", how="inner").drop("_index")


def _with_originals(rejected: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """Each rejected row with the record it came from, as JSON of what its file held."""
    held = records.join(rejected, on=AT, how="semi").select(
        *AT, _original=pl.struct(_json_ready(records.drop(PLACE))).struct.json_encode()
    )
    if "original" not in rejected.columns:
        rejected = rejected.with_columns(original=pl.lit(None, pl.String))
    joined = rejected.join(held, on=AT, how="left", maintain_order="left")
    whole = {n: pl.lit(None, t) for n, t in REJECTED.items() if n not in joined.columns}
    return joined.with_columns(original=pl.coalesce("original", "_original"), **whole)


def _json_ready(records: pl.DataFrame) -> list[pl.Expr]:
    """The columns, those that JSON has no word for as text."""
    return [
        pl.col(name).bin.encode("base64")
        if dtype == pl.Binary
        else pl.col(name).cast(pl.String)
        if isinstance(dtype, pl.Decimal | pl.Time | pl.Duration | pl.Categorical | pl.Enum)
        else pl.col(name)
        for name, dtype in records.schema.items()
    ]
