with
    datasources as (select * from {{ ref("clarity__datasources") }}),

    -- Consecutive hours of one kind have the same difference between the two numbers.
    numbered as (
        select
            *,
            row_number() over (partition by org, datasource_id order by time)
            - row_number() over (
                partition by org, datasource_id, is_present order by time
            ) as gap,
            max(time) over (partition by org) as newest
        from {{ ref("clarity__expected_hours") }}
    ),

    gaps as (
        select
            org,
            datasource_id,
            min(time) as gap_start,
            {{ dateadd_hours(1, "max(time)") }} as gap_end,
            count(*) as hours,
            count(case when is_missing_for_all then 1 end) as hours_missing_for_all,
            max(datasources_expected) as datasources_expected,
            max(time) = max(newest) as is_open
        from numbered
        where not is_present
        group by org, datasource_id, gap
    ),

    final as (
        select
            gaps.org,
            gaps.datasource_id,
            datasources.name,
            datasources.group_name,
            datasources.latitude,
            datasources.longitude,
            gaps.gap_start,
            gaps.gap_end,
            gaps.hours,
            gaps.hours_missing_for_all,
            case
                when gaps.datasources_expected = 1
                then 'unknown'
                when gaps.hours_missing_for_all = gaps.hours
                then 'pipeline'
                when gaps.hours_missing_for_all = 0
                then 'sensor'
                else 'both'
            end as likely_cause,
            gaps.is_open
        from gaps
        inner join
            datasources
            on gaps.org = datasources.org
            and gaps.datasource_id = datasources.datasource_id
    )

select *
from final
