"""Generated from dbt_project/models/features by `make generate`; edit those instead."""

from feast import FeatureService
from views import member_contact_v1, member_coupons_v1, member_orders_v1, member_risk_v1, member_survey_v1, member_tags_v1

chat_sidebar_v1 = FeatureService(
    name="chat_sidebar_v1",
    description="What the chat sidebar shows of the one member in front of it: tags, last order, coupons, what the member said, and whether contact is allowed.",
    features=[
        member_tags_v1,
        member_orders_v1[["last_order_at", "aov_365d_minor"]],
        member_coupons_v1,
        member_survey_v1,
        member_contact_v1,
    ],
    owner="crm",
    tags={"online": "true", "serve_stale": "false"},
)

churn_train_v1 = FeatureService(
    name="churn_train_v1",
    description="What the churn model learns from, joined at past instants; not served online.",
    features=[
        member_orders_v1,
        member_coupons_v1[["open_retention_count", "coupon_redemption_rate_365d"]],
        member_contact_v1[["touches_7d", "promo_touches_30d", "consent_marketing"]],
        member_survey_v1[["pains", "reasons", "answered_at", "last_surveyed_at"]],
        member_tags_v1[["tags"]],
    ],
    owner="data",
    tags={"online": "false", "serve_stale": "false"},
)

coupon_engine_v1 = FeatureService(
    name="coupon_engine_v1",
    description="What a coupon engine decides on: coupons in hand, churn risk, and whether contact is allowed. Scores never raise a price or take a coupon away.",
    features=[
        member_coupons_v1,
        member_risk_v1,
        member_contact_v1,
    ],
    owner="crm",
    tags={"online": "true", "serve_stale": "false"},
)

mass_sender_v1 = FeatureService(
    name="mass_sender_v1",
    description="What a mass sender needs of a thousand members at a time: whom a message is for and who may be sent one.",
    features=[
        member_tags_v1,
        member_contact_v1,
    ],
    owner="crm",
    tags={"online": "true", "serve_stale": "false"},
)
