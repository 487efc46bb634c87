{% set tables = [
    "members", "products", "stores", "orders", "order_lines", "refunds", "surveys",
    "survey_questions", "survey_answers", "coupon_templates", "coupon_issues",
    "coupon_redemptions", "consents",
] %}

with
-- source rows whose latest version says that they are gone; only those ever deleted are ranked
{% for table in tables %}
withdrawn_{{ table }} as (
    select count(*) as withdrawn_count
    from (
        select
            is_deleted,
            row_number() over (
                partition by source_system, source_row_id
                order by known_at desc, landing_day desc, source_file desc, source_row desc
            ) as version_rank
        from {{ source("raw", table) }} as versions
        where
            known_at <= {{ knowledge_cutoff() }}
            and exists (
                select 1
                from {{ source("raw", table) }} as deletions
                where
                    deletions.is_deleted
                    and deletions.known_at <= {{ knowledge_cutoff() }}
                    and deletions.source_system = versions.source_system
                    and deletions.source_row_id = versions.source_row_id
            )
    ) as ranked
    where version_rank = 1 and is_deleted
),

known_{{ table }} as (
    select
        count(*) as version_count,
        count(distinct {{ hash_of(["source_system", "source_row_id"]) }}) as source_row_count
    from {{ source("raw", table) }}
    where known_at <= {{ knowledge_cutoff() }}
),
{% endfor %}

counts as (
    {% for table in tables %}
    select
        '{{ table }}' as table_name,
        known.version_count,
        known.source_row_count,
        withdrawn.withdrawn_count,
        staged.staged_count
    from known_{{ table }} as known
    cross join withdrawn_{{ table }} as withdrawn
    cross join (select count(*) as staged_count from {{ ref("stg_" ~ table) }}) as staged
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from counts
