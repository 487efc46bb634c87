from __future__ import annotations

import numpy as np
import pytest

from pipelines.core.churn.btyd import ParetoNBD
from pipelines.core.churn.features import Features, features_of
from pipelines.core.churn.history import History
from tests.churn_sample import START, drawn, history_of

MODEL = ParetoNBD(0.8, 40.0, 0.6, 120.0)
CUTOFF = START + 100


def features(history: History, cutoff: int = CUTOFF) -> Features:
    return features_of(history, history.at(cutoff), MODEL)


def test_features_are_what_one_would_work_out_by_hand() -> None:
    found = features(history_of({"a": [0, 20, 60, 90], "b": [95]}))
    expected = {
        "days_bought": np.log([4, 1]),
        "one_time": [0, 1],
        "recency": np.log1p([10, 5]),
        "tenure": np.log1p([100, 5]),
        "gap_1": [30, np.nan],
        "gap_2": [40, np.nan],
        "mean_gap": [30, np.nan],
        "gap_ratio": [11 / 31, np.nan],
        "days_30": [1, 1],
        "days_60": [2, 1],
        "net_trend": [0, 0],
        "fading_30": np.log([2 ** (-10 / 30) + 2 ** (-40 / 30) + 2 ** (-8 / 3) + 2 ** (-10 / 3),
                             2 ** (-5 / 30)]),
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_windows_that_began_before_the_brand_are_unknown() -> None:
    found = features(history_of({"a": [0, 95]}))
    assert found["days_90"].tolist() == [1.0]
    assert np.isnan(found["days_180"]).all()


def test_shuffling_everything_after_the_cutoff_changes_no_feature() -> None:
    history = drawn(300)
    random = np.random.default_rng(2)
    cutoff = START + 250
    later = np.flatnonzero(history.day > cutoff)
    net, day = history.net.copy(), history.day.copy()
    net[later] = random.permutation(net[later]) * 7
    day[later] = np.minimum(day[later] + 1, day.max())  # keeps each customer's days in order
    shuffled = History(history.ids, history.offsets, day, net, history.start)
    before, after = features(history, cutoff), features(shuffled, cutoff)
    for name in before.columns:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def test_forgetting_the_future_changes_no_feature() -> None:
    history, cutoff = drawn(300), START + 250
    whole, known = features(history, cutoff), features(history.until(cutoff), cutoff)
    for name in whole.columns:
        np.testing.assert_allclose(whole[name], known[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("days", [[0], [0, 1, 2], [100], [0, 100]])
def test_a_lone_customer_has_finite_standing(days: list[int]) -> None:
    found = features(history_of({"a": days}))
    for name in ("recency", "silent_share", "fading_270", "net_mean", "btyd_90"):
        assert np.isfinite(found[name]).all(), name
