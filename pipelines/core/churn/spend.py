"""Expected net revenue of the coming year: purchase days expected, times what each brings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.churn.history import Floats, History, Snapshot

#: Purchase days of the brand's mean that a customer's own mean leans on: at least, at most.
LEAN = (0.5, 20.0)
#: Days above this share of all days count as that much where spread is judged: bulk orders.
TOP = 0.995


@dataclass(frozen=True)
class Spend:
    """The brand's mean net of a purchase day, and how far a customer's own mean leans on it.

    `ratio` is purchase days observed to purchase days expected, over earlier cut-offs.
    """

    mean: float
    lean: float
    ratio: float

    def a_day(self, snapshot: Snapshot) -> Floats:
        """What a purchase day of each customer will bring."""
        net: Floats = (snapshot.net + self.lean * self.mean) / (snapshot.n + self.lean)
        return net

    def a_year(self, snapshot: Snapshot, days: Floats) -> Floats:
        """Expected net of a year in which `days` purchase days are expected."""
        net: Floats = self.a_day(snapshot) * days * self.ratio
        return net


def fit(history: History, ratio: float) -> Spend:
    """The spend of a history's customers: how much of its spread is between them."""
    net = np.minimum(history.net, np.quantile(history.net, TOP))
    counts = np.diff(history.offsets)
    sums = np.concatenate([[0.0], np.cumsum(net)])
    means = np.diff(sums[history.offsets]) / counts
    within = ((net - np.repeat(means, counts)) ** 2).sum() / max(int((counts - 1).sum()), 1)
    several = counts > 1
    between = float(np.var(means[several])) if several.any() else 0.0
    between -= within * float(np.mean(1 / counts[several])) if several.any() else 0.0
    lean = within / between if between > 0 else LEAN[1]
    return Spend(float(history.net.mean()), float(np.clip(lean, *LEAN)), ratio)
