with surveys as (
    select * from {{ ref("mart_member_survey") }}
)

select
    member_id,
    skin_type,
    skin_states,
    pains,
    usage_habits as usage,
    reasons,
    answered_at,
    last_surveyed_at,
    as_of as event_timestamp,
    known_at as created_timestamp
from surveys
