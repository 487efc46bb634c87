from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from pipelines.core.churn import linear
from pipelines.core.churn.crossfit import Evidence
from pipelines.core.churn.features import Features
from pipelines.core.churn.history import Floats
from pipelines.core.churn.linear import OFFSET
from pipelines.core.churn.trees import PARTS, Lesson, Trees, part_of

NAMES = (
    *("btyd_30", "btyd_90", "one_time", "two_times", "days_bought", "recency", "tenure"),
    *("net_mean", "net_trend", "lateness", "fading_30", "fading_90", "fading_270", "days_90"),
)

SIZES = (1000, 200_000, 300_000, 1_000_000)


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


def lesson_of(matrix: Floats, silent: npt.NDArray[np.bool_]) -> Lesson:
    names = tuple("xyz"[: matrix.shape[1]])
    return Lesson(
        matrix.astype(np.float32), names, silent, np.arange(len(silent)), 1 / 3, threads=1
    )


def learnt(lesson: Lesson) -> Trees:
    """Trees that start from even odds."""
    even = np.zeros(len(lesson.silent))
    rounds, _ = lesson.cross_fit([even] * lesson.judged)
    return lesson.fit(even, rounds)


def test_trees_learn_what_the_start_does_not_know_and_repeat_themselves() -> None:
    random = np.random.default_rng(7)
    matrix = random.normal(0, 1, (4000, 3))
    silent = random.random(4000) < expit(np.where(matrix[:, 0] > 0, 1.5, -1.5))
    lesson = lesson_of(matrix, silent)
    first, second = learnt(lesson), learnt(lesson)
    assert first.text == second.text
    added = first.log_odds(lesson.matrix, threads=1)
    assert added[matrix[:, 0] > 0.1].mean() > 0.8
    assert added[matrix[:, 0] < -0.1].mean() < -0.8


def test_what_is_said_of_a_customer_in_the_cross_fit_was_not_learnt_from_it() -> None:
    """Each customer's outcome is told by its own number alone: nobody can foretell a stranger."""
    random = np.random.default_rng(11)
    owner = np.repeat(np.arange(400), 10)
    silent = np.repeat(random.random(400) < 0.5, 10)
    matrix = random.normal(0, 1, (400, 1))[owner].astype(np.float32)
    lesson = Lesson(matrix, ("x",), silent, owner, 1 / 3, threads=1)
    _, added = lesson.cross_fit([np.zeros(4000)] * lesson.judged)
    assert np.corrcoef(added, silent)[0, 1] < 0.1 or not added.any()


def test_of_large_data_not_every_part_is_judged() -> None:
    judged = {rows: lesson_of(np.zeros((rows, 1)), np.zeros(rows, bool)).judged for rows in SIZES}
    assert judged == {1000: 4, 200_000: 4, 300_000: 3, 1_000_000: 1}


@pytest.mark.parametrize("step", [1, 2, 4, 8, 1000])
def test_a_quarter_is_held_out_also_of_every_fourth_customer(step: int) -> None:
    parts = np.bincount(part_of(np.arange(0, 4000 * step, step)), minlength=PARTS)
    np.testing.assert_allclose(parts, 1000, rtol=0.1)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.01])
def test_too_few_events_grow_no_tree(share: float) -> None:
    silent = np.random.default_rng(8).random(1000) < share
    lesson = lesson_of(np.zeros((1000, 1)), silent)
    trees = learnt(lesson)
    assert trees == Trees("", ("x",))
    assert trees.log_odds(np.zeros((5, 1), np.float32), 1).tolist() == [0.0] * 5


def test_trees_that_help_no_stranger_hardly_grow() -> None:
    random = np.random.default_rng(9)
    lesson = lesson_of(random.normal(0, 1, (2000, 2)), random.random(2000) < 0.5)
    assert np.abs(learnt(lesson).log_odds(lesson.matrix, 1)).mean() < 0.15


def evidence(count: int, seed: int, truth: Callable[[Features], Floats]) -> Evidence:
    """A cut-off of so many customers, whose silence is drawn from the log-odds that are true."""
    features = customers(count, seed)
    silent = np.random.default_rng(seed + 1).random(count) < expit(truth(features))
    return Evidence([features], [silent], [np.arange(count)], 1 / 3, threads=1)


@pytest.mark.parametrize("seed", range(20, 25))
def test_where_the_model_knows_all_there_is_nothing_else_earns_a_place(seed: int) -> None:
    readings = evidence(1500, seed, lambda features: features[OFFSET]).readings()
    assert not readings.with_trees.text
    assert not readings.trees_alone.text
    assert not readings.correction.coefficients.any()


def test_a_straight_line_earns_the_correction_a_place_and_trees_none() -> None:
    readings = evidence(1500, 30, lambda f: f[OFFSET] - 0.5 * f["net_mean"]).readings()
    assert readings.correction.coefficients.any()
    assert not readings.trees_alone.text


def test_a_bend_that_no_line_follows_earns_the_trees_their_place() -> None:
    readings = evidence(1500, 40, lambda f: f[OFFSET] + 2 * (np.abs(f["tenure"]) > 0.7)).readings()
    assert readings.trees_alone.text


@pytest.mark.parametrize("silent", [True, False])
def test_where_all_did_alike_nothing_earns_a_place(silent: bool) -> None:
    features = customers(300, 50)
    alike = Evidence([features], [np.full(300, silent)], [np.arange(300)], 1 / 3, threads=1)
    readings = alike.readings()
    assert (readings.with_trees.text, readings.trees_alone.text) == ("", "")
