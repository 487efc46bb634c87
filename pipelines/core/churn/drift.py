"""Whether the model still describes the customers it scores; what warns, and never blocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.core.churn.backtest import MOST_ERROR
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import Floats, day_number
from pipelines.core.churn.numbers import auc, calibration_error, log_losses
from pipelines.core.clock import business_day

BINS = 10
#: A population stability index above this is a drift worth a look.
MOVED = 0.2
LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Shift:
    """By how much one population of scores differs from another."""

    stability_index: float
    mean_before: float
    mean_now: float

    @classmethod
    def between(cls, before: Floats, now: Floats) -> Shift:
        """The shift from some scores to others, neither of them empty."""
        return cls(stability(before, now), float(before.mean()), float(now.mean()))

    @property
    def is_large(self) -> bool:
        """Whether it is worth a look."""
        return self.stability_index > MOVED


@dataclass(frozen=True)
class Matured:
    """Scores whose 90 days are over, against what came."""

    customers: int
    said: float
    came: float
    log_loss: float
    auc: float
    ece: float
    ece_by_chance: float

    @property
    def is_calibrated(self) -> bool:
        """Whether the calibration error is small, or no more than chance would do."""
        return self.ece <= max(MOST_ERROR, 2 * self.ece_by_chance)


def stability(before: Floats, now: Floats) -> float:
    """The population stability index of `now` against `before`, over deciles of `before`."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, p), minlength=len(edges) + 1), 1)
        / max(len(p), 1)
        for p in (before, now)
    ]
    old, new = (np.maximum(share, LEAST_SHARE) for share in shares)
    return float(((new - old) * np.log(new / old)).sum())


def matured(
    scores: pa.Table,
    purchase_days: pa.Table | Path,
    scored_at: datetime,
    today: int,
    business_tz: str,
) -> Matured | None:
    """How the scores of `scored_at` did; None before 90 days are over or where nothing matches.

    `purchase_days` is `mart_purchase_days`, a table or a Parquet file. Members who are no longer
    among those who had bought by then, because they were merged, are left out.
    """
    cutoff = day_number(business_day(scored_at, business_tz))
    if today < cutoff + HORIZON:
        return None
    said, silent = _outcomes(scores, purchase_days, cutoff)
    if not len(said):
        return None
    return Matured(
        customers=len(said),
        said=float(said.mean()),
        came=float(silent.mean()),
        log_loss=float(log_losses(silent, said).mean()),
        auc=auc(silent, said),
        ece=calibration_error(silent, said),
        ece_by_chance=_error_by_chance(said),
    )


def _outcomes(
    scores: pa.Table, purchase_days: pa.Table | Path, cutoff: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """What was said of members, and who had no purchase day in the 90 days after `cutoff`."""
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        connection.register("scores", scores)
        if isinstance(purchase_days, pa.Table):
            connection.register("purchase_days", purchase_days)
        else:
            connection.read_parquet(str(purchase_days)).create_view("purchase_days")
        found = connection.sql(
            """
            select p_churn_90d as said, is_silent as silent
            from scores
            join (
                select member_id, max(purchase_date) <= date '1970-01-01' + $cutoff::integer
                    as is_silent
                from purchase_days
                where purchase_date <= date '1970-01-01' + $cutoff::integer + $horizon::integer
                    and net_minor > 0
                group by member_id
                having min(purchase_date) <= date '1970-01-01' + $cutoff::integer
            ) using (member_id)
            where p_churn_90d is not null
            order by member_id
            """,
            params={"cutoff": cutoff, "horizon": HORIZON},
        ).to_arrow_table()
    silent = found["silent"].to_numpy().astype(bool)
    return found["said"].to_numpy(), silent


def _error_by_chance(said: Floats) -> float:
    """The calibration error to expect of these scores if all of them are right.

    A bin of m customers misses its mean by a normal error of variance p (1 - p) / m.
    """
    deviation = float(np.sqrt(np.mean(said * (1 - said))))
    return deviation * float(np.sqrt(2 / np.pi * BINS / len(said)))
