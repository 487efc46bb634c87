"""Which readings of a customer have earned their place, judged on customers they never saw.

The customers are cut into parts; what is fitted on the others foretells each part. The simplest
reading stands unless one that knows more foretells better by more than a standard error. So thin
or plain histories keep the buy-till-you-die model and rich ones get the whole blend, without a
threshold of size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipelines.core.churn import linear
from pipelines.core.churn.features import Features
from pipelines.core.churn.history import Floats, Ints
from pipelines.core.churn.linear import OFFSET, Correction
from pipelines.core.churn.numbers import clustered, levelled, log_losses, logit, share_of
from pipelines.core.churn.ranker import blend
from pipelines.core.churn.trees import Lesson, Trees

Bools: TypeAlias = npt.NDArray[np.bool_]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class Readings:
    """The correction, trees on top of it, and trees alone; without effect where not earned."""

    correction: Correction
    with_trees: Trees
    trees_alone: Trees


@dataclass(frozen=True)
class Evidence:
    """Past cut-offs, an entry each: what is read of the buyers, who was silent, who they are.

    `weight` is what a row counts for, less than one where windows overlap.
    """

    features: Sequence[Features]
    silent: Sequence[Bools]
    customer: Sequence[Ints]
    weight: float
    threads: int

    def readings(self) -> Readings:
        """The readings that earned their place, fitted on all customers."""
        lesson, flat = self._lesson, np.concatenate([self._flat(each) for each in self.silent])
        corrections = [self._correction(lesson.part != part) for part in range(lesson.judged)]
        by_part = [self._odds(correction.log_odds) for correction in corrections]
        with_rounds, added = lesson.cross_fit(by_part)
        alone_rounds, alone = lesson.cross_fit([flat] * lesson.judged)
        plain = self._odds(lambda features: features[OFFSET])
        corrected = plain.copy()
        for part, odds in enumerate(by_part):
            corrected[lesson.part == part] = odds[lesson.part == part]
        blended = blend(corrected, added, flat + alone if alone_rounds else None)
        correction = self._correction(np.ones(len(flat), bool))
        if not self._is_better(blended, corrected):
            with_rounds = alone_rounds = 0
            if not self._is_better(corrected, plain):
                correction = correction.silenced()
        return Readings(
            correction,
            lesson.fit(self._odds(correction.log_odds), with_rounds),
            lesson.fit(flat, alone_rounds),
        )

    @cached_property
    def _lesson(self) -> Lesson:
        names = tuple(self.features[0].columns)
        return Lesson(
            np.concatenate([each.matrix(names) for each in self.features]),
            names,
            np.concatenate(self.silent),
            np.concatenate(self.customer),
            self.weight,
            self.threads,
        )

    def _correction(self, rows: Bools) -> Correction:
        """The correction that some of the rows teach."""
        pairs = list(zip(self.features, self.silent, self._by_cutoff(rows), strict=True))
        return linear.fit(
            [features.of(mask) for features, _, mask in pairs],
            [silent[mask] for _, silent, mask in pairs],
            self.weight,
        )

    def _odds(self, of: Callable[[Features], Floats]) -> Floats:
        """Log-odds of all rows, each cut-off at the level that was observed."""
        pairs = zip(self.features, self.silent, strict=True)
        return np.concatenate([levelled(of(features), silent) for features, silent in pairs])

    def _is_better(self, odds: Floats, simpler: Floats) -> bool:
        """Whether the judged rows are foretold better by more than a standard error.

        The level is not what is judged: each cut-off is moved to its own.
        """
        judged = self._lesson.part < self._lesson.judged
        gained = [
            self._losses(simple[mask], silent[mask]) - self._losses(more[mask], silent[mask])
            for simple, more, silent, mask in zip(
                self._by_cutoff(simpler),
                self._by_cutoff(odds),
                self.silent,
                self._by_cutoff(judged),
                strict=True,
            )
        ]
        gain, error = clustered(np.concatenate(gained), self._lesson.customer[judged])
        return gain > error

    @staticmethod
    def _losses(odds: Floats, silent: Bools) -> Floats:
        return log_losses(silent, expit(levelled(odds, silent)))

    @staticmethod
    def _flat(silent: Bools) -> Floats:
        return np.full(len(silent), float(logit(share_of(silent))))

    def _by_cutoff(self, rows: npt.NDArray[_T]) -> list[npt.NDArray[_T]]:
        """What is one a row, as one array a cut-off."""
        return np.split(rows, np.cumsum([len(each) for each in self.silent])[:-1])
