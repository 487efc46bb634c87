with risks as (
    select * from {{ ref("mart_member_risk") }}
)

select
    member_id,
    p_churn_90d,
    churn_band,
    p_buy_30d,
    p_second_purchase_60d,
    expected_next_order_at,
    expected_next_order_lo,
    expected_next_order_hi,
    predicted_net_365d_minor,
    reasons,
    basis,
    model_version,
    scored_at,
    as_of as event_timestamp,
    known_at as created_timestamp
from risks
