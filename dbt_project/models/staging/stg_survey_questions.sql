with versions as (
    {{ latest_version(source('raw', 'survey_questions')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        survey_id,
        version,
        question_id,

        -- strings
        type,
        options,
        maps_to_tag_group,

        -- numerics
        valid_days,

        -- timestamps
        event_at,
        known_at
    from versions
)

select * from renamed
