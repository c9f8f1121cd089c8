select metric, quantity, unit, averaging_period, index_standard
from {{ source("clarity", "metrics") }}
