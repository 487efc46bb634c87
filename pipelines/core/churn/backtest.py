"""How a model would have done: at past cut-offs, knowing only what was known then.

The gate compares a retraining with what is served now and with the hazard table, and says in words
why it is promoted or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.core.churn.extras import Extras
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import Floats, History, Ints
from pipelines.core.churn.learn import STEP, Settings, learn
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.numbers import auc, calibration_error, log_losses
from pipelines.core.churn.score import LEAST_BUYERS, LEAST_DAYS, silent_by_table

CANDIDATE, SERVED, TABLE = "candidate", "served", "heuristic"
#: Past cut-offs that a retraining is tried on, and rows each trial learns from.
TRIALS, TRIAL_ROWS = 3, 200_000
MOST_ERROR = 0.03
#: Fewer customers a trial make a calibration error of that size by chance.
SMALL = 2000


@dataclass(frozen=True)
class Trial:
    """One past cut-off: what each contender said of every buyer, and what came.

    `seen` names the contenders that were trained with some of this window already over.
    """

    cutoff: int
    customer: Ints
    one_time: npt.NDArray[np.bool_]
    silent: npt.NDArray[np.bool_]
    said: dict[str, Floats]
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """Whether the retraining is promoted, and why."""

    promoted: bool
    why: str


def backtest(
    history: History,
    today: int,
    served: ChurnModel | None = None,
    extras: Extras | None = None,
    settings: Settings | None = None,
) -> list[Trial]:
    """The retraining, what is served and the hazard table at the last cut-offs, newest first."""
    settings = settings or Settings()
    small = Settings(min(settings.most_rows, TRIAL_ROWS), settings.threads)
    trials = []
    for cutoff in (today - HORIZON - STEP * k for k in range(TRIALS)):
        known = history.until(cutoff)
        if len(known) < LEAST_BUYERS or cutoff - history.start < LEAST_DAYS:
            break
        earlier = extras.until(cutoff) if extras else None
        candidate = learn(known, cutoff, earlier, small)
        if candidate is None:
            break
        trials.append(_trial(history, cutoff, candidate, served, extras))
    return trials


def _trial(
    history: History,
    cutoff: int,
    candidate: ChurnModel,
    served: ChurnModel | None,
    extras: Extras | None,
) -> Trial:
    rows = extras.at(cutoff) if extras else None
    known, snapshot = history.until(cutoff), history.at(cutoff)
    said = {
        CANDIDATE: candidate.silent(known, cutoff, rows),
        TABLE: silent_by_table(known, cutoff),
    }
    seen: set[str] = set()
    if served is not None:
        said[SERVED] = served.silent(known, cutoff, rows)
        seen |= {SERVED} if cutoff < served.cutoff else set()
    return Trial(
        cutoff=cutoff,
        customer=snapshot.row,
        one_time=snapshot.n == 1,
        silent=snapshot.silent_for(HORIZON),
        said=said,
        seen=frozenset(seen),
    )


def judge(trials: Sequence[Trial]) -> Verdict:
    """Promote if no worse than what is served and than the hazard table, and calibrated.

    "No worse" allows one standard error of the paired difference. What is served is judged only on
    windows of which nothing was over when it was trained. Where data is small, calibration cannot
    be told from chance, and the better of model and hazard table by log-loss is taken.
    """
    if not trials:
        return Verdict(False, "no past cut-off to try the model on: the hazard table stays")
    small = float(np.mean([len(t.silent) for t in trials])) < SMALL
    against = _worse_than(trials, TABLE, allow=not small)
    if against:
        return Verdict(False, against)
    fair = [trial for trial in trials if SERVED in trial.said and SERVED not in trial.seen]
    if fair and (worse := _worse_than(fair, SERVED, allow=not small)):
        return Verdict(False, worse)
    error = float(np.mean([calibration_error(t.silent, t.said[CANDIDATE]) for t in trials]))
    if error > MOST_ERROR and not small:
        return Verdict(False, f"calibration error {error:.3f} is above {MOST_ERROR}")
    contenders = f"the {TABLE} on {len(trials)} cut-offs"
    if fair:
        contenders += f" and the {SERVED} on {len(fair)}"
    elif any(SERVED in trial.said for trial in trials):
        contenders += f" (the {SERVED} is too young to be tried)"
    return Verdict(True, f"log-loss no worse than {contenders}, ECE {error:.3f}")


def _worse_than(trials: Sequence[Trial], other: str, *, allow: bool) -> str:
    """Words on how the candidate is worse than `other`; empty if it is not.

    With `allow`, a standard error worse is no worse.
    """
    mean, error = paired(trials, CANDIDATE, other)
    if mean <= (error if allow else 0.0):
        return ""
    return f"log-loss {mean:.4f} ± {error:.4f} worse than the {other} on {len(trials)} cut-offs"


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
    """Log-loss, AUC and ECE by segment and contender, means over the cut-offs."""
    segments = {
        "all": [np.ones(len(t.silent), bool) for t in trials],
        "one_time": [t.one_time for t in trials],
        "repeat": [~t.one_time for t in trials],
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for segment, masks in segments.items():
        inside = [(t, mask) for t, mask in zip(trials, masks, strict=True) if mask.any()]
        names = inside[0][0].said if inside else {}
        found[segment] = {
            name: _metrics([(t.silent[mask], t.said[name][mask]) for t, mask in inside])
            for name in names
        }
    return found


def _metrics(parts: list[tuple[npt.NDArray[np.bool_], Floats]]) -> dict[str, float]:
    return {
        "customers": float(np.mean([len(silent) for silent, _ in parts])),
        "silent": float(np.mean([silent.mean() for silent, _ in parts])),
        "log_loss": float(np.mean([log_losses(silent, p).mean() for silent, p in parts])),
        "auc": float(np.mean([auc(silent, p) for silent, p in parts])),
        "ece": float(np.mean([calibration_error(silent, p) for silent, p in parts])),
    }
