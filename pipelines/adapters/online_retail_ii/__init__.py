"""Online Retail II: an online gift shop in London, two years of invoice lines.

Read from `lines.parquet` (two sheets that overlap by nine days) or from one CSV a trading day.

What the lines become:

- A line belongs to `refunds` if its invoice starts with C or its quantity is below zero, and to
  `order_lines` otherwise.
- The same line has the same id wherever it stands: invoice, stock code, quantity, price, and which
  of several equal lines of the invoice it is. So the sheets' overlap, and the CSVs beside the
  Parquet, are counted once, while a product that was scanned twice on one invoice stays two lines.
- Postage, carriage and manual charges are money the customer paid: they are lines of service
  products. Vouchers are products too. Test codes make their order a test order.
- Fees, commissions, bad debt and other bookkeeping are no sales: `not_a_sale`. Lines without price
  and customer are stock corrections: `stock_adjustment`. Lines without price for a customer are
  gifts.
- A cancellation does not name its original. It is taken from that customer's earlier purchase of
  the same stock code: one of the same quantity and price if there is one, else one large enough,
  else any; the latest of those. A credit for a service (manual, discount, postage) is taken from
  the customer's latest earlier order that is at least as large. What finds nothing was bought
  before the data begins: `refund_without_purchase`.
"""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath
from typing import ClassVar

import polars as pl

from pipelines.adapters.mapping import first_record, instant, minor
from pipelines.core.source import Adapter, Feed, Files

TZ = "Europe/London"
LINES = Files(
    patterns=("lines.parquet", "by_day/*.csv", "*.csv"),
    columns={
        "invoice": pl.String(),
        "stock_code": pl.String(),
        "description": pl.String(),
        "quantity": pl.Int64(),
        "invoice_ts": pl.Datetime("us"),
        "unit_price": pl.Float64(),
        "customer_id": pl.String(),
    },
    optional={"sheet": pl.String()},
    aliases={
        "InvoiceNo": "invoice",
        "StockCode": "stock_code",
        "Description": "description",
        "Quantity": "quantity",
        "InvoiceDate": "invoice_ts",
        "UnitPrice": "unit_price",
        "CustomerID": "customer_id",
    },
)
IS_REFUND = pl.col("invoice").str.starts_with("C") | (pl.col("quantity") < 0)
BOOKKEEPING = ("B", "BANK CHARGES", "AMAZONFEE", "CRUK", "ADJUST", "ADJUST2")
SERVICES = ("POST", "DOT", "C2", "C3", "M", "D", "S")


def tidy(records: pl.DataFrame) -> pl.DataFrame:
    """The lines with their ids, customers and amounts as the contracts have them."""
    sheet = ["_file", pl.col("sheet").fill_null("")]
    same = ["invoice", "sku", "quantity", "unit_price"]
    return (
        records.with_columns(
            sku=pl.col("stock_code").str.strip_chars().str.to_uppercase(),
            customer=pl.col("customer_id").str.replace(r"\.0$", ""),
            description=pl.col("description").str.strip_chars(),
            amount=minor(pl.col("quantity").abs() * pl.col("unit_price")),
        )
        .with_columns(
            nth=pl.int_range(1, pl.len() + 1).over([*sheet, *same]),
            # 83 invoices were keyed in over some minutes; the first is when they were placed
            at=instant(pl.col("invoice_ts").min().over([*sheet, "invoice"]), TZ),
        )
        .with_columns(
            line_id=pl.format(
                "{}:{}:{}:{}:{}",
                "invoice",
                "sku",
                "quantity",
                (pl.col("unit_price") * 1000).round().cast(pl.Int64),
                "nth",
            ),
            _reject=_no_sale(),
        )
    )


def _no_sale() -> pl.Expr:
    """Why a line is no trade with a customer; null if it is one."""
    is_free = pl.col("unit_price") == 0
    return (
        pl.when(pl.col("sku").is_in(BOOKKEEPING) | pl.col("invoice").str.starts_with("A"))
        .then(pl.lit("not_a_sale"))
        .when(is_free & (pl.col("customer").is_null() | (pl.col("quantity") < 0)))
        .then(pl.lit("stock_adjustment"))
    )


def sales(records: pl.DataFrame) -> pl.DataFrame:
    """The lines that sold something, in the order of their time."""
    lines = tidy(records.filter(~IS_REFUND))
    return lines.filter(pl.col("_reject").is_null(), pl.col("quantity") > 0).sort(
        "at", "_file", "_row"
    )


