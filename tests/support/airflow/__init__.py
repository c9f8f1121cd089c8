"""An Airflow installation, its project and its DAGs."""
