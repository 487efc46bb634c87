{% set dayparts = [
    ("night", "hour >= 23 or hour < 5"),
    ("morning", "hour >= 5 and hour < 11"),
    ("noon", "hour >= 11 and hour < 14"),
    ("afternoon", "hour >= 14 and hour < 18"),
    ("evening", "hour >= 18 and hour < 23"),
] %}
{% set enough_days = "habits.day_count >= " ~ var("habit_min_purchase_days") %}

with members as (
    select * from {{ ref("int_members") }}
),

orders as (
    select
        *,
        ordered_at >= {{ days_before_as_of(30) }} as is_30d,
        ordered_at >= {{ days_before_as_of(90) }} as is_90d,
        ordered_at >= {{ days_before_as_of(365) }} as is_365d
    from {{ ref("int_orders_qualified") }}
    where is_sold and member_id is not null
),

lines as (
    select
        *,
        ordered_at >= {{ days_before_as_of(365) }} as is_365d
    from {{ ref("int_member_order_lines") }}
),

prices as (
    select * from {{ ref("int_member_price_levels") }}
    where level_of = 'now' and category_rank = 1
),

cuts as (
    select * from {{ ref("int_frozen_cuts") }}
),

-- day ranks have no holes, so the days of a window that ends at as_of are a difference of ranks
counted as (
    select
        member_id,
        count(*) filter (where is_qualifying) as order_count_lifetime,
        count(*) filter (where is_qualifying and is_30d) as order_count_30d,
        count(*) filter (where is_qualifying and is_90d) as order_count_90d,
        count(*) filter (where is_qualifying and is_365d) as order_count_365d,
        max(day_rank) as purchase_days_lifetime,
        max(day_rank) filter (where is_365d)
        - min(day_rank) filter (where is_365d) + 1 as purchase_days_365d,
        sum(net_minor) filter (where is_qualifying) as net_lifetime,
        sum(net_minor) filter (where is_qualifying and is_90d) as net_90d,
        sum(net_minor) filter (where is_qualifying and is_365d) as net_365d,
        count(*) filter (where is_qualifying and is_365d and discount_minor > 0)
            as discounted_365d,
        count(*) filter (where is_qualifying and is_90d and discount_minor = 0)
            as full_price_90d,
        count(*) filter (where is_365d) as sold_365d,
        count(*) filter (where is_365d and refund_count > 0) as refunded_365d,
        min(ordered_at) filter (where is_qualifying) as first_order_at,
        max(ordered_at) filter (where is_qualifying) as last_order_at,
        max(order_date) filter (where is_qualifying) as last_purchase_date
    from orders
    group by member_id
),

channels as (
    select
        member_id,
        channel,
        count(distinct purchase_day) as purchase_days,
        max(ordered_at) as last_at
    from orders
    where is_qualifying and is_365d
    group by member_id, channel
),

ranked_channels as (
    select
        member_id,
        channel,
        count(*) over (partition by member_id) as channels_used,
        row_number() over (
            partition by member_id
            order by purchase_days desc, last_at desc, channel
        ) as channel_rank
    from channels
),

visits as (
    select
        member_id,
        min(ordered_at) as visit_at,
        row_number() over (partition by member_id order by purchase_day) as visit_rank
    from orders
    where is_qualifying and is_in_store
    group by member_id, purchase_day
),

quality_refunds as (
    select
        orders.member_id,
        count(*) as quality_refunds
    from {{ ref("stg_refunds") }} as refunds
    inner join orders
        on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
    where
        refunds.reason_code = 'quality'
        and refunds.event_at >= {{ days_before_as_of(365) }}
        and refunds.event_at < {{ as_of() }}
    group by orders.member_id
),

breadth as (
    select
        member_id,
        count(distinct sku_id) as distinct_skus,
        count(distinct category) as distinct_categories
    from lines
    where is_365d
    group by member_id
),

first_products as (
    select
        member_id,
        sku_id,
        category,
        row_number() over (
            partition by member_id
            order by is_gift, line_net_minor desc, order_line_id, source_system
        ) as line_rank
    from lines
    where order_rank = 1
),

local_days as (
    select
        member_id,
        {{ weekday("purchase_date") }} as weekday,
        extract(hour from {{ local_time("purchase_at") }}) as hour
    from {{ ref("mart_purchase_days") }}
    where purchase_at >= {{ days_before_as_of(365) }}
),

habits as (
    select
        member_id,
        count(*) as day_count,
        {% for weekday in range(1, 8) %}
        count(*) filter (where weekday = {{ weekday }}) as weekday_{{ weekday }},
        {% endfor %}
        {% for daypart, hours in dayparts %}
        count(*) filter (where {{ hours }}) as {{ daypart }}{{ "," if not loop.last }}
        {% endfor %}
    from local_days
    group by member_id
),

