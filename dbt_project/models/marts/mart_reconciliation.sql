{# What goes into a layer comes out of it or is explained: in = out + explained, in rows and, where
   the layer carries money, in minor units. #}
{% set no_money = "cast(null as bigint)" %}

with orders as (
    select
        *,
        {{ first_day("month", "order_date") }} as month_start
    from {{ ref("int_orders_qualified") }}
),

days as (
    select * from {{ ref("mart_purchase_days") }}
),

checks as (
    select
        'raw_to_staging' as check_name,
        table_name as subject,
        'superseded_or_withdrawn' as reason,
        cast(null as date) as period_start,
        version_count as rows_in,
        staged_count as rows_out,
        version_count - source_row_count + withdrawn_count as rows_explained,
        {{ no_money }} as minor_in,
        {{ no_money }} as minor_out,
        {{ no_money }} as minor_explained
    from {{ ref("int_version_counts") }}

    union all

    select
        'staging_to_orders' as check_name,
        'orders' as subject,
        'after_as_of' as reason,
        cast(null as date) as period_start,
        staged.row_count as rows_in,
        judged.row_count as rows_out,
        staged.later_count as rows_explained,
        staged.paid_minor as minor_in,
        judged.paid_minor as minor_out,
        staged.later_minor as minor_explained
    from (
        select
            count(*) as row_count,
            coalesce(sum(paid_minor), 0) as paid_minor,
            count(*) filter (where event_at >= {{ as_of() }}) as later_count,
            coalesce(sum(paid_minor) filter (where event_at >= {{ as_of() }}), 0) as later_minor
        from {{ ref("stg_orders") }}
    ) as staged
    cross join (
        select
            count(*) as row_count,
            coalesce(sum(paid_minor), 0) as paid_minor
        from orders
    ) as judged

    union all

    select
        'refunds_to_orders' as check_name,
        'refunds' as subject,
        'order_unknown_or_after_as_of' as reason,
        cast(null as date) as period_start,
        given.row_count as rows_in,
        taken.row_count as rows_out,
        given.homeless_count as rows_explained,
        given.amount_minor as minor_in,
        taken.amount_minor as minor_out,
        given.homeless_minor as minor_explained
    from (
        select
            count(*) as row_count,
            coalesce(sum(refunds.amount_minor), 0) as amount_minor,
            count(*) - count(orders.order_id) as homeless_count,
            coalesce(sum(refunds.amount_minor) filter (where orders.order_id is null), 0)
                as homeless_minor
        from {{ ref("stg_refunds") }} as refunds
        left join orders
            on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
        where refunds.event_at < {{ as_of() }}
    ) as given
    cross join (
        select
            coalesce(sum(refund_count), 0) as row_count,
            coalesce(sum(refunded_minor), 0) as amount_minor
        from orders
    ) as taken

    union all

    -- every order that does not count, by month and reason
    select
        'orders_excluded' as check_name,
        'orders' as subject,
        exclusion_reason as reason,
        month_start as period_start,
        count(*) as rows_in,
        0 as rows_out,
        count(*) as rows_explained,
        sum(paid_minor) as minor_in,
        0 as minor_out,
        sum(paid_minor) as minor_explained
    from orders
    where not is_qualifying
    group by exclusion_reason, month_start

    union all

    select
        'orders_to_periods' as check_name,
        'orders' as subject,
        'not_qualifying' as reason,
        judged.month_start as period_start,
        judged.row_count as rows_in,
        coalesce(periods.all_order_count, 0) as rows_out,
        judged.excluded_count as rows_explained,
        judged.net_minor as minor_in,
        coalesce(periods.all_net_minor, 0) as minor_out,
        judged.excluded_minor as minor_explained
    from (
        select
            month_start,
            count(*) as row_count,
            sum(net_minor) as net_minor,
            count(*) filter (where not is_qualifying) as excluded_count,
            coalesce(sum(net_minor) filter (where not is_qualifying), 0) as excluded_minor
        from orders
        group by month_start
    ) as judged
    left join {{ ref("int_period_counts") }} as periods
        on
            judged.month_start = periods.period_start
            and periods.period_kind = 'month'
            and periods.dimension = 'brand'
            and periods.maturity = 'raw'

    union all

    select
        'orders_to_purchase_days' as check_name,
        'orders' as subject,
        'guest' as reason,
        judged.month_start as period_start,
        judged.row_count as rows_in,
        coalesce(bought.row_count, 0) as rows_out,
        judged.guest_count as rows_explained,
        judged.net_minor as minor_in,
        coalesce(bought.net_minor, 0) as minor_out,
        judged.guest_minor as minor_explained
    from (
        select
            month_start,
            count(*) as row_count,
            sum(net_minor) as net_minor,
            count(*) filter (where member_id is null) as guest_count,
            coalesce(sum(net_minor) filter (where member_id is null), 0) as guest_minor
        from orders
        where is_qualifying
        group by month_start
    ) as judged
    left join (
        select
            {{ first_day("month", "purchase_date") }} as month_start,
            sum(order_count) as row_count,
            sum(net_minor) as net_minor
        from days
        group by {{ first_day("month", "purchase_date") }}
    ) as bought on judged.month_start = bought.month_start

    union all

    select
        'purchase_days_to_members' as check_name,
        'members' as subject,
        'none' as reason,
        cast(null as date) as period_start,
        bought.row_count as rows_in,
        counted.row_count as rows_out,
        0 as rows_explained,
        bought.net_minor as minor_in,
        counted.net_minor as minor_out,
        0 as minor_explained
    from (
        select
            coalesce(sum(order_count), 0) as row_count,
            coalesce(sum(net_minor), 0) as net_minor
        from days
    ) as bought
    cross join (
        select
            coalesce(sum(order_count_lifetime), 0) as row_count,
            coalesce(sum(net_revenue_lifetime_minor), 0) as net_minor
        from {{ ref("mart_member_daily") }}
    ) as counted

    union all

    select
        'buyers_to_cohorts' as check_name,
        'members' as subject,
        'none' as reason,
        cast(null as date) as period_start,
        bought.row_count as rows_in,
        cohorts.row_count as rows_out,
        0 as rows_explained,
        {{ no_money }} as minor_in,
        {{ no_money }} as minor_out,
        {{ no_money }} as minor_explained
    from (select count(*) as row_count from days where day_rank = 1) as bought
    cross join (
        select coalesce(sum(cohort_size), 0) as row_count
        from {{ ref("mart_retention_cohort") }}
        where dimension = 'brand' and maturity = 'raw' and month_number = 0
    ) as cohorts
)

select
    -- strings
    check_name,
    subject,
    reason,

    -- numerics
    cast(rows_in as bigint) as rows_in,
    cast(rows_out as bigint) as rows_out,
    cast(rows_explained as bigint) as rows_explained,
    cast(rows_in - rows_out - rows_explained as bigint) as row_difference,
    cast(minor_in as bigint) as minor_in,
    cast(minor_out as bigint) as minor_out,
    cast(minor_explained as bigint) as minor_explained,
    cast(minor_in - minor_out - minor_explained as bigint) as minor_difference,

    -- booleans
    rows_in = rows_out + rows_explained
    and coalesce(minor_in = minor_out + minor_explained, true) as is_balanced,

    -- dates
    period_start,

    {{ run_columns() }}
from checks
