"""The way out of the warehouse: feature models into the log, the log's changes to the store."""

from collections.abc import Iterator

import dagster as dg
import duckdb

from pipelines.core.catalog import Catalog
from pipelines.core.errors import HuitouError
from pipelines.core.feature_log import FeatureLog
from pipelines.core.home import DBT_PROJECT
from pipelines.defs.run import DAYS, OWNERS, BrandResource, instants
from pipelines.defs.transform.assets import failed_checks
from pipelines.online.feast_repo import apply
from pipelines.online.publisher import publish
from pipelines.online.stores import open_store

CATALOG = Catalog.from_dbt(DBT_PROJECT)


def log_key(view: str) -> dg.AssetKey:
    """The asset that stands for a view's folder in the feature log."""
    return dg.AssetKey(["log", view])


def online_key(view: str) -> dg.AssetKey:
    """The asset that stands for a view's values in the online store."""
    return dg.AssetKey(["online", view])


@dg.multi_asset(
    name="feature_log",
    specs=[
        dg.AssetSpec(
            log_key(view.name),
            deps=[dg.AssetKey(["features", view.name])],
            group_name="features",
            kinds={"parquet"},
            owners=OWNERS,
            description=f"Changes and tombstones of {view.name}: {view.description}",
            partitions_def=DAYS,
        )
        for view in CATALOG.views.values()
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def feature_log(
    context: dg.AssetExecutionContext, huitou: BrandResource
) -> Iterator[dg.MaterializeResult]:
    """Append what changed since the snapshot before, then commit the snapshot as one.

    A view whose checks failed stays as the snapshot before has it.
    """
    brand, moment = huitou.brand, instants(context, huitou.brand)
    held, log, reports = failed_checks(context.instance), FeatureLog(brand.log), {}
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        for view in CATALOG.views.values():
            if view.name in held:
                continue
            rows = warehouse.table(f"features.{view.name}").to_arrow_reader(100_000)
            reports[view.name] = log.append(view, rows, moment.watermark)
    log.commit(moment.watermark, CATALOG.version, reports)
    CATALOG.save(brand.catalog)
    for name, report in reports.items():
        yield dg.MaterializeResult(
            asset_key=log_key(name),
            metadata={
                "upserts": report.upserts,
                "tombstones": report.tombstones,
                "unchanged": report.unchanged,
            },
        )
    for name, checks in held.items():
        yield dg.MaterializeResult(asset_key=log_key(name), metadata={"held back by": checks})


@dg.multi_asset(
    name="online_store",
    specs=[
        dg.AssetSpec(
            online_key(view.name),
            deps=[log_key(view.name)],
            group_name="online",
            kinds={"feast"},
            owners=OWNERS,
            description=f"The online store holds {view.name} as of the log's watermark.",
            partitions_def=DAYS,
        )
        for view in CATALOG.views.values()
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="online",
)
def online_store(
    context: dg.AssetExecutionContext, huitou: BrandResource
) -> Iterator[dg.MaterializeResult]:
    """Apply the log's upserts and deletes to the online store; the watermark moves last.

    A view whose checks failed keeps what it held; the others are published all the same.
    """
    held = failed_checks(context.instance)
    report = publish(huitou.brand, CATALOG, open_store(huitou.brand), hold=held)
    for name, view in report.views.items():
        yield dg.MaterializeResult(
            asset_key=online_key(name),
            metadata={
                "upserts": view.upserts,
                "deletes": view.deletes,
                "seconds": round(view.seconds, 3),
            },
        )
    if report.held:
        message = f"not published: {', '.join(f'{n} ({why})' for n, why in report.held.items())}"
        raise HuitouError(message, "mend what is named; the store serves what it held before")


@dg.asset(
    key=["feast", "registry"],
    deps=[log_key(view) for view in CATALOG.views],
    group_name="online",
    kinds={"feast"},
    owners=OWNERS,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def registry(huitou: BrandResource) -> dg.MaterializeResult:
    """Feast's registry holds the definitions of now; applied only when they change."""
    applied = apply(huitou.brand)
    return dg.MaterializeResult(metadata={"applied": applied, "definitions": CATALOG.version})
