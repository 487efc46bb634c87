with coupons as (
    select * from {{ ref("int_coupon_lifecycle") }}
)

select
    member_id,
    opens_at as facts_from,
    closes_at as facts_until,
    issue_id,
    pair_id,
    role,
    expires_at,
    pair_redeemed_at,
    pair_reversed_at
from coupons
where opens_at < closes_at
