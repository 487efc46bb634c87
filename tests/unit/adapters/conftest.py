"""Loads a handful of landing files with a real adapter, and shows what is in the lake then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import adapters
from pipelines.core import quarantine
from pipelines.core.home import Brand
from pipelines.core.ingest import LoadReport, accounting, load

DAYS = date(2000, 1, 1), date(2030, 12, 31)


@dataclass
class Lake:
    """A brand into which landing files were loaded; `reports` by table."""

    brand: Brand
    source: str
    landing: Path
    reports: dict[str, LoadReport]
    loads: int = 0

    def rows(self, table: str, *columns: str) -> list[Any]:
        """The raw rows of the table by id: tuples of these columns, or the values of one."""
        frame = pl.read_parquet(self.brand.raw / table / "*.parquet").sort(
            "source_row_id", "known_at"
        )
        found = frame.select(columns).rows()
        return [row[0] for row in found] if len(columns) == 1 else found

    def reasons(self, table: str) -> list[tuple[int, str]]:
        """(record number, reason) of the table's quarantined rows."""
        return quarantine.rows(self.brand, table).select("source_row", "reason").rows()

    def load(self, days: tuple[date, date] = DAYS) -> None:
        """Load every table that the adapter feeds, a day later each time."""
        self.loads += 1
        adapter = adapters.get(self.source)
        known_at = datetime(2031, 1, self.loads, tzinfo=UTC)
        self.reports = {
            feed.table: load(self.brand, adapter, feed.table, self.landing, days, known_at)
            for feed in adapter.feeds
        }
        for account in accounting(self.brand):
            assert account.is_complete, account
            assert account.is_balanced, account


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str, Mapping[str, pl.DataFrame | str]], Lake]:
    """Write these files (frames as Parquet, text as it is) and load them with the adapter."""

    def make(source: str, files: Mapping[str, pl.DataFrame | str]) -> Lake:
        landing = tmp_path / "landing"
        for name, content in files.items():
            path = landing / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                content.write_parquet(path)
        lake = Lake(Brand(tmp_path / "brands" / source), source, landing, {})
        lake.load()
        return lake

    return make
