from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.core.churn.backtest import CANDIDATE, SERVED, TABLE, Trial, metrics, paired
from pipelines.core.churn.drift import MOVED, Shift, matured, stability
from pipelines.core.churn.gate import Verdict, judge
from pipelines.core.churn.history import Floats
from pipelines.core.churn.score import score
from pipelines.core.clock import start_of
from tests.churn_sample import START, day_of, drawn, history_of, purchase_days

RANDOM = np.random.default_rng(1)
TRUTH = RANDOM.uniform(0.02, 0.98, 4000)
SILENT = RANDOM.random(4000) < TRUTH
GOOD, POOR = TRUTH, np.full(4000, SILENT.mean())
TOO_HIGH = TRUTH**0.6


ALIKE, ELSEWHERE = Shift(0.01, 0.5, 0.5), Shift(0.31, 0.5, 0.7)


def trial(size: int = 4000, days: int = 90, silent: Any = SILENT, **said: Floats) -> Trial:
    chosen = {name: p[:size] for name, p in said.items()}
    one_time = np.arange(size) % 2 == 0
    return Trial(100, np.arange(size), one_time, silent[:size], chosen, days)


QUARTER = trial(**{CANDIDATE: GOOD, TABLE: POOR})


def test_a_good_model_is_promoted() -> None:
    verdict = judge([trial(**{CANDIDATE: GOOD, TABLE: POOR, SERVED: GOOD})], ALIKE)
    assert verdict.promoted
    assert "hazard table's on 1 cut-off and the served version's on 1 cut-off" in verdict.why


@pytest.mark.parametrize(("better", "words"), [(TABLE, "hazard table"), (SERVED, "served version")])
def test_a_model_worse_than_what_serves_is_kept_back_and_says_so(better: str, words: str) -> None:
    said = {CANDIDATE: POOR, TABLE: POOR, SERVED: POOR, better: GOOD}
    verdict = judge([trial(**said)], ALIKE)
    assert not verdict.promoted
    assert f"worse than the {words}'s on 1 cut-off" in verdict.why


def test_a_young_served_version_is_a_contender_on_the_days_since_it_was_trained() -> None:
    since = trial(days=31, **{CANDIDATE: POOR, SERVED: GOOD})
    verdict = judge([QUARTER, since], ALIKE)
    assert not verdict.promoted
    assert "worse than the served version's on the 31 days since that was trained" in verdict.why
    assert judge([QUARTER, trial(days=31, **{CANDIDATE: GOOD, SERVED: POOR})], ALIKE).promoted


def test_the_same_recipe_on_the_same_data_is_no_worse_however_few_there_are() -> None:
    few = trial(500, **{CANDIDATE: GOOD, TABLE: POOR})
    since = trial(500, days=31, **{CANDIDATE: GOOD, SERVED: GOOD})
    verdict = judge([few, since], ELSEWHERE)
    assert verdict.promoted
    assert "served version's on the 31 days" in verdict.why


def test_where_no_trial_tells_it_from_the_served_version_it_must_agree_with_it() -> None:
    agreed, held = judge([QUARTER], ALIKE), judge([QUARTER], ELSEWHERE)
    assert agreed.promoted
    assert "nothing yet tells it from the served version, with which it agrees" in agreed.why
    assert not held.promoted
    assert "stability index 0.310 is above 0.2, the mean moves from 0.500 to 0.700" in held.why
    assert "`huitou model use VERSION`" in held.why


def test_days_in_which_nobody_came_back_tell_nothing_of_the_served_version() -> None:
    nobody = np.ones(4000, bool)
    since = trial(days=8, silent=nobody, **{CANDIDATE: GOOD, SERVED: POOR})
    assert not judge([QUARTER, since], ELSEWHERE).promoted
    assert judge([QUARTER, since], ALIKE).promoted


@pytest.mark.parametrize("silent", [True, False], ids=["everybody silent", "nobody silent"])
def test_trials_in_which_all_did_alike_promote_nothing_by_themselves(silent: bool) -> None:
    """The bolder extreme wins such a trial, and its calibration is perfect."""
    alike = np.full(4000, silent)
    said = {CANDIDATE: np.full(4000, float(silent)), TABLE: np.full(4000, 0.5)}
    one = trial(silent=alike, **said)
    assert not judge([one]).promoted
    assert "tells nothing" in judge([one]).why
    assert judge([one, QUARTER]).promoted


