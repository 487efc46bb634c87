"""When the next purchase comes, given how likely it comes within 90 days.

The buy-till-you-die model gives the shape of each customer's survival, for half a year. It knows
no rhythm: a customer just back from the shop is as likely to return today as one who is due. So
what earlier cut-offs bought, by how due customers were, corrects the hazard as they become due.
The level at 90 days is the churn model's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.churn.heuristic import EDGES, HORIZON, cells_of
from pipelines.core.churn.history import Floats, Ints, Snapshot
from pipelines.core.churn.numbers import LEAST_P

AT_HORIZON = int(np.searchsorted(EDGES, HORIZON))
MIDDLES = (np.concatenate([[0], EDGES[:-1]]) + EDGES) / 2
#: Customers are grouped by experience (one-time buyers first) and length of cycle ...
EXPERIENCE = np.array([1, 2, 4, 9])
CYCLES = np.array([0, 15, 31, 61])
#: ... and how due they are: days since the last purchase over the cycle.
DUE = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.5, 7.0])
CELLS = len(EXPERIENCE) * len(CYCLES) * len(DUE)
#: Purchases expected that the model's own hazard counts for.
LEAN = 20.0


@dataclass(frozen=True)
class Curve:
    """By how much the hazard of customers so due exceeds the buy-till-you-die model's.

    `cycle` is the brand's, which customers of few purchases lean on.
    """

    cycle: float
    ratio: Floats

    @classmethod
    def flat(cls, cycle: float) -> Curve:
        """The curve that corrects nothing."""
        return cls(cycle, np.ones(CELLS))

    def survival(self, shape: Floats, snapshot: Snapshot, silent: Floats) -> Floats:
        """P(no purchase up to each of `EDGES`), passing through `silent` at 90 days.

        `shape` is the buy-till-you-die model's survival at `EDGES`.
        """
        hazard = _hazards(shape) * self.ratio[_cells(snapshot, self.cycle)]
        wanted = -np.log(np.clip(silent, LEAST_P, 1 - LEAST_P))
        scale = wanted / hazard[:, : AT_HORIZON + 1].sum(1)
        survival: Floats = np.exp(-np.cumsum(hazard, axis=1) * scale[:, None])
        return survival


class Tally:
    """Counts, over cut-offs, the purchases of each cell and those that were expected."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self._observed, self._expected = np.zeros(CELLS), np.zeros(CELLS)

    def add(self, shape: Floats, snapshot: Snapshot, silent: Floats, seen: int) -> None:
        """Add a cut-off of which `seen` days have passed."""
        survival = self._curve.survival(shape, snapshot, silent)
        cells = _cells(snapshot, self._curve.cycle)
        waited = np.where(snapshot.gap > 0, snapshot.gap, seen + 1)
        chance = -np.expm1(-_hazards(survival))
        for interval in range(int(np.searchsorted(EDGES, seen, side="right"))):
            cell = cells[:, interval]
            at_risk = waited > (EDGES[interval - 1] if interval else 0)
            came = at_risk & (waited <= EDGES[interval])
            self._observed += np.bincount(cell, came, CELLS)
            self._expected += np.bincount(cell, chance[:, interval] * at_risk, CELLS)

    def better(self) -> Curve:
        """The curve, corrected by what came; as it is where nothing was seen."""
        ratio = (self._observed + LEAN) / (self._expected + LEAN)
        return Curve(self._curve.cycle, self._curve.ratio * ratio)


def _cells(snapshot: Snapshot, brand: float) -> Ints:
    """The cell of each buyer in each interval."""
    cycle = cells_of(snapshot, brand).cycle
    due = (snapshot.recency[:, None] + MIDDLES) / cycle[:, None]
    experience = np.searchsorted(EXPERIENCE, snapshot.n, side="right") - 1
    length = np.searchsorted(CYCLES, cycle, side="right") - 1
    group = (experience * len(CYCLES) + length) * len(DUE)
    cells: Ints = group[:, None] + np.searchsorted(DUE, due, side="right") - 1
    return cells


def _hazards(survival: Floats) -> Floats:
    """Cumulative hazard of each interval."""
    logs = -np.log(np.clip(survival, 1e-12, 1 - LEAST_P))
    hazards: Floats = np.maximum(np.diff(logs, axis=1, prepend=0.0), 1e-9)
    return hazards
