with members as (
    select * from {{ ref("int_tag_members") }}
),

days as (
    select * from {{ ref("mart_purchase_days") }}
),

cycles as (
    select * from {{ ref("int_tag_cycles") }}
),

facts as (
    select
        member_id,
        starts_at as facts_from,
        coalesce(first_purchase_at, {{ forever() }}) as facts_until,
        cast(0 as bigint) as n,
        cast(null as date) as last_purchase_date,
        cast(null as double) as cycle_days
    from members
    where first_purchase_at is null or starts_at < first_purchase_at

    union all

    select
        days.member_id,
        days.purchase_at as facts_from,
        coalesce(
            lead(days.purchase_at) over (
                partition by days.member_id
                order by days.purchase_date
            ),
            {{ forever() }}
        ) as facts_until,
        days.day_rank as n,
        days.purchase_date as last_purchase_date,
        cycles.cycle_days
    from days
    inner join cycles on days.member_id = cycles.member_id
)

select
    member_id,
    facts_from,
    facts_until,
    n,
    last_purchase_date,
    cycle_days
from facts
