from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.churn import heuristic
from pipelines.core.churn.heuristic import EDGES
from pipelines.core.churn.history import day_number, read_purchase_days
from pipelines.core.churn.predictions import SCHEMA, quantile, stay, whole
from pipelines.core.churn.reasons import Reason
from pipelines.core.churn.score import score

TZ = "Asia/Shanghai"
AS_OF = datetime(2025, 1, 1, 16, tzinfo=UTC)  # the end of 2025-01-01 in Shanghai
TODAY = date(2025, 1, 1)


def purchase_days(rows: list[tuple[str, int]]) -> pa.Table:
    """Rows of `mart_purchase_days` from (member, days ago)."""
    days = [TODAY - timedelta(days=ago) for _, ago in rows]
    return pa.table(
        {
            "member_id": pa.array([member for member, _ in rows], pa.string()),
            "purchase_date": pa.array(days, pa.date32()),
            "purchase_at": pa.array(
                [datetime(d.year, d.month, d.day, 4, tzinfo=UTC) for d in days],
                pa.timestamp("us", tz="UTC"),
            ),
            "order_count": pa.array([1] * len(rows), pa.int64()),
            "net_minor": pa.array([1000] * len(rows), pa.int64()),
            "day_rank": pa.array([1] * len(rows), pa.int64()),
        }
    )


def brand(buyers: int = 400) -> pa.Table:
    """Even members bought once, long or lately; odd ones buy every 20 days without fail."""
    rows = []
    for i in range(buyers):
        member = f"m{i:04}"
        if i % 2 == 0:
            rows.append((member, 20 + i))
        else:
            rows += [(member, ago) for ago in range(i % 20, 420, 20)]
    return purchase_days(rows)


def test_regular_buyers_are_safe_and_one_time_buyers_at_risk() -> None:
    scores = score(brand(), AS_OF, TZ)
    churn = scores["p_churn_90d"].to_numpy()
    assert scores.schema == SCHEMA
    assert set(scores["basis"].to_pylist()) == {"heuristic"}
    assert churn[1::2].max() < 0.02
    assert churn[0::2].min() > 0.9


def test_second_purchase_is_answered_for_one_time_buyers_only() -> None:
    second = score(brand(), AS_OF, TZ)["p_second_purchase_60d"].to_pylist()
    assert all(p is not None and 0 <= p < 0.1 for p in second[0::2])
    assert set(second[1::2]) == {None}


def test_next_order_is_expected_within_the_rhythm_or_not_at_all() -> None:
    scores = score(brand(), AS_OF, TZ).to_pylist()
    regular, once = scores[1], scores[0]
    assert once["expected_next_order_at"] is None
    assert AS_OF < regular["expected_next_order_lo"] < regular["expected_next_order_hi"]
    assert regular["expected_next_order_hi"] < AS_OF + timedelta(days=28)


