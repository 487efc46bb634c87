"""Business days, and the one place that reads the wall clock.

A run for business day D has `as_of` = the instant D+1 00:00 in the brand's time zone.
Everything stored is UTC with microseconds; days are cut only here and in the dbt macros.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from pipelines.core.errors import UsageError


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        UsageError: the name is not in the tz database.
    """
    if name not in available_timezones():
        message = f"unknown time zone {name!r}"
        raise UsageError(message, "use an IANA name such as Asia/Shanghai")
    return ZoneInfo(name)


class Clock(Protocol):
    """Tells the time; production uses `SystemClock`, tests and replays a `FrozenClock`."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        ...


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(tz=UTC)


@dataclass(frozen=True)
class FrozenClock:
    """A clock that stands still at `at`."""

    at: datetime

    def now(self) -> datetime:
        """The instant the clock was set to."""
        return self.at


def start_of(day: date, tz: str) -> datetime:
    """The UTC instant at which local `day` begins in `tz`."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(tz)).astimezone(UTC)


def as_of_for(day: date, tz: str) -> datetime:
    """The `as_of` of the run for business `day`: the UTC instant of the next local midnight."""
    return start_of(day + timedelta(days=1), tz)


def business_day(as_of: datetime, tz: str) -> date:
    """The day whose run has this `as_of`; the inverse of `as_of_for`."""
    return (as_of - timedelta(microseconds=1)).astimezone(ZoneInfo(tz)).date()


def iso(at: datetime) -> str:
    """`at` as text that dbt variables, manifests and logs share: UTC, microseconds, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> datetime:
    """The instant that `iso` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)


def check_past(
    as_of: datetime, known_at: datetime | None = None, clock: Clock | None = None
) -> None:
    """That a day that ends at `as_of` is over, and that what it is to know, if told, can be known.

    Raises:
        UsageError: one of them lies in the future.
    """
    now = (clock or SystemClock()).now()
    if as_of > now:
        message = f"the day is not over: it ends at {iso(as_of)}"
        raise UsageError(message, "run it then; today, run a day before it")
    if known_at and known_at > now:
        message = f"nothing can be known at {iso(known_at)} yet"
        raise UsageError(message, "give an instant that has been, or none for now")
