"""How far the next 90 days will lie above or below the level that customers' states imply.

At each earlier cut-off the level is known: what the buy-till-you-die model said then, what came.
The shifts are one series in time, with a slow level, a yearly season and short-lived weather, each
of zero mean until seen. A season is believed once the same weeks were seen a year before, by a
brand that was no beginner then; else the shift is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.core.churn.heuristic import DAYS_A_YEAR
from pipelines.core.churn.history import Floats

SOLAR_YEAR = 365.25
#: Standard deviations and memories (days) believed of the parts of the series, in log-odds.
SLOW, SLOW_DAYS = 0.25, 1500.0
WEATHER, WEATHER_DAYS = 0.15, 60.0
SEASON, SEASON_DAYS = 0.4, 2000.0
#: Share of the season's variance in waves of a year, half a year, a third, a quarter.
WAVES = (0.4, 0.3, 0.2, 0.1)
NOISE = 0.1
#: A young brand's early customers are those it had before records began: its level misleads.
YOUNG, YOUNG_DAYS = 1.0, 60.0
#: Age of the brand, at the same window a year before, from and at which a season is believed.
BELIEVED_FROM, BELIEVED_AT = 90, 180
#: Days that a window is cut into where its mean shift is foretold.
SLICE = 30
#: Days between a window and the one of a year before that tell the same season.
NEAR = 20


@dataclass(frozen=True)
class Observed:
    """The shift of one past window, its sampling variance, and the brand's age in days then."""

    cutoff: int
    shift: float
    variance: float
    age: int


@dataclass(frozen=True)
class Forecast:
    """A shift of the log-odds; `trust` is 0 where nothing was seen a year before, 1 where all."""

    shift: float
    sd: float
    trust: float


def forecast(observed: Sequence[Observed], cutoff: int, start: int, horizon: int) -> Forecast:
    """The shift to expect of the window after `cutoff`, of a brand whose history began `start`."""
    age = cutoff - DAYS_A_YEAR - start
    trust = float(np.clip((age - BELIEVED_FROM) / (BELIEVED_AT - BELIEVED_FROM), 0, 1))
    seen = any(abs(each.cutoff - (cutoff - DAYS_A_YEAR)) <= NEAR for each in observed)
    if not trust or not seen:
        return Forecast(0.0, 0.0, 0.0)
    at = np.array([each.cutoff for each in observed], float)
    days = (np.arange(horizon / SLICE) + 0.5) * SLICE
    between = _mean_covariance(at, at, days)
    ahead = _mean_covariance(at, np.array([float(cutoff)]), days)[:, 0]
    alone = _mean_covariance(np.array([float(cutoff)]), np.array([float(cutoff)]), days)[0, 0]
    young = [YOUNG * 2 ** (-each.age / YOUNG_DAYS) for each in observed]
    noise = np.array([each.variance for each in observed]) + NOISE**2 + np.square(young)
    weights = np.linalg.solve(between + np.diag(noise), ahead)
    shift = float(weights @ np.array([each.shift for each in observed]))
    return Forecast(trust * shift, float(np.sqrt(max(alone - weights @ ahead, 0.0))), trust)


def _mean_covariance(left: Floats, right: Floats, days: Floats) -> Floats:
    """Covariance of the mean shifts of windows that begin at `left` and `right`."""
    apart = (left[:, None] + days)[:, None, :, None] - (right[:, None] + days)[None, :, None, :]
    mean: Floats = _covariance(np.abs(apart)).mean((2, 3))
    return mean


def _covariance(apart: Floats) -> Floats:
    wave = sum(
        share * np.cos(2 * np.pi * times * apart / SOLAR_YEAR)
        for times, share in enumerate(WAVES, start=1)
    )
    value: Floats = (
        SLOW**2 * np.exp(-apart / SLOW_DAYS)
        + WEATHER**2 * np.exp(-apart / WEATHER_DAYS)
        + SEASON**2 * wave * np.exp(-apart / SEASON_DAYS)
    )
    return value
