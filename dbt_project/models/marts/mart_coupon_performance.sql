{# Rows of two levels: `role` for a role as a whole, `cell` for template, week of issue, origin. #}
{% set levels = {
    "role": ["role"],
    "cell": ["role", "template_id", "issued_week", "origin", "context"],
} %}

with coupons as (
    select
        *,
        cast(date_trunc('week', {{ local_date("issued_at") }}) as date) as issued_week,
        {{ local_date("redeemed_at") }} as redeemed_date,
        {{ local_date("pair_redeemed_at") }} as pair_redeemed_date
    from {{ ref("int_coupon_lifecycle") }}
),

orders as (
    select * from {{ ref("int_orders_qualified") }}
    -- those that were paid with coupons, a guest's too, and the visits of who used one
    where
        order_id in (select order_id from coupons where order_id is not null)
        or member_id in (select member_id from coupons where redeemed_at is not null)
),

costs as (
    select
        source_system,
        order_id,
        case when count(*) = count(cost_minor) then sum(cost_minor) end as goods_minor
    from {{ ref("stg_order_lines") }}
    where order_id in (select order_id from coupons where order_id is not null)
    group by source_system, order_id
),

-- a visit is any order that was placed and not called off
visits as (
    select distinct
        member_id,
        order_date
    from orders
    where is_sold or exclusion_reason = 'nothing_paid'
),

used as (
    select
        coupons.*,
        visits.member_id is not null as is_on_visit_day,
        case when coupons.state = 'redeemed' and orders.is_qualifying then orders.net_minor end
            as order_net_minor,
        costs.goods_minor,
        coupons.role = 'retention' and coupons.pair_redeemed_at is not null
        and coupons.pair_reversed_at is null as is_activatable,
        coupons.role = 'retention' and coupons.pair_redeemed_at is not null
        and coupons.pair_reversed_at is null
        and coupons.state = 'redeemed'
        and coupons.redeemed_date > coupons.pair_redeemed_date as is_activated
    from coupons
    left join orders
        on coupons.source_system = orders.source_system and coupons.order_id = orders.order_id
    left join costs
        on coupons.source_system = costs.source_system and coupons.order_id = costs.order_id
    left join visits
        on
            coupons.member_id = visits.member_id
            and coupons.redeemed_date = visits.order_date
),

{% for level, keys in levels.items() %}
{{ level }}_uses as (
    select
        *,
        -- an order paid with several coupons of the cell counts once
        row_number() over (
            partition by {{ keys | join(", ") }}, source_system, order_id
            order by case when order_net_minor is null then 1 else 0 end, issue_id
        ) = 1 and order_net_minor is not null as is_order
    from used
),

{{ level }}_rows as (
    select
        '{{ level }}' as level,
        role,
        {{ "template_id" if level == "cell" else "cast(null as varchar)" }} as template_id,
        {{ "issued_week" if level == "cell" else "cast(null as date)" }} as issued_week,
        {{ "origin" if level == "cell" else "cast(null as varchar)" }} as origin,
        {{ "context" if level == "cell" else "cast(null as varchar)" }} as context,
        count(*) as issued,
        count(distinct member_id) as claimers,
        count(*) filter (where state = 'redeemed') as redeemed,
        count(*) filter (where state = 'reversed') as reversed,
        count(*) filter (where state = 'expired') as expired_unused,
        count(*) filter (where redeemed_at is not null and is_on_visit_day)
            as redeemed_on_visit_day,
        {{ median(
            "case when state = 'redeemed' then "
            ~ hours_between("issued_at", "redeemed_at") ~ " end"
        ) }} as median_hours_to_redeem,
        sum(order_net_minor) filter (where is_order) as net_minor,
        count(*) filter (where is_order) as order_count,
        count(goods_minor) filter (where is_order) as costed_count,
        sum(order_net_minor - goods_minor) filter (where is_order)
        - coalesce(sum(unit_cost_minor) filter (where state = 'redeemed'), 0) as margin_minor,
        count(*) filter (where is_activated) as activated,
        count(*) filter (where is_activatable) as activatable
    from {{ level }}_uses
    group by {{ keys | join(", ") }}
),
{% endfor %}

found as (
    select * from role_rows
    union all
    select * from cell_rows
),

-- a role without a coupon is a row too: 0 if the source is there, null if it is not
roles as (
    {% for role in ["traffic", "retention", "other"] %}
    select '{{ role }}' as role
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

completed as (
    select
        coalesce(found.level, 'role') as level,
        coalesce(found.role, roles.role) as role,
        found.template_id,
        found.issued_week,
        found.origin,
        found.context,
        coalesce(found.issued, 0) as issued,
        coalesce(found.claimers, 0) as claimers,
        coalesce(found.redeemed, 0) as redeemed,
        coalesce(found.reversed, 0) as reversed,
        coalesce(found.expired_unused, 0) as expired_unused,
        coalesce(found.redeemed_on_visit_day, 0) as redeemed_on_visit_day,
        found.median_hours_to_redeem,
        coalesce(found.net_minor, 0) as net_minor,
        found.margin_minor,
        coalesce(found.order_count, 0) as order_count,
        coalesce(found.costed_count, 0) as costed_count,
        coalesce(found.activated, 0) as activated,
        coalesce(found.activatable, 0) as activatable,
        coalesce({{ is_present("coupon_issues") }}, false) as has_source,
        coalesce({{ is_present("orders") }}, false) as has_orders
    from roles
    left join found on roles.role = found.role
)

select
    -- ids
    level,
    template_id,

    -- strings
    role,
    origin,
    context,

    -- numerics
    case when has_source then issued end as issued,
    case when has_source then claimers end as claimers,
    case when has_source then redeemed end as redeemed,
    case when has_source then reversed end as reversed,
    case when has_source then expired_unused end as expired_unused,
    case when has_source and has_orders then redeemed_on_visit_day end as redeemed_on_visit_day,
    median_hours_to_redeem,
    case when has_source and has_orders then cast(net_minor as bigint) end as net_minor,
    case when order_count > 0 and costed_count = order_count then cast(margin_minor as bigint) end
        as margin_minor,

    -- rates
    case when has_source then redeemed end as redemption_numerator,
    case when has_source then issued end as redemption_denominator,
    case when issued > 0 then cast(redeemed as double) / issued end as redemption_rate,
    case when has_source then issued < {{ var("small_n") }} end as redemption_is_small_n,
    case when has_source and role = 'retention' then activated end
        as retention_activation_numerator,
    case when has_source and role = 'retention' then activatable end
        as retention_activation_denominator,
    case when role = 'retention' and activatable > 0 then cast(activated as double) / activatable end
        as retention_activation_rate,
    case when has_source and role = 'retention' then activatable < {{ var("small_n") }} end
        as retention_activation_is_small_n,

    -- causal claims need an experiment, which has no source yet
    cast(null as double) as uplift,
    cast(null as double) as uplift_lo,
    cast(null as double) as uplift_hi,

    -- dates
    issued_week,

    -- why a column is null
    case when has_source then 'observed' else 'source_absent' end as coupons_basis,
    case
        when not has_source or not has_orders then 'source_absent'
        when order_count = 0 then 'no_orders'
        when costed_count < order_count then 'no_cost'
        else 'observed'
    end as margin_basis,
    'no_experiment' as uplift_basis,

    {{ run_columns() }}
from completed
