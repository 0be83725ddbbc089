"""The step of `model_evaluation` that asks a person, by Airflow's own operator for that.

The run is parked and holds no worker until somebody answers under *Required Actions* or by Airflow's API, or
until the time is over: then the scheduler answers `Reject`, with nobody's name. The step decides nothing; the
next one stores the approval and carries out the decision.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException

APPROVE, REJECT = "Approve", "Reject"
REASON = "reason"
"""The field of the form for the reason."""
FORM = {
    REASON: Param(
        None,
        type=["null", "string"],
        description="Why you approve or reject the model: it is stored with your name.",
    )
}
"""The form beside the question, as `params` of the task."""


class AskForApproval(HITLOperator):
    """Ask whether a model may become the champion; skipped where the verdict brings no question."""

    template_fields = (*HITLOperator.template_fields, "verdict")

    def __init__(self, *, verdict: Any, **kwargs: Any) -> None:
        """Make the task.

        Args:
            verdict: what the task before returns; its `question` is None where nobody has to be asked.
        """
        super().__init__(
            subject="May the model become the champion?",  # of the task; a run states its model
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=timedelta(hours=1),  # that of the question takes its place
            **kwargs,
        )
        self.verdict = verdict

    def execute(self, context: Any) -> Any:
        """Ask and park the run."""
        # A run of before an upgrade has no such key.
        question: Mapping[str, Any] | None = self.verdict.get("question")
        if question is None:
            raise AirflowSkipException("no person has to be asked about this model")
        self.subject, self.body = question["subject"], question["body"]
        self.response_timeout = timedelta(hours=question["hours"])
        return super().execute(context)

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """Take the form as it is: a wrong field must not end the run of a question that was answered."""
