from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.core.churn.history import day_number, from_rows, read_purchase_days, start_of
from tests.churn_sample import START, day_of, drawn, history_of, purchase_days

THREE = {"a": [0, 10, 40], "b": [5], "c": [20, 50]}


def test_a_snapshot_knows_what_was_over_and_when_the_next_purchase_came() -> None:
    snapshot = history_of(THREE).at(START + 20)
    assert snapshot.n.tolist() == [2, 1, 1]
    assert snapshot.recency.tolist() == [10, 15, 0]
    assert snapshot.gap.tolist() == [20, 0, 30]
    assert snapshot.net.tolist() == [2000.0, 1000.0, 1000.0]
    assert snapshot.mean_gap.tolist() == [10.0, 0.0, 0.0]


def test_customers_who_had_not_bought_yet_are_not_in_a_snapshot() -> None:
    assert history_of(THREE).at(START + 4).row.tolist() == [0]


def test_until_forgets_later_days_and_customers_but_not_when_the_brand_began() -> None:
    known = history_of(THREE).until(START + 10)
    assert known.ids.to_pylist() == ["a", "b"]
    assert known.day.tolist() == [START, START + 10, START + 5]
    assert known.start == START


def test_a_part_and_a_choice_hold_the_same_purchases_as_the_whole() -> None:
    whole = history_of(THREE)
    assert whole.part(1, 3).day.tolist() == [START + 5, START + 20, START + 50]
    chosen = whole.choose(np.array([0, 2]))
    assert chosen.ids.to_pylist() == ["a", "c"]
    assert chosen.day.tolist() == [START, START + 10, START + 40, START + 20, START + 50]
    assert chosen.start == START


def test_a_brand_begins_with_its_buyers_not_with_stray_days_long_before() -> None:
    buyers = {f"c{i:03}": [i // 2, i // 2 + 30] for i in range(400)}
    strays = {f"s{i}": [-4000 + 700 * i, 50] for i in range(5)}
    assert history_of(buyers).start == START
    assert history_of({**buyers, **strays}).start == START


def test_a_wrong_date_on_fewer_than_a_hundredth_of_the_buyers_is_stray() -> None:
    first = np.concatenate([np.zeros(90), np.repeat(np.arange(5000, 5500), 20)])
    assert start_of(first) == 5000


@pytest.mark.parametrize(
    ("first", "start"),
    [
        ([7], 7),
        ([9, 3], 3),
        ([5] * 300, 5),
        (list(range(0, 4000, 20)), 0),  # a buyer in twenty days, from the first on
        ([0, *range(1000, 5000, 20)], 1000),
        ([i // 40 for i in range(4000)], 0),
    ],
)
def test_a_start_is_found_in_small_and_slow_histories(first: list[int], start: int) -> None:
    assert start_of(np.array(first)) == start


def test_a_sample_is_drawn_the_same_way_each_time_and_keeps_the_order() -> None:
    whole = drawn(500)
    first, second = whole.sample(100), whole.sample(100)
    assert first.ids.equals(second.ids)
    assert len(first) == 100
    assert first.ids.to_pylist() == sorted(first.ids.to_pylist())
    assert whole.sample(500) is whole


def test_days_within_counts_only_the_days_after_the_cutoff() -> None:
    whole = history_of(THREE)
    assert whole.days_within(whole.at(START + 10), 30).tolist() == [1, 0]


def test_rows_of_one_customer_and_day_become_one_purchase_day() -> None:
    rows = from_rows(pa.array(["a", "a", "b"]), np.array([3, 3, 3], np.int32), np.ones(3))
    assert rows.day.tolist() == [3, 3]
    assert rows.net.tolist() == [2.0, 1.0]


def test_days_of_no_positive_net_are_no_purchase_days() -> None:
    table = purchase_days(history_of({"a": [0, 5]})).set_column(
        2, "net_minor", pa.array([0, 100], pa.int64())
    )
    assert read_purchase_days(table, START + 9).day.tolist() == [START + 5]


@pytest.mark.parametrize("cutoff", [0, 4, 5, 5000])
def test_a_cutoff_before_or_after_everything_is_answered(cutoff: int) -> None:
    snapshot = history_of(THREE).at(START + cutoff - 1)
    assert (snapshot.recency >= 0).all()
    assert len(history_of(THREE).at(START - 1).row) == 0


def test_day_numbers_count_from_1970() -> None:
    assert day_number(day_of(19_000)) == 19_000
