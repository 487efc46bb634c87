with members as (
    select * from {{ ref("int_members") }}
),

days as (
    select * from {{ ref("mart_purchase_days") }}
),

coupons as (
    select * from {{ ref("int_coupon_lifecycle") }}
),

answers as (
    select * from {{ ref("int_survey_answers") }}
),

consents as (
    select * from {{ ref("int_consent_state") }}
),

purchases as (
    select
        member_id,
        min(purchase_at) as first_at,
        max(purchase_at) as last_at
    from days
    group by member_id
),

heard as (
    select
        member_id,
        min(issued_at) as first_at,
        max(greatest(issued_at, redeemed_at, reversed_at)) as last_at
    from coupons
    group by member_id

    union all

    select
        member_id,
        min(answered_at) as first_at,
        max(answered_at) as last_at
    from answers
    group by member_id

    union all

    select
        member_id,
        min(facts_from) as first_at,
        max(facts_from) as last_at
    from consents
    group by member_id
),

heard_once as (
    select
        member_id,
        min(first_at) as first_at,
        max(last_at) as last_at
    from heard
    group by member_id
),

spans as (
    select
        members.member_id,
        members.joined_at,
        purchases.first_at as first_purchase_at,
        coalesce(
            least(
                members.joined_at,
                purchases.first_at,
                case when members.joined_at is null then heard_once.first_at end
            ),
            {{ instant("1970-01-01T00:00:00.000000Z") }}
        ) as starts_at,
        greatest(purchases.last_at, heard_once.last_at) as last_heard_at
    from members
    left join purchases on members.member_id = purchases.member_id
    left join heard_once on members.member_id = heard_once.member_id
)

select
    member_id,
    joined_at,
    starts_at,
    first_purchase_at,
    greatest(starts_at, last_heard_at) as last_event_at
from spans
