"""The churn model, learnt now and then, and what it says of every member each night."""

import dagster as dg
import duckdb
import pyarrow as pa

from pipelines.core.churn import registry
from pipelines.core.churn.score import Scoring, write_scores
from pipelines.core.churn.train import retrain
from pipelines.core.home import Brand
from pipelines.defs.run import DAYS, OWNERS, BrandResource, Instants, config_of, instants

PURCHASE_DAYS = """
    select member_id, purchase_date, purchase_at, order_count, net_minor, day_rank
    from marts.mart_purchase_days
"""
SOURCE = dg.AssetKey(["marts", "mart_purchase_days"])


@dg.asset(
    key=["scores", "member_risk"],
    deps=[SOURCE],
    group_name="churn",
    kinds={"python", "parquet"},
    owners=OWNERS,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def member_risk(context: dg.AssetExecutionContext, huitou: BrandResource) -> dg.MaterializeResult:
    """One row per member with a purchase: chance of no purchase day in the next 90 days."""
    brand, moment = huitou.brand, instants(context, huitou.brand)
    scoring = _scoring(brand, moment)
    path = brand.scores / "member_risk.parquet"
    members = write_scores(_history(brand), path, scoring)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": members, "model_version": scoring.version}
    )


@dg.asset(
    key=["models", "churn"],
    deps=[SOURCE],
    group_name="models",
    kinds={"python"},
    owners=OWNERS,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def churn_model(context: dg.AssetExecutionContext, huitou: BrandResource) -> dg.MaterializeResult:
    """A version of the churn model, tried on past cut-offs; served only if it is no worse there."""
    brand, moment = huitou.brand, instants(context, huitou.brand)
    zone = config_of(brand).business_tz
    made = retrain(_history(brand), moment.as_of, zone, brand.models)
    return dg.MaterializeResult(
        metadata={
            "promoted": made.verdict.promoted,
            "why": made.verdict.why,
            "version": made.version or "none",
            "card": dg.MetadataValue.json(made.card),
        }
    )


def _history(brand: Brand) -> pa.Table:
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        return warehouse.sql(PURCHASE_DAYS).to_arrow_table()


def _scoring(brand: Brand, moment: Instants) -> Scoring:
    """With the version in use; with the counted hazard table while there is none."""
    zone, version = config_of(brand).business_tz, registry.served(brand.models)
    if version is None:
        return Scoring(moment.as_of, zone)
    model = registry.load(brand.models, version)
    return Scoring(moment.as_of, zone, model=model, version=version)
