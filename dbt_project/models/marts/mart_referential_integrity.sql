{# rule, child table, parent tables, rows judged and rows that break it #}
{% set known = "event_at < " ~ as_of() %}

with orders as (
    select * from {{ ref("stg_orders") }} where {{ known }}
),

lines as (
    select * from {{ ref("stg_order_lines") }}
),

line_sums as (
    select
        lines.source_system,
        lines.order_id,
        count(*) as line_count,
        sum(lines.line_net_minor) as lines_minor,
        count(*) - count(products.sku_id) as unknown_products
    from lines
    left join {{ ref("stg_products") }} as products
        on lines.source_system = products.source_system and lines.sku_id = products.sku_id
    group by lines.source_system, lines.order_id
),

all_orders as (
    select
        source_system,
        order_id,
        event_at,
        gross_minor - discount_minor as goods_minor,
        paid_minor
    from {{ ref("stg_orders") }}
),

judged_lines as (
    select
        sum(line_sums.line_count) as line_count,
        sum(line_sums.unknown_products) as unknown_products,
        sum(case when all_orders.order_id is null then line_sums.line_count else 0 end)
            as orphans,
        count(all_orders.order_id) as order_count,
        count(*) filter (
            where
            abs(line_sums.lines_minor - all_orders.goods_minor)
            > {{ var("line_tolerance_minor") }} * line_sums.line_count
        ) as mismatches
    from line_sums
    left join all_orders
        on
            line_sums.source_system = all_orders.source_system
            and line_sums.order_id = all_orders.order_id
),

refunded as (
    select
        refunds.source_system,
        refunds.order_id,
        count(*) as refund_count,
        sum(refunds.amount_minor) as refunded_minor,
        min(refunds.event_at) as first_refund_at
    from {{ ref("stg_refunds") }} as refunds
    where refunds.{{ known }}
    group by refunds.source_system, refunds.order_id
),

judged_refunds as (
    select
        sum(refunded.refund_count) as refund_count,
        sum(case when all_orders.order_id is null then refunded.refund_count else 0 end)
            as orphans,
        count(all_orders.order_id) as order_count,
        count(*) filter (where refunded.refunded_minor > all_orders.paid_minor) as too_much,
        count(*) filter (where refunded.first_refund_at < all_orders.event_at) as too_early
    from refunded
    left join all_orders
        on
            refunded.source_system = all_orders.source_system
            and refunded.order_id = all_orders.order_id
),

judged_orders as (
    select
        count(orders.store_id) as with_store,
        count(orders.store_id) - count(stores.store_id) as unknown_stores,
        count(orders.member_id) as with_member,
        count(orders.member_id) - count(members.member_id) as unknown_members,
        count(*) as order_count,
        count(*) filter (where orders.currency <> '{{ var("currency") }}') as foreign_currency
    from orders
    left join {{ ref("stg_stores") }} as stores
        on orders.source_system = stores.source_system and orders.store_id = stores.store_id
    left join (select distinct member_id from {{ ref("stg_members") }}) as members
        on orders.member_id = members.member_id
),

judged_merges as (
    select
        count(*) as merge_count,
        count(*) - count(targets.member_id) as unknown_targets,
        count(ends.merged_into) as cycles
    from {{ ref("int_member_descriptions") }} as merges
    inner join {{ ref("int_member_identity") }} as identity
        on merges.member_id = identity.member_id
    left join (select distinct member_id from {{ ref("stg_members") }}) as targets
        on merges.merged_into = targets.member_id
    left join {{ ref("int_member_descriptions") }} as ends
        on identity.canonical_member_id = ends.member_id
    where merges.merged_into is not null
),

issues as (
    select * from {{ ref("stg_coupon_issues") }} where {{ known }}
),

judged_issues as (
    select
        count(*) as issue_count,
        count(*) - count(templates.template_id) as unknown_templates
    from issues
    left join {{ ref("stg_coupon_templates") }} as templates
        on
            issues.source_system = templates.source_system
            and issues.template_id = templates.template_id
),

redemptions as (
    select * from {{ ref("stg_coupon_redemptions") }} where {{ known }}
),

judged_redemptions as (
    select
        count(*) as redemption_count,
        count(*) - count(issues.issue_id) as orphans,
        count(*) filter (where redemptions.redeemed_at >= issues.expires_at) as too_late,
        count(redemptions.order_id) as with_order,
        count(redemptions.order_id) - count(all_orders.order_id) as unknown_orders
    from redemptions
    left join {{ ref("stg_coupon_issues") }} as issues
        on
            redemptions.source_system = issues.source_system
            and redemptions.issue_id = issues.issue_id
    left join all_orders
        on
            redemptions.source_system = all_orders.source_system
            and redemptions.order_id = all_orders.order_id
),

judged_uses as (
    select
        count(*) as issue_count,
        count(*) filter (where uses > 1) as used_twice
    from (
        select
            issue_id,
            count(*) filter (where reversed_at is null or reversed_at >= {{ as_of() }}) as uses
        from redemptions
        group by source_system, issue_id
    ) as uses_of_issues
),

judged_answers as (
    select
        count(*) as answer_count,
        count(*) - count(questions.question_id) as unknown_questions
    from {{ ref("stg_survey_answers") }} as answers
    left join {{ ref("stg_survey_questions") }} as questions
        on
            answers.source_system = questions.source_system
            and answers.survey_id = questions.survey_id
            and answers.version = questions.version
            and answers.question_id = questions.question_id
    where answers.{{ known }}
),

rules as (
    {% for rule, child, parent, checked, broken, judged in [
        ("orphan_line", "order_lines", "orders", "line_count", "orphans", "judged_lines"),
        ("unknown_product", "order_lines", "products",
            "line_count", "unknown_products", "judged_lines"),
        ("lines_sum_mismatch", "order_lines", "orders",
            "order_count", "mismatches", "judged_lines"),
        ("orphan_refund", "refunds", "orders", "refund_count", "orphans", "judged_refunds"),
        ("refund_gt_paid", "refunds", "orders", "order_count", "too_much", "judged_refunds"),
        ("refund_before_order", "refunds", "orders",
            "order_count", "too_early", "judged_refunds"),
        ("store_unknown", "orders", "stores", "with_store", "unknown_stores", "judged_orders"),
        ("member_unknown", "orders", "members",
            "with_member", "unknown_members", "judged_orders"),
        ("foreign_currency", "orders", "orders",
            "order_count", "foreign_currency", "judged_orders"),
        ("merge_target_unknown", "members", "members",
            "merge_count", "unknown_targets", "judged_merges"),
        ("merge_cycle", "members", "members", "merge_count", "cycles", "judged_merges"),
        ("template_unknown", "coupon_issues", "coupon_templates",
            "issue_count", "unknown_templates", "judged_issues"),
        ("orphan_issue", "coupon_redemptions", "coupon_issues",
            "redemption_count", "orphans", "judged_redemptions"),
        ("redeemed_after_expiry", "coupon_redemptions", "coupon_issues",
            "redemption_count", "too_late", "judged_redemptions"),
        ("redemption_order_unknown", "coupon_redemptions", "orders",
            "with_order", "unknown_orders", "judged_redemptions"),
        ("redeemed_twice", "coupon_redemptions", "coupon_issues",
            "issue_count", "used_twice", "judged_uses"),
        ("question_unknown", "survey_answers", "survey_questions",
            "answer_count", "unknown_questions", "judged_answers"),
    ] %}
    select
        '{{ rule }}' as rule_name,
        '{{ child }}' as child_table,
        '{{ parent }}' as parent_table,
        cast(coalesce({{ checked }}, 0) as bigint) as checked,
        cast(coalesce({{ broken }}, 0) as bigint) as broken,
        {{ is_present(child) }} and {{ is_present(parent) }} as has_source
    from {{ judged }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    -- strings
    rule_name,
    child_table,
    parent_table,
    case when has_source then 'observed' else 'source_absent' end as basis,

    -- numerics
    case when has_source then checked end as checked,
    case when has_source then broken end as broken,
    case when has_source and checked > 0 then cast(broken as double) / checked end as broken_share,

    {{ run_columns() }}
from rules
