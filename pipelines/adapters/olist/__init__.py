"""Olist: orders of Brazilian marketplaces, with a review asked after each.

Read from the Parquet files of the data set; sellers have nothing that a contract asks for.

- Times are Brazilian local time. `customer_id` is one an order; `customer_unique_id` is the person.
- An order's goods are its items, its shipping their freight, what was paid the sum of its payments.
  What is paid beyond goods and freight is interest on instalments, which the shop does not keep;
  what is missing is a discount. Orders without items (cancelled, out of stock) are worth what was
  paid for them.
- Vouchers are payments: they are store credit more often than coupons.
- A review is an answer on a scale from 1 to 5 and, where something was written, one in words.
  Answers that came before their purchase are kept as they are.
"""

from __future__ import annotations

import json

import polars as pl

from pipelines.adapters.mapping import first_record, instant, minor
from pipelines.core.source import Adapter, Feed, Files

TZ = "America/Sao_Paulo"
SURVEY, VERSION, SCORE, COMMENT = "review", 1, "score", "comment"
STATUS = {
    "created": "created",
    "approved": "paid",
    "invoiced": "paid",
    "processing": "paid",
    "shipped": "shipped",
    "delivered": "completed",
    "canceled": "cancelled",
    "unavailable": "closed",
}

ORDERS = Files(
    ("orders.parquet",),
    {
        "order_id": pl.String(),
        "customer_id": pl.String(),
        "order_status": pl.String(),
        "order_purchase_timestamp": pl.Datetime("us"),
        "order_approved_at": pl.Datetime("us"),
    },
)
ITEMS = Files(
    ("order_items.parquet",),
    {
        "order_id": pl.String(),
        "order_item_id": pl.Int64(),
        "product_id": pl.String(),
        "price": pl.Float64(),
        "freight_value": pl.Float64(),
    },
)
PAYMENTS = Files(
    ("order_payments.parquet",), {"order_id": pl.String(), "payment_value": pl.Float64()}
)
CUSTOMERS = Files(
    ("customers.parquet",), {"customer_id": pl.String(), "customer_unique_id": pl.String()}
)
REVIEWS = Files(
    ("order_reviews.parquet",),
    {
        "review_id": pl.String(),
        "order_id": pl.String(),
        "review_score": pl.Int64(),
        "review_comment_title": pl.String(),
        "review_comment_message": pl.String(),
        "review_answer_timestamp": pl.Datetime("us"),
    },
)
PRODUCTS = Files(
    ("products.parquet",), {"product_id": pl.String(), "product_category_name": pl.String()}
)
CATEGORIES = Files(
    ("product_category_name_translation.parquet",),
    {"product_category_name": pl.String(), "product_category_name_english": pl.String()},
)


