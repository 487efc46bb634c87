"""`huitou run`: one business day the whole way, from landing files to the online store."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.adapters import ADAPTERS
from pipelines.cli import options, report, runner
from pipelines.core.clock import as_of_for, check_past, iso
from pipelines.core.errors import UsageError
from pipelines.core.feature_log import FeatureLog, LogError, Watermark
from pipelines.core.home import Brand, Home

EXAMPLES = """
Take one day the whole way: ingest, marts, scores, features, log, online store.

Landing files of earlier days that were never loaded are loaded first.

Sources, each the name of its adapter: {adapters}.

Examples:

    huitou run --as-of 2011-12-09 --source online_retail_ii --landing data/online_retail_ii

    huitou run --as-of 2025-03-31                # the brand last run, its recorded sources

    huitou run --as-of 2025-03-31 --known-at as-of   # replay: as if run when the day ended
"""


AS_OF = "as-of"  # of --known-at: the instant the day ended


def register(app: typer.Typer) -> None:
    """Add `run`."""
    app.command("run", help=EXAMPLES.format(adapters=", ".join(sorted(ADAPTERS))))(run)


def run(
    as_of: Annotated[str, typer.Option("--as-of", help="Business day, YYYY-MM-DD.")],
    source: options.Source = None,
    landing: options.Landing = None,
    brand: options.BrandName = None,
    known_at: options.KnownAt = None,
) -> None:
    """One business day the whole way."""
    console, day = Console(), options.day(as_of)
    if known_at and known_at != AS_OF:
        options.instant(known_at)
    home = Home.from_env()
    name = brand or source
    chosen = home.brand(name) if name else home.current()
    if source:
        agree(chosen, source, landing)
    elif landing:
        raise UsageError("--landing without --source", "name the adapter that reads the folder")
    chosen.config()
    runner.use_brand(home, chosen, choose=False)
    with runner.warm(chosen):
        outcome = run_day(chosen, day, known_at, console)
    home.choose(chosen)
    report.show(chosen, outcome, console)


def agree(brand: Brand, source: str, landing: Path | None) -> None:
    """Record the source and its folder as the brand's.

    Raises:
        UsageError: unknown source, or a folder that is not there.
    """
    from pipelines import adapters
    from pipelines.core.ingest.landing import check

    adapter = adapters.get(source)
    if landing is None:
        message = f"--source {source} without --landing"
        raise UsageError(message, "name the folder of its files")
    check(adapter, landing)
    brand.agree(source, landing, adapter.business_tz, adapter.currency)


def run_day(brand: Brand, day: date, known_at: str | None, console: Console) -> runner.Outcome:
    """Load what earlier days left behind, then run the nightly job for `day`."""
    moment = _known_at(brand, day, known_at)
    earlier = pending(brand, day - timedelta(days=1))
    if earlier:
        console.print(f"[bold]{brand.name}[/] ingest {earlier[0]} … {earlier[-1]}")
        runner.execute("ingest", earlier[0], earlier[-1], moment, console)
    console.print(f"[bold]{brand.name}[/] nightly {day}")
    return runner.execute("nightly", day, day, moment, console)


def pending(brand: Brand, last: date) -> list[date]:
    """Landing days up to `last` of which a file was never loaded, in order."""
    from pipelines import adapters
    from pipelines.core.ingest import pending_files

    return sorted(
        {
            day
            for source, landing in brand.config().sources.items()
            for day in pending_files(brand, adapters.get(source), Path(landing), last).values()
        }
    )


def _known_at(brand: Brand, day: date, text: str | None) -> str | None:
    """The run's `known_at` if one is wanted; that it can't be run so is said here, not at its end.

    Raises:
        UsageError: the day is not over, the instant lies in the future, or a run that is in the log
            knew more.
    """
    as_of = as_of_for(day, brand.config().business_tz)
    known_at = as_of if text == AS_OF else options.instant(text) if text else None
    check_past(as_of, known_at)
    if known_at is None:
        return None
    try:
        FeatureLog(brand.log).check(Watermark.of(as_of, known_at))
    except LogError as error:
        raise UsageError(error.message, "give a later instant, or none for now") from error
    return iso(known_at)
