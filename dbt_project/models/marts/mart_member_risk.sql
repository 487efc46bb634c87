with scores as (
    select * from {{ ref("int_risk_scores") }}
),

bands as (
    select * from {{ ref("int_tag_intervals_scored") }}
    where tag_group = 'churn' and valid_from <= {{ as_of() }} and valid_until > {{ as_of() }}
)

select
    -- ids
    scores.member_id,

    -- strings
    case bands.tag
        when 'risk.churn_high' then 'high'
        when 'risk.churn_mid' then 'mid'
        when 'risk.churn_low' then 'low'
        else 'unscored'
    end as churn_band,
    scores.reasons,
    scores.basis,
    scores.model_version,

    -- numerics
    scores.p_churn_90d,
    scores.p_buy_30d,
    scores.p_second_purchase_60d,
    scores.predicted_net_365d_minor,

    -- timestamps
    scores.expected_next_order_at,
    scores.expected_next_order_lo,
    scores.expected_next_order_hi,
    scores.scored_at,

    {{ run_columns() }}
from scores
left join bands on scores.member_id = bands.member_id
