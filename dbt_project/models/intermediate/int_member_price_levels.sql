-- a level for the scores of now, and one for the cut points frozen at the start of the quarter
with lines as (
    select * from {{ ref("int_member_order_lines") }}
    where category is not null and unit_price_minor > 0 and not coalesce(is_gift, false)
),

windows as (
    select
        'now' as level_of,
        {{ days_before_as_of(365) }} as window_start,
        {{ as_of() }} as window_end

    union all

    select
        'frozen' as level_of,
        {{ start_of_day(date_plus_days(frozen_day("quarter"), -365)) }} as window_start,
        {{ start_of_day(frozen_day("quarter")) }} as window_end
),

levels as (
    select
        windows.level_of,
        lines.member_id,
        lines.category,
        {{ median("lines.unit_price_minor") }} as median_unit_price_minor,
        cast(sum(lines.line_net_minor) as bigint) as net_minor
    from lines
    inner join windows
        on lines.ordered_at >= windows.window_start and lines.ordered_at < windows.window_end
    group by windows.level_of, lines.member_id, lines.category
)

select
    level_of,
    member_id,
    category,
    median_unit_price_minor,
    net_minor,
    row_number() over (
        partition by level_of, member_id
        order by net_minor desc, category
    ) as category_rank
from levels
