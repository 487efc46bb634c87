with orders as (
    select
        *,
        {{ local_time("event_at") }} as local_at
    from {{ ref("stg_orders") }}
    where event_at < {{ as_of() }}
),

-- only the ids that change something, so that the join stays small
identity as (
    select * from {{ ref("int_member_identity") }}
    where is_merged or member_type in {{ words(var("nonconsumer_member_types")) }}
),

refunds as (
    select
        source_system,
        order_id,
        sum(amount_minor) as refunded_minor,
        count(*) as refund_count
    from {{ ref("stg_refunds") }}
    where event_at < {{ as_of() }}
    group by source_system, order_id
),

joined as (
    select
        orders.order_id,
        orders.source_system,
        coalesce(identity.canonical_member_id, orders.member_id) as member_id,
        orders.shop_id,
        orders.store_id,
        orders.status,
        orders.channel,
        orders.currency,
        orders.order_kind,
        identity.member_type,
        orders.gross_minor,
        orders.discount_minor,
        orders.paid_minor,
        cast(coalesce(refunds.refunded_minor, 0) as bigint) as refunded_minor,
        orders.paid_minor - cast(coalesce(refunds.refunded_minor, 0) as bigint) as net_minor,
        coalesce(refunds.refund_count, 0) as refund_count,
        cast(orders.local_at as date) as order_date,
        cast(extract(hour from orders.local_at) as bigint) as order_hour,
        orders.event_at as ordered_at,
        orders.known_at
    from orders
    left join identity on orders.member_id = identity.member_id
    left join refunds
        on orders.source_system = refunds.source_system and orders.order_id = refunds.order_id
),

judged as (
    select
        *,
        case
            when order_kind in {{ words(var("nonqualifying_order_kinds")) }}
                then 'kind_' || order_kind
            when member_type in {{ words(var("nonconsumer_member_types")) }}
                then 'member_' || member_type
            when status is null then 'status_unknown'
            when status not in {{ words(var("qualifying_statuses")) }} then 'status_' || status
            when paid_minor <= 0 then 'nothing_paid'
            when net_minor <= 0 then 'refunded'
        end as exclusion_reason
    from joined
),

ranked as (
    select
        *,
        exclusion_reason is null or exclusion_reason = 'refunded' as is_sold,
        exclusion_reason is null as is_qualifying,
        exclusion_reason is null and ordered_at < {{ matured_before() }} as is_matured,
        case when exclusion_reason is null then order_date end as purchase_day,
        case
            when exclusion_reason is null and member_id is not null then
                row_number() over (
                    partition by member_id, exclusion_reason is null
                    order by order_date, ordered_at, order_id, source_system
                )
        end as order_rank,
        case
            when exclusion_reason is null and member_id is not null then
                dense_rank() over (
                    partition by member_id, exclusion_reason is null
                    order by order_date
                )
        end as day_rank
    from judged
)

select
    order_id,
    source_system,
    member_id,
    shop_id,
    store_id,
    status,
    channel,
    currency,
    order_kind,
    exclusion_reason,
    gross_minor,
    discount_minor,
    paid_minor,
    refunded_minor,
    net_minor,
    refund_count,
    order_hour,
    order_rank,
    day_rank,
    is_sold,
    is_qualifying,
    is_matured,
    channel in {{ words(var("store_channels")) }} as is_in_store,
    order_date,
    purchase_day,
    ordered_at,
    known_at
from ranked
