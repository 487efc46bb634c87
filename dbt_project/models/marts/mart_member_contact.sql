with members as (
    select * from {{ ref("int_members") }}
),

consents as (
    select * from {{ ref("int_consent_state") }}
    where is_current
),

surveys as (
    select * from {{ ref("mart_member_survey") }}
),

stated as (
    select
        member_id,
        {% for purpose in ["marketing", "profiling", "survey", "location", "share_third_party"] %}
        max(case when purpose = '{{ purpose }}' then state end) = 'granted'
            as consent_{{ purpose }}{{ "," if not loop.last }}
        {% endfor %}
    from consents
    group by member_id
)

-- links, touches, quotas and experiments have no source yet
select
    -- ids
    members.member_id,

    -- strings
    cast(null as varchar) as holdout_arm,

    -- numerics
    cast(null as bigint) as touches_7d,
    cast(null as bigint) as touches_30d,
    cast(null as bigint) as promo_touches_30d,
    cast(null as bigint) as wecom_quota_left,

    -- booleans
    cast(null as boolean) as is_reachable,
    cast(null as boolean) as wecom_linked,
    stated.consent_marketing,
    stated.consent_profiling,
    stated.consent_survey,
    stated.consent_location,
    stated.consent_share_third_party,

    -- timestamps
    cast(null as timestamptz) as last_touch_at,
    cast(null as timestamptz) as last_promo_touch_at,
    surveys.last_surveyed_at,

    -- why a column is null
    'source_absent' as touches_basis,
    case
        when not coalesce({{ is_present("consents") }}, false) then 'source_absent'
        when stated.member_id is null then 'not_stated'
        else 'observed'
    end as consent_basis,

    {{ run_columns() }}
from members
left join stated on members.member_id = stated.member_id
left join surveys on members.member_id = surveys.member_id
