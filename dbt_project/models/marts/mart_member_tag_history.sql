with intervals as (
    select * from {{ ref("int_tag_intervals") }}
    union all
    select * from {{ ref("int_tag_intervals_scored") }}
),

members as (
    select * from {{ ref("int_tag_members") }}
),

withheld as (
    select member_id from {{ ref("int_consent_state") }}
    where is_current and purpose = 'profiling' and state = 'withdrawn'
)

select
    -- ids
    intervals.member_id,

    -- strings
    intervals.tag,
    intervals.tag_group,
    case
        when intervals.tag_group in {{ words(tag_groups("after_scoring", true)) }} then 'model'
        else 'rule'
    end as source,
    intervals.evidence,

    -- numerics
    intervals.rule_version,

    -- booleans
    intervals.valid_from <= {{ as_of() }} and intervals.valid_until > {{ as_of() }} as is_current,
    intervals.valid_until > members.last_event_at
    and not (
        withheld.member_id is not null
        and intervals.tag_group in {{ words(tag_groups("purpose", "profiling")) }}
    ) as is_served,

    -- timestamps
    intervals.valid_from,
    intervals.valid_until as valid_to,

    {{ run_columns() }}
from intervals
inner join members on intervals.member_id = members.member_id
left join withheld on intervals.member_id = withheld.member_id
