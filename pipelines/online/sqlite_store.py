"""Feast's SQLite layout, written a transaction a batch and read a transaction a request.

A table for each view, `<project>_<view>`, with a row for each key and feature. The file is in WAL
mode, so that readers never wait for the publisher. Feast keeps event times as whole seconds of
the machine's local clock, and so does this store: `since` is right to the second, and a file
belongs to one machine.
"""
# ruff: noqa: S608  # table names come from the catalogue and are quoted; values are bound

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.core.catalog import Feature, FeatureView
from pipelines.online.decoder import EPOCH
from pipelines.online.encoder import Encoded
from pipelines.online.layout import sqlite_table
from pipelines.online.stores import (
    Asked,
    Published,
    Reading,
    ReadPlan,
    Row,
    StoreUnavailableError,
    Written,
)

WRITE_TIMEOUT_S = 60.0
#: SQLite's own limit of parameters was 999 for long; a larger request is read in parts.
IN_ONE_QUERY = 900
KEYS_IN_A_BATCH = 5_000
#: What SQLite answers on a disk that is full or read-only; readers, too, make a file beside theirs.
DISK_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
              sqlite3.SQLITE_CANTOPEN)  # fmt: skip
PRIMARY_CODE = 0xFF  # of an extended code, which says more than is needed here
_published = lru_cache(maxsize=256)(Published.from_json)


@dataclass(frozen=True)
class _Select:
    """What to read of one view, and where its values go in a row."""

    table: str
    place: Mapping[str, int]


