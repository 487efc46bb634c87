"""How fast the churn model learns and scores, and in how much memory, as the assets do it.

A brand is made whose warehouse holds the purchase days of millions and whose feature log remembers
two older scorings. A model is learnt, and retrained as each month. Then Dagster materializes the
scores of a night: the query, the scores, the file, and both drift checks. Each part runs in a
process of its own, so that a peak is its own. The model reads purchases alone, the log holds no
other views.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.core.churn import registry
from pipelines.core.churn.history import day_number, read_purchase_days
from pipelines.core.churn.learn import Settings, learn
from pipelines.core.churn.train import Retrained, retrain
from pipelines.core.clock import as_of_for, iso
from pipelines.core.feature_log import FeatureLog, Watermark
from pipelines.core.home import Brand
from pipelines.core.log_sql import row
from pipelines.core.snapshots import Appended

FIRST, DAYS, LAST_JOINED = date(2023, 1, 1), 730, 700
TODAY = FIRST + timedelta(days=DAYS - 1)
ZONE = "Asia/Shanghai"
#: Days ago of the scorings that the log remembers, and of the version that is served.
REMEMBERED, SERVED_SINCE = (100, 40), 31
#: What was promised: seconds, gigabytes.
TRAINING, SCORING, UNPROMISED = (300, None), (180, 6.0), (None, None)


@dataclass(frozen=True)
class Measured:
    """What a function returned, and what it took."""

    value: Any
    seconds: float
    gigabytes: float

    def line(self, words: str, most: tuple[float | None, float | None]) -> str:
        """One line of the report, and whether the promise holds."""
        limits = zip((self.seconds, self.gigabytes), most, strict=True)
        holds = all(limit is None or found <= limit for found, limit in limits)
        took = f"{self.seconds:.0f} s, peak {self.gigabytes:.1f} GB"
        return f"{'ok  ' if holds else 'MISS'} {words}: {took}"


def speed(members: int, rows: int) -> list[str]:
    """Seconds and memory of a monthly retraining on so many rows, and of a night's scores."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bench"
        days = alone(make_brand, root, members).value
        trained = alone(training, root, rows)
        alone(serve_a_version, root, rows // 5)
        retrained = alone(monthly_retraining, root, rows)
        scored = alone(night, root)
    return [
        trained.line(f"training on {trained.value:,} member-cut-offs", TRAINING),
        retrained.line("a monthly retraining on as many, with all trials", UNPROMISED),
        f"     {retrained.value}",
        scored.line(
            f"scores of {scored.value:,} members from {days:,} purchase days, with query, file "
            "and drift checks",
            SCORING,
        ),
    ]


def alone(function: Callable[..., Any], *given: Any) -> Measured:
    """The function, run in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, function, *given).result()


def measured(function: Callable[..., Any], *given: Any) -> Measured:
    started = time.perf_counter()
    value = function(*given)
    seconds = time.perf_counter() - started
    return Measured(value, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def make_brand(root: Path, members: int) -> int:
    """A brand as a night finds it; the number of purchase days."""
    brand = Brand(root)
    root.mkdir()
    brand.agree("bench", root, ZONE, "CNY")
    history = purchase_days(members)
    with duckdb.connect(str(brand.warehouse)) as warehouse:
        warehouse.execute("set enable_progress_bar = false")
        warehouse.register("history", history)
        warehouse.execute("create schema marts")
        warehouse.execute("create table marts.mart_purchase_days as from history")
        warehouse.execute(
            """
            create table marts.mart_member_contact as
            select member_id, hash(member_id) % 50 <> 0 as consent_profiling
            from (select distinct member_id from history)
            """
        )
    for days_ago in REMEMBERED:
        remember(brand, days_ago)
    return len(history)


def purchase_days(members: int, seed: int = 1) -> pa.Table:
    """Purchase days of that many members: gamma rates, exponential lives, two years."""
    random = np.random.default_rng(seed)
    joined = random.integers(0, LAST_JOINED, members)
    rate, life = random.gamma(0.8, 1 / 60, members), random.exponential(200, members)
    alive = np.minimum(life, DAYS - joined)
    count = random.poisson(rate * alive)
    owner = np.repeat(np.arange(members), count)
    day = np.concatenate([joined, joined[owner] + (random.random(len(owner)) * alive[owner])])
    owner = np.concatenate([np.arange(members), owner])
    start = day_number(FIRST)
    ids = pa.array(np.arange(members)).cast(pa.string())
    return pa.table(
        {
            "member_id": pa.compute.utf8_lpad(ids, 9, "0").take(pa.array(owner)),
            "purchase_date": pa.array(start + day.astype(np.int32), pa.int32()).cast(pa.date32()),
            "net_minor": pa.array(random.integers(1_000, 50_000, len(owner))),
        }
    )


def remember(brand: Brand, days_ago: int) -> None:
    """Scores of every member that the log took so many days ago, drawn evenly."""
    from pipelines.defs.churn.drift import VIEW

    as_of = as_of_for(TODAY - timedelta(days=days_ago), ZONE)
    mark = Watermark.of(as_of, as_of)
    known = {
        "member_id": "member_id",
        "p_churn_90d": f"(hash(member_id, {days_ago}) % 1000 + 0.5) / 1000",
        "scored_at": f"timestamptz '{iso(as_of)}'",
        "event_timestamp": f"timestamptz '{iso(as_of)}'",
        "created_timestamp": f"timestamptz '{iso(as_of)}'",
    }
    columns = [f"({known.get(name, 'null')})::{kind} as {name}" for name, kind in row(VIEW).items()]
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        rows = warehouse.sql(
            f"select {', '.join(columns)} from marts.mart_member_contact"
        ).to_arrow_reader()
        log = FeatureLog(brand.log)
        report: Appended = log.append(VIEW, rows, mark)
        log.commit(mark, "bench", {VIEW.name: report})


def serve_a_version(root: Path, rows: int) -> None:
    """Train one as of a month ago and serve it, whatever its trials say."""
    registry.use(Brand(root).models, str(_retrained(root, SERVED_SINCE, rows).version))


def training(root: Path, rows: int) -> int:
    """Learn a version and forget it; the rows that it learnt from."""
    today = day_number(TODAY)
    model = learn(read_purchase_days(_purchases(Brand(root)), today), today, None, Settings(rows))
    return model.rows if model else 0


def monthly_retraining(root: Path, rows: int) -> str:
    """The verdict while a version of a month before is served."""
    return _retrained(root, 0, rows).verdict.why


def _retrained(root: Path, days_ago: int, rows: int) -> Retrained:
    brand, as_of = Brand(root), as_of_for(TODAY - timedelta(days=days_ago), ZONE)
    return retrain(_purchases(brand), as_of, ZONE, brand.models, settings=Settings(rows))


def _purchases(brand: Brand) -> pa.Table:
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        return warehouse.table("marts.mart_purchase_days").to_arrow_table()


def night(root: Path) -> int:
    """The asset of the scores, as a nightly run materializes it; the number of members."""
    import dagster as dg

    from pipelines.defs.churn.assets import member_risk
    from pipelines.defs.run import KNOWN_AT_TAG, BrandResource

    as_of: datetime = as_of_for(TODAY, ZONE)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [member_risk],
            instance=instance,
            partition_key=TODAY.isoformat(),
            tags={KNOWN_AT_TAG: iso(as_of + timedelta(hours=2))},
            resources={"huitou": BrandResource(root=str(root))},
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
    checks = result.get_asset_check_evaluations()
    if unknown := [one.check_name for one in checks if "note" in one.metadata]:
        message = f"nothing was compared in {unknown}"
        raise RuntimeError(message)
    (made,) = result.asset_materializations_for_node("scores__member_risk")
    return int(made.metadata["dagster/row_count"].value)
