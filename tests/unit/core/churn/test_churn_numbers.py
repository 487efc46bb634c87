from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.core.churn.numbers import auc, calibration_error, log_losses, logit, shift_to


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=50), st.floats(0.001, 0.999))
def test_a_shift_brings_the_mean_probability_where_it_should_be(
    odds: list[float], mean: float
) -> None:
    values = np.array(odds)
    assert expit(values + shift_to(values, mean)).mean() == pytest.approx(mean, abs=1e-6)


def test_auc_is_the_share_of_pairs_in_order_ties_counting_half() -> None:
    happened = np.array([True, False, True, False])
    # pairs: (0.9, 0.1) in order, (0.9, 0.5) in order, (0.5, 0.1) in order, (0.5, 0.5) a tie
    assert auc(happened, np.array([0.9, 0.1, 0.5, 0.5])) == 3.5 / 4
    assert np.isnan(auc(np.array([True]), np.array([0.5])))


def test_log_loss_and_calibration_error_by_hand() -> None:
    happened, p = np.array([True, False]), np.array([0.8, 0.4])
    np.testing.assert_allclose(log_losses(happened, p), [-np.log(0.8), -np.log(0.6)])
    # one customer a bin: |0 - 0.4| and |1 - 0.8|, half the weight each
    assert calibration_error(happened, p, bins=2) == pytest.approx(0.3)


def test_log_odds_are_finite_for_certainties() -> None:
    assert np.isfinite(logit([0.0, 1.0])).all()
    assert logit(0.75) == pytest.approx(np.log(3))
