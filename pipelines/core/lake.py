"""The lake's files: raw rows, manifests of loads, and the sweep after a crash.

A load writes its Parquet files first and its manifest last: what has no manifest never happened.
What is in the rows is the business of the ingest and of the quarantine.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256 as digest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core.clock import from_iso
from pipelines.core.contracts import TABLES
from pipelines.core.files import atomic, read_json, write_json
from pipelines.core.home import Brand

#: A file of no rows that every raw folder has, so that reading the folder never fails.
EMPTY = "_empty.parquet"

QUARANTINE_SCHEMA = pa.schema(
    [
        ("table", pa.string()),
        ("source_system", pa.string()),
        ("feed", pa.string()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("source_row_id", pa.string()),
        ("landing_day", pa.date32()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("value", pa.string()),
        ("remedy", pa.string()),
        ("original", pa.string()),
        ("first_seen_at", pa.timestamp("us", tz="UTC")),
        ("load_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class FileEntry:
    """What one feed made of one landing file: read = accepted + quarantined.

    `records` is what the file holds, `read` the part of it that is this feed's (or the rows that a
    derived feed made of it), `shares` the tables that its records go to, `needs` the digests of the
    other files it was read with. A replay reads nothing: its entries move rows from quarantined to
    accepted.
    """

    path: str
    sha256: str
    feed: str
    derived: bool
    landing_day: str
    records: int
    read: int = 0
    accepted: int = 0
    new: int = 0
    unchanged: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    shares: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FailedFile:
    """A landing file that cannot be read at all; the next load tries it again."""

    path: str
    feed: str
    landing_day: str | None
    reason: str
    detail: str
    remedy: str

    @property
    def words(self) -> str:
        """File, reason and remedy, in one line."""
        return f"{self.path}: {self.reason}, {self.detail}; {self.remedy}"


@dataclass(frozen=True)
class Manifest:
    """One load of one table from one source; its file is the load's commit."""

    load_id: str
    table: str
    source: str
    known_at: str
    kind: str  # load | replay
    files: list[FileEntry]
    failed: list[FailedFile]

    @property
    def instant(self) -> datetime:
        """`known_at` of the rows it accepted."""
        return from_iso(self.known_at)


def new_load_id(known_at: datetime, source: str, table: str, inputs: Sequence[str]) -> str:
    """The name of a load: sortable by time, equal when the same load is tried again."""
    text = "\n".join([source, table, *sorted(inputs)])
    return f"{known_at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{digest(text.encode()).hexdigest()[:8]}"


def manifests(brand: Brand, table: str | None = None, source: str | None = None) -> list[Manifest]:
    """The committed loads, in the order they happened."""
    paths = sorted(brand.loads.glob(f"{table or '*'}/*.json"), key=lambda path: path.name)
    found = [_manifest(path) for path in paths]
    return [one for one in found if source in (None, one.source)]


def _manifest(path: Path) -> Manifest:
    value = read_json(path)
    value["files"] = [FileEntry(**entry) for entry in value["files"]]
    value["failed"] = [FailedFile(**entry) for entry in value["failed"]]
    return Manifest(**value)


def commit(brand: Brand, manifest: Manifest) -> None:
    """Write the manifest: from now on the load's files count."""
    write_json(brand.loads / manifest.table / f"{manifest.load_id}.json", asdict(manifest))


def raw_file(brand: Brand, table: str, load_id: str) -> Path:
    """Where a load keeps the rows it accepted."""
    return brand.raw / table / f"{load_id}.parquet"


def quarantine_file(brand: Brand, table: str, load_id: str) -> Path:
    """Where a load keeps the rows it rejected."""
    return brand.quarantine / table / f"{load_id}.parquet"


def resolved_file(brand: Brand, table: str, load_id: str) -> Path:
    """Where a replay keeps which quarantined rows it accepted."""
    return brand.quarantine / table / "resolved" / f"{load_id}.parquet"


def raw_files(brand: Brand, table: str) -> list[Path]:
    """The table's raw files with rows, of committed loads only."""
    known = {path.stem for path in (brand.loads / table).glob("*.json")}
    return sorted(path for path in (brand.raw / table).glob("*.parquet") if path.stem in known)


def raw_folder(brand: Brand, table: str) -> Path:
    """The folder that dbt reads the table from."""
    return brand.raw / table


@contextmanager
def locked(brand: Brand, table: str) -> Iterator[None]:
    """One load of a table at a time; the next one waits."""
    path = brand.loads / f"{table}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def staging(brand: Brand, table: str) -> Path:
    """A folder for a load's unfinished files; the next load of the table empties it."""
    return brand.root / "lake" / "staging" / table


def sweep(brand: Brand, table: str) -> list[Path]:
    """Remove what loads that never committed left behind; the files removed."""
    known = {path.stem for path in (brand.loads / table).glob("*.json")}
    left = [
        path
        for folder in (brand.raw / table, brand.quarantine / table)
        for path in folder.rglob("*")
        if path.is_file() and path.name != EMPTY and path.stem not in known
    ]
    left += [path for path in staging(brand, table).glob("*") if path.is_file()]
    for path in left:
        path.unlink()
    return left


def prepare(brand: Brand) -> None:
    """Make every table readable: a raw folder with a file of the contract's schema and no rows."""
    for name, contract in TABLES.items():
        path = brand.raw / name / EMPTY
        if path.exists() and pq.read_schema(path).equals(contract.schema):
            continue
        write_table(path, contract.schema.empty_table())


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically, zstd."""
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def entry_key(entry: FileEntry) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """What makes a landing file the same again: feed, path, content, and what it was read with."""
    return file_key(entry.feed, entry.path, entry.sha256, entry.needs)


def file_key(
    feed: str, path: str, sha256: str, needs: Mapping[str, str]
) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """The key of `entry_key`, for a file that may not be loaded yet."""
    return feed, path, sha256, tuple(sorted(needs.items()))
