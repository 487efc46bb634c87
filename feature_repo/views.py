"""Generated from dbt_project/models/features by `make generate`; edit those instead."""

from entities import member
from feast import FeatureView, Field
from feast.types import Float64, Int64, String, UnixTimestamp
from sources import HOLDS_UNTIL_THE_NEXT, log_of

member_orders_v1 = FeatureView(
    name="member_orders_v1",
    description="What a member bought: counts, value, breadth and habits of qualifying orders; one row a member, also of those who never bought. 0 means counted and none, null not computable.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="order_count_lifetime", dtype=Int64, description="Qualifying orders.", tags={"unit": "orders"}),
        Field(name="order_count_30d", dtype=Int64, description="Qualifying orders in 30 days.", tags={"unit": "orders"}),
        Field(name="order_count_90d", dtype=Int64, description="Qualifying orders in 90 days.", tags={"unit": "orders"}),
        Field(name="order_count_365d", dtype=Int64, description="Qualifying orders in 365 days.", tags={"unit": "orders"}),
        Field(name="purchase_days_365d", dtype=Int64, description="Local days with a qualifying order in 365 days.", tags={"unit": "days"}),
        Field(name="net_revenue_90d_minor", dtype=Int64, description="Paid less refunded, of qualifying orders in 90 days.", tags={"unit": "minor"}),
        Field(name="net_revenue_365d_minor", dtype=Int64, description="Paid less refunded, of qualifying orders in 365 days.", tags={"unit": "minor"}),
        Field(name="aov_365d_minor", dtype=Int64, description="net_revenue_365d_minor per order, rounded; null without orders in 365 days.", tags={"unit": "minor"}),
        Field(name="first_order_at", dtype=UnixTimestamp, description="First qualifying order; null if the member never bought."),
        Field(name="last_order_at", dtype=UnixTimestamp, description="Last qualifying order; null if the member never bought."),
        Field(name="discount_order_share_365d", dtype=Float64, description="Share of the orders in 365 days that had a discount; null without any.", tags={"unit": "share"}),
        Field(name="distinct_categories_365d", dtype=Int64, description="Different categories bought in 365 days; null if lines or products are not known.", tags={"unit": "categories"}),
        Field(name="primary_channel", dtype=String, description="The channel with most purchase days in 365 days; null without any."),
        Field(name="price_band", dtype=Int64, description="1 to 5: the member's median unit price in its main category against that category's quintiles, frozen each quarter; null if not computable."),
        Field(name="first_product_category", dtype=String, description="Category of the largest line of the first order; null if not known."),
    ],
    source=log_of("member_orders_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="data",
    tags={"dbt_model": "member_orders_v1", "domain": "orders", "max_age_s": "172800", "pii": "none", "purpose": "", "slo_s": "93600"},
)
