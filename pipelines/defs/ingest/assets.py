"""One asset a source table: landing files in, raw rows and quarantine out."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from pipelines import adapters
from pipelines.core.contracts import TABLES, Contract
from pipelines.core.ingest import LoadReport, load
from pipelines.core.quarantine import preview
from pipelines.defs.run import DAYS, OWNERS, BrandResource, config_of, instants

ACCOUNTED = "every_row_is_accounted_for"


def raw_asset(contract: Contract) -> dg.AssetsDefinition:
    """The asset `[raw, <table>]` of a contract, with its blocking count check."""
    key = dg.AssetKey(["raw", contract.name])

    @dg.asset(
        key=key,
        group_name="ingest",
        kinds={"python", "parquet"},
        owners=OWNERS,
        tags={"pii": "yes"} if contract.pii else {},
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="lake",
        description=contract.description,
        check_specs=[
            dg.AssetCheckSpec(
                ACCOUNTED,
                asset=key,
                blocking=True,
                description="read = accepted + quarantined, for each landing file",
            )
        ],
    )
    def table(context: dg.AssetExecutionContext, huitou: BrandResource) -> dg.MaterializeResult:
        moment, brand = instants(context, huitou.brand), huitou.brand
        reports = [
            load(
                brand,
                adapters.get(source),
                contract.name,
                Path(landing),
                (moment.first, moment.last),
                moment.known_at,
            )
            for source, landing in sorted(config_of(brand).sources.items())
        ]
        return _result(brand, reports)

    return table
