{# dbt's own macro returns a DATETIME in BigQuery, which is not comparable with a TIMESTAMP. #}
{% macro dateadd_hours(hours, time) -%}
    cast({{ dbt.dateadd("hour", hours, time) }} as {{ dbt.type_timestamp() }})
{%- endmacro %}
