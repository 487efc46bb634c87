"""Whether the model still describes the customers it scores; what warns, and never blocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn.backtest import MOST_ERROR
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import Floats, History, day_number
from pipelines.core.churn.numbers import auc, calibration_error, log_losses
from pipelines.core.clock import business_day

BINS = 10
#: A population stability index above this is a drift worth a look.
MOVED = 0.2
LEAST_SHARE = 1e-4


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
    scores: pa.Table, history: History, scored_at: datetime, today: int, business_tz: str
) -> Matured | None:
    """How the scores of `scored_at` did; None before 90 days are over or where nothing matches."""
    cutoff = day_number(business_day(scored_at, business_tz))
    known = scores.filter(pc.is_valid(scores["p_churn_90d"]))
    if today < cutoff + HORIZON or not len(known):
        return None
    snapshot = history.at(cutoff)
    ids = history.ids.take(pa.array(snapshot.row))
    place = pc.index_in(known["member_id"].combine_chunks(), value_set=ids)
    found = place.is_valid().to_numpy(zero_copy_only=False)
    if not found.any():
        return None
    silent = snapshot.silent_for(HORIZON)[place.drop_null().to_numpy()]
    said = known["p_churn_90d"].to_numpy()[found]
    return Matured(
        customers=len(said),
        said=float(said.mean()),
        came=float(silent.mean()),
        log_loss=float(log_losses(silent, said).mean()),
        auc=auc(silent, said),
        ece=calibration_error(silent, said),
        ece_by_chance=_error_by_chance(said),
    )


def _error_by_chance(said: Floats) -> float:
    """The calibration error to expect of these scores if all of them are right.

    A bin of m customers misses its mean by a normal error of variance p (1 - p) / m.
    """
    deviation = float(np.sqrt(np.mean(said * (1 - said))))
    return deviation * float(np.sqrt(2 / np.pi * BINS / len(said)))
