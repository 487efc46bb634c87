from __future__ import annotations

import numpy as np

from pipelines.core.churn.curve import AT_HORIZON, Curve, Tally
from pipelines.core.churn.heuristic import EDGES
from pipelines.core.churn.history import Floats
from pipelines.core.churn.predictions import quantile
from tests.churn_sample import START, history_of

#: A hundred customers who buy every 30 days, the last time up to 29 days ago.
REGULAR = history_of({f"c{i:02}": list(range(i % 30, 800, 30)) for i in range(90)})
TODAY = START + 600


def exponential(customers: int, rate: float = 1 / 30) -> Floats:
    return np.exp(-rate * np.tile(EDGES, (customers, 1)))


def test_the_curve_passes_through_the_churn_models_probability() -> None:
    snapshot = REGULAR.at(TODAY)
    silent = np.linspace(0.01, 0.99, len(snapshot.n))
    survival = Curve.flat(30.0).survival(exponential(len(snapshot.n)), snapshot, silent)
    np.testing.assert_allclose(survival[:, AT_HORIZON], silent)
    assert (np.diff(survival, axis=1) <= 0).all()


def test_an_uncorrected_curve_is_the_shape_with_its_hazard_scaled() -> None:
    snapshot = REGULAR.at(TODAY)
    survival = Curve.flat(30.0).survival(
        exponential(len(snapshot.n)), snapshot, np.full(len(snapshot.n), np.exp(-1.5))
    )
    # half the hazard of 3 in 90 days: S(t) = exp(-t / 60)
    np.testing.assert_allclose(survival[0], np.exp(-EDGES / 60), rtol=1e-6)


def test_regular_customers_are_expected_when_they_are_due() -> None:
    """The exponential shape expects half of them within 21 days, whoever has just bought or not."""
    curve = Curve.flat(30.0)
    for _ in range(6):
        tally = Tally(curve)
        for cutoff in range(START + 200, START + 400, 10):
            snapshot = REGULAR.at(cutoff)
            silent = np.full(len(snapshot.n), 0.05)
            tally.add(exponential(len(snapshot.n)), snapshot, silent, seen=180)
        curve = tally.better()
    snapshot = REGULAR.at(TODAY)
    survival = curve.survival(
        exponential(len(snapshot.n)), snapshot, np.full(len(snapshot.n), 0.05)
    )
    low, high = quantile(survival, 0.25), quantile(survival, 0.75)
    fresh = snapshot.recency < 6
    assert (low[fresh] > 12).all()
    due = 30 - snapshot.recency
    assert np.corrcoef((low + high) / 2, due)[0, 1] > 0.9


def test_cells_never_seen_keep_the_shape() -> None:
    assert set(Tally(Curve.flat(30.0)).better().ratio.tolist()) == {1.0}
