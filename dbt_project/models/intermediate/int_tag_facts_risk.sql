with members as (
    select * from {{ ref("int_tag_members") }}
),

scores as (
    select * from {{ ref("int_risk_scores") }}
),

-- the last score stands for the member's whole time as a buyer; earlier ones are in the feature log
facts as (
    select
        member_id,
        starts_at as facts_from,
        coalesce(first_purchase_at, {{ forever() }}) as facts_until,
        cast(null as double) as p_churn_90d,
        'no_orders' as basis,
        cast(null as varchar) as model_version
    from members
    where first_purchase_at is null or starts_at < first_purchase_at

    union all

    select
        members.member_id,
        members.first_purchase_at as facts_from,
        {{ forever() }} as facts_until,
        scores.p_churn_90d,
        coalesce(scores.basis, 'unscored') as basis,
        scores.model_version
    from members
    left join scores on members.member_id = scores.member_id
    where members.first_purchase_at is not null
)

select
    member_id,
    facts_from,
    facts_until,
    p_churn_90d,
    basis,
    model_version
from facts
