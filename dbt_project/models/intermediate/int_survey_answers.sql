with answers as (
    select * from {{ ref("stg_survey_answers") }}
    where event_at < {{ as_of() }}
),

questions as (
    select * from {{ ref("stg_survey_questions") }}
),

surveys as (
    select * from {{ ref("stg_surveys") }}
),

identity as (
    select * from {{ ref("int_member_identity") }}
)

select
    answers.source_system,
    answers.answer_id,
    coalesce(identity.canonical_member_id, answers.member_id) as member_id,
    answers.survey_id,
    answers.version,
    answers.question_id,
    surveys.audience,
    questions.type as question_type,
    questions.maps_to_tag_group as tag_group,
    answers.option_codes,
    answers.number,
    questions.valid_days,
    answers.event_at as answered_at
from answers
left join questions
    on
        answers.source_system = questions.source_system
        and answers.survey_id = questions.survey_id
        and answers.version = questions.version
        and answers.question_id = questions.question_id
left join surveys
    on
        answers.source_system = surveys.source_system
        and answers.survey_id = surveys.survey_id
        and answers.version = surveys.version
left join identity on answers.member_id = identity.member_id
