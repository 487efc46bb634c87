with habits as (
    select * from {{ ref("mart_member_coupon") }}
),

coupons as (
    select * from {{ ref("int_coupon_lifecycle") }}
),

events as (
    select
        member_id,
        max(greatest(issued_at, redeemed_at, reversed_at)) as last_at
    from coupons
    group by member_id
)

-- as_of is judged; what changed the judgement last is the member's last coupon event
select
    habits.member_id,
    events.last_at as facts_from,
    {{ forever() }} as facts_until,
    habits.issued_365d,
    habits.redeemed_365d,
    habits.coupon_redemption_rate_365d as redemption_rate_365d
from habits
inner join events on habits.member_id = events.member_id
