with versions as (
    {{ latest_version(source('raw', 'surveys')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        survey_id,
        version,

        -- strings
        title_zh,
        title_en,
        audience,
        wave,

        -- timestamps
        event_at,
        known_at
    from versions
)

select * from renamed
