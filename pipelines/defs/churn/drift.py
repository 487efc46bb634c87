"""Earlier scores, as the feature log remembers them, held against tonight's and against what came.

These checks warn and block nothing: a brand may well have changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.core.churn.drift import MOVED, Matured, Shift, matured
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import Floats, day_number
from pipelines.core.clock import business_day
from pipelines.core.feature_log import FeatureLog, Watermark
from pipelines.core.home import Brand
from pipelines.defs.features.assets import CATALOG
from pipelines.defs.run import Instants, config_of

VIEW = CATALOG.views["member_risk_v1"]
#: Days between the two populations that are compared.
APART = 30
STABLE, CALIBRATED = "population_is_as_a_month_ago", "scores_of_a_quarter_ago_came_true"


def check_specs(scores: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The two checks of the scores."""
    words = {
        STABLE: f"population stability index against {APART} days ago at most {MOVED}",
        CALIBRATED: f"what was said {HORIZON} days ago or earlier is as calibrated as promised",
    }
    return [dg.AssetCheckSpec(name, asset=scores, description=text) for name, text in words.items()]


def drift(
    brand: Brand, moment: Instants, purchases: Path, scores: Path
) -> list[dg.AssetCheckResult]:
    """The results of both checks; passed where the log holds no scores that old.

    `purchases` is `mart_purchase_days` as a file, `scores` what was written tonight.
    """
    return [_stable(brand, moment, scores), _calibrated(_judged(brand, moment, purchases))]


def _remembered(brand: Brand, moment: Instants, days: int, columns: Sequence[str]) -> pa.Table:
    """These columns of the scores that held so many days ago, as known then or since."""
    mark = Watermark.of(moment.as_of - timedelta(days=days), moment.known_at)
    asked = list(dict.fromkeys([*VIEW.join_keys, *columns]))
    reader = FeatureLog(brand.log).state(VIEW, mark, columns=asked)
    kept = [batch.select(columns) for batch in reader]
    return pa.Table.from_batches(kept, pa.schema([reader.schema.field(name) for name in columns]))


def _judged(brand: Brand, moment: Instants, purchases: Path) -> Matured | None:
    """The newest scores whose 90 days are over, against what came."""
    scores = _remembered(brand, moment, HORIZON, ["member_id", "p_churn_90d", "scored_at"])
    scored_at = pc.max(scores["scored_at"])
    if not scored_at.is_valid:
        return None
    zone = config_of(brand).business_tz
    today = day_number(business_day(moment.as_of, zone))
    of_that_night = scores.filter(pc.equal(scores["scored_at"], scored_at))
    return matured(of_that_night, purchases, scored_at.as_py(), today, zone)


def _stable(brand: Brand, moment: Instants, scores: Path) -> dg.AssetCheckResult:
    before = _numbers(_remembered(brand, moment, APART, ["p_churn_90d"]))
    now = _numbers(pq.read_table(scores, columns=["p_churn_90d"]))
    if not len(before) or not len(now):
        return _unknown(STABLE, APART)
    shift = Shift.between(before, now)
    return _result(STABLE, not shift.is_large, vars(shift))


def _numbers(scores: pa.Table) -> Floats:
    numbers: Floats = scores["p_churn_90d"].drop_null().to_numpy()
    return numbers


def _calibrated(found: Matured | None) -> dg.AssetCheckResult:
    if found is None:
        return _unknown(CALIBRATED, HORIZON)
    return _result(CALIBRATED, found.is_calibrated, vars(found))


def _unknown(name: str, days: int) -> dg.AssetCheckResult:
    note = f"the log holds no scores of {days} days ago"
    return dg.AssetCheckResult(check_name=name, passed=True, metadata={"note": note})


def _result(name: str, passed: bool, numbers: Mapping[str, float]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=bool(passed),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: round(float(value), 4) for name, value in numbers.items()},
    )
