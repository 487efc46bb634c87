{% set dimensions = [("brand", "'all'"), ("store", "store_id"), ("channel", "channel")] %}

with orders as (
    select * from {{ ref("int_orders_qualified") }}
    where is_qualifying and member_id is not null
),

firsts as (
    select
        member_id,
        purchase_date as first_purchase_day
    from {{ ref("mart_purchase_days") }}
    where day_rank = 1
),

dimensioned as (
    {% for dimension, value in dimensions %}
    select
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        member_id,
        {{ first_day("month", "purchase_day") }} as month_start,
        purchase_day,
        net_minor,
        order_rank,
        day_rank,
        is_matured
    from orders
    where {{ value }} is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

pieces as (
    select
        dimension,
        dimension_value,
        member_id,
        month_start,
        {% for days in rolling_windows() %}
        purchase_day >= {{ local_date(days_before_as_of(days)) }} as is_{{ days }}d,
        {% endfor %}
        is_matured,
        count(*) as order_count,
        count(*) filter (where order_rank > 1) as later_order_count,
        count(*) filter (where day_rank > 1) as later_day_order_count,
        {{ days_of_month("purchase_day") }} as day_count,
        cast(sum(net_minor) as bigint) as net_minor
    from dimensioned
    group by
        dimension,
        dimension_value,
        member_id,
        month_start,
        {% for days in rolling_windows() %}
        purchase_day >= {{ local_date(days_before_as_of(days)) }},
        {% endfor %}
        is_matured
)

select
    pieces.dimension,
    pieces.dimension_value,
    pieces.member_id,
    pieces.month_start,
    {% for days in rolling_windows() %}
    pieces.is_{{ days }}d,
    {% endfor %}
    pieces.is_matured,
    firsts.first_purchase_day,
    pieces.order_count,
    pieces.later_order_count,
    pieces.later_day_order_count,
    pieces.day_count,
    pieces.net_minor
from pieces
left join firsts on pieces.member_id = firsts.member_id
