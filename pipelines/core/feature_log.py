"""The feature log: per feature view, what changed in each snapshot, never rewritten.

`<view>/<snapshot_id>.parquet` holds the rows whose content changed and a tombstone for each key
that left. Read at (`as_of`, `known_at`) the log gives back the snapshot computed then. Rows wait as
`….parquet.pending`, which no reader and no glob of Feast's sees, until `commit` names them; what a
crash leaves behind is swept away by the next writer.
"""

# ruff: noqa: S608 - names come from the catalogue, which restricts them
from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core import log_sql
from pipelines.core.catalog import EVENT_AT, KNOWN_AT, FeatureView
from pipelines.core.clock import iso
from pipelines.core.files import atomic
from pipelines.core.log_sql import KeyRange
from pipelines.core.snapshots import Appended, Ledger, LogError, Part, Snapshot, Watermark

__all__ = ["Appended", "FeatureLog", "LogError", "Part", "Snapshot", "Watermark"]

#: Five million members × 15 features were compared in 2.4 GB; beyond this DuckDB spills to disk.
MEMORY = "3GB"
BATCH_ROWS = 65_536


class FeatureLog:
    """The log of every feature view of a brand, below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ledger = Ledger(root / "_snapshots")

    def append(
        self, view: FeatureView, rows: pa.Table | pa.RecordBatchReader, at: Watermark
    ) -> Appended:
        """What the full snapshot `rows` changed against the log read at `at`; pending until commit.

        Appending again before the commit replaces what was pending. A snapshot that is committed
        already takes only what it holds.

        Raises:
            LogError: the rows are not the view's, or `at` is not after every snapshot before it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        done, basis = self._ledger.find(at), self._ledger.all()
        files = self._files(view, at)
        with self._connect() as db:
            total = _stage(db, view, rows, at)
            change = log_sql.difference(view, "fresh", files, at)
            if done:
                _refuse_any(db, change, view, at)
                return Appended(0, 0, total)
            pending = self._pending(view.name, at)
            self._sweep(pending.parent, keep={pending.name})
            with atomic(pending) as temporary:
                target = f"{log_sql.text(temporary)} (FORMAT parquet, COMPRESSION zstd)"
                db.execute(f"COPY ({change}) TO {target}")
            upserts, tombstones = _counts(db, pending)
        if self._ledger.all() != basis:
            pending.unlink(missing_ok=True)
            message = f"another snapshot was committed while {view.name} was being appended"
            raise LogError(message, "run again, with one run at a time")
        return Appended(upserts, tombstones, total - upserts)

    def commit(
        self, at: Watermark, catalog_version: str, reports: Mapping[str, Appended]
    ) -> Snapshot:
        """The snapshot, from now on seen by readers: all views of `reports`, or none.

        Raises:
            LogError: a view's pending rows are not those of its report.
        """
        if done := self._ledger.find(at):
            return done
        waiting = {name: self._waiting(name, at, report) for name, report in reports.items()}
        parts = {}
        with self._connect() as db:
            for name, report in reports.items():
                columns = _columns(db, waiting[name]) if report.rows else {}
                parts[name] = Part(report, columns)
        for name, path in waiting.items():
            if reports[name].rows:
                path.replace(self._file(name, at.snapshot_id))
        for folder in self.root.glob("[!_]*/"):
            written = folder.name in parts and parts[folder.name].columns
            self._sweep(folder, keep={f"{at.snapshot_id}.parquet"} if written else set())
        snapshot = Snapshot(at, catalog_version, parts)
        self._ledger.add(snapshot)
        return snapshot

    def state(
        self,
        view: FeatureView,
        at: Watermark,
        batch_rows: int = BATCH_ROWS,
        between: KeyRange = (None, None),
        columns: Sequence[str] = (),
    ) -> pa.RecordBatchReader:
        """The rows that hold at `at`, one a key: keys, features, and the clocks of their change.

        With `columns` only those, the join keys among them.
        """
        newest = log_sql.newest(view, self._files(view, at))
        wanted = log_sql.names(columns or log_sql.row(view))
        query = f"SELECT {wanted} FROM {newest} WHERE NOT is_deleted"
        return self._read(log_sql.within(query, view, between), batch_rows)

    def changes(
        self,
        view: FeatureView,
        since: Watermark | None,
        until: Watermark,
        batch_rows: int = BATCH_ROWS,
        between: KeyRange = (None, None),
    ) -> pa.RecordBatchReader:
        """The rows that turn `state(since)` into `state(until)`, with `is_deleted`; one a key.

        Every key touched between the two on either clock, also where `until` lies before `since`.
        Deleted rows hold nulls. Nothing is read if no snapshot with rows lies between. With
        `between`, only keys after its first and up to its second: files are sorted by key, so
        that a part of them costs a part of the time and of the memory.
        """
        before = self._files(view, since) if since else []
        after = self._files(view, until)
        query = log_sql.moved(view, before, after, until)
        return self._read(log_sql.within(query, view, between), batch_rows)

    def latest(self, view: str | None = None) -> Watermark | None:
        """The snapshot to serve (of `view`): the newest business time, as best known then.

        A replay of an earlier `as_of` does not become the latest, it only corrects history.
        """
        marks = [s.at for s in self._ledger.all() if view is None or view in s.views]
        return max(marks, default=None)

    def check(self, at: Watermark) -> None:
        """That a snapshot at these two instants can still be committed, or is.

        Raises:
            LogError: it would come too late.
        """
        self._ledger.find(at)

    def snapshots(self) -> list[Snapshot]:
        """Every committed snapshot, in the order of knowledge, then of business time."""
        return self._ledger.all()

    def files(self, view: str, known_at: datetime | None = None) -> list[Path]:
        """The committed files of a view (known by then), in the order of business time."""
        return [
            self._file(view, s.at.snapshot_id)
            for s in sorted(self._ledger.all(), key=lambda s: s.at)
            if (known_at is None or s.at.known_at <= known_at)
            and view in s.views
            and s.views[view].columns
        ]

    def _files(self, view: FeatureView, at: Watermark) -> list[log_sql.LogFile]:
        """The files whose rows a reader at `at` sees, the newest last."""
        files: list[log_sql.LogFile] = []
        expected = log_sql.contents(view)
        for snapshot in sorted(self._ledger.all(), key=lambda s: s.at):
            part = snapshot.views.get(view.name)
            if not part or not part.columns or not at.sees(snapshot.at):
                continue
            for name, kind in expected.items():
                if (held := part.columns.get(name, kind)) != kind:
                    message = f"{view.name}.{name} is {held} in the log, {kind} in the catalogue"
                    raise LogError(message, "a type never changes: add the view's next version")
            files.append((self._file(view.name, snapshot.at.snapshot_id), part.columns))
        return files

    def _file(self, view: str, snapshot_id: str) -> Path:
        return self.root / view / f"{snapshot_id}.parquet"

    def _pending(self, view: str, at: Watermark) -> Path:
        return self.root / view / f"{at.snapshot_id}.parquet.pending"

    def _waiting(self, view: str, at: Watermark, report: Appended) -> Path:
        """The rows of the report: pending, or renamed by a commit that did not come to its end."""
        for path in (self._pending(view, at), self._file(view, at.snapshot_id)):
            if path.exists() and pq.read_metadata(path).num_rows == report.rows:
                return path
        message = f"the rows of {view} for snapshot {at.snapshot_id} are not there to commit"
        raise LogError(message, "append them again, with one run at a time")

    def _sweep(self, folder: Path, keep: set[str]) -> None:
        """Remove from a view's folder what no manifest names."""
        committed = {f"{s.at.snapshot_id}.parquet" for s in self._ledger.all()}
        for path in folder.glob("*"):
            if path.name not in committed | keep:
                path.unlink()

    def _read(self, query: str, batch_rows: int) -> pa.RecordBatchReader:
        return self._connect().sql(query).to_arrow_reader(batch_rows)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        db = self._database.cursor()
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_progress_bar = false")
        return db

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        spill = self.root / f"_spill-{uuid.uuid4().hex[:8]}"  # one a process, made when needed
        settings = {
            "memory_limit": MEMORY,
            "temp_directory": str(spill),
            "preserve_insertion_order": "false",
        }
        return duckdb.connect(config=settings)


