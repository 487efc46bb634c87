with versions as (
    {{ latest_version(source('raw', 'members')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        member_id,
        merged_into,
        home_store_id,
        acquisition_code,

        -- strings
        member_type,
        join_type,
        join_channel,
        gender_declared,
        status,
        geohash6,

        -- numerics
        birth_month,

        -- timestamps
        joined_at,
        updated_at,
        event_at,
        known_at
    from versions
)

select * from renamed