joined as (
    select
        members.member_id,
        members.member_type,
        members.status,
        members.joined_at,

        counted.order_count_lifetime,
        counted.order_count_30d,
        counted.order_count_90d,
        counted.order_count_365d,
        counted.purchase_days_lifetime,
        counted.purchase_days_365d,
        counted.net_lifetime,
        counted.net_90d,
        counted.net_365d,
        case
            when counted.order_count_365d > 0
                then cast(counted.net_365d as double) / counted.order_count_365d
        end as aov_365d,
        counted.discounted_365d,
        counted.full_price_90d,
        counted.sold_365d,
        counted.refunded_365d,
        counted.first_order_at,
        counted.last_order_at,
        {{ days_between("counted.last_purchase_date", local_date(as_of())) }} as recency_days,

        breadth.distinct_skus,
        breadth.distinct_categories,
        breadth.member_id is not null as has_lines,
        ranked_channels.channels_used,
        ranked_channels.channel as primary_channel,
        visits.visit_at as second_visit_at,
        quality_refunds.quality_refunds,
        first_products.sku_id as first_product_sku,
        first_products.category as first_product_category,
        prices.median_unit_price_minor,

        case
            {% for weekday in range(1, 8) %}
            when
                {{ enough_days }}
                and habits.weekday_{{ weekday }} >= {{ var("habit_share") }} * habits.day_count
                then {{ weekday }}
            {% endfor %}
        end as habit_weekday,
        case
            {% for daypart, hours in dayparts %}
            when
                {{ enough_days }}
                and habits.{{ daypart }} >= {{ var("habit_share") }} * habits.day_count
                then '{{ daypart }}'
            {% endfor %}
        end as habit_daypart,
        coalesce({{ enough_days }}, false) as has_habit_days,

        r_cuts.cuts as r_cuts,
        f_cuts.cuts as f_cuts,
        m_cuts.cuts as m_cuts,
        aov_cuts.cuts as aov_cuts,
        price_cuts.cuts as price_cuts,

        {{ is_present("orders") }} as has_orders_source,
        {{ is_present("order_lines") }} as has_lines_source,
        {{ is_present("products") }} as has_products_source,
        {{ is_present("refunds") }} as has_refunds_source
    from members
    left join counted on members.member_id = counted.member_id
    left join breadth on members.member_id = breadth.member_id
    left join ranked_channels
        on members.member_id = ranked_channels.member_id and ranked_channels.channel_rank = 1
    left join visits on members.member_id = visits.member_id and visits.visit_rank = 2
    left join quality_refunds on members.member_id = quality_refunds.member_id
    left join first_products
        on members.member_id = first_products.member_id and first_products.line_rank = 1
    left join habits on members.member_id = habits.member_id
    left join prices on members.member_id = prices.member_id
    left join cuts as r_cuts on r_cuts.metric = 'recency_days'
    left join cuts as f_cuts on f_cuts.metric = 'purchase_days'
    left join cuts as m_cuts on m_cuts.metric = 'net_minor'
    left join cuts as aov_cuts on aov_cuts.metric = 'aov_minor'
    left join cuts as price_cuts
        on price_cuts.metric = 'unit_price_minor' and prices.category = price_cuts.category
),

-- the first reason why a group of columns is null, or `observed`
with_basis as (
    select
        *,
        case
            when not has_orders_source then 'source_absent'
            when coalesce(order_count_lifetime, 0) = 0 then 'no_orders'
            else 'observed'
        end as orders_basis,
        case
            when not has_orders_source then 'source_absent'
            when coalesce(order_count_365d, 0) = 0 then 'no_orders'
            else 'observed'
        end as orders_365d_basis,
        case
            when not has_orders_source or not has_refunds_source then 'source_absent'
            when coalesce(sold_365d, 0) = 0 then 'no_orders'
            else 'observed'
        end as refunds_basis,
        case
            when not has_orders_source or not has_lines_source then 'source_absent'
            when coalesce(order_count_365d, 0) = 0 then 'no_orders'
            when not has_lines then 'no_lines'
            else 'observed'
        end as lines_basis,
        case
            when not has_orders_source or not has_lines_source or not has_products_source
                then 'source_absent'
            when coalesce(order_count_365d, 0) = 0 then 'no_orders'
            when not has_lines then 'no_lines'
            when distinct_categories = 0 then 'unknown_product'
            else 'observed'
        end as categories_basis,
        case
            when not has_orders_source then 'source_absent'
            when coalesce(order_count_365d, 0) = 0 then 'no_orders'
            when r_cuts is null then 'insufficient_history'
            else 'observed'
        end as scores_basis,
        case
            when not has_orders_source then 'source_absent'
            when coalesce(order_count_365d, 0) = 0 then 'no_orders'
            when aov_cuts is null then 'insufficient_history'
            else 'observed'
        end as ladder_basis,
        case
            when not has_orders_source then 'source_absent'
            when coalesce(order_count_lifetime, 0) = 0 then 'no_orders'
            when not has_habit_days then 'insufficient_history'
            else 'observed'
        end as habit_basis
    from joined
),

