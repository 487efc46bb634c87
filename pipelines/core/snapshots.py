"""The snapshots of a feature log: which are committed, and which of them a reader sees.

A snapshot is committed once its manifest `<snapshot_id>.json` exists, and never changes after.
The rows of a snapshot are the business of `feature_log`.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.core.clock import from_iso, iso
from pipelines.core.errors import HuitouError
from pipelines.core.files import read_json, write_json


class LogError(HuitouError):
    """The feature log refuses rows, a snapshot or a view that would make it untrue."""


@dataclass(frozen=True, order=True)
class Watermark:
    """A place in the log: what held at `as_of`, as known at `known_at`."""

    as_of: datetime
    known_at: datetime
    snapshot_id: str

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None or self.known_at.tzinfo is None:
            raise LogError("a watermark needs instants with a time zone", "give them in UTC")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.snapshot_id):
            message = f"{self.snapshot_id!r} cannot name a snapshot"
            raise LogError(message, "use letters, digits and . _ - only")

    @classmethod
    def of(cls, as_of: datetime, known_at: datetime) -> Watermark:
        """The watermark of these two instants under the name they always get."""
        return cls(as_of, known_at, f"{_compact(as_of)}-{_compact(known_at)}")

    def sees(self, other: Watermark) -> bool:
        """Whether a reader here sees the rows written at `other`."""
        return other.as_of <= self.as_of and other.known_at <= self.known_at

    def to_dict(self) -> dict[str, str]:
        """The watermark as JSON and stores hold it."""
        return {
            "as_of": iso(self.as_of),
            "known_at": iso(self.known_at),
            "snapshot_id": self.snapshot_id,
        }

    @classmethod
    def from_dict(cls, value: dict[str, str]) -> Watermark:
        """The watermark that `to_dict` wrote."""
        return cls(from_iso(value["as_of"]), from_iso(value["known_at"]), value["snapshot_id"])


@dataclass(frozen=True)
class Appended:
    """What one view's rows changed: keys written, keys gone, keys as before."""

    upserts: int
    tombstones: int
    unchanged: int

    @property
    def rows(self) -> int:
        """Rows that the log grew by."""
        return self.upserts + self.tombstones


@dataclass(frozen=True)
class Part:
    """One view in one snapshot; `columns` (name → DuckDB type) is empty if nothing changed."""

    appended: Appended
    columns: dict[str, str]


@dataclass(frozen=True)
class Snapshot:
    """A committed snapshot: its place, the definitions it was made by, and its views."""

    at: Watermark
    catalog_version: str
    views: dict[str, Part]


class Ledger:
    """The manifests of one log, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Snapshot] = {}

    def all(self) -> list[Snapshot]:
        """Every committed snapshot, in the order of knowledge, then of business time."""
        for path in self._folder.glob("*.json"):
            if path.stem not in self._known:
                self._known[path.stem] = _snapshot(read_json(path))
        return sorted(self._known.values(), key=lambda s: (s.at.known_at, s.at.as_of))

    def add(self, snapshot: Snapshot) -> None:
        """Commit `snapshot`."""
        value = {
            **snapshot.at.to_dict(),
            "catalog_version": snapshot.catalog_version,
            "views": {name: asdict(part) for name, part in snapshot.views.items()},
        }
        write_json(self._folder / f"{snapshot.at.snapshot_id}.json", value)

    def find(self, at: Watermark) -> Snapshot | None:
        """The committed snapshot at these two instants, or None if it may be the next.

        Knowledge only grows: a snapshot of any business time may follow, but not one that claims
        to have been known before the newest was, for that would change what readers have seen.

        Raises:
            LogError: the snapshot would come too late, or its id is taken.
        """
        snapshots = self.all()
        for one in snapshots:
            same = (one.at.as_of, one.at.known_at) == (at.as_of, at.known_at)
            if same:
                return one
            if one.at.snapshot_id == at.snapshot_id:
                message = f"snapshot {at.snapshot_id} was committed for other instants"
                raise LogError(message, "give every snapshot an id of its own")
        if snapshots:
            newest = snapshots[-1].at
            if (at.known_at, at.as_of) < (newest.known_at, newest.as_of):
                message = (
                    f"a snapshot known at {iso(at.known_at)} comes after one known at "
                    f"{iso(newest.known_at)} (as of {iso(newest.as_of)})"
                )
                raise LogError(message, "give it a later knowledge cutoff than every one before")
        return None


def _snapshot(value: dict[str, Any]) -> Snapshot:
    views = {
        name: Part(Appended(**part["appended"]), part["columns"])
        for name, part in value["views"].items()
    }
    return Snapshot(Watermark.from_dict(value), value["catalog_version"], views)


def _compact(at: datetime) -> str:
    """`at` for a file name; microseconds only where there are any."""
    return at.astimezone(UTC).isoformat().translate({45: None, 58: None}).replace("+0000", "Z")