def test_a_miscalibrated_model_is_kept_back() -> None:
    verdict = judge([trial(**{CANDIDATE: TOO_HIGH, TABLE: POOR})])
    assert not verdict.promoted
    assert "calibration" in verdict.why


def test_where_data_is_small_the_better_by_log_loss_is_taken() -> None:
    assert judge([trial(500, **{CANDIDATE: TOO_HIGH, TABLE: POOR})]).promoted
    assert not judge([trial(500, **{CANDIDATE: POOR, TABLE: GOOD})]).promoted


def test_where_data_is_small_no_worse_means_no_worse() -> None:
    """Worse by less than a standard error: let through where there are many, not where few."""
    noise = np.random.default_rng(5).normal(0, 0.02, 4000)
    pair = {CANDIDATE: GOOD, TABLE: np.clip(GOOD + noise, 0.01, 0.99)}
    if paired([trial(500, **pair)], CANDIDATE, TABLE)[0] < 0:
        pair = {CANDIDATE: pair[TABLE], TABLE: pair[CANDIDATE]}
    few = trial(500, **pair)
    mean, error = paired([few], CANDIDATE, TABLE)
    assert 0 < mean < error
    assert not judge([few]).promoted


def test_nothing_to_try_on_promotes_nothing() -> None:
    why = "no past cut-off to try the model on: what is served stays"
    assert judge([]) == Verdict(False, why)
    assert judge([trial(days=31, **{CANDIDATE: GOOD, SERVED: POOR})]) == Verdict(False, why)


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


def test_metrics_are_of_those_who_were_tried_in_all_of_the_trials() -> None:
    both = trial(**{CANDIDATE: GOOD, TABLE: POOR, SERVED: GOOD})
    assert set(metrics([both, QUARTER])["all"]) == {CANDIDATE, TABLE}
    assert set(metrics([both])["all"]) == {CANDIDATE, TABLE, SERVED}


def test_stability_is_nothing_for_the_same_and_large_for_another_population() -> None:
    assert stability(GOOD, GOOD) == 0.0
    assert stability(GOOD, RANDOM.permutation(GOOD)[:2000]) < 0.05
    assert stability(GOOD, GOOD / 2) > MOVED


def test_a_shift_is_from_the_scores_before_to_those_now() -> None:
    shift = Shift.between(GOOD, GOOD / 2)
    assert shift.mean_now == pytest.approx(shift.mean_before / 2)
    assert shift.is_large
    assert not Shift.between(GOOD, GOOD).is_large


def test_scores_are_held_against_what_came_once_90_days_are_over() -> None:
    history = drawn(1500, 500)
    days = purchase_days(history)
    cutoff = int(history.day.max()) - 120
    as_of = start_of(day_of(cutoff + 1), "UTC")
    scores = score(days, as_of, "UTC")
    found = matured(scores, days, as_of, cutoff + 90, "UTC")
    assert found is not None
    assert found.customers == scores.num_rows
    gap = history.at(cutoff).gap
    assert found.came == pytest.approx(1 - ((gap > 0) & (gap <= 90)).mean())
    assert found.said == pytest.approx(found.came, abs=0.1)
    assert matured(scores, days, as_of, cutoff + 89, "UTC") is None


def test_who_was_merged_or_has_no_number_is_not_held_against_what_came() -> None:
    """Of `a` to `d`, `a` came back, `b` did not; `c` bought only later, `d` is nowhere."""
    as_of = start_of(day_of(START + 101), "UTC")
    days = purchase_days(history_of({"a": [9, 150], "b": [9, 191], "c": [101], "e": [1]}))
    said = {"a": 0.2, "b": 0.6, "c": 0.9, "d": 0.9, "e": None}
    scores = pa.table({"member_id": list(said), "p_churn_90d": list(said.values())})
    found = matured(scores, days, as_of, START + 190, "UTC")
    assert found is not None
    assert (found.customers, found.said, found.came) == (2, pytest.approx(0.4), 0.5)
