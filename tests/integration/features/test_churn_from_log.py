"""A scoring reads from the log what Feast's point-in-time join gives a training."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from pipelines.core.churn.extras import AT, INSTANT, KEY, seen_at
from pipelines.core.churn.from_log import knowledge
from pipelines.core.churn.history import day_number
from pipelines.online.feast_repo import apply
from pipelines.online.training import training_set
from tests.integration.features.conftest import CATALOG, Shop

pytestmark = pytest.mark.integration
IDS = pa.array(["a", "b", "c", "nobody"])
#: The days of March 2025 at whose end the log is asked.
DAYS = [1, 2, 3, 4, 5, 6, 7, 9]


@pytest.fixture(scope="module")
def applied(shop: Shop) -> Shop:
    apply(shop.brand, shop.repo)
    return shop


@pytest.mark.parametrize("number", DAYS)
def test_the_log_says_of_a_cutoff_what_feast_says_of_it(applied: Shop, number: int) -> None:
    cutoff = day_number(date(2025, 3, number))
    at = pa.repeat(pa.scalar(seen_at(cutoff, "UTC"), INSTANT), len(IDS))
    entities = pa.table({KEY: IDS, AT: at})
    expected = training_set(applied.brand, "churn_train_v1", entities, repo=applied.repo)
    found = knowledge(applied.log, CATALOG, "churn_train_v1", cutoff, "UTC")(IDS)
    assert found.column_names == expected.column_names
    assert found.to_pylist() == expected.to_pylist()


def test_a_night_does_not_see_itself_nor_what_is_corrected_later(applied: Shop) -> None:
    """The snapshot of day 5, 00:00 is known at 02:00: the end of day 4 sees day 3's, day 5 it."""
    known = {
        number: knowledge(
            applied.log, CATALOG, "churn_train_v1", day_number(date(2025, 3, number)), "UTC"
        )(IDS)["order_count"].to_pylist()
        for number in (4, 5)
    }
    assert known == {4: [1, 1, None, None], 5: [2, None, None, None]}


def test_nobody_asked_is_nobody_told(applied: Shop) -> None:
    cutoff = day_number(date(2025, 3, 9))
    found = knowledge(applied.log, CATALOG, "churn_train_v1", cutoff, "UTC")(IDS.slice(0, 0))
    assert found.num_rows == 0
