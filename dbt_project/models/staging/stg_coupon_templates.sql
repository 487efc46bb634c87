with versions as (
    {{ latest_version(source('raw', 'coupon_templates')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        template_id,
        promotion_id,
        pair_template_id,

        -- strings
        role,
        discount_type,
        condition,
        scope,

        -- numerics
        value_minor,
        percent_bp,
        min_spend_minor,
        valid_days,
        unit_cost_minor,

        -- timestamps
        valid_from,
        valid_to,
        event_at,
        known_at
    from versions
)

select * from renamed
