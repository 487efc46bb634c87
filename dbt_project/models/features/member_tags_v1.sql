with members as (
    select * from {{ ref("mart_member_tags_current") }}
),

served as (
    select * from {{ ref("mart_member_tag_history") }}
    where is_served
),

listed as (
    select
        member_id,
        {{ list_in_order("tag", ["valid_from", "tag"]) }} as tags,
        {{ list_in_order("valid_from", ["valid_from", "tag"]) }} as tag_from,
        {{ list_in_order("valid_to", ["valid_from", "tag"]) }} as tag_until,
        {{ list_in_order(
            "tag || '@' || cast(" ~ microseconds("valid_from") ~ " as varchar) || '/' || cast("
            ~ microseconds("valid_to") ~ " as varchar)",
            ["valid_from", "tag"]
        ) }} as entries
    from served
    group by member_id
)

select
    members.member_id,
    {{ or_empty("listed.tags", "varchar") }} as tags,
    {{ or_empty("listed.tag_from", "timestamptz") }} as tag_from,
    {{ or_empty("listed.tag_until", "timestamptz") }} as tag_until,
    md5(coalesce({{ joined_text("listed.entries", ",") }}, '')) as tag_set_hash,
    members.as_of as event_timestamp,
    members.known_at as created_timestamp
from members
left join listed on members.member_id = listed.member_id
