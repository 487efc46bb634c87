"""Boosted trees over the features, starting from given log-odds; as many as help strangers.

A quarter of the customers is held out to choose the number of trees; then all are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipelines.core.churn.history import Floats, Ints
from pipelines.core.churn.numbers import log_losses

if TYPE_CHECKING:
    import lightgbm

PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_child_samples": 40,
    "lambda_l2": 20.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
MOST, PATIENCE = 300, 40
#: Fewer customers of either kind teach trees nothing.
LEAST_EVENTS = 100
#: Customers whose hash falls in one of so many parts choose the number of trees.
PARTS = 4
HASH = np.uint32(2654435761)


def part_of(customer: Ints) -> Ints:
    """The part of each customer, by the high bits of a hash: the low ones know only odd and even."""
    hashed = (customer.astype(np.uint32) * HASH).astype(np.int64)
    return hashed * PARTS >> 32


@dataclass(frozen=True)
class Trees:
    """Fitted trees as LightGBM's text, empty where none helped."""

    text: str
    names: tuple[str, ...]

    def log_odds(self, matrix: npt.NDArray[np.float32], threads: int) -> Floats:
        """What the trees add to the log-odds they started from."""
        if not self.text:
            return np.zeros(len(matrix))
        import lightgbm as lgb

        booster = lgb.Booster(model_str=self.text)
        added: Floats = booster.predict(matrix, raw_score=True, num_threads=threads)
        return added


@dataclass(frozen=True)
class Lesson:
    """What trees learn from: a row a customer and cut-off, `start` the log-odds to improve on.

    `weight` is what a row counts for, less than one where windows overlap.
    """

    matrix: npt.NDArray[np.float32]
    names: tuple[str, ...]
    silent: npt.NDArray[np.bool_]
    customer: Ints
    weight: float
    threads: int

    def fit(self, start: Floats) -> Trees:
        """Trees that move `start` towards what happened; none where there is little to learn."""
        if min(int(self.silent.sum()), int((~self.silent).sum())) < LEAST_EVENTS:
            return Trees("", self.names)
        import lightgbm as lgb

        rounds = self._rounds(start, part_of(self.customer) == 0)
        if not rounds:
            return Trees("", self.names)
        everyone = self._dataset(start, np.ones(len(start), bool))
        booster = lgb.train(self._parameters, everyone, rounds)
        return Trees(booster.model_to_string(), self.names)

    @property
    def _parameters(self) -> dict[str, object]:
        return {**PARAMETERS, "num_threads": self.threads}

    def _rounds(self, start: Floats, held_out: npt.NDArray[np.bool_]) -> int:
        """The number of trees that predicts the held-out customers best; 0 where none does."""
        import lightgbm as lgb

        learning, judging = self._dataset(start, ~held_out), self._dataset(start, held_out)
        losses: dict[str, dict[str, list[float]]] = {}
        lgb.train(
            {**self._parameters, "metric": "binary_logloss"},
            learning,
            MOST,
            valid_sets=[judging],
            valid_names=["held_out"],
            callbacks=[
                lgb.record_evaluation(losses),
                lgb.early_stopping(PATIENCE, verbose=False),
            ],
        )
        curve = losses["held_out"]["binary_logloss"]
        before = float(log_losses(self.silent[held_out], expit(start[held_out])).mean())
        return int(np.argmin(curve)) + 1 if min(curve) < before else 0

    def _dataset(self, start: Floats, rows: npt.NDArray[np.bool_]) -> lightgbm.Dataset:
        import lightgbm as lgb

        return lgb.Dataset(
            self.matrix[rows],
            self.silent[rows].astype(np.float32),
            weight=np.full(int(rows.sum()), self.weight),
            init_score=start[rows],
            feature_name=list(self.names),
        )
