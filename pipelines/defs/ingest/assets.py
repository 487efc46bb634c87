"""One asset a source table: landing files in, raw rows and quarantine out."""

from collections import Counter
from pathlib import Path

import dagster as dg

from pipelines import adapters
from pipelines.core.contracts import TABLES
from pipelines.core.contracts.base import Contract
from pipelines.core.home import Brand
from pipelines.core.ingest import LoadReport, accounting, load
from pipelines.defs.ingest.preview import preview
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
                description="read = accepted + quarantined, and no record of a file is lost",
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
                context.log.info,
            )
            for source, landing in sorted(config_of(brand).sources.items())
        ]
        return dg.MaterializeResult(
            metadata=_metadata(brand, contract, reports),
            check_results=[_accounted(brand, contract, reports)],
        )

    return table


def _metadata(
    brand: Brand, contract: Contract, reports: list[LoadReport]
) -> dict[str, dg.MetadataValue]:
    reasons = sum((Counter(report.reasons) for report in reports), Counter[str]())
    counts = {
        name: sum(getattr(report, name) for report in reports)
        for name in ("read", "accepted", "new", "unchanged", "quarantined")
    }
    return {
        "dagster/row_count": dg.MetadataValue.int(counts["new"]),
        **{name: dg.MetadataValue.int(count) for name, count in counts.items()},
        "reasons": dg.MetadataValue.json(dict(reasons)),
        "preview": dg.MetadataValue.md(preview(brand, contract, reports)),
    }


def _accounted(brand: Brand, contract: Contract, reports: list[LoadReport]) -> dg.AssetCheckResult:
    lost = [r.source for r in reports if r.read != r.accepted + r.quarantined]
    files = accounting(brand, contract.name)
    lost += [file.path for file in files if not file.is_balanced]
    return dg.AssetCheckResult(
        check_name=ACCOUNTED,
        passed=not lost,
        metadata={
            "files": len(files),
            "records": sum(file.records for file in files),
            "not_balanced": dg.MetadataValue.json(lost),
        },
    )


RAW = [raw_asset(contract) for contract in TABLES.values()]
