from __future__ import annotations

import numpy as np
import pytest

from pipelines.core.churn.heuristic import DAYS_A_YEAR
from pipelines.core.churn.season import (
    BELIEVED_AT,
    BELIEVED_FROM,
    Observed,
    forecast,
)

START = 10_000


def yearly(cutoff: int, shift_of: float = 0.5) -> list[Observed]:
    """Monthly windows up to 90 days before `cutoff`, of a shift that comes every year."""
    found = []
    for at in range(cutoff - 90, START + 30, -30):
        shift = shift_of * np.cos(2 * np.pi * (at - cutoff) / 365.25)
        found.append(Observed(at, float(shift), 0.001, at - START))
    return found


def test_what_came_a_year_before_is_expected_again() -> None:
    cutoff = START + 800
    up, down = yearly(cutoff), yearly(cutoff, -0.5)
    assert forecast(up, cutoff, START, 90).shift == pytest.approx(0.45, abs=0.12)
    assert forecast(down, cutoff, START, 90).shift == pytest.approx(-0.45, abs=0.12)


def test_nothing_is_expected_before_the_same_weeks_were_seen() -> None:
    cutoff = START + DAYS_A_YEAR + BELIEVED_FROM
    result = forecast(yearly(cutoff), cutoff, START, 90)
    assert (result.shift, result.trust) == (0.0, 0.0)


def test_trust_grows_with_the_age_of_the_brand_a_year_before() -> None:
    half = START + DAYS_A_YEAR + (BELIEVED_FROM + BELIEVED_AT) // 2
    whole = START + DAYS_A_YEAR + BELIEVED_AT
    assert forecast(yearly(half), half, START, 90).trust == pytest.approx(0.5)
    assert forecast(yearly(whole), whole, START, 90).trust == 1.0


def test_a_brand_of_age_whose_same_weeks_were_not_observed_expects_nothing() -> None:
    cutoff = START + 900
    lately = [Observed(cutoff - 90 - 30 * k, 0.4, 0.001, 500) for k in range(6)]
    result = forecast(lately, cutoff, START, 90)
    assert (result.shift, result.trust) == (0.0, 0.0)


def test_windows_without_a_shift_give_none() -> None:
    cutoff = START + 900
    flat = [Observed(o.cutoff, 0.0, o.variance, o.age) for o in yearly(cutoff)]
    assert forecast(flat, cutoff, START, 90).shift == 0.0
    assert forecast([], cutoff, START, 90).shift == 0.0


def test_a_noisy_window_a_year_before_moves_less_than_a_clear_one() -> None:
    cutoff = START + 900
    clear = [Observed(cutoff - 365, 1.0, 0.001, 500)]
    noisy = [Observed(cutoff - 365, 1.0, 1.0, 500)]
    young = [Observed(cutoff - 365, 1.0, 0.001, 60)]
    shifts = [forecast(seen, cutoff, START, 90).shift for seen in (clear, noisy, young)]
    assert 0.5 < shifts[0] < 1
    assert 0 < shifts[1] < shifts[0]
    assert 0 < shifts[2] < shifts[0]
