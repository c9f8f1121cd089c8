with
    -- Hours of one kind in a row have the same difference between the two numbers.
    numbered as (
        select
            *,
            row_number() over (partition by org, datasource_id order by time)
            - row_number() over (
                partition by org, datasource_id, is_there order by time
            ) as gap,
            max(time) over (partition by org) as newest
        from {{ ref("clarity_expected_hours") }}
    ),

    gaps as (
        select
            org,
            datasource_id,
            min(time) as gap_start,
            {{ hours_after(1, "max(time)") }} as gap_end,
            count(*) as hours,
            count(case when all_lack then 1 end) as hours_all_lack,
            max(datasources_expected) as datasources_expected,
            max(time) = max(newest) as is_open
        from numbered
        where not is_there
        group by org, datasource_id, gap
    )

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
    gaps.hours_all_lack,
    case
        when gaps.datasources_expected = 1
        then 'unknown'
        when gaps.hours_all_lack = gaps.hours
        then 'pipeline'
        when gaps.hours_all_lack = 0
        then 'sensor'
        else 'both'
    end as suspect,
    gaps.is_open
from gaps
inner join
    {{ ref("clarity_datasources") }} as datasources
    on gaps.org = datasources.org
    and gaps.datasource_id = datasources.datasource_id
