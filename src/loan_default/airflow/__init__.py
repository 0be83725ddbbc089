"""The pipelines under Airflow: DAGs, the bodies of their tasks, the REST client and the accounts."""
