"""The Complete Journey: a year of a US grocer's loyalty card, with campaigns and coupons.

Read from the Parquet files of the data set; `demographics` has nothing that a contract asks for.

- Times of day are UTC in the file; the business day is New York's.
- Baskets are the orders, and hold only the sampled lines, so amounts are low and visits are right.
- `sales_value` is what the shop received: it includes what manufacturers pay for their coupons, so
  a coupon lowers the customer's bill but not `paid_minor`. The loyalty discount and the shop's own
  match of a coupon are discounts.
- A household joined at its first visit, or with its first campaign if it has no visit.
- A coupon of a campaign is a template; each household of a campaign is taken to hold each of its
  coupons once (for type A campaigns an upper bound: 16 of the pool were really sent).
- Role: type A campaigns pick coupons by what the household buys already, to keep it buying:
  retention. Types B and C send everyone the same, to bring a visit: traffic.
- A redemption has a day but no basket. It is linked to the household's basket of that local day,
  one with a product of the coupon first; where none was sampled, the order stays unknown and the
  time is noon. The discount is what the sampled lines show, so zero may mean unseen.
"""

from __future__ import annotations

import polars as pl

from pipelines.adapters.mapping import first_record, instant, local_day, midnight, minor
from pipelines.core.source import Adapter, Feed, Files

TZ = "America/New_York"
ROLES = {"Type A": "retention", "Type B": "traffic", "Type C": "traffic"}

TRANSACTIONS = Files(
    ("transactions_sample.parquet",),
    {
        "household_id": pl.String(),
        "store_id": pl.String(),
        "basket_id": pl.String(),
        "product_id": pl.String(),
        "quantity": pl.Float64(),
        "sales_value": pl.Float64(),
        "retail_disc": pl.Float64(),
        "coupon_disc": pl.Float64(),
        "coupon_match_disc": pl.Float64(),
        "transaction_timestamp": pl.Datetime("us"),
    },
)
PRODUCTS = Files(
    ("products.parquet",),
    {
        "product_id": pl.String(),
        "department": pl.String(),
        "product_category": pl.String(),
        "product_type": pl.String(),
        "package_size": pl.String(),
    },
)
CAMPAIGNS = Files(("campaigns.parquet",), {"campaign_id": pl.String(), "household_id": pl.String()})
WINDOWS = Files(
    ("campaign_descriptions.parquet",),
    {
        "campaign_id": pl.String(),
        "campaign_type": pl.String(),
        "start_date": pl.Date(),
        "end_date": pl.Date(),
    },
)
COUPONS = Files(
    ("coupons.parquet",),
    {"coupon_upc": pl.String(), "product_id": pl.String(), "campaign_id": pl.String()},
)
REDEMPTIONS = Files(
    ("coupon_redemptions.parquet",),
    {
        "household_id": pl.String(),
        "coupon_upc": pl.String(),
        "campaign_id": pl.String(),
        "redemption_date": pl.Date(),
    },
)
TEMPLATE_ID = pl.format("{}-{}", "campaign_id", "coupon_upc")
ISSUE_ID = pl.format("{}-{}-{}", "household_id", "campaign_id", "coupon_upc")


