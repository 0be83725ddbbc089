"""Applications that are scored with the reasons for their PDs, and a what-if where they would be declined."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from loan_default.serving.answering import Answer
from loan_default.serving.explained_answers import explained_answers
from loan_default.serving.explanations import ReasonPolicy
from loan_default.serving.hints import Hint
from loan_default.serving.http.score_contents import score_content
from loan_default.serving.http.score_runs import Keep, ScoreJob, ScoreResult, ScoreRuns
from loan_default.serving.http.telemetry import Telemetry
from loan_default.serving.lineup import Lineup


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedResult:
    """What became of a request: its answers, and a hint for each of them."""

    scored: ScoreResult
    hints: Sequence[Hint | None]
    cutoff: float


class ExplanationRuns:
    """Scores and explains jobs by the lineup that answers now, and keeps each prediction with its reasons.

    Args:
        policy: against whom PDs are explained, and up to which one a loan is approved.
    """

    def __init__(
        self,
        lineup: Callable[[], Lineup | None],
        keep: Keep,
        *,
        telemetry: Telemetry,
        most_rows: int,
        policy: ReasonPolicy,
    ) -> None:
        self._policy = policy
        explain = partial(explained_answers, policy=policy)
        self._runs = ScoreRuns(lineup, keep, telemetry=telemetry, most_rows=most_rows, explain=explain)

    def explain(self, jobs: Sequence[ScoreJob]) -> list[ExplainedResult]:
        """Score and explain the jobs of one run together.

        Raises:
            NotReadyError: no model is loaded.
            ConfigurationError: a model that answers cannot explain its PDs; nothing is kept then.
        """
        cutoff = self._policy.cutoff
        return [
            ExplainedResult(scored=scored, hints=_hints(scored, cutoff=cutoff), cutoff=cutoff)
            for scored in self._runs.score(jobs)
        ]


def explanation_content(result: ExplainedResult, number: int) -> Mapping[str, Any]:
    """What a client gets to know of an answer that was explained."""
    answer, hint = result.scored.answers[number], result.hints[number]
    assert isinstance(answer, Answer)
    explanation = answer.prediction.explanation
    return {
        **score_content(answer, result.scored.lineup),
        "cutoff": result.cutoff,
        "explanation": None if explanation is None else explanation.model_dump(),
        "hint": None if hint is None else hint.to_dict(),
    }


def _hints(scored: ScoreResult, *, cutoff: float) -> list[Hint | None]:
    return [
        _hint(each, scored.lineup, cutoff=cutoff) if isinstance(each, Answer) else None
        for each in scored.answers
    ]


def _hint(answer: Answer, lineup: Lineup, *, cutoff: float) -> Hint | None:
    if answer.pd <= cutoff:
        return None
    scorer = lineup.scorer_of(answer.group)
    (read,) = scorer.read([answer.record])
    return scorer.hint(read, cutoff=cutoff) if isinstance(read, dict) else None
