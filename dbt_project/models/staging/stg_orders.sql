{# A table, not a view: it is read several times and the latest versions cost a pass. #}
{{ config(materialized="table") }}

with versions as (
    {{ latest_version(source('raw', 'orders')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        order_id,
        member_id,
        shop_id,
        store_id,
        staff_id,
        share_id,

        -- strings
        status,
        channel,
        currency,
        order_kind,
        identified_by,
        promotion_ids,

        -- numerics
        gross_minor,
        discount_minor,
        shipping_minor,
        paid_minor,

        -- timestamps
        ordered_at,
        paid_at,
        event_at,
        known_at
    from versions
)

select * from renamed
