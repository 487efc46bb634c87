"""The jobs: `ingest` takes landing days in, `nightly` takes one day the whole way.

Schedules and sensors that start them stand in their own modules.
"""

from __future__ import annotations

import dagster as dg

from pipelines.defs.run import DAYS

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups("ingest"),
    partitions_def=DAYS,
    description="Landing files of a range of days into the lake; backfills run as one.",
    executor_def=dg.in_process_executor,
)

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    partitions_def=DAYS,
    description="One day the whole way: ingest, marts, scores, features, log, online store.",
    executor_def=dg.in_process_executor,
)

restate = dg.define_asset_job(
    "restate",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("ingest"),
    partitions_def=DAYS,
    description="Marts to online store of one day from what the lake holds already.",
    executor_def=dg.in_process_executor,
)
