# Source it in the clone's folder with `. orchestrate/airflow/sandbox.sh`: Airflow for evaluation, with
# invented data, all of it in output/airflow. It has no login, so it listens on loopback only.
export AIRFLOW_HOME="$PWD/output/airflow"
export AIRFLOW__API__HOST=127.0.0.1
export AIRFLOW__CORE__DAGS_FOLDER="$PWD/orchestrate/airflow/dags"
export AIRFLOW__CORE__LOAD_EXAMPLES=false
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=true
export AIRFLOW_CONN_CLARITY_SANDBOX='{"conn_type": "generic", "password": "sandbox-key"}'
export CLARITY_LOADER=target-duckdb
export CLARITY_PROJECT="$PWD"
export MELTANO_ENVIRONMENT=sandbox
export PATH="$AIRFLOW_HOME/venv/bin:$PATH"
