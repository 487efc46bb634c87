"""How a model would have done: at past cut-offs, knowing only what was known then.

What becomes of a retraining that was tried so is decided in `gate.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.core.churn.extras import Extras
from pipelines.core.churn.heuristic import HORIZON, STEP
from pipelines.core.churn.history import Floats, History, Ints
from pipelines.core.churn.learn import Settings, cutoffs_of, learn
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.numbers import auc, calibration_error, log_losses
from pipelines.core.churn.score import is_sufficient, silent_by_table

CANDIDATE, SERVED, TABLE = "candidate", "served", "heuristic"
#: Past cut-offs that a retraining is tried on, and rows each trial learns from.
TRIALS, TRIAL_ROWS = 3, 200_000
MOST_ERROR = 0.03
#: Days since the served version was trained that can tell it from its successor.
LEAST_SINCE = 7


@dataclass(frozen=True)
class Trial:
    """One past cut-off: what each contender said of every buyer, and what came in `days`.

    Contenders are those that knew nothing of these days.
    """

    cutoff: int
    customer: Ints
    one_time: npt.NDArray[np.bool_]
    silent: npt.NDArray[np.bool_]
    said: dict[str, Floats]
    days: int = HORIZON

    @property
    def tells(self) -> bool:
        """Whether some came back and some did not; where all are alike, any extreme looks good."""
        return bool(self.silent.any() and not self.silent.all())


def backtest(
    history: History,
    today: int,
    served: ChurnModel | None = None,
    extras: Extras | None = None,
    settings: Settings | None = None,
) -> list[Trial]:
    """The retraining and the hazard table at the last cut-offs, newest first, then `since_served`.

    The served version is tried with them where it was trained by then.
    """
    settings = settings or Settings()
    small = Settings(min(settings.most_rows, TRIAL_ROWS), settings.threads)
    trials = []
    for cutoff in (today - HORIZON - STEP * k for k in range(TRIALS)):
        candidate = learn_as_of(history, cutoff, extras, small)
        if candidate is None:
            break
        contenders = {CANDIDATE: candidate}
        if served is not None and served.cutoff <= cutoff:
            contenders[SERVED] = served
        trial = _trial(history, cutoff, HORIZON, contenders, extras)
        trial.said[TABLE] = silent_by_table(history.until(cutoff), cutoff)
        trials.append(trial)
    own = since_served(history, today, served, extras, settings)
    return [*trials, own] if own else trials


def since_served(
    history: History,
    today: int,
    served: ChurnModel | None,
    extras: Extras | None,
    settings: Settings,
) -> Trial | None:
    """A served version too young for other trials, at its own cut-off, on the days since.

    Its opponent is what today's recipe and history make of what was known by then. None if it is
    old enough for other trials, or so young that no days could tell.
    """
    cutoff = own_cutoff(served, today)
    if served is None or cutoff is None:
        return None
    candidate = learn_as_of(history, cutoff, extras, settings)
    if candidate is None:
        return None
    return _trial(history, cutoff, today - cutoff, {CANDIDATE: candidate, SERVED: served}, extras)


def own_cutoff(served: ChurnModel | None, today: int) -> int | None:
    """Where `since_served` tries the served version, if it does."""
    if served is None or not LEAST_SINCE <= today - served.cutoff < HORIZON:
        return None
    return served.cutoff


def learn_as_of(
    history: History, cutoff: int, extras: Extras | None, settings: Settings
) -> ChurnModel | None:
    """What a retraining at the end of day `cutoff` learns; None if that is too little.

    Of the log it reads only its own cut-offs, whatever else `extras` holds.
    """
    known = history.until(cutoff)
    if not is_sufficient(known, cutoff):
        return None
    own = extras.only([cutoff, *cutoffs_of(known, cutoff)]) if extras else None
    return learn(known, cutoff, own, settings)


def _trial(
    history: History,
    cutoff: int,
    days: int,
    contenders: dict[str, ChurnModel],
    extras: Extras | None,
) -> Trial:
    rows = extras.at(cutoff) if extras else None
    known, snapshot = history.until(cutoff), history.at(cutoff)
    return Trial(
        cutoff=cutoff,
        customer=snapshot.row,
        one_time=snapshot.n == 1,
        silent=snapshot.silent_for(days),
        said={name: model.silent(known, cutoff, rows, days) for name, model in contenders.items()},
        days=days,
    )


def paired(trials: Sequence[Trial], left: str, right: str) -> tuple[float, float]:
    """Mean difference in log-loss, left minus right, and its standard error over customers.

    A customer's cut-offs overlap, so a customer counts once, with the sum over them.
    """
    customer = np.concatenate([trial.customer for trial in trials])
    apart = np.concatenate(
        [log_losses(t.silent, t.said[left]) - log_losses(t.silent, t.said[right]) for t in trials]
    )
    mean = float(apart.mean())
    sums = np.bincount(customer, apart - mean)
    return mean, float(np.sqrt((sums**2).sum()) / len(apart))


def metrics(trials: Sequence[Trial]) -> dict[str, dict[str, dict[str, float]]]:
    """Log-loss, AUC and ECE by segment and contender of all trials, means over the cut-offs."""
    segments = {
        "all": [np.ones(len(t.silent), bool) for t in trials],
        "one_time": [t.one_time for t in trials],
        "repeat": [~t.one_time for t in trials],
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for segment, masks in segments.items():
        inside = [(t, mask) for t, mask in zip(trials, masks, strict=True) if mask.any()]
        names = _common([trial.said for trial, _ in inside])
        found[segment] = {
            name: _metrics([(t.silent[mask], t.said[name][mask]) for t, mask in inside])
            for name in names
        }
    return found


def _common(said: Sequence[Mapping[str, Floats]]) -> list[str]:
    """Who was tried in all of the trials."""
    return [name for name in said[0] if all(name in each for each in said)] if said else []


def _metrics(parts: list[tuple[npt.NDArray[np.bool_], Floats]]) -> dict[str, float]:
    return {
        "customers": float(np.mean([len(silent) for silent, _ in parts])),
        "silent": float(np.mean([silent.mean() for silent, _ in parts])),
        "log_loss": float(np.mean([log_losses(silent, p).mean() for silent, p in parts])),
        "auc": float(np.mean([auc(silent, p) for silent, p in parts])),
        "ece": float(np.mean([calibration_error(silent, p) for silent, p in parts])),
    }
