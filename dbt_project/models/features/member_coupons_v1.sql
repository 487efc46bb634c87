with coupons as (
    select * from {{ ref("mart_member_coupon") }}
)

select
    member_id,
    '[' || {{ joined_text("open_coupons", ",") }} || ']' as open_coupons,
    next_coupon_expiry_at,
    open_retention as open_retention_count,
    coupon_redemption_rate_365d,
    cast(null as timestamptz) as last_reminded_at,
    as_of as event_timestamp,
    known_at as created_timestamp
from coupons
