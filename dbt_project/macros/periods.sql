{# Days of the windows that end at as_of, each once. #}
{% macro rolling_windows() -%}
    {{ return((var("rolling_days") + [var("active_days")]) | unique | sort) }}
{%- endmacro %}

{# The first local day that is not observed: raw, that of as_of; matured, that of the limit. #}
{% macro observed_before(maturity) -%}
    {{ local_date(as_of() if maturity == "raw" else matured_before()) }}
{%- endmacro %}

{# How many different days of one month a group of dates has; one pass, no distinct. #}
{% macro days_of_month(day) -%}{{ adapter.dispatch("days_of_month", "huitou")(day) }}{%- endmacro %}
{% macro duckdb__days_of_month(day) -%}
    cast(bit_count(bit_or(cast(1 as bigint) << day({{ day }}))) as bigint)
{%- endmacro %}
{% macro spark__days_of_month(day) -%}
    cast(bit_count(bit_or(shiftleft(cast(1 as bigint), day({{ day }})))) as bigint)
{%- endmacro %}
