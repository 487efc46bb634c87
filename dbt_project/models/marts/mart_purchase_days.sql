with orders as (
    select * from {{ ref("int_orders_qualified") }}
    where is_qualifying and member_id is not null
),

days as (
    select
        member_id,
        purchase_day as purchase_date,
        min(ordered_at) as purchase_at,
        count(*) as order_count,
        cast(sum(net_minor) as bigint) as net_minor,
        min(day_rank) as day_rank
    from orders
    group by member_id, purchase_day
)

select
    member_id,
    purchase_date,
    purchase_at,
    order_count,
    net_minor,
    day_rank,
    {{ run_columns() }}
from days