def with_purchase(refunds: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    """The refunds with `order_id` and `order_line_id` of what they give back, null if unknown."""
    lines = bought.select("customer", "sku", "at", "quantity", "unit_price", "invoice", "line_id")
    wanted = refunds.select("customer", "sku", "at", "quantity", "unit_price", refund="line_id")
    units = pl.col("quantity_bought") + pl.col("quantity")
    best = (
        wanted.join(lines, on=["customer", "sku"], suffix="_bought")
        .filter(pl.col("at_bought") <= pl.col("at"))
        .with_columns(
            is_same=(units == 0) & (pl.col("unit_price") == pl.col("unit_price_bought")),
            is_enough=units >= 0,
        )
        .sort("is_same", "is_enough", "at_bought", "line_id", descending=True)
        .group_by("refund")
        .agg(order_id=pl.col("invoice").first(), order_line_id=pl.col("line_id").first())
    )
    return refunds.join(
        best, left_on="line_id", right_on="refund", how="left", maintain_order="left"
    )


def with_order(refunds: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    """The refunds of services that still lack an order, with the customer's latest large enough."""
    orders = bought.group_by("customer", "invoice").agg(
        pl.col("at").first().alias("at_bought"), pl.col("amount").sum().alias("paid")
    )
    credits_ = refunds.filter(pl.col("order_id").is_null(), pl.col("sku").is_in(SERVICES))
    latest = (
        credits_.select("customer", "at", "amount", refund="line_id")
        .join(orders, on="customer")
        .filter(pl.col("at_bought") <= pl.col("at"), pl.col("paid") >= pl.col("amount"))
        .sort("at_bought", "invoice", descending=True)
        .group_by("refund")
        .agg(latest=pl.col("invoice").first())
    )
    return refunds.join(
        latest, left_on="line_id", right_on="refund", how="left", maintain_order="left"
    ).with_columns(order_id=pl.coalesce("order_id", "latest"))


class OnlineRetail(Adapter):
    """Online Retail II, from its Parquet or its CSVs by day."""

    name = "online_retail_ii"
    business_tz = TZ
    currency = "GBP"
    feeds = (
        Feed("order_lines", LINES),
        Feed("refunds", LINES, where=IS_REFUND, history=True),
        Feed("orders", LINES, derived=True),
        Feed("members", LINES, derived=True, history=True),
        Feed("products", LINES, derived=True, history=True),
    )
    reasons: ClassVar = {
        "not_a_sale": "nothing to do: fees, commissions and bad debt are no trade with customers",
        "stock_adjustment": "nothing to do: stock corrections move no money",
        "refund_without_customer": "name the customer of the cancellation in the source",
        "refund_without_purchase": "load the earlier lines too, then replay",
    }

    def landing_day(self, path: str) -> date | None:
        """The day that a CSV is named after; the Parquet is an undated extract."""
        file = PurePosixPath(path)
        return date.fromisoformat(file.stem) if file.suffix == ".csv" else None

    def map_order_lines(self, records: pl.DataFrame) -> pl.DataFrame:
        """A line for each record that is not a refund."""
        return tidy(records).select(
            "_file",
            "_row",
            "_reject",
            order_line_id="line_id",
            order_id="invoice",
            sku_id="sku",
            qty="quantity",
            unit_price_minor=minor(pl.col("unit_price")),
            line_net_minor="amount",
            is_gift=pl.col("unit_price") == 0,
            event_at="at",
        )

    def map_refunds(self, records: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
        """A refund for each cancelled line, with the purchase it takes back."""
        bought = (
            sales(history)
            .filter(pl.col("customer").is_not_null())
            .unique("line_id", keep="first", maintain_order=True)
        )
        refunds = with_order(with_purchase(tidy(records), bought), bought)
        return refunds.select(
            "_file",
            "_row",
            "order_id",
            "order_line_id",
            _reject=pl.coalesce(
                "_reject",
                pl.when(pl.col("customer").is_null()).then(pl.lit("refund_without_customer")),
                pl.when(pl.col("order_id").is_null()).then(pl.lit("refund_without_purchase")),
            ),
            refund_id="line_id",
            refunded_at="at",
            amount_minor="amount",
            kind=pl.when(pl.col("sku").is_in(SERVICES))
            .then(pl.lit("refund_only"))
            .otherwise(pl.lit("return")),
        )

    def map_orders(self, records: pl.DataFrame) -> pl.DataFrame:
        """An order for each invoice of a sheet that sold something."""
        is_test = pl.col("sku").str.starts_with("TEST").all()
        return (
            sales(records)
            .group_by("_file", "sheet", pl.col("invoice").alias("order_id"), maintain_order=True)
            .agg(
                pl.col("_row").first(),
                member_id=pl.col("customer").first(),
                ordered_at=pl.col("at").first(),
                gross_minor=pl.col("amount").sum(),
                order_kind=pl.when(is_test).then(pl.lit("test")).otherwise(pl.lit("normal")),
            )
            .drop("sheet")
            .with_columns(
                status=pl.lit("completed"),
                channel=pl.lit("web"),
                discount_minor=pl.lit(0, pl.Int64),
                paid_minor="gross_minor",
                currency=pl.lit(self.currency),
            )
        )

    def map_members(self, _records: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
        """A member for each customer, joined with the first line."""
        lines = tidy(history).filter(pl.col("customer").is_not_null()).sort("at", "_file", "_row")
        return (
            lines.group_by(member_id="customer", maintain_order=True)
            .agg(*first_record(), joined_at=pl.col("at").first(), updated_at=pl.col("at").first())
            .with_columns(member_type=pl.lit("consumer"), status=pl.lit("active"))
        )

    def map_products(self, _records: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
        """A product for each stock code ever sold, named as it was first."""
        named_first = sales(history).sort(
            pl.col("description").is_null(), "at", "_file", "_row", maintain_order=True
        )
        category = (
            pl.when(pl.col("sku_id").is_in(SERVICES))
            .then(pl.lit("service"))
            .when(pl.col("sku_id").str.starts_with("GIFT"))
            .then(pl.lit("voucher"))
            .when(pl.col("sku_id").str.starts_with("TEST"))
            .then(pl.lit("test"))
            .otherwise(pl.lit("goods"))
        )
        return (
            named_first.group_by(sku_id="sku", maintain_order=True)
            .agg(*first_record(), name_en=pl.col("description").first())
            .with_columns(category_l1=category)
        )