def test_reasons_name_the_rhythm_and_the_direction() -> None:
    scores = score(brand(), AS_OF, TZ).to_pylist()
    regular = [Reason.parse(text) for text in scores[15]["reasons"]]
    assert (
        Reason(False, "frequency", "has bought on 21 days in 415 days", "415 天內有 21 天買過")
        in regular
    )
    once = {r.code: r for r in (Reason.parse(text) for text in scores[0]["reasons"])}
    assert once["one_time"].raises


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("m", 1)], "one buyer"),
        ([(f"m{i}", 5) for i in range(300)], "all on one day"),
        ([(f"m{i}", 100 + i % 19) for i in range(300)], "119 days of history"),
        ([(f"m{i}", i % 300) for i in range(199)], "199 buyers"),
        ([("m", 0)] * 3, "the same instant three times"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_too_little_history_gives_a_basis_and_no_number(
    rows: list[tuple[str, int]], why: str
) -> None:
    scores = score(purchase_days(rows), AS_OF, TZ)
    assert set(scores["basis"].to_pylist()) == {"insufficient"}, why
    assert scores["p_churn_90d"].null_count == len(scores)
    assert scores["model_version"].null_count == len(scores)


def test_no_purchase_at_all_gives_no_row() -> None:
    assert score(purchase_days([]), AS_OF, TZ).num_rows == 0


@pytest.mark.parametrize(
    "rows",
    [
        [(f"m{i}", 150 + i % 50) for i in range(300)],
        [(f"m{i}", 400 + i % 50) for i in range(300)],
        [(f"m{i}", i % 200) for i in range(300)],
        [(f"m{i}", 200 * (i % 2)) for i in range(300)],
    ],
    ids=["silent for 150 days", "a year of silence", "no repeat buyer", "two days only"],
)
def test_odd_histories_give_probabilities(rows: list[tuple[str, int]]) -> None:
    scores = score(purchase_days(rows), AS_OF, TZ)
    churn = scores["p_churn_90d"].to_numpy()
    assert set(scores["basis"].to_pylist()) == {"heuristic"}
    assert ((churn > 0) & (churn < 1)).all()


def test_purchases_after_as_of_change_nothing() -> None:
    past = brand()
    future = purchase_days([(f"m{i:04}", -1 - i % 7) for i in range(400)] + [("new", -3)])
    assert score(pa.concat_tables([past, future]), AS_OF, TZ).equals(score(past, AS_OF, TZ))


def test_equal_rows_in_any_order_give_equal_bytes(tmp_path: Path) -> None:
    rows = brand()
    shuffled = rows.take(pa.array(np.random.default_rng(1).permutation(rows.num_rows)))
    pq.write_table(shuffled, tmp_path / "days.parquet")
    pq.write_table(score(rows, AS_OF, TZ), tmp_path / "a.parquet")
    pq.write_table(score(tmp_path / "days.parquet", AS_OF, TZ), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_members_without_consent_get_no_number_and_no_reason() -> None:
    scores = score(brand(), AS_OF, TZ, withheld=pa.array(["m0001"])).to_pylist()
    hidden = scores[1]
    assert hidden["basis"] == "consent_withheld"
    assert hidden["scored_at"] == AS_OF
    named = {"member_id", "basis", "scored_at"}
    assert {v for name, v in hidden.items() if name not in named} == {None}
    assert scores[3]["p_churn_90d"] is not None


def test_members_without_consent_are_withheld_where_nobody_is_scored_yet_too() -> None:
    scores = score(brand(100), AS_OF, TZ, withheld=pa.array(["m0001"])).to_pylist()
    assert [scores[1]["basis"], scores[3]["basis"]] == ["consent_withheld", "insufficient"]


def test_one_purchase_day_is_counted_from_rows_of_the_same_day() -> None:
    history = read_purchase_days(purchase_days([("a", 3), ("a", 3), ("a", 1)]), day_number(TODAY))
    assert history.day.tolist() == [day_number(TODAY) - 3, day_number(TODAY) - 1]
    assert history.net.tolist() == [2000.0, 1000.0]


def test_hazards_count_only_what_was_over_by_as_of() -> None:
    """All 300 bought 200 days ago and 10 days ago; at the newest cut-off the gap is 80 days."""
    rows = [(f"m{i}", ago) for i in range(300) for ago in (200 + i % 2, 10)]
    history = read_purchase_days(purchase_days(rows), day_number(TODAY))
    table = heuristic.learn(history, day_number(TODAY))
    assert table.cutoffs == (
        day_number(TODAY) - 90,
        day_number(TODAY) - 120,
        day_number(TODAY) - 150,
        day_number(TODAY) - 180,
    )
    snapshot = history.at(table.cutoffs[0])
    cells = heuristic.cells_of(snapshot, heuristic.brand_cycle(snapshot))
    # of the four cut-offs only the newest saw the purchase within 90 days, and all of it
    assert table.survival_at(cells, 60)[0] > 0.95
    assert table.survival_at(cells, 90)[0] < 0.2


def test_quantile_is_interpolated_between_edges() -> None:
    survival = np.full((1, len(EDGES)), 0.4)
    survival[0, EDGES <= 10], survival[0, EDGES == 14] = 0.9, 0.6
    # S falls from 0.9 at day 10 to 0.6 at day 14: S = 0.75 halfway, at 12 days
    assert quantile(survival, 0.25).tolist() == [12.0]
    assert np.isnan(quantile(survival, 0.75)).all()


def test_survival_between_edges_falls_at_a_constant_hazard() -> None:
    survival = np.full((1, len(EDGES)), 0.5)
    survival[0, EDGES == 1], survival[0, EDGES == 30], survival[0, EDGES == 35] = 0.9, 0.8, 0.6
    assert stay(survival, 0).tolist() == [1.0]
    assert stay(survival, 1) == pytest.approx(0.9)
    assert stay(survival, 30) == pytest.approx(0.8)
    # two of the five days from 30 to 35: 0.8 × (0.6 / 0.8)^(2/5)
    assert stay(survival, 32) == pytest.approx(0.8 * 0.75**0.4)


def test_amounts_beyond_all_whole_numbers_stop_at_the_largest() -> None:
    most = 2**53
    assert whole(np.array([1.5, 1e19, -1e19, np.inf])).to_pylist() == [2, most, -most, most]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 250), st.integers(-5, 500)), min_size=1, max_size=800))
def test_any_history_gives_a_row_each_with_ordered_numbers(rows: list[tuple[int, int]]) -> None:
    table = purchase_days([(f"m{member}", ago) for member, ago in rows])
    scores = score(table, AS_OF, TZ)
    past = pc.less_equal(table["purchase_date"], pa.scalar(TODAY))
    assert scores.num_rows == len(table.filter(past)["member_id"].unique())
    known = scores.filter(pc.is_valid(scores["p_churn_90d"]))
    assert all(0 < p < 1 for p in known["p_churn_90d"].to_pylist())
    for row in known.to_pylist():
        assert row["p_buy_30d"] <= 1 - row["p_churn_90d"]
        lo, mid, hi = (row[f"expected_next_order_{end}"] for end in ("lo", "at", "hi"))
        assert mid is None or lo <= mid
        assert hi is None or mid <= hi
