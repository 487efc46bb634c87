{% set dimensions = [
    ("brand", "'all'"), ("store", "store_id"), ("channel", "channel"),
    ("acquisition_code", "acquisition_code"),
] %}
{% set maturities = ["raw", "matured"] %}

with cohorts as (
    select * from {{ ref("int_member_cohorts") }}
),

activity as (
    select * from {{ ref("int_member_activity") }}
    where dimension = 'brand'
),

-- what each member did in each month since the first
member_months as (
    select
        cohorts.member_id,
        cohorts.cohort_month,
        cohorts.store_id,
        cohorts.channel,
        cohorts.acquisition_code,
        {{ months_between("cohorts.cohort_month", "activity.month_start") }} as month_number,
        count(*) as raw_pieces,
        sum(activity.net_minor) as raw_net_minor,
        count(*) filter (where activity.is_matured) as matured_pieces,
        sum(activity.net_minor) filter (where activity.is_matured) as matured_net_minor
    from cohorts
    inner join activity on cohorts.member_id = activity.member_id
    group by
        cohorts.member_id,
        cohorts.cohort_month,
        cohorts.store_id,
        cohorts.channel,
        cohorts.acquisition_code,
        activity.month_start
),

sizes as (
    {% for dimension, value in dimensions %}
    {% set last_dimension = loop.last %}
    {% for maturity in maturities %}
    select
        '{{ maturity }}' as maturity,
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        cohort_month,
        count(*) as cohort_size
    from cohorts
    where first_purchase_day < {{ observed_before(maturity) }} and {{ value }} is not null
    group by {{ value }}, cohort_month
    {% if not (last_dimension and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

retention as (
    {% for dimension, value in dimensions %}
    {% set last_dimension = loop.last %}
    {% for maturity in maturities %}
    select
        '{{ maturity }}' as maturity,
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        cohort_month,
        month_number,
        count(*) as retained,
        sum({{ maturity }}_net_minor) as net_minor
    from member_months
    where {{ maturity }}_pieces > 0 and {{ value }} is not null
    group by {{ value }}, cohort_month, month_number
    {% if not (last_dimension and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

seconds as (
    {% for dimension, value in dimensions %}
    {% set last_dimension = loop.last %}
    {% for maturity in maturities %}
    select
        '{{ maturity }}' as maturity,
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        cohort_month,
        {{ months_between("cohort_month", "second_purchase_day") }} as month_number,
        count(*) as repurchased
    from cohorts
    where second_purchase_day < {{ observed_before(maturity) }} and {{ value }} is not null
    group by {{ value }}, cohort_month, {{ months_between("cohort_month", "second_purchase_day") }}
    {% if not (last_dimension and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

cells as (
    select
        sizes.*,
        numbers.month_number
    from sizes
    cross join (
        select {{ each(numbers(0, var("cohort_months"))) }} as month_number
    ) as numbers
),

filled as (
    select
        cells.maturity,
        cells.dimension,
        cells.dimension_value,
        cells.cohort_month,
        cells.month_number,
        cells.cohort_size,
        coalesce(retention.retained, 0) as retained,
        coalesce(retention.net_minor, 0) as net_minor,
        sum(coalesce(seconds.repurchased, 0)) over (
            partition by
                cells.maturity, cells.dimension, cells.dimension_value, cells.cohort_month
            order by cells.month_number
        ) as repurchased,
        {{ add_months("cells.cohort_month", "cells.month_number + 1") }}
        > case
            when cells.maturity = 'raw' then {{ observed_before("raw") }}
            else {{ observed_before("matured") }}
        end as is_censored
    from cells
    left join retention
        on
            cells.maturity = retention.maturity
            and cells.dimension = retention.dimension
            and cells.dimension_value = retention.dimension_value
            and cells.cohort_month = retention.cohort_month
            and cells.month_number = retention.month_number
    left join seconds
        on
            cells.maturity = seconds.maturity
            and cells.dimension = seconds.dimension
            and cells.dimension_value = seconds.dimension_value
            and cells.cohort_month = seconds.cohort_month
            and cells.month_number = seconds.month_number
)

select
    -- strings
    maturity,
    dimension,
    dimension_value,

    -- numerics
    cast(month_number as bigint) as month_number,
    cohort_size,
    case when not is_censored then retained end as retained,
    case when not is_censored then cast(retained as double) / cohort_size end as value,
    case when not is_censored then cast(repurchased as bigint) end as repurchased,
    case when not is_censored then cast(net_minor as bigint) end as net_minor,

    -- booleans
    cohort_size < {{ var("small_n") }} as is_small_n,
    is_censored,

    -- dates
    cohort_month,

    {{ run_columns() }}
from filled
