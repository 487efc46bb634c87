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
        {{ sorted_list(struct_of(["valid_from", "tag", "valid_to"])) }} as intervals
    from served
    group by member_id
)

select
    -- join key
    members.member_id,

    -- features
    {{ or_empty(each_as("listed.intervals", "item.tag"), "varchar") }} as tags,
    {{ or_empty(each_as("listed.intervals", "item.valid_from"), "timestamptz") }} as tag_from,
    {{ or_empty(each_as("listed.intervals", "item.valid_to"), "timestamptz") }} as tag_until,
    md5(coalesce({{ joined_text(
        each_as(
            "listed.intervals",
            "item.tag || '@' || cast(" ~ microseconds("item.valid_from")
            ~ " as varchar) || '/' || cast(" ~ microseconds("item.valid_to") ~ " as varchar)"
        ),
        ","
    ) }}, '')) as tag_set_hash,

    -- clocks
    members.as_of as event_timestamp,
    members.known_at as created_timestamp
from members
left join listed on members.member_id = listed.member_id
