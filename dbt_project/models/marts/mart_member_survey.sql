with answers as (
    select * from {{ ref("int_survey_answers") }}
),

latest as (
    select
        *,
        row_number() over (
            partition by member_id, tag_group
            order by answered_at desc, source_system, answer_id
        ) as answer_rank
    from answers
    where tag_group is not null
),

-- of each question's tag group the last answer, as long as it holds
valid as (
    select * from latest
    where
        answer_rank = 1
        and (
            valid_days is null
            or {{ plus_local_days("answered_at", "valid_days") }} > {{ as_of() }}
        )
),

mapped as (
    select
        member_id,
        max({{ list_first("option_codes") }}) filter (where tag_group = 'skin_type')
            as skin_type,
        max(option_codes) filter (where tag_group = 'skin_state') as skin_states,
        max(option_codes) filter (where tag_group = 'pain') as pains,
        max(option_codes) filter (where tag_group = 'usage') as usage_habits,
        max(number) filter (where tag_group = 'usage_freq_per_week') as usage_freq_per_week,
        max(number) filter (where tag_group = 'nps') as last_nps,
        max(number) filter (where tag_group = 'csat') as last_csat,
        max(answered_at) as answered_at
    from valid
    group by member_id
),

reasons as (
    select
        member_id,
        {{ sorted_union(each_as("option_codes", "tag_group || '_' || item")) }} as reasons
    from valid
    where tag_group like '%\_reason' escape '\' and option_codes is not null
    group by member_id
),

surveyed as (
    select
        member_id,
        max(answered_at) as last_surveyed_at
    from answers
    group by member_id
)

select
    -- ids
    surveyed.member_id,

    -- strings
    mapped.skin_type,
    mapped.skin_states,
    mapped.pains,
    mapped.usage_habits,
    reasons.reasons,

    -- numerics
    mapped.usage_freq_per_week,
    cast(mapped.last_nps as bigint) as last_nps,
    cast(mapped.last_csat as bigint) as last_csat,

    -- timestamps
    mapped.answered_at,
    surveyed.last_surveyed_at,

    {{ run_columns() }}
from surveyed
left join mapped on surveyed.member_id = mapped.member_id
left join reasons on surveyed.member_id = reasons.member_id
