"""Where rows land: as a shop's exports by day, or as typed Parquet for benchmarks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core.shop.buying import PERIOD
from pipelines.core.shop.tables import LAND, Rows, Table, count, take
from pipelines.core.shop.world import Period, World

SPAN_ROWS = 100_000
WORKERS = min(os.cpu_count() or 1, 4)


class DayFiles:
    """Writes `<folder>/<day>/<table>.csv.gz`; a day appears when all its files are there.

    The bytes are those of gzip without name or time, compressed by Arrow's own zlib at level 1.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world, self._folder = world, folder
        self._workshop = folder.parent / ".making"
        self._pool = ThreadPoolExecutor(WORKERS, "shop")
        self._open: list[tuple[range, list[Future[int]]]] = []
        self.bytes = 0
        shutil.rmtree(self._workshop, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, period: Period) -> None:
        """Write the days of a period, while the next one is being drawn."""
        config = self._world.config
        start = period.number * PERIOD
        days = range(max(start, config.first_written), min(start + PERIOD, config.days))
        for day in days:
            self._making(day).mkdir(parents=True)
        jobs = [
            self._pool.submit(self._files, self._world.tables[name], rows, span)
            for name, rows in period.landed.items()
            for span in spans(rows, days)
        ]
        self._open.append((days, jobs))
        if len(self._open) > 1:
            self._settle()

    def close(self) -> None:
        """Wait for all files."""
        while self._open:
            self._settle()
        self._pool.shutdown()
        shutil.rmtree(self._workshop, ignore_errors=True)

    def abandon(self) -> None:
        """Give up what is not finished."""
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._workshop, ignore_errors=True)

    def _settle(self) -> None:
        days, jobs = self._open[0]
        self.bytes += sum(job.result() for job in jobs)
        self._open.pop(0)
        for day in days:
            made, final = self._making(day), self._folder / str(self._world.season.day(day))
            shutil.rmtree(final, ignore_errors=True)
            made.rename(final)

    def _making(self, day: int) -> Path:
        return self._workshop / str(self._world.season.day(day))

    def _files(self, table: Table, rows: Rows, days: range) -> int:
        """Write the files of one table on those days; gives their size."""
        codec = pa.Codec("gzip", compression_level=1)
        edges = np.searchsorted(rows[LAND], np.arange(days.start, days.stop + 1)).tolist()
        written = 0
        for day, start, end in zip(days, edges[:-1], edges[1:], strict=True):
            if start < end:
                packed = codec.compress(table.csv(rows, start, end), asbytes=True)
                (self._making(day) / f"{table.name}.csv.gz").write_bytes(packed)
                written += len(packed)
        return written


def spans(rows: Rows, days: range) -> Iterator[range]:
    """Those days in runs of some `SPAN_ROWS` rows, so that two hands share the work."""
    edges = np.searchsorted(rows[LAND], np.arange(days.start, days.stop + 1)).tolist()
    first = 0
    for i in range(1, len(edges)):
        if edges[i] - edges[first] >= SPAN_ROWS or i == len(edges) - 1:
            yield range(days.start + first, days.start + i)
            first = i


class ParquetFiles:
    """Writes `<folder>/<table>/part-<period>.parquet`, typed by the contract; no days, no dirt."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world, self._folder = world, folder
        self.bytes = 0

    def write(self, period: Period) -> None:
        """Write the rows that landed in a period."""
        season, config = self._world.season, self._world.config
        for name, rows in period.landed.items():
            inside = (rows[LAND] >= config.first_written) & (rows[LAND] < config.days)
            if not inside.any():
                continue
            kept = rows if inside.all() else take(rows, np.flatnonzero(inside))
            path = self._folder / name / f"part-{period.number:04d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            table = self._world.tables[name].typed(kept, season.epoch_day)
            pq.write_table(table, path, compression="zstd", compression_level=1)
            self.bytes += path.stat().st_size


def landed(rows: Rows, first: int, end: int) -> int:
    """How many of the rows land on those days."""
    if not count(rows):
        return 0
    return int(np.searchsorted(rows[LAND], end) - np.searchsorted(rows[LAND], first))
