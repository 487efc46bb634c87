with versions as (
    {{ latest_version(source('raw', 'survey_answers')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        answer_id,
        invite_id,
        survey_id,
        version,
        member_id,
        question_id,

        -- strings
        option_codes,
        text,

        -- numerics
        number,

        -- timestamps
        answered_at,
        event_at,
        known_at
    from versions
)

select * from renamed
