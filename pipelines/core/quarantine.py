"""The quarantine: rows that broke a rule, files that could not be read, and the way back.

Rows stay here with their reason and the record as its file held it until a replay accepts them.
How rows are judged is the business of the ingest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.core import lake
from pipelines.core.contracts import TABLES, contract
from pipelines.core.errors import InputError
from pipelines.core.home import Brand
from pipelines.core.ingest import apply, landing
from pipelines.core.ingest.loading import LoadReport, placed, together, whole
from pipelines.core.ingest.read import BROKEN, FileError, pieces
from pipelines.core.ingest.staging import Staging
from pipelines.core.source import Adapter, Feed

#: What names a quarantined row: a derived feed can make several rows of one record.
ROW = ("load_id", "feed", "source_file", "source_row", "source_row_id")
#: Records that were never read whole: only a corrected file can bring them back.
UNREADABLE = ("ragged_row", "invalid_utf8")


@dataclass(frozen=True)
class UnreadFile:
    """A landing file that no load could read yet."""

    table: str
    source: str
    file: lake.FailedFile


def rows(
    brand: Brand, table: str | None = None, source: str | None = None, reason: str | None = None
) -> pl.DataFrame:
    """The rows that are in quarantine now, those first seen first."""
    known = {(one.table, one.load_id) for one in lake.manifests(brand, table)}
    held = _read(brand.quarantine, f"{table or '*'}/*.parquet", known)
    gone = _read(brand.quarantine, f"{table or '*'}/resolved/*.parquet", known)
    nothing = pl.DataFrame(lake.QUARANTINE_SCHEMA.empty_table())
    found = pl.concat([nothing, *held])
    if gone:
        found = found.join(pl.concat(gone), on=ROW, how="anti", nulls_equal=True)
    if source:
        found = found.filter(source_system=source)
    if reason:
        found = found.filter(reason=reason)
    return found.sort("first_seen_at", "table", "source_file", "source_row")


def _read(folder: Path, pattern: str, known: set[tuple[str, str]]) -> list[pl.DataFrame]:
    paths = sorted(folder.glob(pattern))
    return [
        pl.read_parquet(path)
        for path in paths
        if (path.relative_to(folder).parts[0], path.stem) in known
    ]


def files(brand: Brand) -> list[UnreadFile]:
    """The landing files that could not be read, and have not been since."""
    failed: dict[tuple[str, str, str, str], UnreadFile] = {}
    for one in lake.manifests(brand):
        for entry in one.files:
            failed.pop((one.table, one.source, entry.feed, entry.path), None)
        for file in one.failed:
            key = one.table, one.source, file.feed, file.path
            failed[key] = UnreadFile(one.table, one.source, file)
    return list(failed.values())


def files_of_last_loads(brand: Brand, tables: Collection[str]) -> list[UnreadFile]:
    """Of the files that could not be read, those that the last loads of these tables tried."""
    tried: set[tuple[str, str, lake.FailedFile]] = set()
    for table in tables:
        loads = lake.manifests(brand, table)
        last = max((one.instant for one in loads), default=None)
        tried |= {(table, m.source, f) for m in loads if m.instant == last for f in m.failed}
    return [one for one in files(brand) if (one.table, one.source, one.file) in tried]


def lines(unread: Iterable[UnreadFile]) -> list[str]:
    """A line for each file: why it cannot be read, what to do, and the tables that miss it."""
    tables: dict[str, set[str]] = {}
    for one in unread:
        tables.setdefault(one.file.words, set()).add(one.table)
    return [
        f"{words} ({', '.join(table for table in TABLES if table in of)})"
        for words, of in tables.items()
    ]


def reasons(brand: Brand) -> pl.DataFrame:
    """How many rows are in quarantine by table, source and reason, and one of them as example."""
    return (
        rows(brand)
        .group_by("table", "source_system", "reason", maintain_order=True)
        .agg(
            pl.len().alias("rows"),
            pl.col("first_seen_at").min(),
            pl.format("{}:{}", pl.col("source_file").first(), pl.col("source_row").first()).alias(
                "example"
            ),
            pl.col("remedy").first(),
        )
        .sort("table", "rows", descending=[False, True])
    )


def preview(brand: Brand, table: str, limit: int = 10) -> str:
    """The rows last seen, as a Markdown table for people to look at."""
    shown = rows(brand, table).reverse().head(limit)
    if shown.is_empty():
        return "Nothing is in quarantine."
    lines = ["| file | row | column | reason | value |", "|---|---|---|---|---|"]
    for row in shown.iter_rows(named=True):
        cells = [row[c] for c in ("source_file", "source_row", "column", "reason", "value")]
        text = [("" if c is None else str(c))[:80].replace("|", "\\|") for c in cells]
        lines.append("| " + " | ".join(" ".join(t.split()) for t in text) + " |")
    return "\n".join(lines)


def replay(
    brand: Brand, adapter: Adapter, table: str, known_at: datetime, folder: Path
) -> LoadReport:
    """Judge the table's quarantined rows again; those that pass now move to raw.

    Rows come from what the quarantine kept; the landing folder is needed only by mappings that
    look things up, and by derived feeds, whose rows are made of several records. A row that was
    overtaken by a later version meanwhile is accepted and adds nothing.

    Raises:
        InputError: a landing file that is needed cannot be read.
        UsageError: `known_at` is earlier than a load that is there.
    """
    entries: list[lake.FileEntry] = []
    load_id = None
    with lake.locked(brand, table):
        lake.sweep(brand, table)
        held = rows(brand, table, adapter.name).filter(~pl.col("reason").is_in(UNREADABLE))
        digests = {
            (one.load_id, entry.feed, entry.path): entry
            for one in lake.manifests(brand, table, adapter.name)
            for entry in one.files
        }
        for feed in (feed for feed in adapter.feeds if feed.table == table):
            mine = held.filter(feed=feed.name)
            context = _context(adapter, feed, folder, mine)
            for batch in mine.partition_by("load_id", maintain_order=True):
                staging = Staging(brand, adapter, contract(table), known_at, kind="replay")
                resolved = _stage(staging, feed, batch, context, folder)
                staging.entries = _entries(resolved, batch, digests, staging)
                load_id = staging.commit(resolved.select(ROW)) or load_id
                entries += staging.entries
    return LoadReport(table, adapter.name, load_id, entries)


def _stage(
    staging: Staging,
    feed: Feed,
    batch: pl.DataFrame,
    context: Mapping[str, pl.DataFrame],
    folder: Path,
) -> pl.DataFrame:
    """Stage what passes of one load's quarantined rows; the rows that are resolved by it."""
    chunk = _landed(feed, batch, folder) if feed.derived else _kept(feed, batch)
    outcome = apply.run(staging.adapter, feed, chunk, context, staging.known_at)
    place = {"_file": "source_file", "_row": "source_row"}
    waiting = batch.select(
        _file="source_file",
        _row="source_row",
        source_row_id="source_row_id",
        _known="first_seen_at",
    )
    on = [*apply.AT, "source_row_id"] if feed.derived else list(apply.AT)
    accepted = outcome.accepted.join(
        waiting if feed.derived else waiting.drop("source_row_id"), on=on, how="inner"
    )
    days = dict(batch.select("source_file", "landing_day").unique().iter_rows())
    staging.add(feed, apply.Outcome(accepted, outcome.rejected.clear(), {}), days)
    keys = [place.get(name, name) for name in on]
    return batch.join(accepted.select(on).rename(place, strict=False), on=keys, how="semi")


