"""What others would use, for the benchmark only: each predicts from history alone.

Learners see earlier cut-offs whose 90 days are over; the two buy-till-you-die models are fitted to
everything up to the cut-off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln

from pipelines.core.churn import btyd
from pipelines.core.churn.btyd import Customers
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import Floats, History, Ints, Snapshot
from pipelines.core.churn.learn import BUYERS_TO_LEARN, Settings, cutoffs_of, learn
from pipelines.core.churn.model import ChurnModel

RECENCY_CUTS = np.linspace(0.2, 0.8, 4)
FREQUENCY_CUTS = np.array([2, 3, 5, 10])
TABLE_LEAN = 2.0
LIGHTGBM = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_child_samples": 50,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
LIGHTGBM_TREES = 100


@dataclass(frozen=True)
class Question:
    """Who will be silent in the 90 days after `cutoff`, knowing the history up to then."""

    history: History
    cutoff: int
    threads: int = 2

    @cached_property
    def now(self) -> Snapshot:
        """The customers to judge."""
        return self.history.until(self.cutoff).at(self.cutoff)

    @cached_property
    def learnt(self) -> ChurnModel | None:
        """Our model, trained at the cut-off; None if no past cut-off can teach it."""
        known = self.history.until(self.cutoff)
        return learn(known, self.cutoff, settings=Settings(threads=self.threads))

    @cached_property
    def past(self) -> list[Snapshot]:
        """The cut-offs to learn from."""
        known = self.history.until(self.cutoff)
        snapshots = [known.at(cutoff) for cutoff in cutoffs_of(known, self.cutoff)]
        return [snapshot for snapshot in snapshots if len(snapshot.row) >= BUYERS_TO_LEARN]

    @cached_property
    def lesson(self) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Recency, frequency and money of all past cut-offs, and who was silent after."""
        parts = [rfm(snapshot) for snapshot in self.past] or [np.zeros((0, 4))]
        labels = [snapshot.silent_for(HORIZON) for snapshot in self.past] or [np.zeros(0, bool)]
        return np.concatenate(parts), np.concatenate(labels)


Peer: TypeAlias = Callable[[Question], Floats]


def rfm(snapshot: Snapshot) -> Floats:
    """Logs of purchase days, recency, tenure and mean net."""
    return np.column_stack(
        [
            np.log(snapshot.n),
            np.log1p(snapshot.recency),
            np.log1p(snapshot.cutoff - snapshot.first),
            np.log(np.maximum(snapshot.net / snapshot.n, 1.0)),
        ]
    )


def prevalence(question: Question) -> Floats:
    """Everybody the share of the silent so far."""
    silent = question.lesson[1]
    share = (silent.sum() + 1) / (len(silent) + 2)
    return np.full(len(question.now.row), share)


def recency_frequency_table(question: Question) -> Floats:
    """The share of the silent among customers of like recency and frequency."""
    rows, silent = question.lesson
    if not len(silent):
        return prevalence(question)
    cuts = np.quantile(rows[:, 1], RECENCY_CUTS)

    def cell(of: Floats) -> Ints:
        frequency = np.searchsorted(np.log(FREQUENCY_CUTS), of[:, 0], side="right")
        return np.searchsorted(cuts, of[:, 1]) * (len(FREQUENCY_CUTS) + 1) + frequency

    size = (len(cuts) + 1) * (len(FREQUENCY_CUTS) + 1)
    counts = np.bincount(cell(rows), minlength=size)
    share = np.bincount(cell(rows), silent, size) + TABLE_LEAN * silent.mean()
    table: Floats = share / (counts + TABLE_LEAN)
    return table[cell(rfm(question.now))]


def rfm_logistic(question: Question) -> Floats:
    """Logistic regression on recency, frequency, tenure and money."""
    rows, silent = question.lesson
    if len(np.unique(silent)) < 2:
        return prevalence(question)
    mean, spread = rows.mean(0), np.maximum(rows.std(0), 1e-9)

    def steps(of: Floats) -> Floats:
        return np.column_stack([np.ones(len(of)), (of - mean) / spread])

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = steps(rows) @ weights
        misfit = float((np.logaddexp(0, odds) - silent * odds).sum() + (weights[1:] ** 2).sum() / 2)
        slope = steps(rows).T @ (expit(odds) - silent)
        slope[1:] += weights[1:]
        return misfit, slope

    weights = minimize(loss, np.zeros(5), jac=True, method="L-BFGS-B").x
    p: Floats = expit(steps(rfm(question.now)) @ weights)
    return p


def lightgbm_rfm(question: Question) -> Floats:
    """Boosted trees on recency, frequency, tenure and money."""
    rows, silent = question.lesson
    if len(np.unique(silent)) < 2:
        return prevalence(question)
    import lightgbm as lgb

    parameters = {**LIGHTGBM, "num_threads": question.threads}
    booster = lgb.train(parameters, lgb.Dataset(rows, silent.astype(float)), LIGHTGBM_TREES)
    p: Floats = booster.predict(rfm(question.now), num_threads=question.threads)
    return p


def pareto_nbd(question: Question) -> Floats:
    """Pareto/NBD, fitted here."""
    survival = btyd.fit(question.now).survival(Customers.of(question.now), [HORIZON])
    silent: Floats = survival[:, 0]
    return silent


def bg_nbd(question: Question) -> Floats:
    """BG/NBD, fitted here: P(X(t, t + 90) = 0) is the likelihood at t + 90 over that at t."""
    customers = Customers.of(question.now)
    rows = np.column_stack([customers.repeats, customers.last, customers.age])
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    distinct = Customers(*unique.T)

    def loss(logs: Floats) -> float:
        lean = 0.01 * float((logs**2).sum())
        return float(lean - counts @ _bg_likelihood(logs, distinct)) / float(counts.sum())

    start, bounds = np.array([0.0, 4.0, -0.5, 0.5]), [(-12.0, 12.0)] * 4
    logs = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    later = Customers(customers.repeats, customers.last, customers.age + HORIZON)
    p: Floats = np.exp(_bg_likelihood(logs, later) - _bg_likelihood(logs, customers))
    return p


def _bg_likelihood(logs: Floats, customers: Customers) -> Floats:
    r, alpha, a, b = np.exp(logs)
    x = customers.repeats
    known = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    alive = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + customers.age)
    dead = (
        betaln(a + 1, b + np.maximum(x, 1) - 1)
        - betaln(a, b)
        - (r + x) * np.log(alpha + customers.last)
    )
    value: Floats = known + np.logaddexp(alive, np.where(x > 0, dead, -np.inf))
    return value


PEERS: Mapping[str, Peer] = {
    "prevalence": prevalence,
    "recency × frequency": recency_frequency_table,
    "RFM logistic": rfm_logistic,
    "BG/NBD": bg_nbd,
    "Pareto/NBD": pareto_nbd,
    "LightGBM on RFM": lightgbm_rfm,
}