class SqliteStore:
    """The online store in one file; see `stores.OnlineStore`."""

    def __init__(self, path: Path, project: str, timeout_s: float = 2.0) -> None:
        self._path = path
        self._project = project
        self._timeout_s = timeout_s
        self._reader: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._writer: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")

    # -- reading ---------------------------------------------------------------------------------

    def plan(self, join_keys: Sequence[str], columns: Sequence[tuple[str, str]]) -> ReadPlan:
        """A query for each view of `columns`."""
        views = tuple(dict.fromkeys(view for view, _ in columns))
        places: dict[str, dict[str, int]] = {view: {} for view in views}
        for index, (view, feature) in enumerate(columns):
            places[view][feature] = index
        native = tuple(
            _Select(sqlite_table(self._project, view), place) for view, place in places.items()
        )
        return ReadPlan(tuple(join_keys), tuple(columns), views, native)

    def read(self, asked: Asked) -> Reading:
        """The rows of all keys asked, in one transaction."""
        with self._lock, self._unavailable():
            reader = self._opened_reader()
            reader.execute("begin")
            try:
                rows = [_rows(reader, plan, keys) for plan, keys in asked]
                return Reading(rows, _watermarks(reader))
            finally:
                reader.execute("rollback")

    async def read_async(self, asked: Asked) -> Reading:
        """The same as `read`, beside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.read, asked)

    def watermarks(self) -> Mapping[str, Published]:
        """The watermark of every view that was ever published."""
        if not self._path.exists():
            return {}
        return self.read([]).watermarks

    def close(self) -> None:
        """Close the file; the next call opens it anew."""
        with self._lock:
            for connection in (self._reader, self._writer):
                if connection:
                    connection.close()
            self._reader = self._writer = None

    # -- writing ---------------------------------------------------------------------------------

    def prepare(self, view: FeatureView) -> None:
        """Create the view's table and index, as `feast apply` does.

        Where the table holds no row, whoever emptied it, the view counts as never published.
        """
        name = sqlite_table(self._project, view.name)
        table, index = _quoted(name), _quoted(f"{name}_ek")
        with self._transaction() as writer:
            writer.execute(
                f"create table if not exists {table} (entity_key BLOB, feature_name TEXT, "
                "value BLOB, value_text TEXT, vector_value BLOB, event_ts timestamp, "
                "created_ts timestamp, PRIMARY KEY(entity_key, feature_name))"
            )
            writer.execute(f"create index if not exists {index} on {table} (entity_key)")
            if not writer.execute(f"select 1 from {table} limit 1").fetchone():
                for told in ("huitou_watermark", "huitou_checkpoint"):
                    writer.execute(f"delete from {told} where view = ?", (view.name,))

    def is_empty(self) -> bool:
        """Whether no table of this project holds a row."""
        with self._transaction() as writer:
            tables = writer.execute(
                "select name from sqlite_master where type = 'table' and substr(name, 1, ?) = ?",
                (len(self._project) + 1, f"{self._project}_"),
            ).fetchall()
            queries = [f"select 1 from {_quoted(table)} limit 1" for (table,) in tables]
            return not any(writer.execute(query).fetchone() for query in queries)

    def write(self, view: FeatureView, batch: Encoded, *, guard: bool = True) -> Written:
        """Write every feature of the batch, all or nothing."""
        table = _quoted(sqlite_table(self._project, view.name))
        newest = f"where excluded.event_ts >= {table}.event_ts" if guard else ""
        upsert = (
            f"insert into {table} (entity_key, feature_name, value, value_text, event_ts, "
            "created_ts) values (?, ?, ?, ?, ?, ?) "
            "on conflict (entity_key, feature_name) do update set "
            "value = excluded.value, value_text = excluded.value_text, "
            f"event_ts = excluded.event_ts, created_ts = excluded.created_ts {newest}"
        )
        with self._transaction() as writer:
            before = writer.total_changes
            writer.executemany(upsert, _cells(view, batch))
            changed = (writer.total_changes - before) // len(view.features)
        size = sum(values.nbytes for values in batch.values) + batch.keys.nbytes
        return Written(changed, len(batch.keys) - changed, size)

    def delete(self, view: FeatureView, keys: pa.Array, event_us: pa.Array) -> Written:
        """Remove the view's cells of `keys` unless they are of a later event."""
        table = _quoted(sqlite_table(self._project, view.name))
        find = f"select max(event_ts) from {table} where entity_key = ?"
        remove = f"delete from {table} where entity_key = ?"
        gone = kept = 0
        with self._transaction() as writer:
            for key, event in zip(keys.to_pylist(), _locals(event_us), strict=True):
                stored = writer.execute(find, (key,)).fetchone()[0]
                if stored is not None and stored > event:
                    kept += 1
                elif stored is not None:
                    writer.execute(remove, (key,))
                    gone += 1
        return Written(gone, kept, keys.nbytes)

    def keys(self, view: FeatureView) -> Iterator[list[bytes]]:
        """The entity keys with cells of the view, in order."""
        table = _quoted(sqlite_table(self._project, view.name))
        query = f"select distinct entity_key from {table} where entity_key > ? order by 1 limit ?"
        last = b""
        while True:
            with self._transaction() as writer:
                found = [key for (key,) in writer.execute(query, (last, KEYS_IN_A_BATCH))]
            if not found:
                return
            yield found
            last = found[-1]

    def set_watermark(self, view: str, published: Published) -> None:
        """Record what the store holds of the view; forgets the view's checkpoint."""
        with self._transaction() as writer:
            writer.execute(
                "insert or replace into huitou_watermark values (?, ?)",
                (view, published.to_json()),
            )
            writer.execute("delete from huitou_checkpoint where view = ?", (view,))

    def checkpoint(self, view: str) -> str | None:
        """What `set_checkpoint` recorded since the watermark last moved."""
        with self._transaction() as writer:
            query = "select reached from huitou_checkpoint where view = ?"
            found = writer.execute(query, (view,)).fetchone()
        return found[0] if found else None

    def set_checkpoint(self, view: str, text: str) -> None:
        """Record how far a publish came."""
        with self._transaction() as writer:
            writer.execute("insert or replace into huitou_checkpoint values (?, ?)", (view, text))

    # -- between ---------------------------------------------------------------------------------

    def _opened_reader(self) -> sqlite3.Connection:
        file = self._path.stat()
        identity = (file.st_dev, file.st_ino)
        if self._reader and self._identity != identity:  # a new file by the old name
            self._reader.close()
            self._reader = None
        if self._reader is None:
            uri = f"{self._path.resolve().as_uri()}?mode=rw"
            self._reader = _connect(uri, self._timeout_s)
            self._reader.execute("pragma query_only = 1")
            self._identity = identity
        return self._reader

    def _opened_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            uri = f"{self._path.resolve().as_uri()}?mode=rwc"
            self._writer = _connect(uri, WRITE_TIMEOUT_S)
            self._writer.execute("pragma journal_mode = wal")
            self._writer.execute("pragma synchronous = normal")
            for name, column in (("watermark", "published"), ("checkpoint", "reached")):
                self._writer.execute(
                    f"create table if not exists huitou_{name} "
                    f"(view text primary key, {column} text not null)"
                )
        return self._writer

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._unavailable():
            writer = self._opened_writer()
            writer.execute("begin immediate")
            try:
                yield writer
            except BaseException:
                writer.execute("rollback")
                raise
            writer.execute("commit")

    @contextmanager
    def _unavailable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, FileNotFoundError) as error:
            message = f"the online store {self._path.name} cannot be used: {error}"
            raise StoreUnavailableError(message, self._remedy(error)) from error

    def _remedy(self, error: Exception) -> str:
        if not self._path.exists():
            return "publish first"
        code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
        if code in DISK_CODES:
            return f"see that {self._path.parent} can be written and that its disk has room"
        return "see to its file"


