{# concept, metric, variant, numerator, denominator, what is_small_n counts, condition #}
{% set period_rates = [
    ("C01", "user_repurchase_rate", "days", "two_day_buyers", "buyers", "buyers", "true"),
    ("C01", "user_repurchase_rate", "orders", "two_order_buyers", "buyers", "buyers", "true"),
    ("C01", "user_repurchase_rate", "returning", "returning_buyers", "buyers", "buyers", "true"),
    ("C02", "order_repurchase_rate", "days",
        "later_day_orders", "member_order_count", "member_order_count", "true"),
    ("C02", "order_repurchase_rate", "orders",
        "later_orders", "member_order_count", "member_order_count", "true"),
    ("C02", "order_repurchase_rate", "in_window_days",
        "purchase_days - buyers", "purchase_days", "purchase_days", "true"),
    ("C02", "order_repurchase_rate", "in_window_orders",
        "member_order_count - buyers", "member_order_count", "member_order_count", "true"),
    ("C07", "member_revenue_share", "net",
        "member_net_minor", "all_net_minor", "all_order_count", "true"),
    ("C08", "member_order_share", "orders",
        "member_order_count", "all_order_count", "all_order_count", "true"),
    ("C09", "repurchase_member_share", "purchasers", "two_day_buyers", "buyers", "buyers",
        "period_kind = 'rolling_" ~ var("active_days") ~ "d'"),
] %}
{% set cohort_dimensions = [
    ("brand", "'all'"), ("store", "store_id"), ("channel", "channel"),
] %}
{% set visit_dimensions = [("brand", "'all'"), ("store", "first_visit_store_id")] %}
{% set maturities = ["raw", "matured"] %}
{% set fully_observed -%}
    {{ date_plus_days("period_end", "days_needed") }}
        <= case
            when maturity = 'raw' then {{ observed_before("raw") }}
            else {{ observed_before("matured") }}
        end
{%- endset %}

with counts as (
    select * from {{ ref("int_period_counts") }}
),

cohorts as (
    select * from {{ ref("int_member_cohorts") }}
),

members as (
    select * from {{ ref("int_members") }}
    where is_consumer
),

days as (
    select * from {{ ref("mart_purchase_days") }}
),

of_periods as (
    {% for concept, metric, variant, numerator, denominator, n, condition in period_rates %}
    select
        '{{ concept }}' as concept_id,
        '{{ metric }}' as metric,
        '{{ variant }}' as variant,
        maturity,
        period_kind,
        period_start,
        period_end,
        dimension,
        dimension_value,
        {{ numerator }} as numerator,
        {{ denominator }} as denominator,
        {{ n }} as n,
        cast(null as double) as quantile_value,
        0 as days_needed,
        {{ is_present("orders") }} as has_source
    from counts
    where {{ condition }}

    union all
    {% endfor %}
    select
        'C06' as concept_id,
        'active_members' as metric,
        'purchasers' as variant,
        counts.maturity,
        counts.period_kind,
        counts.period_start,
        counts.period_end,
        counts.dimension,
        counts.dimension_value,
        counts.buyers as numerator,
        persons.member_count as denominator,
        persons.member_count as n,
        cast(null as double) as quantile_value,
        0 as days_needed,
        {{ is_present("orders") }} as has_source
    from counts
    cross join (select count(*) as member_count from members) as persons
    where
        counts.period_kind = 'rolling_{{ var("active_days") }}d'
        and counts.dimension = 'brand'
),

-- a cohort is the members of one month; its rate waits until the last of them had k days
purchase_cohorts as (
    {% for dimension, value in cohort_dimensions %}
    {% set last_dimension = loop.last %}
    {% for maturity in maturities %}
    select
        '{{ maturity }}' as maturity,
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        cohort_month,
        count(*) as members,
        {% for k in var("cohort_days") %}
        count(*) filter (
            where {{ days_between("first_purchase_day", "second_purchase_day") }} <= {{ k }}
        ) as within_{{ k }}d,
        {% endfor %}
        count(second_purchase_day) as repurchasers,
        {{ quantiles(days_between("first_purchase_day", "second_purchase_day"), [0.25, 0.5, 0.75]) }}
            as days_to_second
    from (
        select
            store_id,
            channel,
            cohort_month,
            first_purchase_day,
            case when second_purchase_day < {{ observed_before(maturity) }} then second_purchase_day end
                as second_purchase_day
        from cohorts
        where first_purchase_day < {{ observed_before(maturity) }}
    ) as observed
    where {{ value }} is not null
    group by {{ value }}, cohort_month
    {% if not (last_dimension and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

visit_cohorts as (
    {% for dimension, value in visit_dimensions %}
    {% set last_dimension = loop.last %}
    {% for maturity in maturities %}
    select
        '{{ maturity }}' as maturity,
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value,
        {{ first_day("month", "first_visit_day") }} as cohort_month,
        count(*) as members,
        count(*) filter (
            where
            {{ days_between("first_visit_day", "second_visit_day") }}
            <= {{ var("second_visit_days") }}
            and second_visit_day < {{ observed_before(maturity) }}
        ) as within_days
    from cohorts
    where first_visit_day < {{ observed_before(maturity) }} and {{ value }} is not null
    group by {{ value }}, {{ first_day("month", "first_visit_day") }}
    {% if not (last_dimension and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

activated as (
    select distinct
        members.member_id,
        {{ first_day("month", "members.joined_date") }} as cohort_month
    from members
    inner join days
        on
            members.member_id = days.member_id
            and days.purchase_date >= members.joined_date
            and days.purchase_date
            <= {{ date_plus_days("members.joined_date", var("activation_days")) }}
),

join_cohorts as (
    select
        joiners.cohort_month,
        joiners.members,
        coalesce(activations.members, 0) as activated
    from (
        select
            {{ first_day("month", "joined_date") }} as cohort_month,
            count(*) as members
        from members
        where joined_date is not null
        group by {{ first_day("month", "joined_date") }}
    ) as joiners
    left join (
        select
            cohort_month,
            count(*) as members
        from activated
        group by cohort_month
    ) as activations on joiners.cohort_month = activations.cohort_month
),

dormancy as (
    select
        count(*) as members,
        count(*) filter (where recent.member_id is null) as dormant
    from members
    left join (
        select distinct member_id
        from days
        where purchase_at >= {{ days_before_as_of(var("dormancy_days")) }}
    ) as recent on members.member_id = recent.member_id
    where members.joined_at < {{ days_before_as_of(var("dormancy_days")) }}
),

of_cohorts as (
    {% for concept, metric in [
        ("C01", "user_repurchase_rate"), ("C11", "first_to_second_conversion"),
    ] %}
    {% for k in var("cohort_days") %}
    select
        '{{ concept }}' as concept_id,
        '{{ metric }}' as metric,
        'cohort_{{ k }}' as variant,
        maturity,
        cohort_month,
        dimension,
        dimension_value,
        within_{{ k }}d as numerator,
        members as denominator,
        cast(null as double) as quantile_value,
        {{ k }} as days_needed
    from purchase_cohorts

    union all
    {% endfor %}
    {% endfor %}
    {% for quantile in ["p25", "median", "p75"] %}
    select
        'C11' as concept_id,
        'days_first_to_second' as metric,
        '{{ quantile }}' as variant,
        maturity,
        cohort_month,
        dimension,
        dimension_value,
        cast(null as bigint) as numerator,
        repurchasers as denominator,
        {{ list_item("days_to_second", loop.index) }} as quantile_value,
        0 as days_needed
    from purchase_cohorts

    union all
    {% endfor %}
    select
        'C12' as concept_id,
        'second_store_visit_rate' as metric,
        'within_{{ var("second_visit_days") }}d' as variant,
        maturity,
        cohort_month,
        dimension,
        dimension_value,
        within_days as numerator,
        members as denominator,
        cast(null as double) as quantile_value,
        {{ var("second_visit_days") }} as days_needed
    from visit_cohorts

    {% for maturity in maturities %}
    union all

    select
        'C10' as concept_id,
        'member_activation_rate' as metric,
        'within_{{ var("activation_days") }}d' as variant,
        '{{ maturity }}' as maturity,
        cohort_month,
        'brand' as dimension,
        'all' as dimension_value,
        activated as numerator,
        members as denominator,
        cast(null as double) as quantile_value,
        {{ var("activation_days") }} as days_needed
    from join_cohorts
    {% endfor %}
),

rates as (
    select * from of_periods

    union all

    select
        concept_id,
        metric,
        variant,
        maturity,
        'month' as period_kind,
        cohort_month as period_start,
        {{ add_months("cohort_month", 1) }} as period_end,
        dimension,
        dimension_value,
        numerator,
        denominator,
        denominator as n,
        quantile_value,
        days_needed,
        {{ is_present("orders") }} as has_source
    from of_cohorts

    union all

    select
        'C10' as concept_id,
        'card_dormancy_rate' as metric,
        'no_purchase_{{ var("dormancy_days") }}d' as variant,
        'raw' as maturity,
        'rolling_{{ var("dormancy_days") }}d' as period_kind,
        {{ local_date(days_before_as_of(var("dormancy_days"))) }} as period_start,
        {{ local_date(as_of()) }} as period_end,
        'brand' as dimension,
        'all' as dimension_value,
        dormant as numerator,
        members as denominator,
        members as n,
        cast(null as double) as quantile_value,
        0 as days_needed,
        {{ is_present("orders") }} and {{ is_present("members") }} as has_source
    from dormancy
),

judged as (
    select
        *,
        {{ fully_observed }} as is_complete,
        case
            when not has_source then 'source_absent'
            when days_needed > 0 and not ({{ fully_observed }}) then 'insufficient_history'
            -- nobody can be seen to return to a period in which the history begins
            when
                variant = 'returning'
                and period_start <= (select min(first_purchase_day) from cohorts)
                then 'insufficient_history'
            when denominator = 0 then 'no_orders'
            else 'observed'
        end as basis
    from rates
)

select
    -- strings
    concept_id,
    metric,
    variant,
    maturity,
    period_kind,
    dimension,
    dimension_value,
    basis,

    -- numerics
    case when basis in ('observed', 'no_orders') then numerator end as numerator,
    case when basis <> 'source_absent' then denominator end as denominator,
    case
        when basis = 'observed'
            then coalesce(quantile_value, cast(numerator as double) / denominator)
    end as value,

    -- booleans
    coalesce(n, 0) < {{ var("small_n") }} as is_small_n,
    is_complete,

    -- dates
    period_start,
    period_end,

    {{ run_columns() }}
from judged
