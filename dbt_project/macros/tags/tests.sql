{# The facts of an exclusive group: each member's rows follow each other to the end of time. #}
{% test follows_without_gap(model) %}
    select *
    from (
        select
            member_id,
            facts_until,
            lead(facts_from) over (partition by member_id order by facts_from) as next_from
        from {{ model }}
    ) as followed
    where facts_until <> coalesce(next_from, {{ forever() }})
{% endtest %}

{# Of an exclusive group a member has exactly one tag at every instant from the first on. #}
{% test partitions_time(model) %}
    select *
    from (
        select
            member_id,
            tag_group,
            valid_until,
            lead(valid_from) over (
                partition by member_id, tag_group order by valid_from
            ) as next_from
        from {{ model }}
        where tag_group in {{ words(tag_groups("exclusive", true)) }}
    ) as followed
    where valid_until <> coalesce(next_from, {{ forever() }})
{% endtest %}

{# A member has a tag once at a time, and no two intervals that could be one. #}
{% test never_overlaps(model) %}
    select *
    from (
        select
            member_id,
            tag,
            valid_until,
            lead(valid_from) over (partition by member_id, tag order by valid_from) as next_from
        from {{ model }}
    ) as followed
    where next_from <= valid_until
{% endtest %}