class Olist(Adapter):
    """Olist, from its Parquet files."""

    name = "olist"
    business_tz = TZ
    currency = "BRL"
    feeds = (
        Feed(
            "orders",
            ORDERS,
            needs={"customers": CUSTOMERS, "items": ITEMS, "payments": PAYMENTS},
        ),
        Feed("order_lines", ITEMS, needs={"orders": ORDERS}),
        Feed("members", CUSTOMERS, derived=True, needs={"orders": ORDERS}),
        Feed("products", PRODUCTS, needs={"categories": CATEGORIES}),
        Feed("surveys", REVIEWS, derived=True),
        Feed("survey_questions", REVIEWS, derived=True),
        Feed("survey_answers", REVIEWS, needs={"orders": ORDERS, "customers": CUSTOMERS}),
        Feed(
            "survey_answers",
            REVIEWS,
            derived=True,
            needs={"orders": ORDERS, "customers": CUSTOMERS},
            method="map_comments",
        ),
    )

    def map_orders(
        self,
        records: pl.DataFrame,
        customers: pl.DataFrame,
        items: pl.DataFrame,
        payments: pl.DataFrame,
    ) -> pl.DataFrame:
        """An order for each record, with the person behind its customer id."""
        goods = items.group_by("order_id").agg(
            goods=minor(pl.col("price")).sum(), freight=minor(pl.col("freight_value")).sum()
        )
        spent = payments.group_by("order_id").agg(spent=minor(pl.col("payment_value")).sum())
        people = customers.select("customer_id", "customer_unique_id")
        gross = pl.coalesce("goods", "spent", 0)
        shipping = pl.col("freight").fill_null(0)
        paid = pl.min_horizontal(pl.col("spent").fill_null(0), gross + shipping)
        return (
            records.join(people, on="customer_id", how="left", maintain_order="left")
            .join(goods, on="order_id", how="left", maintain_order="left")
            .join(spent, on="order_id", how="left", maintain_order="left")
            .select(
                "_file",
                "_row",
                "order_id",
                member_id="customer_unique_id",
                ordered_at=instant(pl.col("order_purchase_timestamp"), TZ),
                paid_at=instant(pl.col("order_approved_at"), TZ),
                status=pl.col("order_status").replace(STATUS),
                channel=pl.lit("web"),
                gross_minor=gross,
                discount_minor=gross + shipping - paid,
                shipping_minor=shipping,
                paid_minor=paid,
                currency=pl.lit(self.currency),
                order_kind=pl.lit("normal"),
            )
        )

    def map_order_lines(self, records: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
        """A line for each record, which is one piece of a product."""
        placed = orders.select("order_id", "order_purchase_timestamp")
        return records.join(placed, on="order_id", how="left", maintain_order="left").select(
            "_file",
            "_row",
            "order_id",
            order_line_id=pl.format("{}-{}", "order_id", "order_item_id"),
            sku_id="product_id",
            qty=pl.lit(1, pl.Int64),
            unit_price_minor=minor(pl.col("price")),
            line_net_minor=minor(pl.col("price")),
            event_at=instant(pl.col("order_purchase_timestamp"), TZ),
        )

    def map_members(self, records: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
        """A member for each person, joined with the first order."""
        return (
            records.join(orders.drop("_file", "_row"), on="customer_id")
            .sort("order_purchase_timestamp", "_row")
            .group_by("customer_unique_id", maintain_order=True)
            .agg(*first_record(), pl.col("order_purchase_timestamp").first())
            .select(
                "_file",
                "_row",
                member_id="customer_unique_id",
                joined_at=instant(pl.col("order_purchase_timestamp"), TZ),
                updated_at=instant(pl.col("order_purchase_timestamp"), TZ),
                member_type=pl.lit("consumer"),
                status=pl.lit("active"),
            )
        )

    def map_products(self, records: pl.DataFrame, categories: pl.DataFrame) -> pl.DataFrame:
        """A product for each record, its category in English where a translation is given."""
        words = categories.select("product_category_name", "product_category_name_english")
        return records.join(
            words, on="product_category_name", how="left", maintain_order="left"
        ).select(
            "_file",
            "_row",
            sku_id="product_id",
            category_l1=pl.coalesce("product_category_name_english", "product_category_name"),
        )

    def map_surveys(self, records: pl.DataFrame) -> pl.DataFrame:
        """The one survey: the review that is asked for after each order."""
        return records.head(1).select(
            "_file",
            "_row",
            survey_id=pl.lit(SURVEY),
            version=pl.lit(VERSION),
            title_en=pl.lit("Review of an order"),
            title_zh=pl.lit("訂單評價"),
            audience=pl.lit("all"),
        )

    def map_survey_questions(self, records: pl.DataFrame) -> pl.DataFrame:
        """Its two questions: a score from 1 to 5, and words."""
        scale = [{"code": str(n), "en": str(n), "zh": str(n)} for n in range(1, 6)]
        questions = pl.DataFrame(
            {
                "question_id": [SCORE, COMMENT],
                "type": ["scale", "text"],
                "maps_to_tag_group": ["csat", None],
            },
        ).with_columns(
            options=pl.when(pl.col("type") == "scale").then(pl.lit(json.dumps(scale))),
            survey_id=pl.lit(SURVEY),
            version=pl.lit(VERSION),
        )
        return records.head(1).select("_file", "_row").join(questions, how="cross")

    def map_survey_answers(
        self, records: pl.DataFrame, orders: pl.DataFrame, customers: pl.DataFrame
    ) -> pl.DataFrame:
        """The score of each review; one review may stand for several orders."""
        return self._answers(records, orders, customers, SCORE).with_columns(
            number=records["review_score"]
        )

    def map_comments(
        self, records: pl.DataFrame, orders: pl.DataFrame, customers: pl.DataFrame
    ) -> pl.DataFrame:
        """The words of each review that has some, title first."""
        words = pl.concat_str(
            "review_comment_title", "review_comment_message", separator="\n", ignore_nulls=True
        )
        written = records.filter(words != "")
        return self._answers(written, orders, customers, COMMENT).with_columns(
            text=written.select(words).to_series()
        )

    def _answers(
        self, reviews: pl.DataFrame, orders: pl.DataFrame, customers: pl.DataFrame, question: str
    ) -> pl.DataFrame:
        people = orders.join(customers, on="customer_id").select("order_id", "customer_unique_id")
        return reviews.join(people, on="order_id", how="left", maintain_order="left").select(
            "_file",
            "_row",
            answer_id=pl.format("{}-{}-{}", "review_id", "order_id", pl.lit(question)),
            survey_id=pl.lit(SURVEY),
            version=pl.lit(VERSION),
            member_id="customer_unique_id",
            question_id=pl.lit(question),
            answered_at=instant(pl.col("review_answer_timestamp"), TZ),
        )
