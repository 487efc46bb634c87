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

MODEL = dg.AssetSelection.groups("models")

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all() - MODEL,
    partitions_def=DAYS,
    description="One day the whole way: ingest, marts, scores, features, log, online store. "
    "A range of days is one run: all of them are taken in, the marts are of the last, and the "
    "log gets that one snapshot.",
    executor_def=dg.in_process_executor,
)

restate = dg.define_asset_job(
    "restate",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("ingest") - MODEL,
    partitions_def=DAYS,
    description="Marts to online store of one day from what the lake holds already.",
    executor_def=dg.in_process_executor,
)

retrain = dg.define_asset_job(
    "retrain",
    selection=MODEL,
    partitions_def=DAYS,
    description="Learn the churn model anew; it is served only if past cut-offs say it is better.",
    executor_def=dg.in_process_executor,
)
