from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipelines.core.churn import linear
from pipelines.core.churn.features import Features
from pipelines.core.churn.linear import OFFSET
from pipelines.core.churn.trees import PARTS, Lesson, Trees, part_of

NAMES = (
    *("btyd_30", "btyd_90", "one_time", "two_times", "days_bought", "recency", "tenure"),
    *("net_mean", "net_trend", "lateness", "fading_30", "fading_90", "fading_270", "days_90"),
)


def customers(count: int, seed: int) -> Features:
    random = np.random.default_rng(seed)
    columns = {name: random.normal(0, 1, count) for name in NAMES}
    return Features({**columns, "days_90": np.abs(columns["days_90"])})


def test_without_evidence_the_correction_leaves_the_model_alone() -> None:
    features = customers(30, 1)
    silent = np.random.default_rng(1).random(30) < expit(features[OFFSET])
    fitted = linear.fit([features], [silent], weight=1 / 3)
    np.testing.assert_allclose(fitted.log_odds(features), features[OFFSET], atol=0.5)


def test_strong_evidence_moves_the_odds() -> None:
    features = customers(20_000, 2)
    odds = features[OFFSET] - 1.5 * features["net_mean"]
    silent = np.random.default_rng(3).random(20_000) < expit(odds)
    fitted = linear.fit([features], [silent], weight=1.0)
    assert np.corrcoef(fitted.log_odds(features), odds)[0, 1] > 0.99


def test_levels_of_cutoffs_are_not_taken_for_traits_of_customers() -> None:
    """At the second cut-off everybody is silent more often and tenure is longer: no link."""
    early, late = customers(5000, 4), customers(5000, 5)
    late = Features({**late.columns, "tenure": late["tenure"] + 3})
    random = np.random.default_rng(6)
    silent = [
        random.random(5000) < expit(early[OFFSET]),
        random.random(5000) < expit(late[OFFSET] + 2),
    ]
    fitted = linear.fit([early, late], silent, weight=1.0)
    longer = Features({**early.columns, "tenure": early["tenure"] + 1})
    moved = fitted.log_odds(longer) - fitted.log_odds(early)
    assert np.abs(moved).max() < 0.25


def test_trees_learn_what_the_start_does_not_know_and_repeat_themselves() -> None:
    random = np.random.default_rng(7)
    matrix = random.normal(0, 1, (4000, 3)).astype(np.float32)
    odds = np.where(matrix[:, 0] > 0, 1.5, -1.5)
    silent = random.random(4000) < expit(odds)
    lesson = Lesson(matrix, ("x", "y", "z"), silent, np.arange(4000), 1 / 3, threads=1)
    first, second = lesson.fit(np.zeros(4000)), lesson.fit(np.zeros(4000))
    assert first.text == second.text
    added = first.log_odds(matrix, threads=1)
    assert added[matrix[:, 0] > 0.1].mean() > 0.8
    assert added[matrix[:, 0] < -0.1].mean() < -0.8


@pytest.mark.parametrize("step", [1, 2, 4, 8, 1000])
def test_a_quarter_is_held_out_also_of_every_fourth_customer(step: int) -> None:
    parts = np.bincount(part_of(np.arange(0, 4000 * step, step)), minlength=PARTS)
    np.testing.assert_allclose(parts, 1000, rtol=0.1)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.01])
def test_too_few_events_grow_no_tree(share: float) -> None:
    silent = np.random.default_rng(8).random(1000) < share
    lesson = Lesson(np.zeros((1000, 1), np.float32), ("x",), silent, np.arange(1000), 1 / 3, 1)
    trees = lesson.fit(np.zeros(1000))
    assert trees == Trees("", ("x",))
    assert trees.log_odds(np.zeros((5, 1), np.float32), 1).tolist() == [0.0] * 5


def test_trees_that_help_no_stranger_hardly_grow() -> None:
    random = np.random.default_rng(9)
    matrix = random.normal(0, 1, (2000, 2)).astype(np.float32)
    silent = random.random(2000) < 0.5
    lesson = Lesson(matrix, ("x", "y"), silent, np.arange(2000), 1 / 3, threads=1)
    assert np.abs(lesson.fit(np.zeros(2000)).log_odds(matrix, 1)).mean() < 0.15
