-- A coupon of a paired template was given without its partner, so its visit has no second one to lead to.
-- The partner may land tomorrow, so this warns; rates of retention are over whole pairs only.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "int_coupon_lifecycle"}}}) }}

select
    coupons.source_system,
    coupons.issue_id
from {{ ref("int_coupon_lifecycle") }} as coupons
inner join {{ ref("stg_coupon_templates") }} as templates
    on
        coupons.source_system = templates.source_system
        and coupons.template_id = templates.template_id
where templates.pair_template_id is not null and coupons.pair_state is null