def with_window(frame: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """The frame with its campaign's type and the instants it lasts from and until."""
    bounds = windows.select(
        "campaign_id",
        "campaign_type",
        starts_at=midnight(pl.col("start_date"), TZ),
        ends_at=midnight(pl.col("end_date").dt.offset_by("1d"), TZ),
    )
    return frame.join(bounds, on="campaign_id", how="left", maintain_order="left")


def visits(transactions: pl.DataFrame) -> pl.DataFrame:
    """The sampled lines with the instant and the local day of their basket."""
    at = instant(pl.col("transaction_timestamp"), "UTC")
    return transactions.with_columns(at=at, day=local_day(at, TZ))


class CompleteJourney(Adapter):
    """The Complete Journey, from its Parquet files."""

    name = "completejourney"
    business_tz = TZ
    currency = "USD"
    feeds = (
        Feed("order_lines", TRANSACTIONS),
        Feed("orders", TRANSACTIONS, derived=True),
        Feed("stores", TRANSACTIONS, derived=True),
        Feed("members", TRANSACTIONS, derived=True),
        Feed(
            "members",
            CAMPAIGNS,
            derived=True,
            needs={"transactions": TRANSACTIONS, "windows": WINDOWS},
            method="map_unseen_members",
        ),
        Feed("products", PRODUCTS),
        Feed("coupon_templates", COUPONS, derived=True, needs={"windows": WINDOWS}),
        Feed(
            "coupon_issues",
            CAMPAIGNS,
            derived=True,
            needs={"coupons": COUPONS, "windows": WINDOWS},
        ),
        Feed(
            "coupon_redemptions",
            REDEMPTIONS,
            needs={"transactions": TRANSACTIONS, "coupons": COUPONS},
        ),
    )

    def map_order_lines(self, records: pl.DataFrame) -> pl.DataFrame:
        """A line for each record; a basket has each product once."""
        discount = pl.col("retail_disc") + pl.col("coupon_match_disc")
        gross = pl.col("sales_value") + discount
        return records.select(
            "_file",
            "_row",
            order_line_id=pl.format("{}-{}", "basket_id", "product_id"),
            order_id="basket_id",
            sku_id="product_id",
            qty="quantity",
            unit_price_minor=minor(gross / pl.col("quantity").clip(lower_bound=1)),
            line_discount_minor=minor(discount),
            line_net_minor=minor(pl.col("sales_value")),
            event_at=instant(pl.col("transaction_timestamp"), "UTC"),
        )

    def map_orders(self, records: pl.DataFrame) -> pl.DataFrame:
        """An order for each basket."""
        discount = minor(pl.col("retail_disc") + pl.col("coupon_match_disc")).sum()
        paid = minor(pl.col("sales_value")).sum()
        return (
            records.group_by("basket_id", maintain_order=True)
            .agg(
                *first_record(),
                pl.col("household_id", "store_id", "transaction_timestamp").first(),
                gross_minor=paid + discount,
                discount_minor=discount,
                paid_minor=paid,
            )
            .select(
                "_file",
                "_row",
                "store_id",
                "gross_minor",
                "discount_minor",
                "paid_minor",
                order_id="basket_id",
                member_id="household_id",
                ordered_at=instant(pl.col("transaction_timestamp"), "UTC"),
                status=pl.lit("completed"),
                channel=pl.lit("store"),
                currency=pl.lit(self.currency),
                order_kind=pl.lit("normal"),
                identified_by=pl.lit("scan"),
            )
        )

    def map_stores(self, records: pl.DataFrame) -> pl.DataFrame:
        """A store for each one that a basket names."""
        return records.group_by("store_id", maintain_order=True).agg(*first_record())

    def map_members(self, records: pl.DataFrame) -> pl.DataFrame:
        """A member for each household with a visit, joined at the first."""
        return self._members(
            visits(records)
            .sort("at", "_row")
            .group_by("household_id", maintain_order=True)
            .agg(*first_record(), joined_at=pl.col("at").first())
        )

    def map_unseen_members(
        self, records: pl.DataFrame, transactions: pl.DataFrame, windows: pl.DataFrame
    ) -> pl.DataFrame:
        """A member for each household that got a campaign and has no sampled visit."""
        return self._members(
            with_window(records, windows)
            .join(transactions, on="household_id", how="anti", maintain_order="left")
            .sort("starts_at", "_row")
            .group_by("household_id", maintain_order=True)
            .agg(*first_record(), joined_at=pl.col("starts_at").first())
        )

    def _members(self, households: pl.DataFrame) -> pl.DataFrame:
        return households.select(
            "_file",
            "_row",
            "joined_at",
            member_id="household_id",
            updated_at="joined_at",
            member_type=pl.lit("consumer"),
            join_type=pl.lit("free"),
            status=pl.lit("active"),
        )

    def map_products(self, records: pl.DataFrame) -> pl.DataFrame:
        """A product for each record, under department, category and type."""
        return records.select(
            "_file",
            "_row",
            sku_id="product_id",
            name_en="product_type",
            category_l1="department",
            category_l2="product_category",
            category_l3="product_type",
            unit_size="package_size",
        )

    def map_coupon_templates(self, records: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
        """A template for each coupon of a campaign, with the products it covers."""
        coupons = records.group_by("campaign_id", "coupon_upc", maintain_order=True).agg(
            *first_record(), skus=pl.col("product_id").sort()
        )
        return with_window(coupons, windows).select(
            "_file",
            "_row",
            template_id=TEMPLATE_ID,
            role=pl.col("campaign_type").replace_strict(
                ROLES, default="other", return_dtype=pl.String
            ),
            valid_from="starts_at",
            valid_to="ends_at",
            scope=pl.struct("skus").struct.json_encode(),
            promotion_id="campaign_id",
        )

    def map_coupon_issues(
        self, records: pl.DataFrame, coupons: pl.DataFrame, windows: pl.DataFrame
    ) -> pl.DataFrame:
        """An issue for each household of a campaign and coupon of it."""
        offered = coupons.select("campaign_id", "coupon_upc").unique(maintain_order=True)
        held = records.join(offered, on="campaign_id", maintain_order="left_right")
        return with_window(held, windows).select(
            "_file",
            "_row",
            issue_id=ISSUE_ID,
            template_id=TEMPLATE_ID,
            member_id="household_id",
            issued_at="starts_at",
            origin=pl.lit("pushed"),
            valid_from="starts_at",
            expires_at="ends_at",
        )

    def map_coupon_redemptions(
        self, records: pl.DataFrame, transactions: pl.DataFrame, coupons: pl.DataFrame
    ) -> pl.DataFrame:
        """A redemption for each record, in the basket of that local day if one was sampled."""
        key = ["household_id", "campaign_id", "coupon_upc", "redemption_date"]
        covered = coupons.select("campaign_id", "coupon_upc", "product_id", is_covered=True)
        saved = minor(pl.col("coupon_disc") + pl.col("coupon_match_disc"))
        baskets = (
            records.select(key)
            .join(
                visits(transactions),
                left_on=["household_id", "redemption_date"],
                right_on=["household_id", "day"],
            )
            .join(covered, on=["campaign_id", "coupon_upc", "product_id"], how="left")
            .group_by(*key, "basket_id", "at")
            .agg(
                is_covered=pl.col("is_covered").any(),
                discount_minor=saved.filter(pl.col("is_covered")).sum(),
            )
            .sort(~pl.col("is_covered").fill_null(False), "at", "basket_id")
            .unique(key, keep="first", maintain_order=True)
        )
        noon = pl.col("redemption_date").cast(pl.Datetime("us")).dt.offset_by("12h")
        return records.join(baskets, on=key, how="left", maintain_order="left").select(
            "_file",
            "_row",
            redemption_id=pl.format("{}-{}", ISSUE_ID, "redemption_date"),
            issue_id=ISSUE_ID,
            order_id="basket_id",
            redeemed_at=pl.coalesce("at", instant(noon, TZ)),
            discount_minor=pl.col("discount_minor").fill_null(0),
        )
