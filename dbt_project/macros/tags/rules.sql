{# From the rules of the catalogue to intervals.

   A row of facts holds over [facts_from, facts_until). Inside it a tag holds while `when` is true,
   from `from` to `until`; a rule that names neither holds as long as the facts do. The facts of an
   exclusive group follow each other without gap from a member's first instant to forever, so its
   tags are a step function of time and their intervals cannot leave a gap or overlap. #}

{# The end of what has no end yet: the last day of a Python datetime, in any time zone. #}
{% macro forever() -%}{{ instant("9999-12-31T00:00:00.000000Z") }}{%- endmacro %}

{# A group of the catalogue with its parameters: the defaults, or what the variable `tag_params`
   says. #}
{% macro tag_group(name) -%}
    {%- set catalogue = tag_catalogue() -%}
    {%- set overrides = var("tag_params") -%}
    {%- for known_group, values in overrides.items() -%}
        {%- for known_name in values -%}
            {%- if known_name not in catalogue.get(known_group, {}).get("params", {}) -%}
                {{ exceptions.raise_compiler_error(
                    "variable tag_params names " ~ known_group ~ "." ~ known_name
                    ~ ", which is no parameter of the tag catalogue"
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set group = catalogue[name] -%}
    {%- do group["params"].update(overrides.get(name, {})) -%}
    {{ return(group) }}
{%- endmacro %}

{# A parameter that is applied where facts are gathered. #}
{% macro tag_param(group, name) -%}{{ tag_group(group)["params"][name] }}{%- endmacro %}

{# The text of a rule, its parameters filled in. #}
{% macro tag_sql(group, text) -%}
    {%- set filled = namespace(text=text) -%}
    {%- for name, value in group["params"].items() if ":" in text -%}
        {%- set filled.text = modules.re.sub(":" ~ name ~ "\\b", value | string, filled.text) -%}
    {%- endfor -%}
    {{ return(filled.text) }}
{%- endmacro %}

{# An instant, `days` local days later at the same time since midnight. #}
{% macro plus_local_days(instant, days) -%}
    {%- set day = local_date(instant) -%}
    ({{ start_of_day(date_plus_days(day, days)) }} + ({{ instant }} - {{ start_of_day(day) }}))
{%- endmacro %}

{# The instant that a rule names. #}
{% macro tag_moment(group, moment) -%}
    {%- set plus = tag_sql(group, moment.get("plus", "0")) -%}
    {%- if "day" in moment -%}
        {{ start_of_day(date_plus_days(tag_sql(group, moment["day"]), plus)) }}
    {%- elif "plus" in moment -%}
        {{ plus_local_days(tag_sql(group, moment["at"]), plus) }}
    {%- else -%}
        {{ tag_sql(group, moment["at"]) }}
    {%- endif -%}
{%- endmacro %}

{# When the tag begins and ends within its row of facts. A beginning that comes out as null is
   none, an end that does is that of the facts. #}
{% macro tag_begins(group, tag) -%}
    {%- if "from" in tag -%}
        {%- set begins = tag_moment(group, tag["from"]) -%}
        case when {{ begins }} is not null then greatest({{ begins }}, facts_from) end
    {%- else -%}
        facts_from
    {%- endif -%}
{%- endmacro %}
{% macro tag_ends(group, tag) -%}
    {%- set ends = ["facts_until"] -%}
    {%- if "until" in tag -%}{%- do ends.append(tag_moment(group, tag["until"])) -%}{%- endif -%}
    {%- if "expires_days" in tag -%}
        {%- do ends.append(plus_local_days(tag_begins(group, tag), tag["expires_days"])) -%}
    {%- endif -%}
    {{ "least(" ~ ends | join(", ") ~ ")" if ends | length > 1 else ends[0] }}
{%- endmacro %}

{# The facts behind a tag as a JSON object, taken from the struct `shown`. #}
{% macro tag_evidence(tag) -%}
    {%- set values = [] -%}
    {%- for field in tag["evidence_fields"] -%}{%- do values.append([field, "shown." ~ field]) -%}{%- endfor -%}
    {{ json_object(values) }}
{%- endmacro %}

{# The names of all facts that tags of a group show as evidence. #}
{% macro tag_evidence_fields(tags) -%}
    {%- set fields = [] -%}
    {%- for tag in tags -%}
        {%- for field in tag["evidence_fields"] if field not in fields -%}
            {%- do fields.append(field) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(fields) }}
{%- endmacro %}

{# Whether every source that a group cannot do without held a row. #}
{% macro tag_group_is_known(group) -%}
    {%- for table in group["requires"] -%}
        coalesce({{ is_present(table) }}, false){{ " and " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# The names of the groups whose entry `key` of the catalogue has this value. #}
{% macro tag_groups(key, value) -%}
    {%- set names = [] -%}
    {%- for name, group in tag_catalogue().items() if group[key] == value -%}
        {%- do names.append(name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}
