-- More redemptions meet a visit of their member when days are cut in UTC than in the business zone.
-- Then the business time zone is wrong, and with it every purchase day, window and cohort.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "mart_redemption_visit_check"}}}) }}

select *
from {{ ref("mart_redemption_visit_check") }}
where redemptions_on_visit_day < redemptions_on_utc_visit_day
