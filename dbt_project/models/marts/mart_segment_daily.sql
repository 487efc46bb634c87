{# A tag whose judgement is of as_of says nothing of yesterday. #}
with consumers as (
    select * from {{ ref("int_members") }}
    where is_consumer
),

tags as (
    {% set catalogue = tag_catalogue() %}
    {% for name, group in catalogue.items() %}
    {% set is_last_group = loop.last %}
    {% set is_known = tag_group_is_known(group) %}
    {% for tag in group["tags"] %}
    select
        '{{ name }}' as tag_group,
        '{{ tag["code"] }}' as tag,
        '{{ tag["name_en"] | replace("'", "''") }}' as name_en,
        '{{ tag["name_zh"] }}' as name_zh,
        {{ group["exclusive"] }} as is_exclusive,
        {{ tag["judged_at_as_of"] }} as judged_at_as_of,
        {{ is_known }} as is_known
    {% if not (loop.last and is_last_group) %}union all{% endif %}
    {% endfor %}
    {% endfor %}
),

history as (
    select
        history.*,
        history.valid_from <= {{ days_before_as_of(1) }}
        and history.valid_to > {{ days_before_as_of(1) }} as was_current
    from {{ ref("mart_member_tag_history") }} as history
    inner join consumers on history.member_id = consumers.member_id
),

holders as (
    select
        member_id,
        tag,
        max(case when is_current then 1 else 0 end) as is_in,
        max(case when was_current then 1 else 0 end) as was_in
    from history
    where is_current or was_current
    group by member_id, tag
),

bought as (
    select
        member_id,
        sum(net_minor) filter (
            where purchase_at >= {{ days_before_as_of(30) }}
        ) as net_30d_minor,
        count(*) filter (where purchase_at >= {{ days_before_as_of(365) }}) as days_365d,
        max(purchase_at) >= {{ days_before_as_of(var("active_days")) }} as is_active
    from {{ ref("mart_purchase_days") }}
    group by member_id
),

counted as (
    select
        holders.tag,
        sum(is_in) as members,
        sum(case when was_in = 0 then 1 else 0 end) as entered,
        sum(case when is_in = 0 then 1 else 0 end) as left_members,
        sum(case when bought.is_active then is_in else 0 end) as active_90d,
        sum(is_in * coalesce(bought.net_30d_minor, 0)) as net_30d_minor,
        sum(case when bought.days_365d >= 2 then is_in else 0 end) as repeat_buyers_365d,
        sum(case when bought.days_365d >= 1 then is_in else 0 end) as buyers_365d
    from holders
    left join bought on holders.member_id = bought.member_id
    group by holders.tag
),

completed as (
    select
        tags.*,
        coalesce(counted.members, 0) as members,
        coalesce(counted.entered, 0) as entered,
        coalesce(counted.left_members, 0) as left_members,
        coalesce(counted.active_90d, 0) as active_90d,
        coalesce(counted.net_30d_minor, 0) as net_30d_minor,
        coalesce(counted.repeat_buyers_365d, 0) as repeat_buyers_365d,
        coalesce(counted.buyers_365d, 0) as buyers_365d
    from tags
    left join counted on tags.tag = counted.tag
)

select
    -- ids
    tag,

    -- strings
    tag_group,
    name_en,
    name_zh,

    -- numerics
    case when is_known then cast(members as bigint) end as members,
    cast(null as bigint) as reachable,
    case when is_known then cast(active_90d as bigint) end as active_90d,
    case when is_known then cast(net_30d_minor as bigint) end as net_30d_minor,
    case when is_known and not judged_at_as_of then cast(entered as bigint) end as entered,
    case when is_known and not judged_at_as_of then cast(left_members as bigint) end as left_members,

    -- rates
    case when is_known then cast(repeat_buyers_365d as bigint) end
        as repurchase_365d_numerator,
    case when is_known then cast(buyers_365d as bigint) end as repurchase_365d_denominator,
    case when is_known and buyers_365d > 0 then cast(repeat_buyers_365d as double) / buyers_365d end
        as repurchase_365d_rate,
    case when is_known then buyers_365d < {{ var("small_n") }} end as repurchase_365d_is_small_n,

    -- booleans
    is_exclusive,

    -- why a column is null
    case when is_known then 'observed' else 'source_absent' end as members_basis,
    'source_absent' as reachable_basis,
    case
        when not is_known then 'source_absent'
        when judged_at_as_of then 'judged_at_as_of'
        else 'observed'
    end as entered_basis,

    {{ run_columns() }}
from completed
