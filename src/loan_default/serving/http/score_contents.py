"""What a client gets to know of scores: those of a request, and those that were given before."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import Response

from loan_default.database.serving_documents import Group, Prediction
from loan_default.serving.answering import Answer
from loan_default.serving.lineup import Lineup


def score_content(answer: Answer, lineup: Lineup) -> dict[str, Any]:
    """What a client gets to know of a score."""
    prediction = answer.prediction
    scorer = lineup.scorer_of(prediction.group)
    return {
        "id": prediction.event,
        "application": prediction.application,
        "pd": prediction.pd,
        "points": prediction.points,
        "share_below": scorer.share_below(prediction.pd),
        "model": {"version": prediction.version, "digest": prediction.digest},
        "group": str(prediction.group),
    }


def prediction_content(prediction: Prediction) -> dict[str, Any]:
    """What a client gets to know of a score that was given before."""
    return {
        "id": prediction.event,
        "application": prediction.application,
        "pd": prediction.pd,
        "points": prediction.points,
        "model": {"version": prediction.version, "digest": prediction.digest},
        "group": str(prediction.group),
        "door": None if prediction.door is None else str(prediction.door),
        "scored_at": prediction.scored_at.isoformat(),
    }


def answered_predictions(predictions: Iterable[Prediction]) -> list[Prediction]:
    """Those that were given to somebody: the scores of a challenger in shadow never are."""
    return [each for each in predictions if each.group is not Group.SHADOW]


def json_response(content: bytes, *, headers: Mapping[str, str] | None = None) -> Response:
    """A response of JSON."""
    return Response(content, media_type="application/json", headers=headers)
