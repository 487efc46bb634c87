"""What a learner sees of a customer at a cut-off, from the purchase days before it.

Every number is known at the end of the cut-off day. What the feature log adds (coupons, surveys,
tags) comes as further columns in `extras.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.core.churn.btyd import Customers, ParetoNBD
from pipelines.core.churn.history import Floats, History, Ints, Snapshot, sums_between
from pipelines.core.churn.numbers import logit

HORIZONS = (30, 60, 90)
WINDOWS = (30, 60, 90, 180)
HALF_LIVES = (30, 90, 270)
GAPS = (1, 2, 3)


@dataclass(frozen=True)
class Features:
    """Named columns, one row a customer; NaN where a customer cannot have the number."""

    columns: dict[str, Floats]

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]

    def of(self, rows: npt.NDArray[np.bool_]) -> Features:
        """The features of some of the customers."""
        return Features({name: values[rows] for name, values in self.columns.items()})

    def matrix(self, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
        """The named columns side by side."""
        return np.column_stack([self.columns[name].astype(np.float32) for name in names])


@dataclass(frozen=True)
class _Rows:
    """The rows of each buyer in the history: `[begin, end)`, of which `end - 1` is the last."""

    history: History
    snapshot: Snapshot

    @property
    def begin(self) -> Ints:
        return self.history.offsets[:-1][self.snapshot.row]

    @property
    def end(self) -> Ints:
        return self.begin + self.snapshot.n

    def total(self, values: Floats) -> Floats:
        """The sum of `values`, one a row of the history, over each buyer's rows."""
        return sums_between(values, self.begin, self.end)

    def spread(self, values: Floats) -> Floats:
        """`values`, a number a buyer, on every row of that buyer."""
        everyone = np.zeros(len(self.history))
        everyone[self.snapshot.row] = values
        return np.repeat(everyone, np.diff(self.history.offsets))


def features_of(history: History, snapshot: Snapshot, btyd: ParetoNBD) -> Features:
    """The features of each buyer of the snapshot."""
    rows = _Rows(history, snapshot)
    columns = {
        **_standing(snapshot),
        **_rhythm(rows),
        **_activity(rows),
        **_money(rows),
        **_expected(snapshot, btyd),
    }
    return Features(columns)


def _standing(snapshot: Snapshot) -> dict[str, Floats]:
    recency, tenure = snapshot.recency.astype(float), snapshot.cutoff - snapshot.first
    return {
        "days_bought": np.log(snapshot.n.astype(float)),
        "one_time": (snapshot.n == 1).astype(float),
        "two_times": (snapshot.n == 2).astype(float),
        "recency": np.log1p(recency),
        "tenure": np.log1p(tenure),
        "silent_share": recency / (tenure + 1),
    }


def _rhythm(rows: _Rows) -> dict[str, Floats]:
    """How the time since the last purchase compares with the customer's own gaps."""
    history, snapshot = rows.history, rows.snapshot
    day, n, last = history.day.astype(float), snapshot.n, rows.end - 1
    logs = np.zeros(len(day))
    logs[1:] = np.log(np.maximum(np.diff(day), 1.0))
    is_gap = np.ones(len(day), bool)
    is_gap[history.offsets[:-1]] = False
    gaps = np.maximum(n - 1, 1)
    mean = rows.total(logs * is_gap) / gaps
    apart = (logs - rows.spread(mean)) * is_gap
    spread = np.sqrt(rows.total(apart**2) / gaps)
    recency = snapshot.recency
    own = {
        f"gap_{k}": _where(n > k, day[np.maximum(last - k + 1, 0)] - day[np.maximum(last - k, 0)])
        for k in GAPS
    }
    return {
        **own,
        "mean_gap": _where(n > 1, snapshot.mean_gap),
        "gap_ratio": _where(n > 1, (recency + 1) / (snapshot.mean_gap + 1)),
        "log_gap_mean": _where(n > 1, mean),
        "log_gap_spread": _where(n > 2, spread),
        "lateness": _where(n > 2, (np.log1p(recency) - mean) / (spread + 0.5)),
    }


def _activity(rows: _Rows) -> dict[str, Floats]:
    """Purchase days of late: in windows, and fading with several half-lives."""
    history, snapshot = rows.history, rows.snapshot
    ago = (snapshot.cutoff - history.day).astype(float)
    seen = ago >= 0
    columns = {}
    for window in WINDOWS:
        whole = snapshot.cutoff - window >= history.start
        count = rows.total((seen & (ago < window)).astype(float))
        columns[f"days_{window}"] = count if whole else np.full(len(count), np.nan)
    columns["share_90"] = columns["days_90"] / snapshot.n
    for half_life in HALF_LIVES:
        fading = np.where(seen, np.exp2(-ago / half_life), 0.0)
        columns[f"fading_{half_life}"] = np.log(np.maximum(rows.total(fading), 1e-9))
    return columns


def _money(rows: _Rows) -> dict[str, Floats]:
    history, snapshot = rows.history, rows.snapshot
    mean = np.log(np.maximum(snapshot.net / snapshot.n, 1.0))
    last = np.log(np.maximum(history.net[rows.end - 1], 1.0))
    return {
        "net_mean": mean,
        "net_last": last,
        "net_first": np.log(np.maximum(history.net[rows.begin], 1.0)),
        "net_total": np.log(np.maximum(snapshot.net, 1.0)),
        "net_trend": last - mean,
    }


def _expected(snapshot: Snapshot, btyd: ParetoNBD) -> dict[str, Floats]:
    """Log-odds of silence, as the buy-till-you-die model sees them."""
    survival = btyd.survival(Customers.of(snapshot), HORIZONS)
    return {f"btyd_{days}": logit(survival[:, i]) for i, days in enumerate(HORIZONS)}


def _where(known: npt.NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(known, values, np.nan)
