with versions as (
    {{ latest_version(source('raw', 'stores')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        store_id,
        shop_id,

        -- strings
        name,
        coord_system,
        tz,

        -- numerics
        lat,
        lng,

        -- timestamps
        opened_at,
        closed_at,
        event_at,
        known_at
    from versions
)

select * from renamed
