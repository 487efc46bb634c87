with members as (
    select * from {{ ref("mart_member_daily") }}
)

select
    -- join key
    member_id,

    -- features
    order_count_lifetime,
    order_count_30d,
    order_count_90d,
    order_count_365d,
    purchase_days_365d,
    net_revenue_90d_minor,
    net_revenue_365d_minor,
    aov_365d_minor,
    first_order_at,
    last_order_at,
    discount_order_share_365d,
    distinct_categories_365d,
    primary_channel,
    median_unit_price_band as price_band,
    first_product_category,
    refund_rate_365d,

    -- clocks
    as_of as event_timestamp,
    known_at as created_timestamp
from members
