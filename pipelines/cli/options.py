"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from pipelines.core.clock import SystemClock, from_iso
from pipelines.core.errors import UsageError
from pipelines.core.home import Brand, Home

#: The first landing day that Dagster's partitions know.
EARLIEST = date(2009, 1, 1)
BrandName = Annotated[
    str | None, typer.Option("--brand", help="Brand to work on. Default: the one last run.")
]
Source = Annotated[
    str | None, typer.Option("--source", help="Adapter that reads the landing files.")
]
Landing = Annotated[
    Path | None, typer.Option("--landing", help="Folder where the source's files land.")
]
KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        help="Replay: what the pipeline knows, as an instant (2025-03-01T00:00:00Z), or "
        "`as-of` for the instant the day ended. Default: now.",
    ),
]


def calendar_day(text: str) -> date:
    """The date that `text` writes as YYYY-MM-DD.

    Raises:
        UsageError: it is not such a date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a date"
        raise UsageError(message, "write it as YYYY-MM-DD, for example 2025-03-31") from None


def latest_day() -> date:
    """The last day that has begun somewhere."""
    return SystemClock().now().date() + timedelta(days=1)


def day(text: str) -> date:
    """The business day that `text` writes as YYYY-MM-DD.

    Raises:
        UsageError: it is not such a date, or one that Dagster's partitions do not know.
    """
    found = calendar_day(text)
    last = latest_day()
    if not EARLIEST <= found <= last:
        message = f"{found} is no day that can be run"
        raise UsageError(message, f"name a day from {EARLIEST} to {last}")
    return found


def instant(text: str) -> datetime:
    """The instant that `text` writes in ISO 8601 with its zone, in UTC.

    Raises:
        UsageError: it is not an instant or names no zone.
    """
    try:
        if datetime.fromisoformat(text).tzinfo is None:
            raise ValueError
        return from_iso(text)
    except ValueError:
        message = f"{text!r} is not an instant with a zone"
        raise UsageError(message, "write it as 2025-03-31T02:00:00Z") from None


def chosen_brand(name: str | None) -> tuple[Home, Brand]:
    """The home, and in it the brand of that name or the one last run.

    Raises:
        UsageError: it has never been run.
    """
    home = Home.from_env()
    brand = home.brand(name) if name else home.current()
    brand.config()
    return home, brand


def local(at: datetime, tz: str) -> str:
    """`at` on the brand's own clock, to the minute."""
    return at.astimezone(ZoneInfo(tz)).strftime("%Y-%m-%d %H:%M")
