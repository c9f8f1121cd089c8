with
    observed as (
        select distinct org, datasource_id, {{ dbt.date_trunc("hour", "time") }} as time
        from {{ ref("clarity__measurements") }}
        where output_frequency in ('minute', 'hour')
    ),

    datasources as (
        select org, datasource_id, min(time) as first_time
        from observed
        group by org, datasource_id
    ),

    organizations as (
        select org, min(time) as first_time, max(time) as last_time
        from observed
        group by org
    ),

    -- Thirty years of hours.
    numbers as ({{ dbt.generate_series(2**18) }}),

    hours as (
        select
            organizations.org,
            {{
                dateadd_hours(
                    "cast(numbers.generated_number as int) - 1",
                    "organizations.first_time",
                )
            }} as time
        from organizations
        inner join
            numbers
            on numbers.generated_number - 1
            <= {{
                dbt.datediff(
                    "organizations.first_time", "organizations.last_time", "hour"
                )
            }}
    ),

    counted as (
        select
            hours.org,
            datasources.datasource_id,
            hours.time,
            observed.time is not null as is_present,
            count(*) over (partition by hours.org, hours.time) as datasources_expected,
            count(observed.time) over (
                partition by hours.org, hours.time
            ) as datasources_present
        from hours
        inner join
            datasources
            on hours.org = datasources.org
            and hours.time >= datasources.first_time
        left join
            observed
            on hours.org = observed.org
            and datasources.datasource_id = observed.datasource_id
            and hours.time = observed.time
    ),

    final as (
        select
            org,
            datasource_id,
            time,
            is_present,
            datasources_expected,
            datasources_expected > 1 and datasources_present = 0 as is_missing_for_all
        from counted
    )

select *
from final
