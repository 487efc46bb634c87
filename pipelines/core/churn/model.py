"""The churn model: who ranks where, at which level, when they come back, what they bring, why.

The level is the buy-till-you-die model's mean over today's customers, moved by the season where
one is known. Learning stands in `learn.py`, files in `registry.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import expit

from pipelines.core.churn import season
from pipelines.core.churn.btyd import Customers, ParetoNBD
from pipelines.core.churn.curve import Curve
from pipelines.core.churn.explain import Reading, Subject
from pipelines.core.churn.heuristic import DAYS_A_YEAR, EDGES, HORIZON
from pipelines.core.churn.history import Floats, History, Snapshot
from pipelines.core.churn.linear import OFFSET
from pipelines.core.churn.numbers import LEAST_P, shift_to
from pipelines.core.churn.predictions import Predictions, stay
from pipelines.core.churn.ranker import Ranker
from pipelines.core.churn.reasons import top_reasons
from pipelines.core.churn.spend import Spend

#: Customers that fix the level of a score.
LEVEL_SAMPLE = 200_000
#: Most that the chance to buy at all may stretch the days expected of a year.
STRETCH = 5.0


@dataclass(frozen=True)
class ChurnModel:
    """A fitted model, a pure value. `cutoff` is the day it was trained on, `start` the brand's."""

    cutoff: int
    start: int
    cutoffs: tuple[int, ...]
    rows: int
    ranker: Ranker
    observed: tuple[season.Observed, ...]
    curve: Curve
    spend: Spend
    reading: Reading

    def season(self, cutoff: int) -> season.Forecast:
        """The shift to expect of the 90 days after `cutoff`."""
        return season.forecast(self.observed, cutoff, self.start, HORIZON)

    def level(self, history: History, cutoff: int, extras: pa.Table | None = None) -> float:
        """What to add to every customer's log-odds at `cutoff`."""
        sample = history.sample(LEVEL_SAMPLE)
        features = self.ranker.features(sample, sample.at(cutoff), extras)
        mean = float(expit(features[OFFSET]).mean())
        return shift_to(self.ranker.odds(features), mean) + self.season(cutoff).shift

    def silent(
        self, history: History, cutoff: int, extras: pa.Table | None = None, days: int = HORIZON
    ) -> Floats:
        """P(no purchase day in the next `days`, which `EDGES` span) of each buyer at `cutoff`."""
        snapshot = history.at(cutoff)
        features = self.ranker.features(history, snapshot, extras)
        p: Floats = expit(self.ranker.odds(features) + self.level(history, cutoff, extras))
        return p if days == HORIZON else stay(self._survival(snapshot, p), days)

    def predict(
        self, history: History, snapshot: Snapshot, extras: pa.Table | None, level: float
    ) -> Predictions:
        """What is predicted of each buyer, and why; `level` comes from all of them."""
        features = self.ranker.features(history, snapshot, extras)
        silent = expit(self.ranker.odds(features) + level)
        subject = Subject(snapshot, features)
        base = expit(features[OFFSET])
        days = days_ahead(self.ranker.btyd, snapshot, base, silent, DAYS_A_YEAR)
        return Predictions(
            survival=self._survival(snapshot, silent),
            net=self.spend.a_year(snapshot, days),
            reasons=top_reasons(
                self.reading.contributions(subject),
                self.reading.phrases,
                self.reading.facts(subject),
            ),
        )

    def _survival(self, snapshot: Snapshot, silent: Floats) -> Floats:
        """P(no purchase day within `EDGES`), `silent` at 90 days."""
        shape = self.ranker.btyd.survival(Customers.of(snapshot), EDGES)
        return self.curve.survival(shape, snapshot, silent)


def days_ahead(
    btyd: ParetoNBD, snapshot: Snapshot, base: Floats, silent: Floats, horizon: int
) -> Floats:
    """Purchase days expected in `horizon` days, given P(silent for the first 90).

    `base` is what the buy-till-you-die model says of those 90 days.
    """
    stretch = np.minimum((1 - silent) / np.maximum(1 - base, LEAST_P), STRETCH)
    days: Floats = btyd.expected_days(Customers.of(snapshot), horizon) * stretch
    return days
