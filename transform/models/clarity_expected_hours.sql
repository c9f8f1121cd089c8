with
    there as (
        select distinct org, datasource_id, {{ dbt.date_trunc("hour", "time") }} as time
        from {{ ref("clarity_measurements") }}
        where output_frequency in ('minute', 'hour')
    ),

    datasources as (
        select org, datasource_id, min(time) as first_time
        from there
        group by org, datasource_id
    ),

    organisations as (
        select org, min(time) as first_time, max(time) as last_time
        from there
        group by org
    ),

    -- Thirty years of hours.
    numbers as ({{ dbt.generate_series(2**18) }}),

    hours as (
        select
            organisations.org,
            {{
                hours_after(
                    "cast(numbers.generated_number as int) - 1",
                    "organisations.first_time",
                )
            }} as time
        from organisations
        inner join
            numbers
            on numbers.generated_number - 1
            <= {{
                dbt.datediff(
                    "organisations.first_time", "organisations.last_time", "hour"
                )
            }}
    ),

    counted as (
        select
            hours.org,
            datasources.datasource_id,
            hours.time,
            there.time is not null as is_there,
            count(*) over (partition by hours.org, hours.time) as datasources_expected,
            count(there.time) over (
                partition by hours.org, hours.time
            ) as datasources_there
        from hours
        inner join
            datasources
            on hours.org = datasources.org
            and hours.time >= datasources.first_time
        left join
            there
            on hours.org = there.org
            and datasources.datasource_id = there.datasource_id
            and hours.time = there.time
    )

select
    org,
    datasource_id,
    time,
    is_there,
    datasources_expected,
    datasources_expected > 1 and datasources_there = 0 as all_lack
from counted
