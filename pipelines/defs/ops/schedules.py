"""When the jobs start by themselves; all are off until somebody turns them on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines import adapters
from pipelines.core.clock import SystemClock
from pipelines.core.ingest import pending_files
from pipelines.defs.ops.jobs import ingest, nightly, retrain
from pipelines.defs.run import DAYS, config_of, current_brand


def day_that_ended(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """A run for the day before the one on which the schedule is due, on the brand's clock."""
    local = context.scheduled_execution_time.astimezone(ZoneInfo(DAYS.timezone))
    day = (local.date() - timedelta(days=1)).isoformat()
    return dg.RunRequest(run_key=day, partition_key=day)


@dg.schedule(
    job=nightly,
    name="nightly",
    cron_schedule="30 2 * * *",
    execution_timezone=DAYS.timezone,
    description="02:30 in the business time zone, for the day that ended at midnight.",
)
def nightly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The last partition there is when it is due."""
    return day_that_ended(context)


@dg.schedule(
    job=retrain,
    name="retrain",
    cron_schedule="0 5 1 * *",
    execution_timezone=DAYS.timezone,
    description="05:00 on the first of the month, from what the night before computed.",
)
def retrain_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The day that ended at midnight is the one to learn from."""
    return day_that_ended(context)


@dg.sensor(
    job=ingest,
    minimum_interval_seconds=300,
    name="late_files",
    description="Takes in files of days now past that were never loaded, or were corrected since.",
)
def late_files() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Files that landed for days now past and were never loaded; one run takes them all."""
    brand = current_brand()
    today = SystemClock().now().astimezone(config_of(brand).zone()).date()
    last = today - timedelta(days=1)
    files = {
        file: day
        for source, landing in config_of(brand).sources.items()
        for file, day in pending_files(brand, adapters.get(source), Path(landing), last).items()
    }
    if not files:
        yield dg.SkipReason("every landed file of past days is loaded")
        return
    # the same files once, whatever became of their run; a corrected file of a day that ran is new
    content = sha256("\n".join(sorted(files)).encode()).hexdigest()
    span = (min(files.values()).isoformat(), max(files.values()).isoformat())
    yield dg.RunRequest(
        run_key=f"{span[0]}..{span[1]}:{content[:16]}",
        tags={
            "dagster/asset_partition_range_start": span[0],
            "dagster/asset_partition_range_end": span[1],
        },
    )
