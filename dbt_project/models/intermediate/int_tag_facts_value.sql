with members as (
    select * from {{ ref("int_tag_members") }}
),

days as (
    select
        *,
        purchase_date >= {{ date_plus_days(local_date(as_of()), -365) }} as is_365d
    from {{ ref("mart_purchase_days") }}
),

thresholds as (
    select * from {{ ref("int_tag_thresholds") }}
),

counted as (
    select
        member_id,
        {{ days_between("max(purchase_date)", local_date(as_of())) }} as recency_days,
        count(*) filter (where is_365d) as purchase_days_365d,
        coalesce(cast(sum(net_minor) filter (where is_365d) as bigint), 0) as net_365d_minor
    from days
    group by member_id
),

-- as_of is judged, and the judgement stands for the member's whole time as a buyer; what was
-- judged on earlier nights is in the feature log
facts as (
    select
        member_id,
        starts_at as facts_from,
        coalesce(first_purchase_at, {{ forever() }}) as facts_until,
        cast(null as bigint) as recency_days,
        cast(0 as bigint) as purchase_days_365d,
        cast(0 as bigint) as net_365d_minor
    from members
    where first_purchase_at is null or starts_at < first_purchase_at

    union all

    select
        members.member_id,
        members.first_purchase_at as facts_from,
        {{ forever() }} as facts_until,
        counted.recency_days,
        counted.purchase_days_365d,
        counted.net_365d_minor
    from members
    inner join counted on members.member_id = counted.member_id
)

select
    facts.member_id,
    facts.facts_from,
    facts.facts_until,
    facts.recency_days,
    facts.purchase_days_365d,
    facts.net_365d_minor,
    thresholds.recency_median,
    thresholds.frequency_median,
    thresholds.money_median_minor,
    thresholds.high_min_minor,
    thresholds.mid_min_minor,
    coalesce(facts.recency_days < thresholds.recency_median, false) as is_recent,
    coalesce(facts.purchase_days_365d > thresholds.frequency_median, false) as is_frequent,
    coalesce(facts.net_365d_minor > thresholds.money_median_minor, false) as is_high_spend
from facts
cross join thresholds
