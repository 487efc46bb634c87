"""Generated from dbt_project/models/features by `make generate`; edit those instead."""

from feast import FeatureService
from views import member_orders_v1

chat_sidebar_v1 = FeatureService(
    name="chat_sidebar_v1",
    description="What the chat sidebar shows of the one member in front of it.",
    features=[
        member_orders_v1[["last_order_at", "aov_365d_minor"]],
    ],
    owner="data",
    tags={"online": "true", "serve_stale": "false"},
)

churn_train_v1 = FeatureService(
    name="churn_train_v1",
    description="What the churn model learns from, joined at past instants; not served online.",
    features=[
        member_orders_v1,
    ],
    owner="data",
    tags={"online": "false", "serve_stale": "false"},
)
