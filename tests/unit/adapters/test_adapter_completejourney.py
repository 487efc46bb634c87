"""The Complete Journey: visits on New York's days, coupons by household, redemptions by visit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

Loaded = Callable[..., Any]


def table(columns: str, *rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=columns.split(), orient="row")


def at(*moment: int) -> datetime:
    return datetime(*moment)  # type: ignore[arg-type]  # noqa: DTZ001  # naive, as in the file


@pytest.fixture
def lake(loaded: Loaded) -> Any:
    transactions = table(
        "household_id store_id basket_id product_id quantity sales_value retail_disc coupon_disc "
        "coupon_match_disc transaction_timestamp",
        # 2017-03-02 03:30 UTC is the evening of 1 March in New York
        ("h1", "9", "b1", "p1", 2.0, 5.0, 1.0, 0.55, 0.45, at(2017, 3, 2, 3, 30)),
        ("h1", "9", "b1", "p2", 0.0, 0.0, 0.0, 0.0, 0.0, at(2017, 3, 2, 3, 30)),
        ("h1", "9", "b0", "p3", 1.0, 2.0, 0.0, 0.0, 0.0, at(2017, 3, 1, 15)),
        ("h2", "8", "b3", "p1", 15368.0, 32.1, 1.54, 0.0, 0.0, at(2017, 7, 1, 12)),
    )
    return loaded(
        "completejourney",
        {
            "transactions_sample.parquet": transactions,
            "products.parquet": table(
                "product_id department product_category product_type package_size",
                ("p1", "GROCERY", "FRZN ICE", "ICE", "22 LB"),
                ("p9", "MISCELLANEOUS", None, None, None),
            ),
            "campaigns.parquet": table(
                "campaign_id household_id", ("1", "h1"), ("2", "h1"), ("2", "h3")
            ),
            "campaign_descriptions.parquet": table(
                "campaign_id campaign_type start_date end_date",
                ("1", "Type A", date(2017, 2, 8), date(2017, 3, 26)),
                ("2", "Type B", date(2017, 3, 3), date(2017, 4, 9)),
            ),
            "coupons.parquet": table(
                "coupon_upc product_id campaign_id",
                ("10000085207", "p3", "2"),
                ("10000085207", "p1", "1"),
                ("10000085207", "p2", "1"),
                ("51380041013", "p7", "1"),
            ),
            "coupon_redemptions.parquet": table(
                "household_id coupon_upc campaign_id redemption_date",
                ("h1", "10000085207", "1", date(2017, 3, 1)),
                ("h1", "10000085207", "1", date(2017, 3, 20)),
                ("h1", "51380041013", "1", date(2017, 3, 1)),
            ),
        },
    )


def test_baskets_are_orders_at_what_the_shop_received(lake: Any) -> None:
    assert lake.rows(
        "orders", "order_id", "member_id", "gross_minor", "discount_minor", "paid_minor", "channel"
    ) == [
        ("b0", "h1", 200, 0, 200, "store"),
        ("b1", "h1", 645, 145, 500, "store"),
        ("b3", "h2", 3364, 154, 3210, "store"),
    ]
    assert lake.rows("orders", "ordered_at")[1] == datetime(2017, 3, 2, 3, 30, tzinfo=UTC)


def test_lines_without_quantity_are_set_aside_and_gasoline_is_fine(lake: Any) -> None:
    assert lake.reasons("order_lines") == [(2, "qty_not_positive")]
    assert lake.rows("order_lines", "order_line_id", "qty", "unit_price_minor") == [
        ("b0-p3", 1, 200),
        ("b1-p1", 2, 322),  # 6.45 for two; half a cent rounds to even
        ("b3-p1", 15368, 0),
    ]


def test_a_household_joins_at_its_first_visit_or_with_its_first_campaign(lake: Any) -> None:
    assert lake.rows("members", "member_id", "joined_at") == [
        ("h1", datetime(2017, 3, 1, 15, tzinfo=UTC)),
        ("h2", datetime(2017, 7, 1, 12, tzinfo=UTC)),
        ("h3", datetime(2017, 3, 3, 5, tzinfo=UTC)),  # midnight in New York
    ]


def test_templates_know_their_role_their_window_and_their_products(lake: Any) -> None:
    rows = lake.rows("coupon_templates", "template_id", "role", "valid_from", "valid_to", "scope")
    assert [row[:2] for row in rows] == [
        ("1-10000085207", "retention"),
        ("1-51380041013", "retention"),
        ("2-10000085207", "traffic"),
    ]
    assert rows[0][2:4] == (
        datetime(2017, 2, 8, 5, tzinfo=UTC),
        datetime(2017, 3, 27, 4, tzinfo=UTC),  # the last day counts, and summer time has begun
    )
    assert json.loads(rows[0][4]) == {"skus": ["p1", "p2"]}
    assert lake.rows("coupon_templates", "promotion_id") == ["1", "1", "2"]


def test_each_household_of_a_campaign_holds_each_coupon_of_it(lake: Any) -> None:
    assert lake.rows("coupon_issues", "issue_id", "template_id", "member_id") == [
        ("h1-1-10000085207", "1-10000085207", "h1"),
        ("h1-1-51380041013", "1-51380041013", "h1"),
        ("h1-2-10000085207", "2-10000085207", "h1"),
        ("h3-2-10000085207", "2-10000085207", "h3"),
    ]


def test_a_redemption_is_linked_to_the_basket_of_its_local_day(lake: Any) -> None:
    """Two baskets on 1 March: the later one holds a product of the first coupon."""
    rows = lake.rows(
        "coupon_redemptions", "redemption_id", "order_id", "discount_minor", "redeemed_at"
    )
    assert rows == [
        ("h1-1-10000085207-2017-03-01", "b1", 100, datetime(2017, 3, 2, 3, 30, tzinfo=UTC)),
        ("h1-1-10000085207-2017-03-20", None, 0, datetime(2017, 3, 20, 16, tzinfo=UTC)),
        ("h1-1-51380041013-2017-03-01", "b0", 0, datetime(2017, 3, 1, 15, tzinfo=UTC)),
    ]


def test_products_and_stores_come_along(lake: Any) -> None:
    assert lake.rows("products", "sku_id", "category_l1", "category_l2", "unit_size") == [
        ("p1", "GROCERY", "FRZN ICE", "22 LB"),
        ("p9", "MISCELLANEOUS", None, None),
    ]
    assert lake.rows("stores", "store_id") == ["8", "9"]
