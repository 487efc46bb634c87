"""Generated from dbt_project/models/features by `make generate`; edit those instead."""

from entities import member
from feast import FeatureView, Field
from feast.types import Array, Bool, Float64, Int64, String, UnixTimestamp
from sources import HOLDS_UNTIL_THE_NEXT, log_of

member_contact_v1 = FeatureView(
    name="member_contact_v1",
    description="Whether and how the member may be contacted. Consents are true granted, false withdrawn, null not stated; links, touches, quotas and holdouts have no source yet and are null.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="is_reachable", dtype=Bool, description="Has a channel that works; has no source yet."),
        Field(name="wecom_linked", dtype=Bool, description="Is a WeCom contact; has no source yet."),
        Field(name="touches_7d", dtype=Int64, description="Touches in 7 days; has no source yet.", tags={"unit": "touches"}),
        Field(name="promo_touches_30d", dtype=Int64, description="Promotional touches in 30 days; has no source yet.", tags={"unit": "touches"}),
        Field(name="last_touch_at", dtype=UnixTimestamp, description="The last touch; has no source yet."),
        Field(name="last_promo_touch_at", dtype=UnixTimestamp, description="The last promotional touch; has no source yet."),
        Field(name="wecom_quota_left", dtype=Int64, description="Mass messages left this month; has no source yet.", tags={"unit": "messages"}),
        Field(name="consent_marketing", dtype=Bool, description="Consent to marketing."),
        Field(name="consent_profiling", dtype=Bool, description="Consent to profiling."),
        Field(name="holdout_arm", dtype=String, description="Arm of the global holdout; has no source yet."),
        Field(name="recent_promo_instants", dtype=Array(UnixTimestamp), description="Instants of the last promotional touches; has no source yet."),
    ],
    source=log_of("member_contact_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="crm",
    tags={"dbt_model": "member_contact_v1", "domain": "contact", "max_age_s": "172800", "pii": "none", "purpose": "", "slo_s": "93600"},
)

member_coupons_v1 = FeatureView(
    name="member_coupons_v1",
    description="Coupons in the member's hands; one row a member, also of those who never had one.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="open_coupons", dtype=String, description="JSON list of the coupons that work now or will, soonest to end first, at most 50: issue_id, role, valid_from, expires_at, value_minor, pair (state of the coupon given with it). Readers keep those with valid_from <= now < expires_at."),
        Field(name="next_coupon_expiry_at", dtype=UnixTimestamp, description="When the first of the open coupons ends; null without any."),
        Field(name="open_retention_count", dtype=Int64, description="Retention coupons that work at as_of.", tags={"unit": "coupons"}),
        Field(name="coupon_redemption_rate_365d", dtype=Float64, description="Share used of the coupons given in 365 days; null without any.", tags={"unit": "share"}),
        Field(name="last_reminded_at", dtype=UnixTimestamp, description="When the member was last reminded of a coupon; has no source yet."),
    ],
    source=log_of("member_coupons_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="crm",
    tags={"dbt_model": "member_coupons_v1", "domain": "coupons", "max_age_s": "172800", "pii": "none", "purpose": "", "slo_s": "93600"},
)

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
        Field(name="refund_rate_365d", dtype=Float64, description="Share of the orders sold in 365 days that saw a refund; null if none was sold.", tags={"unit": "share"}),
    ],
    source=log_of("member_orders_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="data",
    tags={"dbt_model": "member_orders_v1", "domain": "orders", "max_age_s": "172800", "pii": "none", "purpose": "", "slo_s": "93600"},
)

member_risk_v1 = FeatureView(
    name="member_risk_v1",
    description="What the churn model says of the buyer; one row a scored member.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="p_churn_90d", dtype=Float64, description="Chance of no purchase day in the next 90 days; null if not scored.", tags={"unit": "probability"}),
        Field(name="churn_band", dtype=String, description="high, mid, low or unscored, by the tag catalogue."),
        Field(name="p_buy_30d", dtype=Float64, description="Chance of a purchase day in the next 30 days.", tags={"unit": "probability"}),
        Field(name="p_second_purchase_60d", dtype=Float64, description="Chance of a second purchase day in the next 60 days; of one-time buyers.", tags={"unit": "probability"}),
        Field(name="expected_next_order_at", dtype=UnixTimestamp, description="Median expected next purchase."),
        Field(name="expected_next_order_lo", dtype=UnixTimestamp, description="A quarter of such members buy before it."),
        Field(name="expected_next_order_hi", dtype=UnixTimestamp, description="Three quarters of such members buy before it."),
        Field(name="predicted_net_365d_minor", dtype=Int64, description="Expected net revenue of the next 365 days.", tags={"unit": "minor"}),
        Field(name="reasons", dtype=Array(String), description="The weightiest reasons in words, English and Chinese."),
        Field(name="basis", dtype=String, description="model, heuristic, insufficient or consent_withheld."),
        Field(name="model_version", dtype=String, description="The model that scored."),
        Field(name="scored_at", dtype=UnixTimestamp, description="The instant the score is of."),
    ],
    source=log_of("member_risk_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="data",
    tags={"dbt_model": "member_risk_v1", "domain": "churn", "max_age_s": "691200", "pii": "none", "purpose": "profiling", "slo_s": "604800"},
)

member_survey_v1 = FeatureView(
    name="member_survey_v1",
    description="What the member last said, as far as it still holds; one row a member who ever answered.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="skin_type", dtype=String, description="dry, oily, combination, normal or sensitive; null if not answered."),
        Field(name="skin_states", dtype=Array(String), description="Codes of skin states; null if not answered."),
        Field(name="pains", dtype=Array(String), description="Codes of troubles in use; null if not answered."),
        Field(name="usage", dtype=Array(String), description="Codes of habits of use; null if not answered."),
        Field(name="reasons", dtype=Array(String), description="Why the member loves, left or avoids us, such as love_reason_price; null if not answered."),
        Field(name="answered_at", dtype=UnixTimestamp, description="The last of the answers that hold."),
        Field(name="last_surveyed_at", dtype=UnixTimestamp, description="The last answer of all."),
    ],
    source=log_of("member_survey_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="research",
    tags={"dbt_model": "member_survey_v1", "domain": "survey", "max_age_s": "604800", "pii": "none", "purpose": "", "slo_s": "93600"},
)

member_tags_v1 = FeatureView(
    name="member_tags_v1",
    description="The member's tags as intervals, present and future; parallel lists, one entry an interval that was not over when the member was last heard of. Readers keep those with tag_from <= now < tag_until. Without consent to profiling, tags that need it are not in the lists.",
    entities=[member],
    schema=[
        Field(name="member_id", dtype=String, description="Key of the member."),
        Field(name="tags", dtype=Array(String), description="Codes of the tag catalogue, in order of tag_from."),
        Field(name="tag_from", dtype=Array(UnixTimestamp), description="First instant at which each holds."),
        Field(name="tag_until", dtype=Array(UnixTimestamp), description="First instant at which each no longer holds; 9999-12-31 UTC if none is known."),
        Field(name="tag_set_hash", dtype=String, description="Equal for equal tags and intervals."),
    ],
    source=log_of("member_tags_v1"),
    ttl=HOLDS_UNTIL_THE_NEXT,
    online=True,
    owner="crm",
    tags={"dbt_model": "member_tags_v1", "domain": "tags", "max_age_s": "172800", "pii": "none", "purpose": "", "slo_s": "93600"},
)
