with orders as (
    select * from {{ ref("int_orders_qualified") }}
    where is_qualifying and member_id is not null
)

select
    member_id,
    min(ordered_at) as facts_from,
    {{ forever() }} as facts_until,
    max(ordered_at) as last_order_at
from orders
group by member_id, purchase_day
