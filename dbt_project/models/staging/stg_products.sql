with versions as (
    {{ latest_version(source('raw', 'products')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        sku_id,
        spu_id,

        -- strings
        name_zh,
        name_en,
        category_l1,
        category_l2,
        category_l3,
        repurchase_type,
        unit_size,
        creative_version,
        scenario_codes,
        hero_dates,

        -- numerics
        days_per_unit,
        price_minor,

        -- timestamps
        launched_at,
        retired_at,
        event_at,
        known_at
    from versions
)

select * from renamed
