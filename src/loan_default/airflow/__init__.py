"""The pipelines under Airflow: DAGs, the bodies of their tasks, and the commands that start them."""
