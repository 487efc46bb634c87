{# How many coupons the list of a member names; those that end soonest come first. #}
{% set listed = 50 %}

with members as (
    select * from {{ ref("int_members") }}
),

coupons as (
    select
        *,
        issued_at >= {{ days_before_as_of(365) }} as is_365d,
        {{ struct_of(
            ["expires_at", "issue_id", "role", "opens_at", "value_minor", "pair_state"]
        ) }} as described
    from {{ ref("int_coupon_lifecycle") }}
),

counted as (
    select
        member_id,
        count(*) filter (where state = 'open') as open_count,
        count(*) filter (where state = 'open' and role = 'traffic') as open_traffic,
        count(*) filter (where state = 'open' and role = 'retention') as open_retention,
        min(expires_at) filter (where state = 'open') as next_coupon_expiry_at,
        count(*) filter (where is_365d) as issued_365d,
        count(*) filter (where is_365d and state = 'redeemed') as redeemed_365d,
        count(*) filter (
            where state = 'expired' and expires_at >= {{ days_before_as_of(365) }}
        ) as expired_unused_365d
    from coupons
    group by member_id
),

listed as (
    select
        member_id,
        {{ list_start(sorted_list("described"), listed) }} as open_coupons
    from coupons
    where state in ('open', 'future')
    group by member_id
),

joined as (
    select
        members.member_id,
        counted.open_count,
        counted.open_traffic,
        counted.open_retention,
        counted.next_coupon_expiry_at,
        counted.issued_365d,
        counted.redeemed_365d,
        counted.expired_unused_365d,
        listed.open_coupons,
        {{ is_present("coupon_issues") }} as has_source
    from members
    left join counted on members.member_id = counted.member_id
    left join listed on members.member_id = listed.member_id
)

select
    -- ids
    member_id,

    -- strings
    case when has_source then {{ or_empty(each_as("open_coupons", json_object([
        ["issue_id", "item.issue_id"],
        ["role", "item.role"],
        ["valid_from", iso_text("item.opens_at")],
        ["expires_at", iso_text("item.expires_at")],
        ["value_minor", "item.value_minor"],
        ["pair", "item.pair_state"],
    ])), "varchar") }} end as open_coupons,

    -- numerics
    case when has_source then coalesce(open_count, 0) end as open_count,
    case when has_source then coalesce(open_traffic, 0) end as open_traffic,
    case when has_source then coalesce(open_retention, 0) end as open_retention,
    case when has_source then coalesce(issued_365d, 0) end as issued_365d,
    case when has_source then coalesce(redeemed_365d, 0) end as redeemed_365d,
    case when has_source then coalesce(expired_unused_365d, 0) end as expired_unused_365d,
    case when issued_365d > 0 then cast(redeemed_365d as double) / issued_365d end
        as coupon_redemption_rate_365d,

    -- timestamps
    next_coupon_expiry_at,

    -- why a column is null
    case
        when not coalesce(has_source, false) then 'source_absent'
        when coalesce(issued_365d, 0) = 0 then 'no_coupons'
        else 'observed'
    end as coupons_basis,

    {{ run_columns() }}
from joined
