with versions as (
    {{ latest_version(source('raw', 'refunds')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        refund_id,
        order_id,
        order_line_id,

        -- strings
        kind,
        reason_code,

        -- numerics
        amount_minor,

        -- timestamps
        refunded_at,
        event_at,
        known_at
    from versions
)

select * from renamed
