"""Small sums that every part needs: log-odds, shifts of level, and how good a probability is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import rankdata

from pipelines.core.churn.history import Floats

LEAST_P = 1e-6


def logit(p: npt.ArrayLike) -> Floats:
    """Log-odds, finite for every p."""
    q = np.clip(np.asarray(p, float), LEAST_P, 1 - LEAST_P)
    odds: Floats = np.log(q) - np.log1p(-q)
    return odds


def shift_to(odds: Floats, mean: float) -> float:
    """What to add to the log-odds so that the mean probability is `mean`."""
    low, high = -40.0, 40.0
    shift = 0.0
    for _ in range(60):
        p = expit(odds + shift)
        missing = mean - float(p.mean())
        if abs(missing) < 1e-10 or high - low < 1e-10:
            break
        low, high = (shift, high) if missing > 0 else (low, shift)
        slope = float((p * (1 - p)).mean())
        newton = shift + missing / slope if slope > 0 else np.inf
        shift = newton if low < newton < high else (low + high) / 2
    return shift


def levelled(odds: Floats, happened: npt.NDArray[np.bool_]) -> Floats:
    """The log-odds, moved so that their mean probability is the share that happened."""
    return odds + shift_to(odds, share_of(happened))


def share_of(happened: npt.NDArray[np.bool_]) -> float:
    """The share that happened, kept off 0 and 1."""
    return float((happened.sum() + 0.5) / (len(happened) + 1))


def clustered(values: Floats, customer: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The mean, and its standard error where the values of one customer are not independent."""
    mean = float(values.mean())
    sums = np.bincount(customer, values - mean)
    return mean, float(np.sqrt((sums**2).sum()) / len(values))


def log_losses(happened: npt.NDArray[np.bool_], p: Floats) -> Floats:
    """The log-loss of each prediction."""
    q = np.clip(p, LEAST_P, 1 - LEAST_P)
    losses: Floats = -np.where(happened, np.log(q), np.log1p(-q))
    return losses


def auc(happened: npt.NDArray[np.bool_], p: Floats) -> float:
    """P(a random event ranks above a random non-event); NaN where there is only one kind."""
    events = int(happened.sum())
    others = len(happened) - events
    if not events or not others:
        return float("nan")
    ranks = rankdata(p)[happened].sum()
    return float((ranks - events * (events + 1) / 2) / (events * others))


def calibration_error(happened: npt.NDArray[np.bool_], p: Floats, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass."""
    order = np.argsort(p, kind="stable")
    gaps = [
        abs(float(happened[part].mean() - p[part].mean())) * len(part)
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return sum(gaps) / max(len(p), 1)
