"""Checks of the online store against the feature log, by sample each night."""

from collections.abc import Iterator

import dagster as dg

from pipelines.defs.features.assets import CATALOG, online_key
from pipelines.defs.run import BrandResource
from pipelines.online.parity import parity
from pipelines.online.stores import open_store

CHECK = "holds_what_the_log_says"
#: Members a view whose cells are compared each night; `huitou parity` compares all.
SAMPLE = 10_000
#: Those of them whose cells are decoded as well.
DECODED = 200


@dg.multi_asset_check(
    name="online_parity",
    specs=[dg.AssetCheckSpec(CHECK, asset=online_key(view)) for view in CATALOG.views],
    pool="online",
)
def online_parity(huitou: BrandResource) -> Iterator[dg.AssetCheckResult]:
    """Keys that the log does not have are deleted and told; a cell that differs is an error."""
    store = open_store(huitou.brand)
    report = parity(huitou.brand, CATALOG, store, SAMPLE, reconcile=True, decoded=DECODED)
    named = [f"{d.view}.{d.feature} {d.key}: {d.log}, {d.store}" for d in report.differences]
    for name, found in report.views.items():
        yield dg.AssetCheckResult(
            asset_key=online_key(name),
            check_name=CHECK,
            passed=not found.differing and not found.orphans,
            severity=(
                dg.AssetCheckSeverity.ERROR if found.differing else dg.AssetCheckSeverity.WARN
            ),
            metadata={
                "members": found.keys,
                "differing cells": found.differing.total(),
                "orphans deleted": found.orphans,
                "differences": [words for words in named if words.startswith(f"{name}.")],
            },
        )
