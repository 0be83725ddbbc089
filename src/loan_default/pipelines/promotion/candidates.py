"""Which model is to be judged, or to be the champion again."""

import structlog

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelMetadata, ModelStatus
from loan_default.errors import ArtifactError, DataError
from loan_default.pipelines.promotion.comparison import Chosen, EvaluationRun, read_registered
from loan_default.pipelines.promotion.decisions import former_champion, reject_refused

log = structlog.get_logger()


def choose_model(
    run: EvaluationRun, *, version: str | None = None, rollback: bool = False, replaces: str | None = None
) -> Chosen | None:
    """The model to be judged, whose file is there and undamaged; None = there is none.

    A model that waits and whose file is refused is rejected, so that it keeps no other from being judged.

    Args:
        version: a certain one; None = the newest that was not judged yet, else the champion. For a rollback:
            the champion before the present one.
        rollback: it shall be the champion, whatever its figures are; it must have been evaluated before.
        replaces: version of the champion that a person has confirmed may be replaced by this model where the
            two cannot be compared; None = nobody has.

    Raises:
        DataError: there is no such model, it was never evaluated, or the options contradict each other.
        ArtifactError: its file is refused, and it was asked for or is the champion.
        DependencyError: broker or database are away.
    """
    _check_confirmation(version=version, rollback=rollback, replaces=replaces)
    waiting = None
    if version is not None:
        model = run.models.get(version)
        if rollback:
            _check_evaluated(run, model)
        chosen = Chosen(version=model.version, why="asked for", rollback=rollback, replaces=replaces)
    elif rollback:
        chosen = Chosen(version=_back_to(run), why="the champion before the present one", rollback=True)
    elif (waiting := _waiting(run)) is not None:
        chosen = Chosen(version=waiting, why="the newest that was not judged yet")
    elif (champion := run.models.champion()) is not None:
        chosen = Chosen(version=champion.version, why="the champion, as no model waits to be judged")
    else:
        return None
    if waiting is None:  # one that waits was read when it was found
        read_registered(run, chosen.version)
    log.info("model_chosen", run=run.id, version=chosen.version, why=chosen.why)
    return chosen


def _check_confirmation(*, version: str | None, rollback: bool, replaces: str | None) -> None:
    """DataError where a confirmed replacement does not say of what."""
    if replaces is not None and version is None:
        raise DataError(
            f"replaces must come with version, however: replaces={replaces!r} comes alone. Name the model "
            "that shall take its place."
        )
    if replaces is not None and rollback:
        raise DataError(
            f"replaces must come without rollback, however: replaces={replaces!r} and rollback are given. A "
            "rollback needs no confirmation: leave replaces out."
        )


def _check_evaluated(run: EvaluationRun, model: ModelMetadata) -> None:
    """DataError where a rollback would skip a model's evaluation."""
    champion = run.models.champion()
    if model.status is ModelStatus.TRAINED and (champion is None or champion.version != model.version):
        raise DataError(
            "the model of a rollback must have been evaluated before, however: "
            f"{model.version} waits for that. Send evaluation.requested with its version first."
        )


def _back_to(run: EvaluationRun) -> str:
    """Version that a rollback brings back; the same one where the run has done it already."""
    decided = DecisionRepository(run.services.database).of_run(run.id)
    done = next((each.version for each in decided if each.action is Action.ROLLED_BACK), None)
    version = done or former_champion(run)
    if version is None:
        raise DataError("a rollback must have a former champion, however: there is none. Name a version.")
    return version


def _waiting(run: EvaluationRun) -> str | None:
    """Version of the newest model that was not judged yet and can be."""
    champion = run.models.champion()
    for model in run.models.with_status(ModelStatus.TRAINED):
        if champion is not None and champion.version == model.version:
            continue  # who promoted it died before the status was written
        try:
            read_registered(run, model.version)
        except ArtifactError as error:
            if not (run.home / model.path).parent.is_dir():
                raise  # this machine has no models at all: that says nothing about this one
            log.exception("model_refused", run=run.id, version=model.version)
            reject_refused(run, model.version, error)
        else:
            return model.version
    return None
