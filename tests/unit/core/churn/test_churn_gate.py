from __future__ import annotations

import numpy as np
import pytest

from pipelines.core.churn.backtest import (
    CANDIDATE,
    SERVED,
    TABLE,
    Trial,
    Verdict,
    judge,
    metrics,
    paired,
)
from pipelines.core.churn.drift import MOVED, matured, stability
from pipelines.core.churn.history import Floats
from pipelines.core.churn.score import score
from pipelines.core.clock import start_of
from tests.churn_sample import day_of, drawn, purchase_days

RANDOM = np.random.default_rng(1)
TRUTH = RANDOM.uniform(0.02, 0.98, 4000)
SILENT = RANDOM.random(4000) < TRUTH
GOOD, POOR = TRUTH, np.full(4000, SILENT.mean())
TOO_HIGH = TRUTH**0.6


def trial(seen: frozenset[str] = frozenset(), size: int = 4000, **said: Floats) -> Trial:
    chosen = {name: p[:size] for name, p in said.items()}
    one_time = np.arange(size) % 2 == 0
    return Trial(100, np.arange(size), one_time, SILENT[:size], chosen, seen)


def test_a_good_model_is_promoted() -> None:
    verdict = judge([trial(**{CANDIDATE: GOOD, TABLE: POOR, SERVED: GOOD})])
    assert verdict.promoted


@pytest.mark.parametrize("better", [TABLE, SERVED])
def test_a_model_worse_than_what_serves_is_kept_back_and_says_so(better: str) -> None:
    said = {CANDIDATE: POOR, TABLE: POOR, SERVED: POOR, better: GOOD}
    verdict = judge([trial(**said)])
    assert not verdict.promoted
    assert better in verdict.why


def test_a_served_model_is_not_judged_on_what_it_learnt_from() -> None:
    said = {CANDIDATE: POOR, TABLE: POOR, SERVED: GOOD}
    assert judge([trial(frozenset({SERVED}), **said)]).promoted


def test_a_miscalibrated_model_is_kept_back() -> None:
    verdict = judge([trial(**{CANDIDATE: TOO_HIGH, TABLE: POOR})])
    assert not verdict.promoted
    assert "calibration" in verdict.why


def test_where_data_is_small_the_better_by_log_loss_is_taken() -> None:
    assert judge([trial(size=500, **{CANDIDATE: TOO_HIGH, TABLE: POOR})]).promoted
    assert not judge([trial(size=500, **{CANDIDATE: POOR, TABLE: GOOD})]).promoted


def test_where_data_is_small_no_worse_means_no_worse() -> None:
    """Worse by less than a standard error: let through where there are many, not where few."""
    noise = np.random.default_rng(5).normal(0, 0.02, 4000)
    pair = {CANDIDATE: GOOD, TABLE: np.clip(GOOD + noise, 0.01, 0.99)}
    if paired([trial(size=500, **pair)], CANDIDATE, TABLE)[0] < 0:
        pair = {CANDIDATE: pair[TABLE], TABLE: pair[CANDIDATE]}
    few = trial(size=500, **pair)
    mean, error = paired([few], CANDIDATE, TABLE)
    assert 0 < mean < error
    assert not judge([few]).promoted


def test_nothing_to_try_on_promotes_nothing() -> None:
    assert judge([]) == Verdict(
        False, "no past cut-off to try the model on: the hazard table stays"
    )


def test_a_customer_counts_once_in_the_standard_error() -> None:
    """The same trial three times is no more evidence than once."""
    one = [trial(**{CANDIDATE: GOOD, TABLE: POOR})]
    np.testing.assert_allclose(paired(one, CANDIDATE, TABLE), paired(one * 3, CANDIDATE, TABLE))


def test_metrics_are_given_by_one_time_and_repeat_buyers() -> None:
    found = metrics([trial(**{CANDIDATE: GOOD, TABLE: POOR})])
    assert set(found) == {"all", "one_time", "repeat"}
    assert found["all"]["candidate"]["customers"] == 4000
    assert found["one_time"]["candidate"]["customers"] == 2000
    assert found["all"]["candidate"]["auc"] > 0.8
    assert found["all"]["heuristic"]["auc"] == 0.5


def test_stability_is_nothing_for_the_same_and_large_for_another_population() -> None:
    assert stability(GOOD, GOOD) == 0.0
    assert stability(GOOD, RANDOM.permutation(GOOD)[:2000]) < 0.05
    assert stability(GOOD, GOOD / 2) > MOVED


def test_scores_are_held_against_what_came_once_90_days_are_over() -> None:
    history = drawn(1500, 500)
    cutoff = int(history.day.max()) - 120
    as_of = start_of(day_of(cutoff + 1), "UTC")
    scores = score(purchase_days(history), as_of, "UTC")
    found = matured(scores, history, as_of, cutoff + 90, "UTC")
    assert found is not None
    assert found.customers == scores.num_rows
    gap = history.at(cutoff).gap
    assert found.came == pytest.approx(1 - ((gap > 0) & (gap <= 90)).mean())
    assert found.said == pytest.approx(found.came, abs=0.1)
    assert matured(scores, history, as_of, cutoff + 89, "UTC") is None
