{# The intervals of the given groups: member_id, tag_group, tag, valid_from, valid_until, evidence,
   rule_version. A group without its sources has none. #}
{% macro tag_intervals(groups) -%}
    {% for name in groups %}
    select * from (
        {{ tag_group_intervals(name) }}
    ) as {{ name }}_intervals
    where {{ tag_group_is_known(tag_group(name)) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
{%- endmacro %}

{# The intervals of one group. Its facts are the models that the catalogue names, but for those
   that `relations` gives another relation for. #}
{% macro tag_group_intervals(name, relations={}) -%}
    {%- set group = tag_group(name) -%}
    {%- if group["exclusive"] -%}
        {{ exclusive_intervals(name, group, relations) }}
    {%- else -%}
        {{ multi_intervals(name, group, relations) }}
    {%- endif -%}
{%- endmacro %}

{% macro tag_facts(name, relations) -%}
    {{ relations[name] if name in relations else ref(name) }}
{%- endmacro %}

{# At each instant the first tag of the group whose rule holds, or its last tag, which has none.
   The evidence of an interval is that of the last facts in it, which say how long it lasts. #}
{% macro exclusive_intervals(name, group, relations) -%}
    {%- set tags = group["tags"] -%}
    {%- set ruled = tags[:-1] -%}
    {%- set in_order = "partition by member_id order by valid_from, case when is_first then 0 else 1 end" -%}
    {%- set moments = ["facts_from"] -%}
    {%- for tag in ruled -%}
        {%- if "from" in tag -%}{%- do moments.append("from_" ~ loop.index) -%}{%- endif -%}
        {%- if "until" in tag -%}{%- do moments.append("until_" ~ loop.index) -%}{%- endif -%}
    {%- endfor -%}
    with ruled as (
        select
            member_id,
            facts_from,
            facts_until,
            {{ struct_of(tag_evidence_fields(tags)) }} as shown,
            {% for tag in ruled %}
            case when {{ tag_sql(group, tag["when"]) }} then {{ tag_begins(group, tag) }} end
                as from_{{ loop.index }},
            case when {{ tag_sql(group, tag["when"]) }} then {{ tag_ends(group, tag) }} end
                as until_{{ loop.index }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ tag_facts(group["facts"], relations) }}
    ),

    moments as (
        select
            *,
            {{ each(list_of(moments)) }} as valid_from
        from ruled
    ),

    steps as (
        select
            member_id,
            valid_from,
            shown,
            case
                {% for tag in ruled %}
                when from_{{ loop.index }} <= valid_from and valid_from < until_{{ loop.index }}
                    then {{ loop.index }}
                {% endfor %}
                else {{ tags | length }}
            end as place
        from moments
        where facts_from <= valid_from and valid_from < facts_until
    ),

    preceded as (
        select
            *,
            lag(place) over (partition by member_id order by valid_from, place) as place_before,
            lead(place) over (partition by member_id order by valid_from, place) as place_after
        from steps
    ),

    -- the first and the last step of each run of one tag
    ends as (
        select
            member_id,
            valid_from,
            shown,
            place,
            place_before is null or place_before <> place as is_first,
            place_after is null or place_after <> place as is_last
        from preceded
        where
            place_before is null
            or place_before <> place
            or place_after is null
            or place_after <> place
    ),

    followed as (
        select
            *,
            lead(shown) over ({{ in_order }}) as shown_after,
            lead(valid_from) over ({{ in_order }}) as valid_after,
            lead(valid_from, 2) over ({{ in_order }}) as valid_after_next
        from ends
    ),

    runs as (
        select
            member_id,
            place,
            valid_from,
            case when is_last then shown else shown_after end as shown,
            case when is_last then valid_after else valid_after_next end as valid_until
        from followed
        where is_first
    )

    select
        member_id,
        '{{ name }}' as tag_group,
        case place
            {% for tag in tags %}
            when {{ loop.index }} then '{{ tag["code"] }}'
            {% endfor %}
        end as tag,
        valid_from,
        coalesce(valid_until, {{ forever() }}) as valid_until,
        case place
            {% for tag in tags %}
            when {{ loop.index }} then {{ tag_evidence(tag) }}
            {% endfor %}
        end as evidence,
        case place
            {% for tag in tags %}
            when {{ loop.index }} then cast({{ tag["rule_version"] }} as bigint)
            {% endfor %}
        end as rule_version
    from runs
{%- endmacro %}

{# Each tag by itself: intervals that meet or overlap become one, with the evidence of the one that
   lasts longest. #}
{% macro multi_intervals(name, group, relations) -%}
    {%- set in_order = "partition by member_id order by valid_from, valid_until" -%}
    {% for tag in group["tags"] %}
    select
        member_id,
        '{{ name }}' as tag_group,
        '{{ tag["code"] }}' as tag,
        valid_from,
        shown.valid_until as valid_until,
        {{ tag_evidence(tag) }} as evidence,
        cast({{ tag["rule_version"] }} as bigint) as rule_version
    from (
        select
            member_id,
            min(valid_from) as valid_from,
            max({{ struct_of(["valid_until"] + tag["evidence_fields"]) }}) as shown
        from (
            select
                *,
                -- by range, so that equal intervals, whose order is open, fall into one run
                sum(case when reached >= valid_from then 0 else 1 end) over (
                    {{ in_order }} range between unbounded preceding and current row
                ) as run
            from (
                select
                    *,
                    max(valid_until) over (
                        {{ in_order }} rows between unbounded preceding and 1 preceding
                    ) as reached
                from (
                    select
                        *,
                        {{ tag_begins(group, tag) }} as valid_from,
                        {{ tag_ends(group, tag) }} as valid_until
                    from {{ tag_facts(tag["facts"], relations) }}
                    where {{ tag_sql(group, tag["when"]) }}
                ) as candidates
                where valid_from < valid_until
            ) as followed
        ) as numbered
        group by member_id, run
    ) as runs
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
{%- endmacro %}
