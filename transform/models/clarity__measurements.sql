with
    datasources as (select * from {{ ref("stg_clarity__datasources") }}),

    metrics as (select * from {{ ref("stg_clarity__metrics") }}),

    unioned as (
        select *, 'recent_measurements' as stream
        from {{ ref("stg_clarity__recent_measurements") }}
        union all
        select *, 'datasource_measurements' as stream
        from {{ ref("stg_clarity__datasource_measurements") }}
    ),

    ranked as (
        select
            *,
            -- The rule "Which value counts" of the package's README.
            row_number() over (
                partition by org, datasource_id, output_frequency, metric, time
                order by
                    case
                        when
                            stream = 'datasource_measurements'
                            and coalesce(status, '') <> 'calibration-processing'
                        then 1
                        when stream = 'recent_measurements' and value is not null
                        then 2
                        when stream = 'datasource_measurements'
                        then 3
                        else 4
                    end
            ) as priority
        from unioned
    ),

    final as (
        select
            ranked.org,
            ranked.datasource_id,
            coalesce(datasources.name, ranked.datasource_id) as name,
            datasources.group_name,
            ranked.source_id,
            ranked.source_type,
            ranked.output_frequency,
            ranked.metric,
            metrics.quantity,
            metrics.unit,
            ranked.time,
            ranked.period_end,
            ranked.latitude,
            ranked.longitude,
            ranked.raw,
            ranked.value,
            ranked.status,
            ranked.qc_assessment,
            ranked.stream
        from ranked
        left join
            datasources
            on ranked.org = datasources.org
            and ranked.datasource_id = datasources.datasource_id
        left join metrics on ranked.metric = metrics.metric
        where ranked.priority = 1
    )

select *
from final
