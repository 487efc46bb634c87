{# The run's two clocks, and what a mart row says about the run that built it. No model reads
   the wall clock: whatever is "now" to it is as_of. #}

{# What a run says of itself: a variable, else the environment's HUITOU_<NAME>. The pipeline uses
   the environment, for dbt parses the whole project anew whenever a variable changes. #}
{% macro of_run(name) -%}
    {{ return(var(name) or (env_var("HUITOU_" ~ name.upper(), "") if execute else "")) }}
{%- endmacro %}

{% macro run_instant(name) -%}
    {%- set value = of_run(name) -%}
    {%- if execute and not value -%}
        {{ exceptions.raise_compiler_error(
            "variable '" ~ name ~ "' is missing; give it as --vars '{" ~ name
            ~ ": 2025-07-01T16:00:00.000000Z}'"
        ) }}
    {%- endif -%}
    {{ instant(value or "2000-01-01T00:00:00.000000Z") }}
{%- endmacro %}

{# Events strictly before this instant count. #}
{% macro as_of() -%}{{ run_instant("as_of") }}{%- endmacro %}

{# Row versions known at or before this instant count. #}
{% macro knowledge_cutoff() -%}{{ run_instant("knowledge_cutoff") }}{%- endmacro %}

{# The instant `days` local days before as_of, at the same time since midnight: the start of a
   window that ends at as_of. Counted from midnight, since some zones skip that hour in spring. #}
{% macro days_before_as_of(days) -%}
    {%- set today = local_date(as_of()) -%}
    ({{ start_of_day(date_plus_days(today, -1 * days)) }} + ({{ as_of() }} - {{ start_of_day(today) }}))
{%- endmacro %}

{# Orders before this instant can no longer be sent back in full. #}
{% macro matured_before() -%}{{ days_before_as_of(var("refund_window_days")) }}{%- endmacro %}

{# Digest of every variable that changes what a number means. #}
{% macro definition_version() -%}
    {%- set values = {"tag_params": var("tag_params", {})} -%}
    {%- for name in var("definitions") -%}
        {%- do values.update({name: var(name)}) -%}
    {%- endfor -%}
    {{ local_md5(tojson(values, sort_keys=true))[:12] }}
{%- endmacro %}

{# The four columns that end every mart. #}
{% macro run_columns() -%}
    {{ as_of() }} as as_of,
    {{ knowledge_cutoff() }} as known_at,
    '{{ of_run("snapshot_id") }}' as snapshot_id,
    '{{ definition_version() }}' as definition_version
{%- endmacro %}

{# The first local day of the month or quarter that as_of lies in: what is frozen for a month or
   a quarter is computed from the events before it. #}
{% macro frozen_day(part) -%}{{ first_day(part, local_date(as_of())) }}{%- endmacro %}

{# The last local day with an instant before as_of. #}
{% macro last_day() -%}{{ local_date(as_of() ~ " - interval '1' second") }}{%- endmacro %}
