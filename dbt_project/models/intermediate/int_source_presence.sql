{% set tables = [
    "members", "products", "stores", "orders", "order_lines", "refunds", "surveys",
    "survey_questions", "survey_answers", "coupon_templates", "coupon_issues",
    "coupon_redemptions", "consents",
] %}

with presence as (
    {% for table in tables %}
    select
        '{{ table }}' as table_name,
        count(*) > 0 as is_present
    from (
        select 1 as one
        from {{ source("raw", table) }}
        where
            known_at <= {{ knowledge_cutoff() }}
            and (event_at is null or event_at < {{ as_of() }})
        limit 1
    ) as first_row
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from presence
