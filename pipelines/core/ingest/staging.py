"""The unfinished part of a load: judged rows wait here until the whole load can be committed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from pipelines.core import lake
from pipelines.core.clock import iso
from pipelines.core.contracts import Contract
from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.core.ingest import versions
from pipelines.core.ingest.apply import Outcome
from pipelines.core.ingest.judge import remedy
from pipelines.core.source import Adapter, Feed

INSTANT = pl.Datetime("us", "UTC")


@dataclass
class Staging:
    """Rows of one table and source on their way into the lake, and the count kept of them."""

    brand: Brand
    adapter: Adapter
    contract: Contract
    known_at: datetime
    kind: str = "load"
    entries: list[lake.FileEntry] = field(default_factory=list)
    failed: list[lake.FailedFile] = field(default_factory=list)
    read: Counter[tuple[str, str]] = field(default_factory=Counter)
    accepted: list[Path] = field(default_factory=list)
    rejected: list[Path] = field(default_factory=list)
    rows: int = 0
    #: For a replay, the reasons that rows leave behind, counted below zero.
    moved: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, feed: Feed, outcome: Outcome, days: Mapping[str, date]) -> None:
        """Stage a chunk's rows; `days` has the landing day of each of its files."""
        for path, count in outcome.read.items():
            self.read[feed.name, path] += count
        day = pl.col("source_file").replace_strict(days, return_dtype=pl.Date)
        both = {
            "source_system": pl.lit(self.adapter.name),
            "_feed": pl.lit(feed.name),
            "landing_day": day,
        }
        accepted = _place(outcome.accepted).with_columns(**both)
        if "_known" not in accepted.columns:
            accepted = accepted.with_columns(_known=pl.lit(self.known_at).cast(INSTANT))
        numbers = pl.int_range(self.rows, self.rows + accepted.height, eager=True)
        self._write(accepted.with_columns(_n=numbers), self.accepted, "accepted")
        self._write(_place(outcome.rejected).with_columns(**both), self.rejected, "rejected")
        self.rows += accepted.height

    def _write(self, frame: pl.DataFrame, parts: list[Path], name: str) -> None:
        if frame.is_empty():
            return
        folder = lake.staging(self.brand, self.contract.name)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{len(parts):05}.parquet"
        frame.write_parquet(path, compression="lz4")
        parts.append(path)

    def commit(self, resolved: pl.DataFrame | None = None) -> str | None:
        """Write raw rows, quarantine, then the manifest; the load's id, None if nothing came.

        Raises:
            UsageError: a load that knew later rows of this table is there already.
        """
        if not self.entries and not self.failed:
            return None
        self._check_clock()
        name, source = self.contract.name, self.adapter.name
        inputs = [f"{e.feed} {e.path} {e.sha256}" for e in self.entries]
        inputs += [f"{f.feed} {f.path} {f.reason}" for f in self.failed]
        load_id = lake.new_load_id(self.known_at, source, name, [self.kind, *inputs])
        broken = {f.path for f in self.failed}
        stored = versions.store(
            self.contract,
            source,
            self.accepted,
            sorted(broken),
            [lake.raw_folder(self.brand, name) / lake.EMPTY, *lake.raw_files(self.brand, name)],
            lake.raw_file(self.brand, name, load_id),
            load_id,
        )
        reasons = self._quarantine(load_id, broken)
        if resolved is not None:
            lake.write_table(lake.resolved_file(self.brand, name, load_id), resolved.to_arrow())
        files = [self._entry(entry, stored, reasons) for entry in self.entries]
        lake.commit(
            self.brand,
            lake.Manifest(load_id, name, source, iso(self.known_at), self.kind, files, self.failed),
        )
        self.entries = files
        lake.sweep(self.brand, name)
        return load_id

    def _check_clock(self) -> None:
        latest = max(
            (m.instant for m in lake.manifests(self.brand, self.contract.name)), default=None
        )
        if latest and self.known_at < latest:
            message = (
                f"{self.contract.name} holds rows known at {iso(latest)}, "
                f"later than {iso(self.known_at)}"
            )
            raise UsageError(message, "knowledge only grows: give a later --known-at, or none")

    def _quarantine(self, load_id: str, broken: set[str]) -> dict[tuple[str, str], Counter[str]]:
        """Write the rejected rows; their reasons by feed and file."""
        reasons: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        if not self.rejected:
            return reasons
        rows = pl.read_parquet(self.rejected).filter(~pl.col("source_file").is_in(list(broken)))
        known = rows["reason"].unique().to_list()
        remedies = {r: remedy(self.contract, self.adapter.reasons, r) for r in known}
        rows = rows.rename({"_feed": "feed"}).with_columns(
            table=pl.lit(self.contract.name),
            remedy=pl.col("reason").replace_strict(remedies, return_dtype=pl.String),
            first_seen_at=pl.lit(self.known_at).cast(INSTANT),
            load_id=pl.lit(load_id),
        )
        if rows.height:
            schema = lake.QUARANTINE_SCHEMA
            path = lake.quarantine_file(self.brand, self.contract.name, load_id)
            lake.write_table(path, rows.select(schema.names).to_arrow().cast(schema))
        for feed, path, reason, count in (
            rows.group_by("feed", "source_file", "reason").len().rows()
        ):
            reasons[feed, path][reason] = count
        return reasons

    def _entry(
        self,
        entry: lake.FileEntry,
        stored: versions.Stored,
        reasons: Mapping[tuple[str, str], Counter[str]],
    ) -> lake.FileEntry:
        key = entry.feed, entry.path
        accepted, new = stored.counts.get(key, (0, 0))
        why = self.moved.get(key) or reasons.get(key, Counter())
        return replace(
            entry,
            read=self.read[key],
            accepted=accepted,
            new=new,
            unchanged=accepted - new,
            quarantined=why.total(),  # below zero for a replay
            reasons=dict(sorted(why.items())),
        )


def _place(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename({"_file": "source_file", "_row": "source_row"})
