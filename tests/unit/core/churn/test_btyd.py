from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gamma

from pipelines.core.churn import btyd
from pipelines.core.churn.btyd import Customers, ParetoNBD
from pipelines.core.churn.heuristic import EDGES
from tests.churn_sample import START, drawn

MODEL = ParetoNBD(0.8, 40.0, 0.6, 120.0)


def one(repeats: float, last: float, age: float) -> Customers:
    return Customers(np.array([repeats]), np.array([last]), np.array([age]))


def by_hand(repeats: int, last: float, age: float) -> float:
    """The likelihood as Schmittlein et al. write it, averaged over a grid of both rates."""
    shares = (np.arange(1500) + 0.5) / 1500
    lam = gamma(MODEL.r, scale=1 / MODEL.alpha).ppf(shares)[:, None]
    mu = gamma(MODEL.s, scale=1 / MODEL.beta).ppf(shares)[None, :]
    inner = mu * np.exp(-(lam + mu) * last) + lam * np.exp(-(lam + mu) * age)
    return float((lam**repeats / (lam + mu) * inner).mean())


@pytest.mark.parametrize(
    ("repeats", "last", "age"), [(0, 0, 100), (2, 50, 90), (5, 200, 210), (3, 30, 300)]
)
def test_survival_is_the_ratio_of_likelihoods_integrated_by_hand(
    repeats: int, last: float, age: float
) -> None:
    expected = by_hand(repeats, last, age + 90) / by_hand(repeats, last, age)
    assert MODEL.survival(one(repeats, last, age), [90])[0, 0] == pytest.approx(expected, rel=5e-3)


def integrated(model: ParetoNBD, repeats: int, last: float, age: float, horizon: float) -> float:
    """P(no purchase in `horizon` days), the end of life integrated day by day by scipy."""

    def alive(until: float) -> float:
        died = (model.beta / (model.beta + until)) ** model.s
        return float(((model.alpha + last) / (model.alpha + until)) ** (model.r + repeats) * died)

    def gone(begin: float, end: float) -> float:
        days = np.linspace(begin, end, 1 + int(np.ceil(end - begin)))
        pairs = pairwise(days)
        return sum(
            quad(lambda t: alive(t) * model.s / (model.beta + t), *pair)[0] for pair in pairs
        )

    dead = gone(last, age)
    later = dead + gone(age, age + horizon) + alive(age + horizon)
    return float(later / (dead + alive(age)))


LIVELY = [(40, 100, 100), (300, 310, 312), (12, 20, 30), (150, 700, 730), (0, 0, 400)]
YOUNG = ParetoNBD(0.9, 2.0, 0.45, 1.2)


@pytest.mark.parametrize("model", [MODEL, YOUNG])
@pytest.mark.parametrize(("repeats", "last", "age"), LIVELY)
def test_survival_is_the_integral_whichever_horizons_are_asked(
    model: ParetoNBD, repeats: int, last: float, age: float
) -> None:
    customer = one(repeats, last, age)
    by_week = model.survival(customer, EDGES)[0]
    for horizon in (10, 30, 90, 182):
        exact = integrated(model, repeats, last, age, horizon)
        alone = model.survival(customer, [horizon])[0, 0]
        assert alone == pytest.approx(exact, abs=1e-4)
        assert by_week[np.searchsorted(EDGES, horizon)] == pytest.approx(exact, abs=1e-4)


def test_the_longer_a_customer_is_silent_the_likelier_it_stays_so() -> None:
    ages = np.array([50.0, 100.0, 200.0, 400.0])
    customers = Customers(np.full(4, 3.0), np.full(4, 45.0), ages)
    assert (np.diff(MODEL.survival(customers, [90])[:, 0]) > 0).all()


def test_expected_days_of_one_day_are_the_chance_to_buy_that_day() -> None:
    customers = one(4, 100, 110)
    chance = 1 - MODEL.survival(customers, [1])[0, 0]
    assert MODEL.expected_days(customers, 1)[0] == pytest.approx(chance, rel=0.05)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 3000),
    st.floats(0, 1),
    st.integers(0, 3000),
    st.tuples(*[st.floats(-6, 8) for _ in range(4)]),
)
def test_no_customer_and_no_parameters_give_anything_but_a_probability(
    repeats: int, share: float, age: int, logs: tuple[float, ...]
) -> None:
    model = ParetoNBD(*(float(np.exp(value)) for value in logs))
    last = age * share if repeats else 0.0
    survival = model.survival(one(repeats, last, age), [1, 30, 90, 182])[0]
    assert np.isfinite(survival).all()
    assert (np.diff(np.concatenate([[1.0], survival])) <= 1e-6).all()
    assert survival.min() >= 0
    assert model.expected_days(one(repeats, last, age), 365)[0] >= 0


def test_the_fit_foretells_the_level_of_the_next_90_days() -> None:
    """The drawn brand is no Pareto/NBD: a third are gone at once. The level holds all the same."""
    history = drawn(6000, 600)
    snapshot = history.until(START + 500).at(START + 500)
    model = btyd.fit(snapshot)
    said = model.survival(Customers.of(snapshot), [90])[:, 0].mean()
    later = history.at(START + 500)
    came = 1 - ((later.gap > 0) & (later.gap <= 90)).mean()
    assert said == pytest.approx(came, abs=0.02)


def test_the_same_customers_are_fitted_the_same_way() -> None:
    snapshot = drawn(400).at(START + 300)
    assert btyd.fit(snapshot) == btyd.fit(snapshot)
