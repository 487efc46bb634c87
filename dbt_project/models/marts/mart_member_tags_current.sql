with members as (
    select * from {{ ref("int_members") }}
),

history as (
    select * from {{ ref("mart_member_tag_history") }}
    where is_current
),

listed as (
    select
        member_id,
        {{ sorted_list("tag") }} as tags
    from history
    group by member_id
),

completed as (
    select
        members.member_id,
        {{ or_empty("listed.tags", "varchar") }} as tags
    from members
    left join listed on members.member_id = listed.member_id
)

select
    -- ids
    member_id,

    -- strings
    tags,
    md5({{ joined_text("tags", ",") }}) as tag_set_hash,

    -- numerics
    cast(cardinality(tags) as bigint) as tag_count,

    {{ run_columns() }}
from completed
