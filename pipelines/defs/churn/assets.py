"""The churn model, learnt now and then, and what it says of every member each night."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn import registry
from pipelines.core.churn.card import calibration_plot
from pipelines.core.churn.extras import Extras
from pipelines.core.churn.from_log import knowledge
from pipelines.core.churn.score import Scoring, write_scores
from pipelines.core.churn.train import LABEL, Retrained, retrain, training_entities
from pipelines.core.clock import business_day
from pipelines.core.errors import UsageError
from pipelines.core.feature_log import FeatureLog
from pipelines.core.home import Brand
from pipelines.defs.churn.drift import check_specs, drift
from pipelines.defs.features.assets import CATALOG
from pipelines.defs.run import DAYS, OWNERS, BrandResource, Instants, config_of, instants
from pipelines.online.access.erasures import (
    Erasures,
    erasures_path,
    forget_erased,
    sweep_training_sets,
)
from pipelines.online.feast_repo import apply
from pipelines.online.training import save, training_set

#: The feature service that the model learns from and scores with.
SERVICE = "churn_train_v1"
PURCHASE_DAYS = """
    select member_id, purchase_date, net_minor from marts.mart_purchase_days
"""
PURCHASES_END = "select max(as_of) as as_of from marts.mart_purchase_days"
NO_PROFILING = """
    select member_id from marts.mart_member_contact where not consent_profiling order by member_id
"""
PURCHASES = dg.AssetKey(["marts", "mart_purchase_days"])
CONSENT = dg.AssetKey(["marts", "mart_member_contact"])
SCORES = dg.AssetKey(["scores", "member_risk"])


@dg.asset(
    key=SCORES,
    deps=[PURCHASES, CONSENT],
    group_name="churn",
    kinds={"python", "parquet"},
    owners=OWNERS,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
    check_specs=check_specs(SCORES),
)
def member_risk(context: dg.AssetExecutionContext, huitou: BrandResource) -> dg.MaterializeResult:
    """One row per member with a purchase: chance of no purchase day in the next 90 days."""
    brand, moment = huitou.brand, instants(context, huitou.brand)
    scoring, path = _scoring(brand, moment), brand.scores / "member_risk.parquet"
    with _purchase_days(brand) as purchases:
        members = write_scores(purchases, path, scoring)
        checks = drift(brand, moment, purchases, path)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": members, "model_version": scoring.version},
        check_results=checks,
    )


@dg.asset(
    key=["models", "churn"],
    deps=[PURCHASES],
    group_name="models",
    kinds={"python", "feast"},
    owners=OWNERS,
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="warehouse",
)
def churn_model(context: dg.AssetExecutionContext, huitou: BrandResource) -> dg.MaterializeResult:
    """A version of the churn model, tried on past cut-offs; served only if it is no worse there."""
    brand, moment = huitou.brand, instants(context, huitou.brand)
    _check_day(brand, moment)
    zone, agreed = config_of(brand).business_tz, _agreed(brand)
    extras = _log_as_known(brand, agreed, moment)
    made = retrain(agreed, moment.as_of, zone, brand.models, extras)
    return dg.MaterializeResult(
        metadata={
            "promoted": made.verdict.promoted,
            "why": made.verdict.why,
            "version": made.version or "none",
            "card": dg.MetadataValue.json(made.card),
            "calibration": dg.MetadataValue.md(_picture(made)),
        }
    )


def _check_day(brand: Brand, moment: Instants) -> None:
    """That the marts hold the day: a purchase they do not hold would be taught as silence.

    Raises:
        UsageError: the marts end before the day does.
    """
    (ends_at,) = _query(brand, PURCHASES_END)["as_of"].to_pylist()
    if ends_at is not None and ends_at < moment.as_of:
        zone = config_of(brand).business_tz
        day, held = (business_day(at, zone) for at in (moment.as_of, ends_at))
        message = f"the marts are of {held} now, which ends before {day}"
        raise UsageError(message, f"run that day first: huitou run --as-of {day}")


def _picture(made: Retrained) -> str:
    """The calibration plot of the card as Markdown, empty where no past cut-off was tried."""
    bins = made.card.get("backtest", {}).get("calibration", [])
    svg = base64.b64encode(calibration_plot(bins).encode()).decode()
    return f"![said against came](data:image/svg+xml;base64,{svg})" if bins else ""


@contextmanager
def _purchase_days(brand: Brand) -> Iterator[Path]:
    """The purchase days as a file that is gone afterwards: millions are read in parts, twice."""
    path = brand.scores / ".purchase_days.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
            warehouse.execute("set preserve_insertion_order = false")
            warehouse.execute("set enable_progress_bar = false")
            warehouse.sql(PURCHASE_DAYS).write_parquet(str(path))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _agreed(brand: Brand) -> pa.Table:
    """The purchase days of members who agree to profiling and were not erased."""
    purchases = _query(brand, PURCHASE_DAYS)
    agreed = purchases.join(_query(brand, NO_PROFILING), "member_id", join_type="left anti")
    erased = Erasures.load(erasures_path(brand)).among(agreed["member_id"].unique().to_pylist())
    gone = pc.is_in(agreed["member_id"], value_set=pa.array(erased, pa.string()))
    return agreed.filter(pc.invert(gone))


def _query(brand: Brand, query: str) -> pa.Table:
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        return warehouse.sql(query).to_arrow_table()


def _scoring(brand: Brand, moment: Instants) -> Scoring:
    """With the version in use that day; with the counted hazard table while there was none."""
    zone = config_of(brand).business_tz
    version = registry.served_on(brand.models, business_day(moment.as_of, zone))
    withheld = _query(brand, NO_PROFILING)["member_id"].combine_chunks()
    if version is None:
        return Scoring(moment.as_of, zone, withheld)
    model = registry.load(brand.models, version)
    scoring = Scoring(moment.as_of, zone, withheld, model, version)
    if not model.ranker.encoder.columns:
        return scoring
    known = knowledge(FeatureLog(brand.log), CATALOG, SERVICE, scoring.today, zone)
    return replace(scoring, known=known)


def _log_as_known(brand: Brand, purchases: pa.Table, moment: Instants) -> Extras | None:
    """What the log knew of every member at every cut-off; the set is kept beside the models.

    None while the log is empty: the model then learns from purchases alone.
    """
    zone = config_of(brand).business_tz
    entities = training_entities(purchases, moment.as_of, zone, brand.models)
    if not len(entities) or FeatureLog(brand.log).latest() is None:
        return None
    apply(brand)
    rows = training_set(brand, SERVICE, entities)
    sweep_training_sets(brand)  # one retraining runs at a time
    save(rows, brand.training_sets / f"{moment.snapshot_id}.parquet")
    forget_erased(brand)  # who was erased while the rows were being joined
    return Extras(rows.drop([LABEL]), zone)
