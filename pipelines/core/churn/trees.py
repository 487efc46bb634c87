"""Boosted trees over the features, starting from given log-odds; as many as help strangers.

Customers are held out by quarters to choose the number of trees; then all are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
#: Customers whose hash falls in one of so many parts are foretold by what the others teach.
PARTS = 4
#: Rows that are enough to judge by.
ENOUGH_ROWS = 200_000
HASH = np.uint32(2654435761)


def part_of(customer: Ints) -> Ints:
    """The part of each customer, by the high bits of a hash: the low ones hardly mix."""
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

    @cached_property
    def part(self) -> Ints:
        """The part that each row's customer falls in."""
        return part_of(self.customer)

    @property
    def judged(self) -> int:
        """How many parts are foretold by what the others teach; of large data not all."""
        return min(PARTS, int(np.ceil(ENOUGH_ROWS * PARTS / len(self.silent))))

    def fit(self, start: Floats, rounds: int) -> Trees:
        """So many trees that move `start` towards what happened."""
        if not rounds:
            return Trees("", self.names)
        import lightgbm as lgb

        everyone = self._dataset(start, np.ones(len(start), bool))
        booster = lgb.train(self._parameters, everyone, rounds)
        return Trees(booster.model_to_string(), self.names)

    def cross_fit(self, starts: Sequence[Floats]) -> tuple[int, Floats]:
        """The number of trees that foretells strangers best, and what so many add of each row.

        `starts` are the log-odds to improve on, one a part that is judged, of what the other parts
        teach. Rows of parts not judged get 0.
        """
        fits = [self._try(start, self.part == part) for part, start in enumerate(starts)]
        length = min(len(curve) for _, curve in fits)
        rounds = int(np.argmin(sum(curve[:length] for _, curve in fits)))
        added = np.zeros(len(self.silent))
        for part, (booster, _) in enumerate(fits):
            rows = self.part == part
            if rounds and booster and rows.any():
                added[rows] = booster.predict(
                    self.matrix[rows],
                    raw_score=True,
                    num_iteration=rounds,
                    num_threads=self.threads,
                )
        return rounds, added

    @property
    def _parameters(self) -> dict[str, object]:
        return {**PARAMETERS, "num_threads": self.threads}

    def _try(
        self, start: Floats, held_out: npt.NDArray[np.bool_]
    ) -> tuple[lightgbm.Booster | None, Floats]:
        """Trees learnt from the others, and the loss of the held-out after none, one, two …"""
        import lightgbm as lgb

        before = log_losses(self.silent[held_out], expit(start[held_out])).sum()
        if len(np.unique(self.silent[~held_out])) < 2 or not held_out.any():
            return None, np.array([before])
        learning, judging = self._dataset(start, ~held_out), self._dataset(start, held_out)
        losses: dict[str, dict[str, list[float]]] = {}
        booster = lgb.train(
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
        after = np.array(losses["held_out"]["binary_logloss"]) * held_out.sum()
        return booster, np.append(before, after)

    def _dataset(self, start: Floats, rows: npt.NDArray[np.bool_]) -> lightgbm.Dataset:
        import lightgbm as lgb

        return lgb.Dataset(
            self.matrix[rows],
            self.silent[rows].astype(np.float32),
            weight=np.full(int(rows.sum()), self.weight),
            init_score=start[rows],
            feature_name=list(self.names),
        )
