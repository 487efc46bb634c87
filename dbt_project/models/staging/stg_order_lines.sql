{# A table, not a view: it is read several times and the latest versions cost a pass. #}
{{ config(materialized="table") }}

with versions as (
    {{ latest_version(source('raw', 'order_lines')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        order_line_id,
        order_id,
        sku_id,
        bundle_id,

        -- numerics
        qty,
        unit_price_minor,
        line_discount_minor,
        line_net_minor,
        cost_minor,

        -- booleans
        is_gift,

        -- timestamps
        event_at,
        known_at
    from versions
)

select * from renamed
