with versions as (
    {{ latest_version(source('raw', 'coupon_issues')) }}
),

renamed as (
    select
        -- ids
        source_system,
        source_row_id,
        issue_id,
        template_id,
        member_id,
        pair_id,
        experiment_id,

        -- strings
        origin,
        arm,

        -- timestamps
        issued_at,
        valid_from,
        expires_at,
        event_at,
        known_at
    from versions
)

select * from renamed
