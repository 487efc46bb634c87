-- A layer lost, doubled or invented rows or money on the way to the next.
-- Every number of the product is then wrong, and nothing else would say so.
{{ config(meta={"dagster": {"ref": {"name": "mart_reconciliation"}}}) }}

select *
from {{ ref("mart_reconciliation") }}
where not is_balanced
