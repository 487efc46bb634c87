{# The month's thresholds come from what happened before it began; a brand that is younger than the
   month has no such past, so what happened before as_of stands in. #}
with days as (
    select * from {{ ref("mart_purchase_days") }}
),

frozen as (
    select
        case
            when min(purchase_date) < {{ frozen_day("month") }} then {{ frozen_day("month") }}
            else {{ local_date(as_of()) }}
        end as frozen_on
    from days
),

members as (
    select
        days.member_id,
        frozen.frozen_on,
        {{ days_between("max(days.purchase_date)", "frozen.frozen_on") }} as recency_days,
        count(*) as purchase_days,
        sum(days.net_minor) as net_minor
    from days
    cross join frozen
    where
        days.purchase_date < frozen.frozen_on
        and days.purchase_date >= {{ date_plus_days("frozen.frozen_on", -365) }}
    group by days.member_id, frozen.frozen_on
),

active as (
    select
        *,
        rank() over (order by net_minor desc) as net_rank,
        count(*) over () as member_count
    from members
    where recency_days <= {{ var("active_days") }}
)

select
    max(frozen_on) as frozen_on,
    count(*) as active_members,
    {{ median("recency_days") }} as recency_median,
    {{ median("purchase_days") }} as frequency_median,
    {{ median("net_minor") }} as money_median_minor,
    cast(
        min(net_minor) filter (
            where net_rank <= ceil(
                round({{ tag_param("value", "high_share") }} * member_count, 6)
            )
        ) as bigint
    ) as high_min_minor,
    cast(
        min(net_minor) filter (
            where net_rank <= ceil(
                round(
                    ({{ tag_param("value", "high_share") }} + {{ tag_param("value", "mid_share") }})
                    * member_count,
                    6
                )
            )
        ) as bigint
    ) as mid_min_minor
from active
