"""The same as an Airflow DAG (Airflow 3): one task for each step.

When the monitor says no, `check` fails and nothing is published. To take the month all
the same, mark `check` as successful: `publish` then runs. To take it back, run
`monthly.py discard` and clear `build` once what came in is right.
"""

import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

DATA = "/data"
MONTHLY = "/opt/synthfilter/bin/python /opt/synthfilter/monthly.py"
# The month that has ended when the run is due, two days before.
MONTH = "{{ macros.ds_add(ds, -2)[:7] }}"

with DAG(
    dag_id="synthfilter_monthly",
    schedule="0 3 2 * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
    catchup=False,
    # The ledger and the months before are read: one after the other.
    max_active_runs=1,
) as dag:
    build, check, publish = (
        BashOperator(
            task_id=step,
            bash_command=f"{MONTHLY} {step} {MONTH} --data {DATA}",
            # A build that died goes on where it was; a check says the same again.
            retries=2 if step == "build" else 0,
            retry_delay=datetime.timedelta(minutes=10),
        )
        for step in ("build", "check", "publish")
    )
    build >> check >> publish
