{# Where DuckDB and Spark differ. Sessions of both run in UTC; a `timestamptz` of DuckDB is a
   `timestamp` of Spark, and a wall-clock time is a `timestamp` of DuckDB, `timestamp_ntz` there. #}

{# A literal instant from ISO text that ends in Z. #}
{% macro instant(text) -%}{{ adapter.dispatch("instant", "huitou")(text) }}{%- endmacro %}
{% macro duckdb__instant(text) -%}timestamptz '{{ text }}'{%- endmacro %}
{% macro spark__instant(text) -%}timestamp '{{ text }}'{%- endmacro %}

{# The wall-clock time in the business time zone at an instant. #}
{% macro local_time(instant) -%}{{ adapter.dispatch("local_time", "huitou")(instant) }}{%- endmacro %}
{% macro duckdb__local_time(instant) -%}timezone('{{ var("business_tz") }}', {{ instant }}){%- endmacro %}
{% macro spark__local_time(instant) -%}
    cast(from_utc_timestamp({{ instant }}, '{{ var("business_tz") }}') as timestamp_ntz)
{%- endmacro %}

{# The business day of an instant. #}
{% macro local_date(instant) -%}cast({{ local_time(instant) }} as date){%- endmacro %}

{# The instant at which a wall-clock time of the business time zone comes. #}
{% macro instant_of_local(local) -%}{{ adapter.dispatch("instant_of_local", "huitou")(local) }}{%- endmacro %}
{% macro duckdb__instant_of_local(local) -%}timezone('{{ var("business_tz") }}', {{ local }}){%- endmacro %}
{% macro spark__instant_of_local(local) -%}
    to_utc_timestamp(cast({{ local }} as timestamp), '{{ var("business_tz") }}')
{%- endmacro %}

{# The instant at which a business day begins. #}
{% macro start_of_day(day) -%}{{ instant_of_local("cast(" ~ day ~ " as timestamp)") }}{%- endmacro %}

{# A date or wall-clock time, `days` later. #}
{% macro add_days(value, days) -%}{{ adapter.dispatch("add_days", "huitou")(value, days) }}{%- endmacro %}
{% macro duckdb__add_days(value, days) -%}({{ value }} + to_days(cast({{ days }} as integer))){%- endmacro %}
{% macro spark__add_days(value, days) -%}({{ value }} + make_dt_interval(cast({{ days }} as int))){%- endmacro %}

{# A date, `days` later, as a date. #}
{% macro date_plus_days(day, days) -%}{{ adapter.dispatch("date_plus_days", "huitou")(day, days) }}{%- endmacro %}
{% macro duckdb__date_plus_days(day, days) -%}({{ day }} + cast({{ days }} as integer)){%- endmacro %}
{% macro spark__date_plus_days(day, days) -%}date_add({{ day }}, cast({{ days }} as int)){%- endmacro %}

{# A first-of-month date, `months` later. #}
{% macro add_months(day, months) -%}{{ adapter.dispatch("add_months", "huitou")(day, months) }}{%- endmacro %}
{% macro duckdb__add_months(day, months) -%}
    cast({{ day }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}
{% macro spark__add_months(day, months) -%}add_months({{ day }}, cast({{ months }} as int)){%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(from_day, to_day) -%}{{ adapter.dispatch("days_between", "huitou")(from_day, to_day) }}{%- endmacro %}
{% macro duckdb__days_between(from_day, to_day) -%}date_diff('day', {{ from_day }}, {{ to_day }}){%- endmacro %}
{% macro spark__days_between(from_day, to_day) -%}cast(datediff({{ to_day }}, {{ from_day }}) as bigint){%- endmacro %}

{# Months from one first-of-month date to another. #}
{% macro months_between(from_month, to_month) -%}
    (
        12 * (year({{ to_month }}) - year({{ from_month }}))
        + month({{ to_month }}) - month({{ from_month }})
    )
{%- endmacro %}

{# The first day of the month or quarter that a date lies in. #}
{% macro first_day(part, day) -%}cast(date_trunc('{{ part }}', {{ day }}) as date){%- endmacro %}

{# The ISO weekday of a date, Monday 1 to Sunday 7. #}
{% macro weekday(day) -%}{{ adapter.dispatch("weekday", "huitou")(day) }}{%- endmacro %}
{% macro duckdb__weekday(day) -%}isodow({{ day }}){%- endmacro %}
{% macro spark__weekday(day) -%}(weekday({{ day }}) + 1){%- endmacro %}

{# The values at the given shares of a group, interpolated, as a list of doubles. #}
{% macro quantiles(value, shares) -%}{{ adapter.dispatch("quantiles", "huitou")(value, shares) }}{%- endmacro %}
{% macro duckdb__quantiles(value, shares) -%}quantile_cont(cast({{ value }} as double), [{{ shares | join(", ") }}]){%- endmacro %}
{% macro spark__quantiles(value, shares) -%}percentile({{ value }}, array({{ shares | join("D, ") }}D)){%- endmacro %}

{# The middle value of a group, interpolated, as a double. #}
{% macro median(value) -%}{{ adapter.dispatch("median", "huitou")(value) }}{%- endmacro %}
{% macro duckdb__median(value) -%}median(cast({{ value }} as double)){%- endmacro %}
{% macro spark__median(value) -%}median({{ value }}){%- endmacro %}

{# How many values of a sorted list are less than a value. #}
{% macro count_below(list, value) -%}{{ adapter.dispatch("count_below", "huitou")(list, value) }}{%- endmacro %}
{% macro duckdb__count_below(list, value) -%}len(list_filter({{ list }}, lambda cut: cut < {{ value }})){%- endmacro %}
{% macro spark__count_below(list, value) -%}size(filter({{ list }}, cut -> cut < {{ value }})){%- endmacro %}

{# Whether a list holds a value. #}
{% macro list_holds(list, value) -%}{{ adapter.dispatch("list_holds", "huitou")(list, value) }}{%- endmacro %}
{% macro duckdb__list_holds(list, value) -%}list_contains({{ list }}, {{ value }}){%- endmacro %}
{% macro spark__list_holds(list, value) -%}array_contains({{ list }}, {{ value }}){%- endmacro %}

{# A list of the given values. #}
{% macro list_of(values) -%}{{ adapter.dispatch("list_of", "huitou")(values) }}{%- endmacro %}
{% macro duckdb__list_of(values) -%}[{{ values | join(", ") }}]{%- endmacro %}
{% macro spark__list_of(values) -%}array({{ values | join(", ") }}){%- endmacro %}

{# A list with a value put at its end. #}
{% macro list_with(list, value) -%}{{ adapter.dispatch("list_with", "huitou")(list, value) }}{%- endmacro %}
{% macro duckdb__list_with(list, value) -%}list_append({{ list }}, {{ value }}){%- endmacro %}
{% macro spark__list_with(list, value) -%}array_append({{ list }}, {{ value }}){%- endmacro %}

{# One row for each value of a list. #}
{% macro each(list) -%}{{ adapter.dispatch("each", "huitou")(list) }}{%- endmacro %}
{% macro duckdb__each(list) -%}unnest({{ list }}){%- endmacro %}
{% macro spark__each(list) -%}explode({{ list }}){%- endmacro %}

{# The whole numbers from `first` to `last` as a list; empty where `last` is less. #}
{% macro numbers(first, last) -%}{{ adapter.dispatch("numbers", "huitou")(first, last) }}{%- endmacro %}
{% macro duckdb__numbers(first, last) -%}generate_series({{ first }}, {{ last }}){%- endmacro %}
{% macro spark__numbers(first, last) -%}
    case when {{ last }} >= {{ first }} then sequence({{ first }}, {{ last }}) else array() end
{%- endmacro %}

{# A number that is equal for equal texts and nearly always differs for others. #}
{% macro hash_of(columns) -%}{{ adapter.dispatch("hash_of", "huitou")(columns) }}{%- endmacro %}
{% macro duckdb__hash_of(columns) -%}hash({{ columns | join(", ") }}){%- endmacro %}
{% macro spark__hash_of(columns) -%}xxhash64({{ columns | join(", ") }}){%- endmacro %}

{# A SQL list of quoted words, for `in`. #}
{% macro words(values) -%}('{{ values | join("', '") }}'){%- endmacro %}

{# The n-th value of a list, counted from 1. #}
{% macro list_item(list, n) -%}{{ adapter.dispatch("list_item", "huitou")(list, n) }}{%- endmacro %}
{% macro duckdb__list_item(list, n) -%}{{ list }}[{{ n }}]{%- endmacro %}
{% macro spark__list_item(list, n) -%}element_at({{ list }}, {{ n }}){%- endmacro %}
