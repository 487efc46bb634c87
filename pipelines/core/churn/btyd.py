"""Pareto/NBD: customers buy at their own steady rate until, unseen, they stop.

Rates and life spans are gamma-distributed over customers; a customer is (repeat purchase days,
age at the last one, age). The likelihood is one integral over the unknown end of the customer's
life; every prediction is a ratio of such likelihoods. Seasons and money are not its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, gammaln
from threadpoolctl import threadpool_limits

from pipelines.core.churn.history import Floats, Ints, Snapshot

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
STEP_NODES, STEP_WEIGHTS = np.polynomial.legendre.leggauss(4)
#: The power of the waiting chance in which the integral ahead is smooth for the liveliest, too.
SMOOTH = 3
TINY = 1e-300
#: Log-likelihood beyond which the rest of the integral is nothing.
DECAY = 40.0
#: Where the search starts, and what thin data leans on: log of r, alpha, s, beta (days).
TYPICAL = np.array([0.0, 4.0, -0.5, 5.0])
LEAN = 0.1
BOUNDS = 12.0
#: Distinct customers the fit looks at; more change the third digit.
SAMPLE = 8000


@dataclass(frozen=True)
class Customers:
    """The three sufficient numbers of each customer, days as unit."""

    repeats: Floats
    last: Floats
    age: Floats

    @classmethod
    def of(cls, snapshot: Snapshot) -> Customers:
        """The customers of a snapshot."""
        return cls(
            (snapshot.n - 1).astype(float),
            (snapshot.last - snapshot.first).astype(float),
            (snapshot.cutoff - snapshot.first).astype(float),
        )


@dataclass(frozen=True)
class ParetoNBD:
    """Fitted parameters: rates are gamma(r, alpha), death rates gamma(s, beta)."""

    r: float
    alpha: float
    s: float
    beta: float

    @property
    def logs(self) -> Floats:
        """The parameters as the search sees them."""
        return np.log([self.r, self.alpha, self.s, self.beta])

    def log_likelihood(self, customers: Customers) -> Floats:
        """Log-likelihood of each customer, without the constants of the parameters."""
        alive, gone = self._terms(customers)
        both: Floats = np.logaddexp(alive, gone)
        return both

    def survival(self, customers: Customers, horizons: Sequence[int] | Ints) -> Floats:
        """P(no purchase in the coming `horizons` days), a column each; `horizons` ascend.

        Only who is alive buys. Of those, the integral over the day of the next purchase is taken
        in `z`, of which `z ** SMOOTH` is the chance to have waited so long if nobody ever left:
        few nodes are enough then, whichever horizons are asked, however lively the customer.
        """
        alive, gone = self._terms(customers)
        living = expit(alive - gone)
        power = (self.r + customers.repeats) / SMOOTH
        rate_age, life_age = self.alpha + customers.age, self.beta + customers.age
        high, bought = np.ones_like(power), np.zeros_like(power)
        columns = []
        for end in np.asarray(horizons, float):
            low = np.maximum(np.exp(-power * np.log1p(end / rate_age)), TINY)
            half = (high - low) / 2
            for node, weight in zip(STEP_NODES, STEP_WEIGHTS, strict=True):
                z = low + half * (node + 1)
                waited = rate_age * np.expm1(-np.log(z) / power)
                stayed = np.exp(-self.s * np.log1p(waited / life_age))
                bought += SMOOTH * weight * half * z ** (SMOOTH - 1) * stayed
            columns.append(np.clip(1.0 - living * bought, 0.0, 1.0))
            high = low
        return np.column_stack(columns)

    def expected_days(self, customers: Customers, horizon: float) -> Floats:
        """Expected purchase days in the coming `horizon` days."""
        x, age = customers.repeats, customers.age
        now = self.log_likelihood(customers)
        rate = np.log(self.r + x) - np.log(self.alpha + age)
        # the integral of (beta / (beta + age + v)) ** s, relative to its value at v = 0
        ratio = np.log1p(horizon / (self.beta + age))
        stretch = ratio if abs(self.s - 1) < 1e-9 else np.expm1((1 - self.s) * ratio) / (1 - self.s)
        expected: Floats = np.exp(rate + self._alive(x, age) - now) * (self.beta + age) * stretch
        return expected

    def _alive(self, x: Floats, until: Floats) -> Floats:
        """Log-likelihood of x purchases and being alive, silent since the last, at `until`."""
        value: Floats = -(self.r + x) * np.log(self.alpha + until) + self.s * (
            np.log(self.beta) - np.log(self.beta + until)
        )
        return value

    def _density(self, x: Floats, at: Floats) -> Floats:
        """Log-likelihood of x purchases and of dying `at`."""
        value: Floats = (
            -(self.r + x) * np.log(self.alpha + at)
            + np.log(self.s)
            + self.s * np.log(self.beta)
            - (self.s + 1) * np.log(self.beta + at)
        )
        return value

    def _terms(self, customers: Customers) -> tuple[Floats, Floats]:
        """Log-likelihoods of still being alive, and of having died since the last purchase."""
        x, age = customers.repeats, customers.age
        begin = np.log(self.alpha + customers.last)
        end = np.minimum(np.log(self.alpha + age), begin + DECAY / (self.r + x))
        half = (end - begin) / 2
        top = self._density(x, customers.last)
        total = np.zeros_like(half)
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            at = np.exp(begin + half * (node + 1))
            total += weight * at * np.exp(self._density(x, at - self.alpha) - top)
        gone = top + np.log(np.maximum(total * half, TINY))
        return self._alive(x, age), gone


def fit(snapshot: Snapshot, start: ParetoNBD | None = None) -> ParetoNBD:
    """The most likely parameters for the customers of a snapshot; `start` only saves time."""
    customers, counts = _distinct(Customers.of(snapshot))
    total = counts.sum()

    def loss(logs: Floats) -> float:
        model = ParetoNBD(*np.exp(logs))
        constant = gammaln(model.r + customers.repeats) - gammaln(model.r)
        constant += model.r * np.log(model.alpha)
        likelihood = counts @ (model.log_likelihood(customers) + constant)
        lean = LEAN * ((logs - TYPICAL) ** 2).sum()
        return float((lean - likelihood) / total)

    with threadpool_limits(1, "blas"):  # to wake a thread takes longer than four parameters
        best = minimize(
            loss,
            TYPICAL if start is None else start.logs,
            method="L-BFGS-B",
            bounds=[(-BOUNDS, BOUNDS)] * 4,
            options={"maxiter": 100, "ftol": 1e-9},
        )
    return ParetoNBD(*(float(value) for value in np.exp(best.x)))


def _distinct(customers: Customers) -> tuple[Customers, Floats]:
    """Each distinct customer once with its count, of a sample where there are many."""
    rows = np.column_stack([customers.repeats, customers.last, customers.age])
    if len(rows) > SAMPLE:
        chosen = np.random.default_rng(0).choice(len(rows), SAMPLE, replace=False)
        rows = rows[chosen]
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    return Customers(*unique.T), counts.astype(float)
