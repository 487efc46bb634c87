"""The gate: whether a retraining is promoted, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.core.churn.backtest import (
    CANDIDATE,
    MOST_ERROR,
    SERVED,
    TABLE,
    Trial,
    paired,
)
from pipelines.core.churn.drift import MOVED, Shift
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.numbers import calibration_error

#: Fewer customers a trial make a calibration error of that size by chance.
SMALL = 2000
ALL_ALIKE = "all customers did alike at past cut-offs, which tells nothing: what is served stays"
WORDS = {TABLE: "hazard table", SERVED: "served version"}


@dataclass(frozen=True)
class Verdict:
    """Whether the retraining is promoted, and why."""

    promoted: bool
    why: str


def judge(trials: Sequence[Trial], shift: Shift | None = None) -> Verdict:
    """Promote if no worse than the hazard table and what is served, and calibrated.

    "No worse" is of log-loss and allows one standard error of the paired difference, but nothing
    where data is small; there, calibration cannot be told from chance and is not asked for. If no
    trial tells the retraining from what is served, its scores of today's customers must agree:
    `shift` is from the served version's to its own, None if no version is served.
    """
    quarters = [trial for trial in trials if TABLE in trial.said]
    against_served = [trial for trial in trials if SERVED in trial.said and trial.tells]
    if not quarters:
        return Verdict(False, "no past cut-off to try the model on: what is served stays")
    if not any(trial.tells for trial in quarters):
        return Verdict(False, ALL_ALIKE)
    small = float(np.mean([len(trial.silent) for trial in quarters])) < SMALL
    for tried, other in ((quarters, TABLE), (against_served, SERVED)):
        if tried and (worse := _worse_than(tried, other, allow=not small)):
            return Verdict(False, worse)
    if shift and not against_served and shift.is_large:
        return Verdict(False, _disagrees(shift))
    error = float(np.mean([calibration_error(t.silent, t.said[CANDIDATE]) for t in quarters]))
    if error > MOST_ERROR and not small:
        return Verdict(False, f"calibration error {error:.3f} is above {MOST_ERROR}")
    why = f"log-loss no worse than the {WORDS[TABLE]}'s {_where(quarters)}"
    if against_served:
        why += f" and the {WORDS[SERVED]}'s {_where(against_served)}"
    elif shift:
        why += f"; nothing yet tells it from the {WORDS[SERVED]}, with which it agrees"
        why += f" (population stability index {shift.stability_index:.3f})"
    return Verdict(True, f"{why}; calibration error {error:.3f}")


def _worse_than(trials: Sequence[Trial], other: str, *, allow: bool) -> str:
    """Words on how the candidate is worse than `other`; empty if it is not.

    With `allow`, a standard error worse is no worse.
    """
    mean, error = paired(trials, CANDIDATE, other)
    if mean <= (error if allow else 0.0):
        return ""
    return f"log-loss {mean:.4f} ± {error:.4f} worse than the {WORDS[other]}'s {_where(trials)}"


def _where(trials: Sequence[Trial]) -> str:
    days = trials[0].days
    if days < HORIZON:
        return f"on the {days} days since that was trained"
    return "on 1 cut-off" if len(trials) == 1 else f"on {len(trials)} cut-offs"


def _disagrees(shift: Shift) -> str:
    return (
        f"nothing yet tells it from the {WORDS[SERVED]}, with which it disagrees: population "
        f"stability index {shift.stability_index:.3f} is above {MOVED}, the mean moves from "
        f"{shift.mean_before:.3f} to {shift.mean_now:.3f}; `huitou model use VERSION` serves it"
    )
