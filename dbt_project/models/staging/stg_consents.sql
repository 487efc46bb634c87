with versions as (
    {{ latest_version(source('raw', 'consents')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        member_id,

        -- strings
        purpose,
        state,
        source,
        text_version,

        -- timestamps
        {{ adapter.quote("at") }} as stated_at,
        event_at,
        known_at
    from versions
)

select * from renamed
