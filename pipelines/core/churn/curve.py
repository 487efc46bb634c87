"""When the next purchase comes, given how likely it comes within 90 days.

The buy-till-you-die model gives the shape of each customer's survival, in weeks for half a year.
What earlier cut-offs bought week by week, one-time and repeat buyers apart, corrects the shape;
the model's own probability fixes its level at 90 days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.churn.heuristic import EDGES, HORIZON
from pipelines.core.churn.history import Floats, Ints
from pipelines.core.churn.numbers import LEAST_P

AT_HORIZON = int(np.searchsorted(EDGES, HORIZON))
GROUPS = 2
#: Purchases expected, per group and interval, that count as much as all that was observed.
PRIOR = 20.0


@dataclass(frozen=True)
class Curve:
    """By how much each interval's hazard exceeds the shape's, for one-time and repeat buyers."""

    ratio: Floats

    @classmethod
    def flat(cls) -> Curve:
        """The curve that corrects nothing."""
        return cls(np.ones((GROUPS, len(EDGES))))

    def survival(self, shape: Floats, one_time: Floats, silent: Floats) -> Floats:
        """P(no purchase up to each of `EDGES`), passing through `silent` at 90 days.

        `shape` is the buy-till-you-die model's survival at `EDGES`.
        """
        hazard = _hazards(shape) * self.ratio[_group(one_time)]
        wanted = -np.log(np.clip(silent, LEAST_P, 1 - LEAST_P))
        scale = wanted / hazard[:, : AT_HORIZON + 1].sum(1)
        survival: Floats = np.exp(-np.cumsum(hazard, axis=1) * scale[:, None])
        return survival


class Tally:
    """Counts, over cut-offs, the purchases of each interval and those the shape expected."""

    def __init__(self) -> None:
        self._observed = np.zeros((GROUPS, len(EDGES)))
        self._expected = np.zeros((GROUPS, len(EDGES)))

    def add(self, shape: Floats, one_time: Floats, gap: Ints, seen: int) -> None:
        """Add a cut-off of which `seen` days have passed; `gap` is 0 where nothing came."""
        waited = np.where(gap > 0, gap, seen + 1)
        starts = np.concatenate([[0], EDGES[:-1]])
        for interval in range(int(np.searchsorted(EDGES, seen, side="right"))):
            at_risk = waited > starts[interval]
            came = at_risk & (waited <= EDGES[interval])
            chance = -np.expm1(-_hazards(shape)[:, interval])
            groups = _group(one_time)
            self._observed[:, interval] += np.bincount(groups, came, GROUPS)
            self._expected[:, interval] += np.bincount(groups, chance * at_risk, GROUPS)

    def curve(self) -> Curve:
        """The curve that the tally supports; no correction where nothing was seen."""
        return Curve((self._observed + PRIOR) / (self._expected + PRIOR))


def _hazards(shape: Floats) -> Floats:
    """Cumulative hazard of each interval."""
    logs = -np.log(np.clip(shape, 1e-12, 1 - LEAST_P))
    hazards: Floats = np.maximum(np.diff(logs, axis=1, prepend=0.0), 1e-9)
    return hazards


def _group(one_time: Floats) -> Ints:
    group: Ints = np.where(one_time > 0, 0, 1).astype(np.int64)
    return group
