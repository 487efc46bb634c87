{{ config(post_hook="{{ tell_redemption_visits() }}") }}

with redemptions as (
    select
        redemptions.redemption_id,
        redemptions.redeemed_at,
        coalesce(identity.canonical_member_id, issues.member_id) as member_id
    from {{ ref("stg_coupon_redemptions") }} as redemptions
    left join {{ ref("stg_coupon_issues") }} as issues
        on
            redemptions.source_system = issues.source_system
            and redemptions.issue_id = issues.issue_id
    left join {{ ref("int_member_identity") }} as identity
        on issues.member_id = identity.member_id
    where redemptions.event_at < {{ as_of() }}
),

-- a visit is any order that was placed and not called off, whatever it came to in the end
visits as (
    select distinct
        member_id,
        order_date as local_day,
        cast(ordered_at as date) as utc_day
    from {{ ref("int_orders_qualified") }}
    where
        member_id is not null
        and (is_sold or exclusion_reason = 'nothing_paid')
),

local_visits as (
    select distinct
        member_id,
        local_day
    from visits
),

utc_visits as (
    select distinct
        member_id,
        utc_day
    from visits
),

met as (
    select
        redemptions.redemption_id,
        redemptions.member_id,
        local_visits.member_id is not null as is_on_visit_day,
        utc_visits.member_id is not null as is_on_utc_visit_day
    from redemptions
    left join local_visits
        on
            redemptions.member_id = local_visits.member_id
            and {{ local_date("redemptions.redeemed_at") }} = local_visits.local_day
    left join utc_visits
        on
            redemptions.member_id = utc_visits.member_id
            and {{ local_date("redemptions.redeemed_at") }} = utc_visits.utc_day
),

counted as (
    select
        count(*) as redemptions,
        count(member_id) as with_member,
        count(*) filter (where is_on_visit_day) as on_visit_day,
        count(*) filter (where is_on_utc_visit_day) as on_utc_visit_day,
        {{ is_present("coupon_redemptions") }} and {{ is_present("orders") }} as has_source
    from met
)

select
    -- strings
    '{{ var("business_tz") }}' as business_tz,
    case
        when not has_source then 'source_absent'
        when redemptions = 0 then 'no_redemptions'
        else 'observed'
    end as basis,

    -- numerics
    case when has_source then redemptions end as redemptions,
    case when has_source then with_member end as redemptions_with_member,
    case when has_source then on_visit_day end as redemptions_on_visit_day,
    case when has_source then on_utc_visit_day end as redemptions_on_utc_visit_day,
    case when has_source and redemptions > 0 then cast(on_visit_day as double) / redemptions end
        as visit_day_share,

    {{ run_columns() }}
from counted
