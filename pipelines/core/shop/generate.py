"""Runs a shop and writes what it exports, and apart from it the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from pipelines.core.errors import UsageError
from pipelines.core.files import read_json, write_json
from pipelines.core.shop.buying import PERIOD
from pipelines.core.shop.config import Dirt, ShopConfig, ShopReport
from pipelines.core.shop.dirt import BROKEN, KINDS, RULES, DirtyRows
from pipelines.core.shop.landing import DayFiles, ParquetFiles, landed
from pipelines.core.shop.truth import Truth
from pipelines.core.shop.world import Period, World

#: Told after each period: days done, days in all.
Progress = Callable[[int, int], None]


class Sink(Protocol):
    """Takes the rows of each period."""

    bytes: int

    def write(self, period: Period) -> None:
        """Write the rows that landed in a period."""
        ...


def generate(config: ShopConfig, out: Path, progress: Progress | None = None) -> ShopReport:
    """Write the shop's exports to `out/landing/<day>/<table>.csv.gz` and its truth to `out/truth`.

    Days that stand there already are replaced by what is the same, byte for byte; asking for more
    days of the same shop adds them.

    Raises:
        UsageError: `out` holds another shop, or something else.
    """
    marker, landing = out / "shop.json", out / "landing"
    _same_shop(config, marker, landing)
    if not marker.exists():
        write_json(marker, {"shop": config.identity()})
    world = World(config)
    files = DayFiles(world, landing)
    try:
        with Truth(world, out / "truth") as truth:
            report = _run(world, files, truth, progress)
            files.close()
            truth.members()
    except BaseException:
        files.abandon()
        raise
    report.bytes = files.bytes
    up_to = max(str(config.last), read_json(marker).get("written_up_to", ""))
    write_json(marker, {"shop": config.identity(), "written_up_to": up_to})
    return report


def generate_parquet(config: ShopConfig, out: Path, progress: Progress | None = None) -> ShopReport:
    """Write the same rows, typed by the contract, to `out/<table>/*.parquet`, for benchmarks.

    A column `landing_day` says when each landed. The shop is taken without dirt, because what is
    broken has no type.
    """
    world = World(replace(config, dirt=Dirt.none()))
    files = ParquetFiles(world, out)
    report = _run(world, files, None, progress)
    report.bytes = files.bytes
    return report


def _same_shop(config: ShopConfig, marker: Path, landing: Path) -> None:
    remedy = "name another folder, or remove this one"
    if not marker.exists():
        if landing.exists() and any(landing.iterdir()):
            message = f"{landing} holds files that no shop of ours wrote"
            raise UsageError(message, remedy)
    elif read_json(marker).get("shop") != config.identity():
        message = f"{marker.parent} holds another shop (members, first day, seed or dirt differ)"
        raise UsageError(message, remedy)


def _run(world: World, files: Sink, truth: Truth | None, progress: Progress | None) -> ShopReport:
    config = world.config
    first, days = config.first_written, config.days
    report = ShopReport(
        first_day=world.season.day(first),
        last_day=config.last,
        days=max(days - first, 0),
        members=world.joined_by(days),
        dirt={kind: {} for kind in KINDS},
    )
    for period in world.walk():
        files.write(period)
        for table, rows in period.landed.items():
            report.rows[table] = report.rows.get(table, 0) + landed(rows, first, days)
        if period.heads:
            placed = period.heads.day
            report.orders += int(np.count_nonzero((placed >= first) & (placed < days)))
        for dirty in period.dirty:
            _count(report, dirty, first, days, truth)
        if truth:
            truth.observe(period)
        if progress:
            progress(min((period.number + 1) * PERIOD, days), days)
    return report


def _count(
    report: ShopReport, dirty: DirtyRows, first: int, days: int, truth: Truth | None
) -> None:
    """Count the dirty rows among the days written, and hand them to the truth."""
    inside = dirty.within(first, days)
    if truth:
        truth.dirty(inside)
    for number, kind in enumerate(KINDS):
        found = int(np.count_nonzero(inside.kind == number))
        if found:
            tables = report.dirt[kind]
            tables[dirty.table] = tables.get(dirty.table, 0) + found
    for rule in inside.rule[inside.kind == BROKEN].tolist():
        rules = report.broken.setdefault(dirty.table, {})
        rules[RULES[rule]] = rules.get(RULES[rule], 0) + 1
