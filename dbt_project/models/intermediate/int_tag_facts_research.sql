{% set known = "partition by member_id order by happened_at" %}

with members as (
    select * from {{ ref("int_tag_members") }}
),

days as (
    select * from {{ ref("mart_purchase_days") }}
),

cycles as (
    select * from {{ ref("int_tag_cycles") }}
),

scores as (
    select * from {{ ref("int_survey_answers") }}
    where tag_group in ('nps', 'csat') and number is not null
),

quality_refunds as (
    select
        orders.member_id,
        refunds.event_at as refunded_at
    from {{ ref("stg_refunds") }} as refunds
    inner join {{ ref("int_orders_qualified") }} as orders
        on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
    where
        refunds.reason_code = 'quality'
        and refunds.event_at < {{ as_of() }}
        and orders.member_id is not null
),

-- of members who say nothing, only the first two purchase days can change an audience
told as (
    select member_id from scores
    union
    select member_id from quality_refunds
),

events as (
    select
        member_id,
        starts_at as happened_at,
        cast(0 as bigint) as n,
        cast(null as double) as nps,
        cast(null as varchar) as dislike_kind
    from members

    union all

    select
        days.member_id,
        days.purchase_at as happened_at,
        days.day_rank as n,
        cast(null as double) as nps,
        cast(null as varchar) as dislike_kind
    from days
    left join told on days.member_id = told.member_id
    where days.day_rank <= 2 or told.member_id is not null

    union all

    select
        member_id,
        answered_at as happened_at,
        cast(null as bigint) as n,
        case when tag_group = 'nps' then number end as nps,
        case
            when tag_group = 'nps' and number <= {{ tag_param("research", "hater_nps") }}
                then 'nps'
            when tag_group = 'csat' and number <= {{ tag_param("research", "hater_csat") }}
                then 'csat'
        end as dislike_kind
    from scores

    union all

    select
        member_id,
        refunded_at as happened_at,
        cast(null as bigint) as n,
        cast(null as double) as nps,
        'quality_refund' as dislike_kind
    from quality_refunds
),

-- of two answers at one instant the worse counts
moments as (
    select
        member_id,
        happened_at,
        max(n) as n,
        min(nps) as nps,
        min(dislike_kind) as dislike_kind,
        max(case when dislike_kind is not null then happened_at end) as dislike_at
    from events
    group by member_id, happened_at
),

known as (
    select
        member_id,
        happened_at,
        {{ last_known("n", known) }} as n,
        {{ last_known("nps", known) }} as last_nps,
        {{ last_known("dislike_kind", known) }} as last_dislike_kind,
        {{ last_known("dislike_at", known) }} as last_dislike_at
    from moments
),

-- what was said before a member's time begins holds as it stood when it began
ranked as (
    select
        known.*,
        greatest(known.happened_at, members.starts_at) as facts_from,
        row_number() over (
            partition by known.member_id, greatest(known.happened_at, members.starts_at)
            order by known.happened_at desc
        ) as newest
    from known
    inner join members on known.member_id = members.member_id
),

states as (
    select
        *,
        lead(facts_from) over (partition by member_id order by facts_from) as facts_until
    from ranked
    where newest = 1
)

select
    states.member_id,
    states.facts_from,
    coalesce(states.facts_until, {{ forever() }}) as facts_until,
    states.n,
    case when states.n = 1 then days.purchase_date end as last_purchase_date,
    case when states.n = 1 then cycles.cycle_days end as cycle_days,
    states.last_nps,
    states.last_dislike_kind,
    coalesce(members.joined_at, members.starts_at) as joined_at,
    states.last_dislike_at
from states
inner join members on states.member_id = members.member_id
left join days on states.member_id = days.member_id and days.day_rank = 1
left join cycles on states.member_id = cycles.member_id
