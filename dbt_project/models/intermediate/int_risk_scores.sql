{{ config(materialized="view") }}

-- the only reader of the scores: what is built on it is built after scoring
select
    member_id,
    p_churn_90d,
    p_buy_30d,
    p_second_purchase_60d,
    expected_next_order_at,
    expected_next_order_lo,
    expected_next_order_hi,
    predicted_net_365d_minor,
    reasons,
    basis,
    model_version,
    scored_at
from {{ source("scores", "member_risk") }}