def _entries(
    resolved: pl.DataFrame,
    batch: pl.DataFrame,
    digests: Mapping[tuple[str, str, str], lake.FileEntry],
    staging: Staging,
) -> list[lake.FileEntry]:
    """An entry for each file that rows move of, with what they are taken from."""
    entries = []
    for (feed, path), group in resolved.group_by("feed", "source_file", maintain_order=True):
        before = digests[batch["load_id"][0], str(feed), str(path)]
        counts = group.group_by("reason").len().iter_rows()
        staging.moved[before.feed, before.path] = Counter({r: -n for r, n in counts})
        entries.append(
            lake.FileEntry(
                path=before.path,
                sha256=before.sha256,
                feed=before.feed,
                derived=before.derived,
                landing_day=before.landing_day,
                records=before.records,
                shares=before.shares,
            )
        )
    return entries


def _kept(feed: Feed, batch: pl.DataFrame) -> apply.Chunk:
    """The records as the quarantine kept them, every cell as text."""
    records = [json.loads(original) for original in batch["original"]]
    names = list(dict.fromkeys(name for record in records for name in record))
    back = {ours: theirs for theirs, ours in feed.files.aliases.items() if theirs in names}
    names += [n for n in feed.files.types if n not in names and n not in back]
    cells = {name: [_cell(record.get(name)) for record in records] for name in names}
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String)).with_columns(
        _file=batch["source_file"], _row=batch["source_row"], _day=batch["landing_day"]
    )
    return _chunk(frame)


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _chunk(frame: pl.DataFrame) -> apply.Chunk:
    broken = {**BROKEN, "_file": pl.String(), "_day": pl.Date()}
    return apply.Chunk(frame, pl.DataFrame(schema=broken))


def _landed(feed: Feed, batch: pl.DataFrame, folder: Path) -> apply.Chunk:
    """All records of the landing files that a derived feed's rows came from."""
    days: dict[str, date] = dict(batch.select("source_file", "landing_day").unique().iter_rows())
    found = [landing.LandingFile(path, folder / path, day) for path, day in sorted(days.items())]
    try:
        chunks = [placed(p, f) for f in found for p in pieces(f.full, f.path, feed.files)]
    except FileError as problem:
        message = f"cannot replay: {problem}"
        raise InputError(message, problem.remedy) from problem
    return _chunk(together(chunks).frame)


def _context(
    adapter: Adapter, feed: Feed, folder: Path, batch: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    if batch.is_empty():
        return {}
    needs = {**feed.needs, **({"history": feed.files} if feed.history else {})}
    try:
        return {
            name: whole(landing.find(adapter, files, folder), files)
            for name, files in needs.items()
        }
    except FileError as problem:
        message = f"cannot replay: {problem}"
        raise InputError(message, problem.remedy) from problem
