"""Answers with the reasons for their PDs, each by the model that answered."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from loan_default.data.schema.records import RecordError
from loan_default.database.serving_documents import Group, KeptExplanation, KeptReason
from loan_default.errors import ConfigurationError
from loan_default.serving.answering import Answer
from loan_default.serving.explanations import Explanation, ReasonPolicy
from loan_default.serving.lineup import Lineup

Answers = Sequence[Answer | RecordError]
Explain = Callable[[Lineup, Answers], list[Answer | RecordError]]
"""Gives answers their reasons; what is refused stays as it is."""

log = structlog.get_logger()


def explained_answers(
    lineup: Lineup, answers: Answers, *, policy: ReasonPolicy
) -> list[Answer | RecordError]:
    """The answers, whose predictions hold why they are what they are.

    Raises:
        ConfigurationError: a model that answered cannot explain its PDs.
    """
    explained = list(answers)
    for group in (Group.CHAMPION, Group.CHALLENGER):
        numbers = [
            number
            for number, each in enumerate(answers)
            if isinstance(each, Answer) and each.prediction.group is group
        ]
        own = [each for number in numbers if isinstance(each := answers[number], Answer)]
        scorer = lineup.scorer_of(group)
        read = [row for row in scorer.read([each.record for each in own]) if isinstance(row, dict)]
        if not own:
            continue
        reasons = scorer.explain(read, policy)
        for number, each, explanation in zip(numbers, own, reasons, strict=True):
            kept = {"explanation": kept_explanation(explanation)}
            explained[number] = replace(each, prediction=each.prediction.model_copy(update=kept))
    return explained


def explained_where_possible(
    lineup: Lineup, answers: Answers, *, policy: ReasonPolicy
) -> list[Answer | RecordError]:
    """The same; where a model cannot explain its PDs they are given without reasons, and it is logged."""
    try:
        return explained_answers(lineup, answers, policy=policy)
    except ConfigurationError:
        log.warning("not_explained", version=lineup.champion.version, answers=len(answers))
        return list(answers)


def without_reasons(_lineup: Lineup, answers: Answers) -> list[Answer | RecordError]:
    """The answers as they are."""
    return list(answers)


def kept_explanation(explanation: Explanation) -> KeptExplanation:
    """What is kept of an explanation beside its prediction."""
    return KeptExplanation(
        reasons=tuple(
            KeptReason(
                column=each.column, words=each.words, contribution=each.contribution, points=each.points
            )
            for each in explanation.reasons
        ),
        withheld=explanation.withheld,
        reference=explanation.reference,
        reference_pd=explanation.reference_pd,
        gap=explanation.gap,
    )
