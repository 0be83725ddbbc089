"""Choosing the model that is evaluated, or that becomes the champion again."""

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelMetadata, ModelStatus
from loan_default.errors import ArtifactError, DataError
from loan_default.pipelines.promotion.comparison import read_registered
from loan_default.pipelines.promotion.decisions import former_champion
from loan_default.pipelines.promotion.evaluation_run import Chosen, EvaluationRun

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedModel:
    """A model that waits for its evaluation and whose file is refused."""

    version: str
    reason: str
    """What is wrong with the file, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What a search for a model to evaluate has found; nothing has been done about it."""

    chosen: Chosen | None
    """The model to evaluate; None = no model can be."""
    refused: tuple[RefusedModel, ...] = ()
    """Models that were passed over because their files are refused, the newest first."""
    was_read: bool = False
    """Whether the file of the chosen model was read in the search, and is sound."""


def choose_model(
    run: EvaluationRun,
    *,
    version: str | None = None,
    rollback: bool = False,
    replaces: str | None = None,
    undecided: Collection[str] = (),
) -> Selection:
    """Find the model to evaluate, and the waiting models that cannot be evaluated; nothing is written.

    The files of waiting models are read until one is sound. The file of any other choice is not read:
    `read_registered` does that.

    Args:
        version: the version that was asked for; None = the newest model without an evaluation, else the
            champion. For a rollback, None = the champion before the present one.
        rollback: the model becomes the champion whatever its metrics are; it must have been evaluated before.
        replaces: version of the champion that a person has confirmed may be replaced by this model where the
            two cannot be compared; None = nobody has.
        undecided: versions that other runs evaluate; they are chosen only where they are asked for.

    Raises:
        DataError: there is no such model, it was never evaluated, or the options contradict each other.
        ArtifactError: a waiting model's file is missing, and so is the folder of models on this machine.
        DependencyError: the database is away.
    """
    _check_confirmation(version=version, rollback=rollback, replaces=replaces)
    refused: tuple[RefusedModel, ...] = ()
    chosen: Chosen | None
    was_read = False
    if version is not None:
        model = run.models.get(version)
        if rollback:
            _check_evaluated(run, model)
        chosen = Chosen(version=model.version, why="asked for", rollback=rollback, replaces=replaces)
    elif rollback:
        chosen = Chosen(version=_former(run), why="the champion before the present one", rollback=True)
    else:
        chosen, refused = _newest_waiting(run, undecided)
        was_read = chosen is not None
        if chosen is None:
            chosen = _champion(run)
    if chosen is not None:
        log.info("model_chosen", run=run.id, version=chosen.version, why=chosen.why)
    return Selection(chosen=chosen, refused=refused, was_read=was_read)


def _check_confirmation(*, version: str | None, rollback: bool, replaces: str | None) -> None:
    """Raise DataError where a confirmed replacement does not name its challenger."""
    if replaces is not None and version is None:
        raise DataError(
            f"replaces must come with version, however: replaces={replaces!r} comes alone. Name the model "
            "that shall replace it."
        )
    if replaces is not None and rollback:
        raise DataError(
            f"replaces must come without rollback, however: replaces={replaces!r} and rollback are given. A "
            "rollback needs no confirmation: leave replaces out."
        )


def _check_evaluated(run: EvaluationRun, model: ModelMetadata) -> None:
    """Raise DataError where a rollback would skip a model's evaluation."""
    champion = run.models.champion()
    if champion is not None and champion.version == model.version:
        return
    # A process that dies after its decision leaves the status of a model as it was.
    was_decided = DecisionRepository(run.services.database).of_model(model.version)
    if model.status is ModelStatus.TRAINED and not was_decided:
        raise DataError(
            "the model of a rollback must have been evaluated before, however: "
            f"{model.version} waits for that. `loan-default promote` or the DAG model_evaluation does it."
        )


def _former(run: EvaluationRun) -> str:
    """Version that a rollback brings back; the same one where the run has brought it back already."""
    for decision in DecisionRepository(run.services.database).of_run(run.id):
        if decision.action is Action.ROLLED_BACK:
            return decision.version
    version = former_champion(run)
    if version is None:
        raise DataError("a rollback must have a former champion, however: there is none. Name a version.")
    return version


def _newest_waiting(
    run: EvaluationRun, undecided: Collection[str]
) -> tuple[Chosen | None, tuple[RefusedModel, ...]]:
    """The newest model without an evaluation whose file is sound, and the newer ones whose files are not."""
    champion = run.models.champion()
    refused: list[RefusedModel] = []
    for model in run.models.with_status(ModelStatus.TRAINED):
        if champion is not None and champion.version == model.version:
            continue  # the run that promoted it died before it wrote the status
        if model.version in undecided:
            continue
        try:
            read_registered(run, model.version)
        except ArtifactError as error:
            if not (run.home / model.path).parent.is_dir():
                raise  # this machine has no models at all, which says nothing about this one
            log.exception("model_refused", run=run.id, version=model.version)
            refused.append(RefusedModel(version=model.version, reason=str(error)))
            continue
        return Chosen(version=model.version, why="the newest without an evaluation"), tuple(refused)
    return None, tuple(refused)


def _champion(run: EvaluationRun) -> Chosen | None:
    champion = run.models.champion()
    if champion is None:
        return None
    return Chosen(version=champion.version, why="the champion, as no model waits for its evaluation")
