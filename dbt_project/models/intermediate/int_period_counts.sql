{% set periods = [
    ("month", "month_start", "true"),
    ("quarter", first_day("quarter", "month_start"), "true"),
] %}
{% for days in rolling_windows() %}
    {% do periods.append((
        "rolling_" ~ days ~ "d", local_date(days_before_as_of(days)), "is_" ~ days ~ "d"
    )) %}
{% endfor %}
{% set dimensions = [("brand", "'all'"), ("store", "store_id"), ("channel", "channel")] %}

with activity as (
    select * from {{ ref("int_member_activity") }}
),

-- orders of members and guests, by the same pieces as the activity of members
pieces as (
    {% for dimension, value in dimensions %}
    select
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        {{ first_day("month", "purchase_day") }} as month_start,
        {% for days in rolling_windows() %}
        purchase_day >= {{ local_date(days_before_as_of(days)) }} as is_{{ days }}d,
        {% endfor %}
        is_matured,
        count(*) as all_order_count,
        count(member_id) as member_order_count,
        sum(net_minor) as all_net_minor,
        sum(case when member_id is not null then net_minor else 0 end) as member_net_minor
    from {{ ref("int_orders_qualified") }}
    where is_qualifying and {{ value }} is not null
    group by
        {{ value }},
        {{ first_day("month", "purchase_day") }},
        {% for days in rolling_windows() %}
        purchase_day >= {{ local_date(days_before_as_of(days)) }},
        {% endfor %}
        is_matured
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

totals as (
    {% for kind, start, condition in periods %}
    {% set outer_last = loop.last %}
    {% for maturity in ["raw", "matured"] %}
    select
        '{{ kind }}' as period_kind,
        {{ start }} as period_start,
        '{{ maturity }}' as maturity,
        dimension,
        dimension_value,
        cast(sum(all_order_count) as bigint) as all_order_count,
        cast(sum(member_order_count) as bigint) as member_order_count,
        cast(sum(all_net_minor) as bigint) as all_net_minor,
        cast(sum(member_net_minor) as bigint) as member_net_minor
    from pieces
    where {{ condition }} {% if maturity == "matured" %}and is_matured{% endif %}
    group by {{ start }}, dimension, dimension_value
    {% if not (outer_last and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

member_periods as (
    {% for kind, start, condition in periods %}
    select
        '{{ kind }}' as period_kind,
        {{ start }} as period_start,
        dimension,
        dimension_value,
        min(first_purchase_day) < {{ start }} as is_returning,
        sum(order_count) as raw_order_count,
        sum(day_count) as raw_day_count,
        sum(later_order_count) as raw_later_order_count,
        sum(later_day_order_count) as raw_later_day_order_count,
        sum(order_count) filter (where is_matured) as matured_order_count,
        sum(day_count) filter (where is_matured) as matured_day_count,
        sum(later_order_count) filter (where is_matured) as matured_later_order_count,
        sum(later_day_order_count) filter (where is_matured) as matured_later_day_order_count
    from activity
    where {{ condition }}
    group by {{ start }}, dimension, dimension_value, member_id
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

counted as (
    select
        period_kind,
        period_start,
        dimension,
        dimension_value,
        {% for maturity in ["raw", "matured"] %}
        count(*) filter (where {{ maturity }}_order_count > 0) as {{ maturity }}_buyers,
        count(*) filter (where {{ maturity }}_day_count >= 2) as {{ maturity }}_two_day_buyers,
        count(*) filter (where {{ maturity }}_order_count >= 2)
            as {{ maturity }}_two_order_buyers,
        count(*) filter (where {{ maturity }}_order_count > 0 and is_returning)
            as {{ maturity }}_returning_buyers,
        sum({{ maturity }}_day_count) as {{ maturity }}_purchase_days,
        sum({{ maturity }}_later_order_count) as {{ maturity }}_later_orders,
        sum({{ maturity }}_later_day_order_count) as {{ maturity }}_later_day_orders
        {{- "," if not loop.last }}
        {% endfor %}
    from member_periods
    group by period_kind, period_start, dimension, dimension_value
),

member_counts as (
    {% for maturity in ["raw", "matured"] %}
    select
        period_kind,
        period_start,
        '{{ maturity }}' as maturity,
        dimension,
        dimension_value,
        {{ maturity }}_buyers as buyers,
        {{ maturity }}_two_day_buyers as two_day_buyers,
        {{ maturity }}_two_order_buyers as two_order_buyers,
        {{ maturity }}_returning_buyers as returning_buyers,
        {{ maturity }}_purchase_days as purchase_days,
        {{ maturity }}_later_orders as later_orders,
        {{ maturity }}_later_day_orders as later_day_orders
    from counted
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- the brand has a row for every month of its history and every window, with or without orders
months as (
    select
        min(month_start) as first_month,
        {{ first_day("month", last_day()) }} as last_month
    from pieces
),

brand_months as (
    select {{ each(numbers("0", months_between("first_month", "last_month"))) }} as month_number
    from months
    where first_month is not null
),

brand_periods as (
    select
        'month' as period_kind,
        {{ add_months("months.first_month", "brand_months.month_number") }} as period_start
    from brand_months
    cross join months

    union

    select
        'quarter' as period_kind,
        {{ first_day("quarter", add_months("months.first_month", "brand_months.month_number")) }}
            as period_start
    from brand_months
    cross join months

    {% for kind, start, condition in periods[2:] %}
    union

    select
        '{{ kind }}' as period_kind,
        {{ start }} as period_start
    {% endfor %}
),

cells as (
    select
        period_kind,
        period_start,
        maturity,
        dimension,
        dimension_value
    from totals

    union

    select
        brand_periods.period_kind,
        brand_periods.period_start,
        maturities.maturity,
        'brand' as dimension,
        'all' as dimension_value
    from brand_periods
    cross join (select 'raw' as maturity union all select 'matured' as maturity) as maturities
)

select
    cells.period_kind,
    cells.period_start,
    case
        when cells.period_kind = 'month' then {{ add_months("cells.period_start", 1) }}
        when cells.period_kind = 'quarter' then {{ add_months("cells.period_start", 3) }}
        else {{ local_date(as_of()) }}
    end as period_end,
    cells.maturity,
    cells.dimension,
    cells.dimension_value,
    coalesce(totals.all_order_count, 0) as all_order_count,
    coalesce(totals.member_order_count, 0) as member_order_count,
    coalesce(totals.all_net_minor, 0) as all_net_minor,
    coalesce(totals.member_net_minor, 0) as member_net_minor,
    coalesce(member_counts.buyers, 0) as buyers,
    coalesce(member_counts.two_day_buyers, 0) as two_day_buyers,
    coalesce(member_counts.two_order_buyers, 0) as two_order_buyers,
    coalesce(member_counts.returning_buyers, 0) as returning_buyers,
    cast(coalesce(member_counts.purchase_days, 0) as bigint) as purchase_days,
    cast(coalesce(member_counts.later_orders, 0) as bigint) as later_orders,
    cast(coalesce(member_counts.later_day_orders, 0) as bigint) as later_day_orders
from cells
left join totals
    on
        cells.period_kind = totals.period_kind
        and cells.period_start = totals.period_start
        and cells.maturity = totals.maturity
        and cells.dimension = totals.dimension
        and cells.dimension_value = totals.dimension_value
left join member_counts
    on
        cells.period_kind = member_counts.period_kind
        and cells.period_start = member_counts.period_start
        and cells.maturity = member_counts.maturity
        and cells.dimension = member_counts.dimension
        and cells.dimension_value = member_counts.dimension_value
