with consents as (
    select * from {{ ref("stg_consents") }}
    where event_at < {{ as_of() }}
),

identity as (
    select * from {{ ref("int_member_identity") }}
),

-- of two statements at one instant, withdrawn is the one to keep to
statements as (
    select
        coalesce(identity.canonical_member_id, consents.member_id) as member_id,
        consents.purpose,
        max(consents.state) as state,
        consents.event_at as facts_from
    from consents
    left join identity on consents.member_id = identity.member_id
    group by
        coalesce(identity.canonical_member_id, consents.member_id),
        consents.purpose,
        consents.event_at
),

followed as (
    select
        *,
        lead(facts_from) over (partition by member_id, purpose order by facts_from) as next_at
    from statements
)

select
    member_id,
    purpose,
    state,
    next_at is null as is_current,
    facts_from,
    coalesce(next_at, {{ forever() }}) as facts_until
from followed
