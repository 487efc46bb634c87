"""The whole project at once: its own unit tests, on a brand that has nothing but orders."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def built(lake: Any, dbt_build: Any) -> Any:
    """No members, lines, refunds, coupons, surveys or consents; unit tests included."""
    days = {"a": [1, 20], "b": [5], "c": [5, 6, 7, 8]}
    orders = [
        {
            "order_id": f"{member}{day}",
            "member_id": member,
            "ordered_at": f"2025-03-{day:02d} 19:00",
            "paid_minor": 100,
        }
        for member, of_member in days.items()
        for day in of_member
    ]
    return dbt_build(lake({"orders": orders}), as_of="2025-04-01 00:00", exclude="tag:none")


def test_models_tests_and_unit_tests_all_pass(built: Any) -> None:
    results = built.results()
    assert set(results.values()) <= {"success", "pass", "no-op"}
    assert sum(name.startswith("unit_test.") for name in results) > 20


def test_members_are_those_that_orders_mention(built: Any) -> None:
    rows = built.by_key(
        "select member_id, order_count_lifetime, purchase_days_365d from marts.mart_member_daily"
    )
    assert rows == {"a": (2, 2), "b": (1, 1), "c": (4, 4)}


def test_what_needs_an_absent_source_is_null_and_says_so(built: Any) -> None:
    rows = built.rows(
        """
        select distinct
            distinct_skus_365d, lines_basis, distinct_categories_365d, categories_basis,
            median_unit_price_band, price_band_basis, refund_rate_365d, quality_refunds_365d,
            refunds_basis
        from marts.mart_member_daily
        """
    )
    absent = "source_absent"
    assert rows == [(None, absent, None, absent, None, absent, None, None, absent)]


def test_a_rate_over_absent_members_is_null_and_one_over_orders_is_not(built: Any) -> None:
    rows = built.by_key(
        """
        select metric, numerator, denominator, value, basis from marts.mart_repurchase_kpi
        where
            dimension = 'brand' and maturity = 'raw'
            and (metric = 'card_dormancy_rate' or concept_id = 'C09')
        """
    )
    assert rows == {
        "card_dormancy_rate": (None, None, None, "source_absent"),
        "repurchase_member_share": (2, 3, 2 / 3, "observed"),
    }


def test_habits_are_those_of_four_days(built: Any) -> None:
    """c bought on four evenings, Wednesday to Saturday."""
    rows = built.by_key(
        "select member_id, habit_weekday, habit_daypart, habit_basis from marts.mart_member_daily"
    )
    assert rows == {
        "a": (None, None, "insufficient_history"),
        "b": (None, None, "insufficient_history"),
        "c": (None, "evening", "observed"),
    }


def test_checks_of_absent_tables_count_nothing(built: Any) -> None:
    counted = "select rule_name from marts.mart_referential_integrity where basis = 'observed'"
    assert built.column(counted) == ["foreign_currency"]
    assert built.rows("select redemptions, basis from marts.mart_redemption_visit_check") == [
        (None, "source_absent")
    ]
    assert built.column("select bool_and(is_balanced) from marts.mart_reconciliation") == [True]


def test_feature_views_have_a_row_for_each_member(built: Any) -> None:
    views = "select table_name from information_schema.tables where table_schema = 'features'"
    for view in built.column(views):
        rows = built.rows(f"select count(*), count(distinct member_id) from features.{view}")
        assert rows[0][0] == rows[0][1] <= 3, view
    assert built.rows("select count(*) from features.member_orders_v1") == [(3,)]
