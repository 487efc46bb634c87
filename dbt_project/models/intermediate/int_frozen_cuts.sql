{% set levels = var("score_levels") %}
{% set fifths = [] %}
{% for level in range(1, levels) %}{% do fifths.append(level / levels) %}{% endfor %}
{% set thirds = [1 / 3, 2 / 3] %}

with days as (
    select * from {{ ref("mart_purchase_days") }}
),

prices as (
    select * from {{ ref("int_member_price_levels") }}
    where level_of = 'frozen'
),

month_members as (
    select
        member_id,
        {{ days_between("max(purchase_date)", frozen_day("month")) }} as recency_days,
        count(*) as purchase_days,
        sum(net_minor) as net_minor
    from days
    where
        purchase_date < {{ frozen_day("month") }}
        and purchase_date >= {{ date_plus_days(frozen_day("month"), -365) }}
    group by member_id
),

quarter_members as (
    select
        member_id,
        cast(sum(net_minor) as double) / sum(order_count) as aov_minor
    from days
    where
        purchase_date < {{ frozen_day("quarter") }}
        and purchase_date >= {{ date_plus_days(frozen_day("quarter"), -365) }}
    group by member_id
),

cuts as (
    {% for metric in ["recency_days", "purchase_days", "net_minor"] %}
    select
        '{{ metric }}' as metric,
        cast(null as {{ dbt.type_string() }}) as category,
        {{ frozen_day("month") }} as frozen_on,
        count(*) as member_count,
        {{ median(metric) }} as median_value,
        {{ quantiles(metric, fifths) }} as cuts
    from month_members

    union all
    {% endfor %}
    select
        'aov_minor' as metric,
        cast(null as {{ dbt.type_string() }}) as category,
        {{ frozen_day("quarter") }} as frozen_on,
        count(*) as member_count,
        {{ median("aov_minor") }} as median_value,
        {{ quantiles("aov_minor", thirds) }} as cuts
    from quarter_members

    union all

    select
        'unit_price_minor' as metric,
        category,
        {{ frozen_day("quarter") }} as frozen_on,
        count(*) as member_count,
        {{ median("median_unit_price_minor") }} as median_value,
        {{ quantiles("median_unit_price_minor", fifths) }} as cuts
    from prices
    group by category
)

select
    metric,
    category,
    frozen_on,
    member_count,
    case when member_count >= {{ var("min_members_for_cuts") }} then median_value end
        as median_value,
    case when member_count >= {{ var("min_members_for_cuts") }} then cuts end as cuts
from cuts
