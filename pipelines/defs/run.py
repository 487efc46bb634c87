"""What every run agrees on: its brand, its partitions, and its two clocks.

No definitions stand here; the modules beside it share these.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from pipelines.core.clock import as_of_for, check_past, from_iso, iso
from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.feature_log import Watermark
from pipelines.core.home import Brand, BrandConfig, Home

#: Run tag that fixes `knowledge_cutoff`; without it a run knows what was known when it was made.
KNOWN_AT_TAG = "huitou/known_at"
#: The earliest landing day a partition can have.
FIRST_DAY = "2009-01-01"
OWNERS = ["team:data"]


def current_brand() -> Brand:
    """The brand this process works for; a placeholder while nothing has been run yet."""
    home = Home.from_env()
    try:
        return home.current()
    except UsageError:
        return home.brand("none")


def config_of(brand: Brand) -> BrandConfig:
    """The brand's agreement; the defaults while nothing has been run yet."""
    return brand.config_or_default()


#: Days that are over: what comes in on a day that is not could never be told of it again.
DAYS = dg.DailyPartitionsDefinition(
    start_date=FIRST_DAY, timezone=config_of(current_brand()).business_tz
)


class BrandResource(dg.ConfigurableResource):
    """The folder of the brand that a run reads and writes."""

    root: str

    @property
    def brand(self) -> Brand:
        """The brand of that folder."""
        from pathlib import Path

        return Brand(Path(self.root))


@dataclass(frozen=True)
class Instants:
    """The days and clocks of one run: landing days `first` to `last`, and how far it sees."""

    first: date
    last: date
    as_of: datetime
    known_at: datetime

    @property
    def snapshot_id(self) -> str:
        """Name of the snapshot: its two clocks, sortable."""
        return f"{self.as_of:%Y%m%dT%H%M%SZ}-{self.known_at:%Y%m%dT%H%M%S%fZ}"

    @property
    def watermark(self) -> Watermark:
        """The snapshot's place in the feature log."""
        return Watermark(self.as_of, self.known_at, self.snapshot_id)


def instants(context: dg.AssetExecutionContext, brand: Brand) -> Instants:
    """The instants of the run that `context` belongs to; equal in every step of it.

    `known_at` is the run's tag, else the instant at which Dagster made the run.

    Raises:
        UsageError: the day is not over, or `known_at` lies in the future.
    """
    span = context.partition_key_range
    first, last = date.fromisoformat(span.start), date.fromisoformat(span.end)
    tag = context.run.tags.get(KNOWN_AT_TAG)
    if tag:
        known_at = from_iso(tag)
    else:
        record = context.instance.get_run_record_by_id(context.run.run_id)
        if record is None:
            message = f"the Dagster instance does not know run {context.run.run_id}"
            raise HuitouError(message, f"give the run a tag {KNOWN_AT_TAG}")
        known_at = record.create_timestamp.replace(tzinfo=UTC)
    as_of = as_of_for(last, config_of(brand).business_tz)
    check_past(as_of, known_at if tag else None)  # Dagster's clock is not ours to judge
    return Instants(first, last, as_of, known_at)


def dbt_environment(moment: Instants, brand: Brand) -> dict[str, str]:
    """What makes the dbt models a pure function of the run's instants and the brand's lake.

    Where only part of them is built, a test that also reads another part is left out: that part
    may never have been built.
    """
    return {
        "DBT_INDIRECT_SELECTION": "buildable",
        "DBT_LOG_LEVEL_FILE": "info",  # debug fills ten megabytes a build
        "HUITOU_ROOT": str(brand.root),
        "HUITOU_AS_OF": iso(moment.as_of),
        "HUITOU_KNOWLEDGE_CUTOFF": iso(moment.known_at),
        "HUITOU_SNAPSHOT_ID": moment.snapshot_id,
    }
