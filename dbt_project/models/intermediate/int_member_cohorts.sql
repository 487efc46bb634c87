with orders as (
    select * from {{ ref("int_orders_qualified") }}
    where is_qualifying and member_id is not null
),

days as (
    select * from {{ ref("mart_purchase_days") }}
    where day_rank <= 2
),

first_orders as (
    select
        member_id,
        store_id,
        channel
    from orders
    where order_rank = 1
),

purchases as (
    select
        member_id,
        min(purchase_date) filter (where day_rank = 1) as first_purchase_day,
        min(purchase_date) filter (where day_rank = 2) as second_purchase_day
    from days
    group by member_id
),

visit_days as (
    select
        member_id,
        purchase_day,
        min(order_rank) as first_rank,
        row_number() over (partition by member_id order by purchase_day) as visit_rank
    from orders
    where is_in_store
    group by member_id, purchase_day
),

visits as (
    select
        visit_days.member_id,
        min(visit_days.purchase_day) filter (where visit_days.visit_rank = 1) as first_visit_day,
        min(visit_days.purchase_day) filter (where visit_days.visit_rank = 2) as second_visit_day,
        min(orders.store_id) filter (where visit_days.visit_rank = 1) as first_visit_store_id
    from visit_days
    inner join orders
        on
            visit_days.member_id = orders.member_id
            and visit_days.first_rank = orders.order_rank
    where visit_days.visit_rank <= 2
    group by visit_days.member_id
)

select
    purchases.member_id,
    first_orders.channel,
    first_orders.store_id,
    members.acquisition_code,
    visits.first_visit_store_id,
    {{ first_day("month", "purchases.first_purchase_day") }} as cohort_month,
    purchases.first_purchase_day,
    purchases.second_purchase_day,
    visits.first_visit_day,
    visits.second_visit_day
from purchases
inner join first_orders on purchases.member_id = first_orders.member_id
left join {{ ref("int_members") }} as members on purchases.member_id = members.member_id
left join visits on purchases.member_id = visits.member_id
