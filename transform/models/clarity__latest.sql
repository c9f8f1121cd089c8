with
    ranked as (
        select
            *,
            row_number() over (
                partition by org, datasource_id, output_frequency, metric
                order by time desc
            ) as recency
        from {{ ref("clarity__measurements") }}
    ),

    final as (
        select
            org,
            datasource_id,
            name,
            group_name,
            source_id,
            source_type,
            output_frequency,
            metric,
            quantity,
            unit,
            time,
            period_end,
            latitude,
            longitude,
            raw,
            value,
            status,
            qc_assessment,
            stream
        from ranked
        where recency = 1
    )

select *
from final