described as (
    select
        *,
        case
            when categories_basis <> 'observed' then categories_basis
            when median_unit_price_minor is null then 'no_lines'
            when price_cuts is null then 'insufficient_history'
            else 'observed'
        end as price_band_basis
    from with_basis
)

select
    -- ids
    member_id,

    -- strings
    member_type,
    status as member_status,
    primary_channel,
    first_product_sku,
    first_product_category,
    case
        when ladder_basis = 'observed' then
            case {{ count_below("aov_cuts", "aov_365d") }}
                when 0 then 'low'
                when 1 then 'mid'
                else 'high'
            end
    end as price_ladder_stage,
    habit_daypart,

    -- numerics
    case when has_orders_source then coalesce(order_count_lifetime, 0) end
        as order_count_lifetime,
    case when has_orders_source then coalesce(order_count_30d, 0) end as order_count_30d,
    case when has_orders_source then coalesce(order_count_90d, 0) end as order_count_90d,
    case when has_orders_source then coalesce(order_count_365d, 0) end as order_count_365d,
    case when has_orders_source then coalesce(purchase_days_lifetime, 0) end
        as purchase_days_lifetime,
    case when has_orders_source then coalesce(purchase_days_365d, 0) end as purchase_days_365d,
    case when has_orders_source then cast(coalesce(net_lifetime, 0) as bigint) end
        as net_revenue_lifetime_minor,
    case when has_orders_source then cast(coalesce(net_90d, 0) as bigint) end
        as net_revenue_90d_minor,
    case when has_orders_source then cast(coalesce(net_365d, 0) as bigint) end
        as net_revenue_365d_minor,
    cast(round(aov_365d) as bigint) as aov_365d_minor,
    case
        when price_band_basis = 'observed'
            then cast(1 + {{ count_below("price_cuts", "median_unit_price_minor") }} as bigint)
    end as median_unit_price_band,
    case when order_count_365d > 0 then cast(discounted_365d as double) / order_count_365d end
        as discount_order_share_365d,
    case when order_count_90d > 0 then cast(full_price_90d as double) / order_count_90d end
        as full_price_share_90d,
    case
        when lines_basis = 'observed' then distinct_skus
        when lines_basis = 'no_orders' then 0
    end as distinct_skus_365d,
    case
        when categories_basis = 'observed' then distinct_categories
        when categories_basis = 'no_orders' then 0
    end as distinct_categories_365d,
    case when has_orders_source then coalesce(channels_used, 0) end as channels_used_365d,
    case
        when refunds_basis = 'observed' then cast(refunded_365d as double) / sold_365d
    end as refund_rate_365d,
    case when refunds_basis <> 'source_absent' then coalesce(quality_refunds, 0) end
        as quality_refunds_365d,
    case
        when scores_basis = 'observed'
            then cast(
                {{ var("score_levels") }} - {{ count_below("r_cuts", "recency_days") }} as bigint
            )
    end as r_score,
    case
        when scores_basis = 'observed'
            then cast(1 + {{ count_below("f_cuts", "purchase_days_365d") }} as bigint)
    end as f_score,
    case
        when scores_basis = 'observed'
            then cast(1 + {{ count_below("m_cuts", "net_365d") }} as bigint)
    end as m_score,
    cast(habit_weekday as bigint) as habit_weekday,

    -- booleans
    case when has_orders_source then coalesce(channels_used, 0) >= 2 end as is_omnichannel,
    case
        when has_orders_source
            then coalesce(last_order_at >= {{ days_before_as_of(var("active_days")) }}, false)
    end as is_active,

    -- timestamps
    joined_at,
    first_order_at,
    last_order_at,
    second_visit_at,

    -- why a column is null
    orders_basis,
    orders_365d_basis,
    lines_basis,
    categories_basis,
    price_band_basis,
    refunds_basis,
    scores_basis,
    ladder_basis,
    habit_basis,

    {{ run_columns() }}
from described
