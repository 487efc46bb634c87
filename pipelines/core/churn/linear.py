"""A logistic correction of the buy-till-you-die model, which it leaves only for good evidence.

The log-odds of that model are the offset, each coefficient leans on zero, and each cut-off has a
level of its own: what differs between seasons is not what differs between customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipelines.core.churn.features import Features
from pipelines.core.churn.history import Floats

#: Standard deviations believed of a coefficient (a step of one spread), of the offset's own
#: slope around one, and of a cut-off's level.
COEFFICIENT, SLOPE, LEVEL = 0.1, 0.2, 0.5
#: Steps away from the mean beyond which a straight line is not trusted.
REACH = 4.0
OFFSET = "btyd_90"
ITERATIONS = 30


def design(features: Features) -> Floats:
    """The columns that the correction may use; the first is the offset."""
    base = features[OFFSET]
    one = features["one_time"]
    plain = (
        "two_times",
        "days_bought",
        "recency",
        "tenure",
        "net_mean",
        "net_trend",
        "lateness",
        "fading_30",
        "fading_90",
        "fading_270",
    )
    mixed = [
        features["btyd_30"] - base,
        one,
        one * base,
        one * features["net_mean"],
        np.log1p(np.nan_to_num(features["days_90"])),
    ]
    return np.column_stack(
        [np.clip(base, -8, 8), *mixed, *(np.nan_to_num(features[name]) for name in plain)]
    )


@dataclass(frozen=True)
class Correction:
    """The fitted correction, of standardised columns."""

    mean: Floats
    spread: Floats
    coefficients: Floats

    def log_odds(self, features: Features) -> Floats:
        """Corrected log-odds of silence, without the level of any cut-off."""
        columns = design(features)
        steps = _standardised(columns, self.mean, self.spread)
        odds: Floats = columns[:, 0] + steps @ self.coefficients
        return odds

    def silenced(self) -> Correction:
        """The correction that corrects nothing."""
        return replace(self, coefficients=np.zeros_like(self.coefficients))


def fit(
    parts: Sequence[Features], labels: Sequence[npt.NDArray[np.bool_]], weight: float
) -> Correction:
    """The correction learnt from cut-offs, a part each; `weight` is what a row counts for."""
    columns = np.concatenate([design(part) for part in parts])
    silent = np.concatenate(labels).astype(float)
    level = np.repeat(np.arange(len(labels)), [len(label) for label in labels])
    mean, spread = columns.mean(0), np.maximum(columns.std(0), 1e-3)
    steps = _standardised(columns, mean, spread)
    lean = np.full(steps.shape[1] + len(labels), 1 / COEFFICIENT**2)
    lean[0] = 1 / (SLOPE * max(spread[0], 0.1)) ** 2
    lean[steps.shape[1] :] = 1 / LEVEL**2
    values = _Problem(columns[:, 0], steps, level, silent, lean, weight).solve()
    return Correction(mean, spread, values[: steps.shape[1]])


def _standardised(columns: Floats, mean: Floats, spread: Floats) -> Floats:
    steps: Floats = np.clip((columns - mean) / spread, -REACH, REACH)
    return steps


@dataclass(frozen=True)
class _Problem:
    """The penalised likelihood of coefficients, then levels; `lean` is what each leans on zero."""

    offset: Floats
    steps: Floats
    level: npt.NDArray[np.intp]
    silent: Floats
    lean: Floats
    weight: float

    def solve(self) -> Floats:
        """The most likely values, by Newton's method with halved steps where it overshoots."""
        values = np.zeros(len(self.lean))
        now = self._loss(values)
        for _ in range(ITERATIONS):
            step, scale = self._step(values), 1.0
            while self._loss(values + scale * step) > now + 1e-9 and scale > 1e-4:
                scale /= 2
            values = values + scale * step
            before, now = now, self._loss(values)
            if before - now < 1e-7 * abs(before):
                break
        return values

    def _odds(self, values: Floats) -> Floats:
        width = self.steps.shape[1]
        odds: Floats = self.offset + self.steps @ values[:width] + values[width:][self.level]
        return odds

    def _loss(self, values: Floats) -> float:
        odds = self._odds(values)
        misfit = (np.logaddexp(0, odds) - self.silent * odds).sum()
        return float(self.weight * misfit + (self.lean * values**2).sum() / 2)

    def _step(self, values: Floats) -> Floats:
        width = self.steps.shape[1]
        levels = len(self.lean) - width
        p = expit(self._odds(values))
        residual, curve = self.weight * (self.silent - p), self.weight * p * (1 - p)
        hessian = np.diag(self.lean)
        hessian[:width, :width] += (self.steps * curve[:, None]).T @ self.steps
        for column in range(width):
            across = np.bincount(self.level, self.steps[:, column] * curve, levels)
            hessian[column, width:] = hessian[width:, column] = across
        hessian[width:, width:] += np.diag(np.bincount(self.level, curve, levels))
        gradient = np.concatenate(
            [self.steps.T @ residual, np.bincount(self.level, residual, levels)]
        )
        step = np.linalg.solve(hessian, gradient - self.lean * values)
        return np.asarray(step, np.float64)
