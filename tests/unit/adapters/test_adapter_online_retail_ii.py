"""Online Retail II: the same line once, refunds where they belong, no bookkeeping in the sales."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

Loaded = Callable[..., Any]
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def csv(*lines: str) -> str:
    return "\n".join([HEADER, *(f"{line},United Kingdom" for line in lines), ""])


def parquet(*lines: tuple[Any, ...]) -> pl.DataFrame:
    """Lines of (invoice, code, description, quantity, local time, price, customer, sheet)."""
    names = [
        "invoice",
        "stock_code",
        "description",
        "quantity",
        "invoice_ts",
        "unit_price",
        "customer_id",
        "sheet",
    ]
    frame = pl.DataFrame(list(lines), schema=names, orient="row")
    return frame.with_columns(pl.col("invoice_ts").str.to_datetime(time_unit="us"))


def test_the_overlap_of_two_sheets_is_counted_once(loaded: Loaded) -> None:
    """Descriptions differ in blanks; a product scanned twice on a bill stays two lines."""
    line = ("536365", "85123A", " HEART HOLDER", 6, "2010-12-01 08:26:00", 2.55, "17850")
    again = ("536365", "85123A", "HEART HOLDER", 6, "2010-12-01 08:26:00", 2.55, "17850")
    other = ("536365", "71053", "LANTERN", 1, "2010-12-01 08:27:00", 3.39, "17850")
    lake = loaded(
        "online_retail_ii",
        {
            "lines.parquet": parquet(
                (*line, "2009-2010"),
                (*line, "2009-2010"),
                (*other, "2009-2010"),
                (*other, "2010-2011"),
                (*again, "2010-2011"),
                (*again, "2010-2011"),
            )
        },
    )
    assert lake.rows("order_lines", "order_line_id", "line_net_minor") == [
        ("536365:71053:1:3390:1", 339),
        ("536365:85123A:6:2550:1", 1530),
        ("536365:85123A:6:2550:2", 1530),
    ]
    report = lake.reports["order_lines"]
    assert (report.read, report.new, report.unchanged) == (6, 3, 3)
    (order,) = lake.rows("orders", "order_id", "paid_minor", "member_id", "ordered_at", "currency")
    at = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)  # London keeps UTC in winter; the first minute
    assert order == ("536365", 339 + 2 * 1530, "17850", at, "GBP")


def test_the_csvs_hold_the_same_lines_as_the_parquet(loaded: Loaded) -> None:
    line = ("536365", "85123a", "HEART", 6, "2010-12-01 08:26:00", 2.55, "17850", "2010-2011")
    lake = loaded("online_retail_ii", {"lines.parquet": parquet(line)})
    (lake.landing / "lines.parquet").unlink()
    (lake.landing / "by_day").mkdir()
    path = lake.landing / "by_day" / "2010-12-01.csv"
    path.write_text(csv("536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0"))
    lake.load()
    assert {t: (r.new, r.unchanged) for t, r in lake.reports.items()} == {
        "order_lines": (0, 1),
        "refunds": (0, 0),
        "orders": (0, 1),
        "members": (0, 1),
        "products": (0, 1),
    }
    assert lake.rows("order_lines", "sku_id") == ["85123A"]


def test_a_cancellation_takes_back_the_best_fitting_earlier_purchase(loaded: Loaded) -> None:
    lake = loaded(
        "online_retail_ii",
        {
            "2010-12-01.csv": csv(
                "1,TEA,x,5,2010-12-01 09:00:00,1.00,7.0",
                "2,TEA,x,2,2010-12-01 10:00:00,1.00,7.0",
                "3,TEA,x,9,2010-12-01 11:00:00,2.00,7.0",
                "4,TEA,x,1,2010-12-01 12:00:00,1.00,7.0",
            ),
            "2010-12-02.csv": csv(
                "C5,TEA,x,-2,2010-12-02 09:00:00,1.00,7.0",  # as bought on 2
                "C6,TEA,x,-3,2010-12-02 09:00:00,1.00,7.0",  # enough on 3 and 1; 3 is later
                "C7,TEA,x,-50,2010-12-02 09:00:00,1.00,7.0",  # more than any; 4 is the latest
                "C8,TEA,x,-1,2010-12-02 09:00:00,1.00,8.0",  # never bought by that customer
                "C9,TEA,x,-1,2010-12-01 08:00:00,1.00,7.0",  # before the first purchase
                "9,TEA,x,1,2010-12-03 08:00:00,1.00,8.0",
            ),
        },
    )
    assert lake.rows("refunds", "refund_id", "order_id", "order_line_id", "amount_minor") == [
        ("C5:TEA:-2:1000:1", "2", "2:TEA:2:1000:1", 200),
        ("C6:TEA:-3:1000:1", "3", "3:TEA:9:2000:1", 300),
        ("C7:TEA:-50:1000:1", "4", "4:TEA:1:1000:1", 5000),
    ]
    assert lake.reasons("refunds") == [
        (4, "refund_without_purchase"),
        (5, "refund_without_purchase"),
    ]
    assert set(lake.rows("refunds", "kind")) == {"return"}


def test_a_credit_for_a_service_is_taken_from_the_latest_order_that_is_large_enough(
    loaded: Loaded,
) -> None:
    lake = loaded(
        "online_retail_ii",
        {
            "2010-12-01.csv": csv(
                "1,22086,x,10,2010-12-01 09:00:00,5.00,7.0",
                "2,22086,x,1,2010-12-01 10:00:00,5.00,7.0",
                "C3,D,Discount,-1,2010-12-01 11:00:00,20.00,7.0",
                "C4,M,Manual,-1,2010-12-01 11:00:00,51.00,7.0",
            )
        },
    )
    found = lake.rows("refunds", "order_id", "order_line_id", "amount_minor", "kind")
    assert found == [("1", None, 2000, "refund_only")]
    assert lake.reasons("refunds") == [(4, "refund_without_purchase")]


def test_what_is_no_trade_with_a_customer_is_set_aside_with_its_reason(loaded: Loaded) -> None:
    lake = loaded(
        "online_retail_ii",
        {
            "2010-12-01.csv": csv(
                "1,22086,TIN,1,2010-12-01 09:00:00,5.00,7.0",
                "1,POST,POSTAGE,1,2010-12-01 09:00:00,18.00,7.0",
                "1,22087,FREE,1,2010-12-01 09:00:00,0.0,7.0",
                "2,22086,found,4,2010-12-01 09:00:00,0.0,",
                "3,AMAZONFEE,FEE,1,2010-12-01 09:00:00,900.00,",
                "A4,B,Adjust bad debt,1,2010-12-01 09:00:00,-53594.36,",
                "5,TEST001,test,1,2010-12-01 09:00:00,4.50,7.0",
                "6,22086,damaged,-4,2010-12-01 09:00:00,0.0,",
                "C7,22086,TIN,-1,2010-12-01 09:00:00,5.00,",
                "C8,BANK CHARGES,x,-1,2010-12-01 09:00:00,9.00,",
                "9,22088,GUEST,1,2010-12-01 09:00:00,2.00,",
            )
        },
    )
    lines = [(4, "stock_adjustment"), (5, "not_a_sale"), (6, "not_a_sale")]
    assert lake.reasons("order_lines") == lines
    refunds = [(8, "stock_adjustment"), (9, "refund_without_customer"), (10, "not_a_sale")]
    assert lake.reasons("refunds") == refunds
    assert lake.rows("orders", "order_id", "paid_minor", "order_kind", "member_id") == [
        ("1", 2300, "normal", "7"),
        ("5", 450, "test", "7"),
        ("9", 200, "normal", None),
    ]
    assert lake.rows("order_lines", "sku_id", "is_gift") == [
        ("22086", False),
        ("22087", True),
        ("POST", False),
        ("TEST001", False),
        ("22088", False),
    ]
    assert lake.rows("products", "sku_id", "category_l1") == [
        ("22086", "goods"),
        ("22087", "goods"),
        ("22088", "goods"),
        ("POST", "service"),
        ("TEST001", "test"),
    ]


def test_a_member_joins_once_whatever_day_is_loaded(loaded: Loaded) -> None:
    first = csv("1,22086,TIN,1,2010-12-01 09:00:00,5.00,7.0")
    second = csv(
        "2,22086,TIN,1,2010-12-02 09:00:00,5.00,7.0", "3,22086,TIN,1,2010-12-02 10:00:00,5.00,8.0"
    )
    lake = loaded("online_retail_ii", {"2010-12-01.csv": first})
    (lake.landing / "2010-12-02.csv").write_text(second)
    day = date(2010, 12, 2)
    lake.load((day, day))
    assert lake.rows("members", "member_id", "joined_at") == [
        ("7", datetime(2010, 12, 1, 9, tzinfo=UTC)),
        ("8", datetime(2010, 12, 2, 10, tzinfo=UTC)),
    ]
    assert lake.rows("products", "name_en") == ["TIN"]


def test_refunds_of_later_days_find_the_purchases_of_earlier_files(loaded: Loaded) -> None:
    lake = loaded(
        "online_retail_ii", {"2010-12-01.csv": csv("1,TEA,x,5,2010-12-01 09:00:00,1.0,7.0")}
    )
    (lake.landing / "2010-12-02.csv").write_text(csv("C2,TEA,x,-5,2010-12-02 09:00:00,1.0,7.0"))
    day = date(2010, 12, 2)
    lake.load((day, day))
    assert lake.rows("refunds", "order_id", "landing_day") == [("1", day)]


@pytest.mark.parametrize("column", ["Quantity", "InvoiceDate", "UnitPrice"])
def test_a_dirty_cell_is_named_as_the_adapter_reads_it(loaded: Loaded, column: str) -> None:
    good = dict(
        zip(
            HEADER.split(","),
            ["1", "TEA", "x", "5", "2010-12-01 09:00:00", "1.0", "7.0", "UK"],
            strict=True,
        )
    )
    bad = ",".join({**good, column: "?"}.values())
    lake = loaded(
        "online_retail_ii",
        {"2010-12-01.csv": "\n".join([HEADER, ",".join(good.values()), bad])},
    )
    name = {"Quantity": "quantity", "InvoiceDate": "invoice_ts", "UnitPrice": "unit_price"}[column]
    assert lake.reasons("order_lines") == [(2, f"unparsable_{name}")]
