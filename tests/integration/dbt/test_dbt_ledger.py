"""The marts over a ledger of seventeen members, every expected value worked out by hand.

The business day is New York's, where the clocks went forward on 2025-03-09; as_of is the start of
2025-04-01 there, so 90 days reach back to the start of 2025-01-01, and orders before the start of
2025-03-17 are matured. Every order is of 100 where nothing else is said.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

pytestmark = pytest.mark.integration

TZ = "America/New_York"
ORDERS = {
    "dst": ["2025-03-08 23:30", "2025-03-09 00:30", "2025-03-09 03:30"],
    "split": ["2025-02-10 10:00", "2025-02-10 10:05"],
    "month end": ["2025-01-31 23:59:59.999999", "2025-02-01 00:00"],
    "wiped": ["2025-02-15 12:00"],
    "late refund": ["2025-02-16 12:00"],
    "unknown refund": ["2025-02-17 12:00"],
    "edge in": ["2025-01-01 00:00"],
    "edge out": ["2024-12-31 23:59:59.999999", "2025-02-20 12:00"],
    "month in": ["2025-03-02 00:00"],
    "month out": ["2025-03-01 23:30"],
    "young": ["2025-03-17 00:00"],
    "mature": ["2025-03-16 23:59:59"],
    "future": ["2025-04-01 00:00"],
    "staff": ["2025-02-11 12:00"],
}
JOINED = {"never": "2024-09-01 12:00", "edge out": "2024-06-01 12:00"}
OTHERS = ["new", "never"]


def refund(order_id: str, amount_minor: int, at: str, **more: Any) -> dict[str, Any]:
    return {
        "refund_id": f"{order_id} {at}",
        "order_id": order_id,
        "amount_minor": amount_minor,
        "refunded_at": at,
        **more,
    }


def ledger() -> dict[str, list[dict[str, Any]]]:
    members = [
        {
            "member_id": name,
            "joined_at": JOINED.get(name, "2024-12-15 12:00"),
            "member_type": "employee" if name == "staff" else "consumer",
        }
        for name in [*ORDERS, *OTHERS]
    ]
    old = {"member_id": "old", "status": "merged", "merged_into": "new"}
    members.append({**old, "joined_at": "2024-12-20 12:00", "updated_at": "2025-03-01 12:00"})
    orders = [
        {"order_id": f"{name} {number}", "member_id": name, "ordered_at": at, "paid_minor": 100}
        for name, instants in ORDERS.items()
        for number, at in enumerate(instants, 1)
    ]
    of_new: dict[str, Any] = {"channel": "web", "discount_minor": 10}
    orders += [
        {
            **of_new,
            "order_id": "new 1",
            "member_id": "new",
            "ordered_at": "2025-01-10 12:00",
            "paid_minor": 100,
        },
        {
            **of_new,
            "order_id": "old 1",
            "member_id": "old",
            "ordered_at": "2025-02-10 12:00",
            "paid_minor": 200,
        },
        {"order_id": "guest 1", "ordered_at": "2025-03-20 12:00", "paid_minor": 500},
    ]
    refunds = [
        refund("wiped 1", 60, "2025-02-20 12:00"),
        refund("wiped 1", 40, "2025-02-25 12:00"),
        refund("late refund 1", 30, "2025-03-31 23:59:59", reason_code="quality"),
        refund("late refund 1", 70, "2025-04-01 00:00"),
        refund("unknown refund 1", 100, "2025-03-01 12:00", known_at="2025-04-03 12:00"),
    ]
    lines = [
        {"order_line_id": "a", "order_id": "new 1", "sku_id": "pot", "unit_price_minor": 60},
        {"order_line_id": "b", "order_id": "new 1", "sku_id": "tea", "unit_price_minor": 40},
        {"order_line_id": "c", "order_id": "old 1", "sku_id": "tea", "unit_price_minor": 200},
    ]
    products = [
        {"sku_id": "pot", "category_l1": "home"},
        {"sku_id": "tea", "category_l1": "food", "category_l2": "drinks"},
    ]
    return {
        "members": members,
        "orders": orders,
        "refunds": refunds,
        "order_lines": lines,
        "products": products,
    }


@pytest.fixture(scope="module")
def built(lake: Any, dbt_build: Any) -> Any:
    return dbt_build(
        lake(ledger(), tz=TZ),
        as_of="2025-04-01 00:00",
        knowledge_cutoff="2025-04-02 12:00",
        business_tz=TZ,
        select="+mart_repurchase_kpi +mart_retention_cohort +member_orders_v1 +mart_reconciliation",
    )


def test_counts_of_windows_follow_local_days_and_known_refunds(built: Any) -> None:
    rows = built.by_key(
        """
        select
            member_id, order_count_lifetime, order_count_30d, order_count_90d, order_count_365d,
            purchase_days_lifetime, purchase_days_365d,
            net_revenue_lifetime_minor, net_revenue_90d_minor
        from marts.mart_member_daily
        """
    )
    none = (0, 0, 0, 0, 0, 0, 0, 0)
    assert rows == {
        "dst": (3, 3, 3, 3, 2, 2, 300, 300),
        "split": (2, 0, 2, 2, 1, 1, 200, 200),
        "month end": (2, 0, 2, 2, 2, 2, 200, 200),
        "late refund": (1, 0, 1, 1, 1, 1, 70, 70),
        "unknown refund": (1, 0, 1, 1, 1, 1, 100, 100),
        "new": (2, 0, 2, 2, 2, 2, 300, 300),
        "edge in": (1, 0, 1, 1, 1, 1, 100, 100),
        "edge out": (2, 0, 1, 2, 2, 2, 200, 100),
        "month in": (1, 1, 1, 1, 1, 1, 100, 100),
        "month out": (1, 0, 1, 1, 1, 1, 100, 100),
        "young": (1, 1, 1, 1, 1, 1, 100, 100),
        "mature": (1, 1, 1, 1, 1, 1, 100, 100),
        "wiped": none,
        "future": none,
        "staff": none,
        "never": none,
    }


def test_purchase_days_are_local_and_ranked(built: Any) -> None:
    rows = built.rows(
        """
        select purchase_date, purchase_at, order_count, net_minor, day_rank
        from marts.mart_purchase_days where member_id = 'dst' order by 1
        """
    )
    assert rows == [
        (date(2025, 3, 8), datetime(2025, 3, 9, 4, 30, tzinfo=UTC), 1, 100, 1),
        (date(2025, 3, 9), datetime(2025, 3, 9, 5, 30, tzinfo=UTC), 2, 200, 2),
    ]


def test_history_of_a_merged_member_is_the_members_own(built: Any) -> None:
    row = built.rows(
        """
        select
            first_order_at, last_order_at, aov_365d_minor, discount_order_share_365d,
            distinct_skus_365d, distinct_categories_365d, primary_channel, channels_used_365d,
            first_product_sku, first_product_category, joined_at
        from marts.mart_member_daily where member_id = 'new'
        """
    )
    assert row == [
        (
            datetime(2025, 1, 10, 17, tzinfo=UTC),
            datetime(2025, 2, 10, 17, tzinfo=UTC),
            150,
            1.0,
            2,
            2,
            "web",
            1,
            "pot",
            "home",
            datetime(2024, 12, 15, 17, tzinfo=UTC),
        )
    ]


def test_refunded_orders_are_sold_but_do_not_count(built: Any) -> None:
    rows = built.by_key(
        """
        select member_id, refund_rate_365d, quality_refunds_365d, refunds_basis, orders_basis
        from marts.mart_member_daily
        where member_id in ('wiped', 'late refund', 'unknown refund', 'never')
        """
    )
    assert rows == {
        "wiped": (1.0, 0, "observed", "no_orders"),
        "late refund": (1.0, 1, "observed", "observed"),
        "unknown refund": (0.0, 0, "observed", "observed"),
        "never": (None, 0, "no_orders", "no_orders"),
    }


def test_second_visit_is_the_first_order_of_the_second_day_in_a_shop(built: Any) -> None:
    rows = built.by_key(
        """
        select member_id, second_visit_at from marts.mart_member_daily
        where second_visit_at is not null
        """
    )
    assert rows == {
        "dst": (datetime(2025, 3, 9, 5, 30, tzinfo=UTC),),
        "month end": (datetime(2025, 2, 1, 5, tzinfo=UTC),),
        "edge out": (datetime(2025, 2, 20, 17, tzinfo=UTC),),
    }


WINDOW = {
    ("C01", "days"): (3, 12),
    ("C01", "orders"): (4, 12),
    ("C01", "returning"): (1, 12),
    ("C02", "days"): (5, 17),
    ("C02", "orders"): (6, 17),
    ("C02", "in_window_days"): (3, 15),
    ("C02", "in_window_orders"): (5, 17),
    ("C07", "net"): (1770, 2270),
    ("C08", "orders"): (17, 18),
}
MATURED_WINDOW = {
    ("C01", "days"): (3, 11),
    ("C01", "orders"): (4, 11),
    ("C01", "returning"): (1, 11),
    ("C02", "days"): (5, 16),
    ("C02", "orders"): (6, 16),
    ("C02", "in_window_days"): (3, 14),
    ("C02", "in_window_orders"): (5, 16),
    ("C07", "net"): (1670, 1670),
    ("C08", "orders"): (16, 16),
}
FEBRUARY = {
    ("C01", "days"): (0, 6),
    ("C01", "orders"): (1, 6),
    ("C01", "returning"): (3, 6),
    ("C02", "days"): (3, 7),
    ("C02", "orders"): (4, 7),
    ("C02", "in_window_days"): (0, 6),
    ("C02", "in_window_orders"): (1, 7),
    ("C07", "net"): (770, 770),
    ("C08", "orders"): (7, 7),
}


@pytest.mark.parametrize(
    ("kind", "start", "maturity", "expected"),
    [
        ("rolling_90d", "2025-01-01", "raw", WINDOW),
        ("quarter", "2025-01-01", "raw", WINDOW),
        ("rolling_90d", "2025-01-01", "matured", MATURED_WINDOW),
        ("month", "2025-02-01", "raw", FEBRUARY),
        ("month", "2025-02-01", "matured", FEBRUARY),
    ],
)
def test_rates_of_a_period(
    built: Any,
    kind: str,
    start: str,
    maturity: str,
    expected: dict[tuple[str, str], tuple[int, int]],
) -> None:
    rows = built.rows(
        f"""
        select concept_id, variant, numerator, denominator, value, is_small_n
        from marts.mart_repurchase_kpi
        where
            period_kind = '{kind}' and period_start = '{start}' and maturity = '{maturity}'
            and dimension = 'brand' and concept_id in ('C01', 'C02', 'C07', 'C08')
            and variant not like 'cohort%'
        """
    )
    assert {(c, v): (n, d) for c, v, n, d, _, _ in rows} == expected
    assert all(value == n / d and small for _, _, n, d, value, small in rows)


def test_active_members_and_the_share_that_bought_again(built: Any) -> None:
    rows = built.rows(
        """
        select concept_id, maturity, numerator, denominator, is_complete
        from marts.mart_repurchase_kpi
        where concept_id in ('C06', 'C09') and dimension = 'brand' order by 1, 2
        """
    )
    assert rows == [
        ("C06", "matured", 11, 15, False),
        ("C06", "raw", 12, 15, True),
        ("C09", "matured", 3, 11, False),
        ("C09", "raw", 3, 12, True),
    ]


def test_rates_of_a_channel_count_only_its_orders(built: Any) -> None:
    """web has only the member `new`, whose both orders fall in the window."""
    rows = built.by_key(
        """
        select metric || ' ' || variant, numerator, denominator from marts.mart_repurchase_kpi
        where
            dimension = 'channel' and dimension_value = 'web' and maturity = 'raw'
            and period_kind = 'rolling_90d' and concept_id in ('C01', 'C02', 'C08')
        """
    )
    assert rows == {
        "user_repurchase_rate days": (1, 1),
        "user_repurchase_rate orders": (1, 1),
        "user_repurchase_rate returning": (0, 1),
        "order_repurchase_rate days": (1, 2),
        "order_repurchase_rate orders": (1, 2),
        "order_repurchase_rate in_window_days": (1, 2),
        "order_repurchase_rate in_window_orders": (1, 2),
        "member_order_share orders": (2, 2),
    }


def test_nobody_can_return_to_the_period_in_which_history_begins(built: Any) -> None:
    rows = built.rows(
        """
        select numerator, denominator, value, basis from marts.mart_repurchase_kpi
        where
            variant = 'returning' and period_kind = 'month' and period_start = '2024-12-01'
            and maturity = 'raw' and dimension = 'brand'
        """
    )
    assert rows == [(None, 1, None, "insufficient_history")]


def test_a_cohort_rate_waits_until_its_last_member_had_the_days(built: Any) -> None:
    """January: gaps of 1 and 31 days and one without. December: one, of 51 days."""
    rows = built.by_key(
        """
        select
            maturity || strftime(period_start, ' %Y-%m ') || variant, numerator, denominator, basis
        from marts.mart_repurchase_kpi
        where
            metric = 'first_to_second_conversion' and dimension = 'brand'
            and period_start < '2025-02-01' and variant <> 'cohort_180'
        """
    )
    late = "insufficient_history"
    assert rows == {
        "raw 2025-01 cohort_30": (1, 3, "observed"),
        "raw 2025-01 cohort_60": (None, 3, late),
        "raw 2025-01 cohort_90": (None, 3, late),
        "raw 2024-12 cohort_30": (0, 1, "observed"),
        "raw 2024-12 cohort_60": (1, 1, "observed"),
        "raw 2024-12 cohort_90": (1, 1, "observed"),
        "matured 2025-01 cohort_30": (1, 3, "observed"),
        "matured 2025-01 cohort_60": (None, 3, late),
        "matured 2025-01 cohort_90": (None, 3, late),
        "matured 2024-12 cohort_30": (0, 1, "observed"),
        "matured 2024-12 cohort_60": (1, 1, "observed"),
        "matured 2024-12 cohort_90": (None, 1, late),
    }


def test_days_from_first_to_second_purchase(built: Any) -> None:
    rows = built.by_key(
        """
        select variant, numerator, denominator, value from marts.mart_repurchase_kpi
        where
            metric = 'days_first_to_second' and dimension = 'brand' and maturity = 'raw'
            and period_start = '2025-01-01'
        """
    )
    assert rows == {"p25": (None, 2, 8.5), "median": (None, 2, 16.0), "p75": (None, 2, 23.5)}


def test_joiners_visitors_and_sleepers(built: Any) -> None:
    """Of 13 who joined on 2024-12-15, `new` and `edge in` bought by 2025-01-14; `month end` came
    to a shop again the next day, `edge in` did not; `never` sleeps, `edge out` does not."""
    rows = built.by_key(
        """
        select metric, numerator, denominator from marts.mart_repurchase_kpi
        where
            maturity = 'raw' and dimension = 'brand'
            and (
                (metric = 'member_activation_rate' and period_start = '2024-12-01')
                or (metric = 'second_store_visit_rate' and period_start = '2025-01-01')
                or metric = 'card_dormancy_rate'
            )
        """
    )
    assert rows == {
        "member_activation_rate": (2, 13),
        "second_store_visit_rate": (1, 2),
        "card_dormancy_rate": (1, 2),
    }


@pytest.mark.parametrize(
    ("maturity", "march"),
    [("raw", (0, 0.0, 2, 0, False)), ("matured", (None, None, None, None, True))],
)
def test_cohort_cells_are_null_from_the_first_month_not_over(
    built: Any, maturity: str, march: tuple[Any, ...]
) -> None:
    """January's cohort is `month end`, `new` and `edge in`; March is over on 04-01, not matured."""
    rows = built.by_key(
        f"""
        select month_number, retained, value, repurchased, net_minor, is_censored
        from marts.mart_retention_cohort
        where
            maturity = '{maturity}' and dimension = 'brand' and cohort_month = '2025-01-01'
            and month_number < 5
        """
    )
    censored = (None, None, None, None, True)
    assert rows == {
        0: (3, 1.0, 0, 300, False),
        1: (2, 2 / 3, 2, 300, False),
        2: march,
        3: censored,
        4: censored,
    }


def test_every_order_that_does_not_count_has_a_reason(built: Any) -> None:
    rows = built.rows(
        """
        select reason, period_start, rows_in, minor_in from marts.mart_reconciliation
        where check_name = 'orders_excluded' order by 1
        """
    )
    assert rows == [
        ("member_employee", date(2025, 2, 1), 1, 100),
        ("refunded", date(2025, 2, 1), 1, 100),
    ]
    later = "select rows_explained from marts.mart_reconciliation where reason = 'after_as_of'"
    assert built.rows(later) == [(1,)]


def test_the_feature_view_carries_the_members_and_both_clocks(built: Any) -> None:
    rows = built.rows(
        """
        select count(*), min(event_timestamp), max(created_timestamp) from features.member_orders_v1
        """
    )
    clocks = (datetime(2025, 4, 1, 4, tzinfo=UTC), datetime(2025, 4, 2, 16, tzinfo=UTC))
    assert rows == [(16, *clocks)]
