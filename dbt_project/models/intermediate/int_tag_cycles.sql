with days as (
    select * from {{ ref("mart_purchase_days") }}
),

lines as (
    select * from {{ ref("int_member_order_lines") }}
    where category is not null
),

gaps as (
    select
        member_id,
        purchase_date,
        {{ days_between(
            "lag(purchase_date) over (partition by member_id order by purchase_date)",
            "purchase_date"
        ) }} as gap_days
    from days
),

own as (
    select
        member_id,
        count(*) as n,
        max(purchase_date) as last_purchase_date,
        {{ median("gap_days") }} as own_days
    from gaps
    group by member_id
),

category_days as (
    select
        member_id,
        category,
        purchase_day,
        sum(line_net_minor) as net_minor
    from lines
    group by member_id, category, purchase_day
),

category_gaps as (
    select
        category,
        {{ days_between(
            "lag(purchase_day) over (partition by member_id, category order by purchase_day)",
            "purchase_day"
        ) }} as gap_days
    from category_days
    where purchase_day < {{ frozen_day("month") }}
),

category_cycles as (
    select
        category,
        {{ median("gap_days") }} as category_days
    from category_gaps
    group by category
),

-- the category that most of the last purchase day went to
last_categories as (
    select
        category_days.member_id,
        category_days.category,
        row_number() over (
            partition by category_days.member_id
            order by category_days.net_minor desc, category_days.category
        ) as category_rank
    from category_days
    inner join own
        on
            category_days.member_id = own.member_id
            and category_days.purchase_day = own.last_purchase_date
),

joined as (
    select
        own.member_id,
        own.n,
        own.own_days,
        last_categories.category,
        category_cycles.category_days,
        coalesce(
            category_cycles.category_days, {{ tag_param("lifecycle", "cycle_default_days") }}
        ) as prior_days,
        cast(own.n as double) / (own.n + {{ tag_param("lifecycle", "cycle_shrink") }}) as weight
    from own
    left join last_categories
        on own.member_id = last_categories.member_id and last_categories.category_rank = 1
    left join category_cycles on last_categories.category = category_cycles.category
),

expected as (
    select
        *,
        case
            when n >= {{ tag_param("lifecycle", "cycle_own_from") }} then own_days
            when own_days is not null then weight * own_days + (1 - weight) * prior_days
            else prior_days
        end as expected_days,
        case
            when n >= {{ tag_param("lifecycle", "cycle_own_from") }} then 'own'
            when category_days is null then 'default'
            when own_days is not null then 'shrunk'
            else 'category'
        end as cycle_basis
    from joined
)

select
    member_id,
    n,
    category,
    -- rounded, so that no engine's last bit moves a boundary by a day
    round(
        least(
            greatest(expected_days, {{ tag_param("lifecycle", "cycle_min_days") }}),
            {{ tag_param("lifecycle", "cycle_max_days") }}
        ),
        4
    ) as cycle_days,
    cycle_basis
from expected
