"""Member scores: what the churn model says of every member as of the run's instant."""

import dagster as dg
import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.core.churn.score import score
from pipelines.core.files import atomic
from pipelines.defs.run import DAYS, OWNERS, BrandResource, config_of, instants

PURCHASE_DAYS = """
    select member_id, purchase_date, purchase_at, order_count, net_minor, day_rank
    from marts.mart_purchase_days
"""


@dg.asset(
    key=["scores", "member_risk"],
    deps=[dg.AssetKey(["marts", "mart_purchase_days"])],
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
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        history = warehouse.execute(PURCHASE_DAYS).to_arrow_table()
    scores = score(history, moment.as_of, config_of(brand).business_tz)
    with atomic(brand.scores / "member_risk.parquet") as temporary:
        pq.write_table(scores, temporary, compression="zstd")
    bases = pc.value_counts(scores["basis"]).to_pylist()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": scores.num_rows,
            **{f"basis/{count['values']}": count["counts"] for count in bases},
        }
    )
