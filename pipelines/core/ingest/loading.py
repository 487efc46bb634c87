"""A load: the landing files of one table, from one source, into the lake.

What it writes counts from the moment its manifest is there. A file that cannot be read at all
fails by itself: the others are loaded, then one error names every bad file, so that nothing
downstream runs and what was served goes on being served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from pipelines.core import lake
from pipelines.core.contracts import contract
from pipelines.core.errors import InputError
from pipelines.core.home import Brand
from pipelines.core.ingest import apply, landing, read
from pipelines.core.ingest.staging import Staging
from pipelines.core.source import Adapter, Feed, Files

#: Records judged at a time; a file is split only for feeds that `stream`.
CHUNK_RECORDS = 250_000

Progress = Callable[[str], None]


class UnreadError(InputError):
    """Landing files of a table that cannot be read at all, each with its own remedy."""

    def __init__(self, table: str, folder: Path, failed: list[lake.FailedFile]) -> None:
        lines = list({failure.path: failure.words for failure in failed}.values())
        what = "1 landing file" if len(lines) == 1 else f"{len(lines)} landing files"
        message = "\n  ".join([f"{what} of {table} in {folder} cannot be read:", *lines])
        super().__init__(message, "see to each file as is said beside it, then load again")


@dataclass(frozen=True)
class LoadReport:
    """What a load found, file by file; files loaded before are there with nothing new."""

    table: str
    source: str
    load_id: str | None
    files: list[lake.FileEntry]

    @property
    def read(self) -> int:
        """Rows read: accepted + quarantined."""
        return sum(f.read for f in self.files)

    @property
    def accepted(self) -> int:
        """Rows fit for the lake: new + unchanged."""
        return sum(f.accepted for f in self.files)

    @property
    def new(self) -> int:
        """Rows that this load added to the lake."""
        return sum(f.new for f in self.files)

    @property
    def unchanged(self) -> int:
        """Rows that the lake held already."""
        return sum(f.unchanged for f in self.files)

    @property
    def quarantined(self) -> int:
        """Rows that broke a rule."""
        return sum(f.quarantined for f in self.files)

    @property
    def reasons(self) -> dict[str, int]:
        """Quarantined rows by reason, the most frequent first."""
        total: Counter[str] = Counter()
        for entry in self.files:
            total.update(entry.reasons)
        return dict(total.most_common())


def load(
    brand: Brand,
    adapter: Adapter,
    table: str,
    folder: Path,
    days: tuple[date, date],
    known_at: datetime,
    progress: Progress | None = None,
) -> LoadReport:
    """Load the table's landing files of `days` that are not in the lake yet.

    Raises:
        UsageError: no such table or folder; or something to load at a `known_at` that is past.
        UnreadError: files that cannot be read, after all others were loaded.
        AdapterError: a mapping broke its promise.
    """
    staging = Staging(brand, adapter, contract(table), known_at)
    with lake.locked(brand, table):
        landing.check(adapter, folder)
        lake.sweep(brand, table)
        lake.prepare(brand)
        before = lake.manifests(brand, table, adapter.name)
        feeds = [feed for feed in adapter.feeds if feed.table == table]
        works = [landing.plan(adapter, feed, folder, days, before) for feed in feeds]
        for work in works:
            _stage(staging, work, days[1], progress or (lambda _: None))
        load_id = staging.commit()
    if staging.failed:
        raise UnreadError(table, folder, staging.failed)
    done = [replace(entry, new=0, unchanged=entry.accepted) for w in works for entry in w.done]
    return LoadReport(table, adapter.name, load_id, [*done, *staging.entries])


def _stage(staging: Staging, work: landing.Work, last: date, progress: Progress) -> None:
    """Stage what the feed makes of its pending files."""
    feed = work.feed
    for patterns in work.missing:
        problem = read.FileError(patterns, "missing_file", "the landing folder has no such file")
        staging.failed.append(_failure(feed, problem, None))
    if work.missing or not work.pending:
        return
    try:
        context = _context(work)
    except read.FileError as problem:
        staging.failed.append(_failure(feed, problem, None))
        return
    days = {file.path: file.day or last for file in work.pending}
    records: Counter[str] = Counter()
    for chunk in _chunks(staging, work, records, progress):
        outcome = apply.run(staging.adapter, feed, chunk, context, staging.known_at)
        staging.add(feed, outcome, days)
    broken = {failure.path for failure in staging.failed}
    staging.entries += [
        lake.FileEntry(
            path=file.path,
            sha256=file.sha256,
            feed=feed.name,
            derived=feed.derived,
            landing_day=days[file.path].isoformat(),
            records=records[file.path],
            needs=work.need_digests,
            shares=staging.adapter.shares(feed),
        )
        for file in work.pending
        if file.path not in broken
    ]


def _chunks(
    staging: Staging, work: landing.Work, records: Counter[str], progress: Progress
) -> Iterator[apply.Chunk]:
    """The pending files' records in chunks of whole files, or of pieces if the feed streams."""
    held: list[apply.Chunk] = []
    count = 0
    for file in work.pending:
        progress(f"{work.feed.table} {file.path}")
        mark, before = len(held), count
        try:
            for piece in read.pieces(file.full, file.path, work.feed.files):
                records[file.path] += piece.count
                count += piece.count
                held.append(placed(piece, file))
                if work.feed.stream and count >= CHUNK_RECORDS:
                    yield together(held)
                    held, count, mark, before = [], 0, 0, 0
        except read.FileError as problem:
            del held[mark:]
            count = before
            staging.failed.append(_failure(work.feed, problem, file.day))
        if count >= CHUNK_RECORDS and not work.feed.history:  # which is read only once
            yield together(held)
            held, count = [], 0
    if count:
        yield together(held)


def placed(piece: read.Piece, file: landing.LandingFile) -> apply.Chunk:
    """The piece's records, each with its file and landing day."""
    place = {"_file": pl.lit(file.path), "_day": pl.lit(file.day, pl.Date)}
    return apply.Chunk(piece.frame.with_columns(**place), piece.broken.with_columns(**place))


def together(chunks: list[apply.Chunk]) -> apply.Chunk:
    """The chunks as one."""
    return apply.Chunk(
        pl.concat([chunk.frame for chunk in chunks], how="diagonal_relaxed"),
        pl.concat([chunk.broken for chunk in chunks]),
    )


def _context(work: landing.Work) -> dict[str, pl.DataFrame]:
    """What the mapping looks things up in."""
    feed = work.feed
    context = {name: whole(work.needs[name], files) for name, files in feed.needs.items()}
    if feed.history:
        context["history"] = whole(work.history, feed.files, skip_unreadable=True)
    return context


def whole(
    found: list[landing.LandingFile], files: Files, *, skip_unreadable: bool = False
) -> pl.DataFrame:
    """The readable records of all these files, typed.

    Raises:
        FileError: one of them cannot be read, and that matters.
    """
    chunks: list[apply.Chunk] = []
    for file in found:
        try:
            pieces = [placed(piece, file) for piece in read.pieces(file.full, file.path, files)]
        except read.FileError:
            if not skip_unreadable:
                raise
        else:
            chunks += pieces
    return apply.sound(together(chunks).frame, files)


def _failure(feed: Feed, problem: read.FileError, day: date | None) -> lake.FailedFile:
    return lake.FailedFile(
        path=problem.path,
        feed=feed.name,
        landing_day=day.isoformat() if day else None,
        reason=problem.reason,
        detail=problem.detail,
        remedy=problem.remedy,
    )
