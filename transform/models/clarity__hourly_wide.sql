{%- set columns = {
    "pm1ConcMass1HourMean": "pm1_conc_mass_1_hour_mean",
    "pm2_5ConcMass1HourMean": "pm2_5_conc_mass_1_hour_mean",
    "pm10ConcMass1HourMean": "pm10_conc_mass_1_hour_mean",
    "no2Conc1HourMean": "no2_conc_1_hour_mean",
    "o3Conc1HourMean": "o3_conc_1_hour_mean",
    "temperatureAmbient1HourMean": "temperature_ambient_1_hour_mean",
    "temperatureInternal1HourMean": "temperature_internal_1_hour_mean",
    "relHumidAmbient1HourMean": "rel_humid_ambient_1_hour_mean",
    "relHumidInternal1HourMean": "rel_humid_internal_1_hour_mean",
    "atmPressure1HourMean": "atm_pressure_1_hour_mean",
    "windSpeed1HourMean": "wind_speed_1_hour_mean",
    "windDirection1HourMean": "wind_direction_1_hour_mean",
} -%}
select
    org,
    datasource_id,
    name,
    group_name,
    time,
    max(latitude) as latitude,
    max(longitude) as longitude,
    {% for metric, column in columns.items() %}
        max(case when metric = '{{ metric }}' then value end) as {{ column }}_value
        {%- if not loop.last %},{% endif %}
    {% endfor %}
from {{ ref("clarity__measurements") }}
where output_frequency = 'hour' and metric in ('{{ columns | join("', '") }}')
group by org, datasource_id, name, group_name, time