def _connect(uri: str, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, timeout=timeout_s, isolation_level=None, check_same_thread=False, uri=True
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cells(view: FeatureView, batch: Encoded) -> Iterator[tuple[Any, ...]]:
    """The rows of the table, all features of a key side by side as the table's key wants them."""
    keys, events, knowns = batch.keys.to_pylist(), _locals(batch.event_us), _locals(batch.known_us)
    columns = [
        zip(keys, repeat(f.name), values.to_pylist(), _texts(batch, f), events, knowns)
        for f, values in zip(view.features, batch.values, strict=True)
    ]
    return chain.from_iterable(zip(*columns, strict=True))


def _texts(batch: Encoded, feature: Feature) -> Iterable[str | None]:
    """What Feast keeps beside the value, to search it by."""
    if feature.feast_type not in {"String", "Int64", "Float64", "Bool"}:
        return repeat(None)
    column: list[str | float | None] = batch.rows.column(feature.name).to_pylist()
    return (None if value is None or value != value else str(value) for value in column)  # NaN


def _rows(reader: sqlite3.Connection, plan: ReadPlan, keys: Sequence[bytes]) -> list[Row]:
    found: dict[bytes, tuple[list[bytes | None], list[datetime | None]]] = {
        key: ([None] * len(plan.columns), [None] * len(plan.views)) for key in keys
    }
    selects: tuple[_Select, ...] = plan.native  # type: ignore[assignment]  # a plan of this store
    for index, select in enumerate(selects):
        for key, feature, value, event in _cells_of(reader, select, list(found)):
            values, events = found[key]
            if feature in select.place:
                values[select.place[feature]] = value
            events[index] = _from_local(event)
    return [Row(*found[key]) for key in keys]


def _cells_of(
    reader: sqlite3.Connection, select: _Select, keys: Sequence[bytes]
) -> Iterator[tuple[bytes, str, bytes, int]]:
    for at in range(0, len(keys), IN_ONE_QUERY):
        some = keys[at : at + IN_ONE_QUERY]
        yield from _fetch(
            reader,
            f"select entity_key, feature_name, value, event_ts from {_quoted(select.table)} "
            f"where entity_key in ({','.join('?' * len(some))})",
            some,
        )


def _watermarks(reader: sqlite3.Connection) -> dict[str, Published]:
    found = _fetch(reader, "select view, published from huitou_watermark")
    return {view: _published(text) for view, text in found}


def _fetch(reader: sqlite3.Connection, query: str, values: Sequence[bytes] = ()) -> list[Any]:
    """The rows of a query; none from a table that nothing was published to yet."""
    try:
        return reader.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise


def _locals(event_us: pa.Int64Array) -> list[int]:
    return [_to_local(us) for us in event_us.to_pylist()]


@lru_cache(maxsize=4_096)
def _to_local(us: int) -> int:
    """An instant as Feast's SQLite store writes it: its UTC wall time, read as local time."""
    return int((EPOCH + timedelta(microseconds=us)).replace(tzinfo=None).timestamp())


@lru_cache(maxsize=4_096)
def _from_local(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds).replace(tzinfo=UTC)  # noqa: DTZ006  # see `_to_local`
