with
    source as (select * from {{ source("clarity", "metrics") }}),

    renamed as (
        select metric, quantity, unit, averaging_period, index_standard from source
    )

select *
from renamed
