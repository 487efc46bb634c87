with versions as (
    {{ latest_version(source('raw', 'coupon_redemptions')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        redemption_id,
        issue_id,
        order_id,

        -- numerics
        discount_minor,

        -- timestamps
        redeemed_at,
        reversed_at,
        event_at,
        known_at
    from versions
)

select * from renamed