def _stage(
    db: duckdb.DuckDBPyConnection,
    view: FeatureView,
    rows: pa.Table | pa.RecordBatchReader,
    at: Watermark,
) -> int:
    """The number of rows, which are now the table `fresh`.

    Raises:
        LogError: wrong columns or types, a key that is null or twice there, another snapshot's row.
    """
    expected = log_sql.row(view)
    db.register("incoming", rows)
    found = {name: kind for name, kind, *_ in db.execute("DESCRIBE incoming").fetchall()}
    if found != expected:
        wrong = sorted(set(found.items()) ^ set(expected.items()))
        message = f"rows of {view.name} differ from the catalogue in {wrong}"
        raise LogError(message, "make the model and its YAML agree")
    kind = "VIEW" if isinstance(rows, pa.Table) else "TABLE"  # a reader can be read only once
    db.execute(f"CREATE TEMP {kind} fresh AS SELECT {log_sql.names(expected)} FROM incoming")
    keys = log_sql.names(view.join_keys)
    nulls = " OR ".join(f'"{key}" IS NULL' for key in view.join_keys)
    query = f"""
        SELECT count(*), count(*) FILTER ({nulls}), count(*) FILTER (
            {EVENT_AT} IS DISTINCT FROM ?::TIMESTAMPTZ OR {KNOWN_AT} IS DISTINCT FROM ?::TIMESTAMPTZ
        ) FROM fresh"""
    total, keyless, foreign = _one(db, query, [iso(at.as_of), iso(at.known_at)])
    twice = db.execute(
        f"SELECT {keys} FROM fresh GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 3"
    ).fetchall()
    if keyless or twice:
        message = f"{view.name} has {keyless} rows without a key, and keys more than once: {twice}"
        raise LogError(message, f"one row for each {view.entity}: test the model's grain")
    if foreign:
        message = f"{foreign} rows of {view.name} are not of {iso(at.as_of)}, {iso(at.known_at)}"
        raise LogError(message, "append what the models computed for this snapshot")
    return total


def _refuse_any(
    db: duckdb.DuckDBPyConnection, change: str, view: FeatureView, at: Watermark
) -> None:
    (rows,) = _one(db, f"SELECT count(*) FROM ({change})")
    if rows:
        message = f"{rows} rows of {view.name} differ from the committed snapshot {at.snapshot_id}"
        raise LogError(message, "a snapshot never changes: run with a later knowledge cutoff")


def _counts(db: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, ...]:
    """Upserts and tombstones in a file of the log."""
    query = "SELECT count(*) FILTER (NOT is_deleted), count(*) FILTER (is_deleted)"
    return _one(db, f"{query} FROM read_parquet({log_sql.text(path)})")


def _columns(db: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """The columns of a file of the log and their DuckDB types."""
    found = db.execute(f"DESCRIBE SELECT * FROM read_parquet({log_sql.text(path)})").fetchall()
    return {name: kind for name, kind, *_ in found}


def _one(
    db: duckdb.DuckDBPyConnection, query: str, parameters: list[str] | None = None
) -> tuple[int, ...]:
    found: tuple[int, ...] = db.execute(query, parameters).fetchall()[0]
    return found
