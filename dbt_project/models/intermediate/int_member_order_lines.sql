with orders as (
    select * from {{ ref("int_orders_qualified") }}
    where is_qualifying and member_id is not null
),

lines as (
    select * from {{ ref("stg_order_lines") }}
),

products as (
    select * from {{ ref("stg_products") }}
)

select
    lines.source_system,
    lines.order_line_id,
    lines.order_id,
    orders.member_id,
    lines.sku_id,
    coalesce(products.category_l2, products.category_l1, products.category_l3) as category,
    lines.qty,
    lines.unit_price_minor,
    lines.line_net_minor,
    orders.order_rank,
    orders.day_rank,
    coalesce(lines.is_gift, false) as is_gift,
    orders.purchase_day,
    orders.ordered_at
from lines
inner join orders
    on lines.source_system = orders.source_system and lines.order_id = orders.order_id
left join products
    on lines.source_system = products.source_system and lines.sku_id = products.sku_id
