with contacts as (
    select * from {{ ref("mart_member_contact") }}
)

select
    member_id,
    is_reachable,
    wecom_linked,
    touches_7d,
    promo_touches_30d,
    last_touch_at,
    last_promo_touch_at,
    wecom_quota_left,
    consent_marketing,
    consent_profiling,
    holdout_arm,
    cast(null as timestamptz[]) as recent_promo_instants,
    as_of as event_timestamp,
    known_at as created_timestamp
from contacts
