{# dbt's own macro gives a DATETIME in BigQuery, which is not comparable with a TIMESTAMP. #}
{% macro hours_after(hours, time) -%}
    cast({{ dbt.dateadd("hour", hours, time) }} as {{ dbt.type_timestamp() }})
{%- endmacro %}
