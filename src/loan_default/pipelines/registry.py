"""Registered models: their metrics, the decisions about them, and the one that scores."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loan_default.addresses import looks_like_address
from loan_default.database.connect import Database
from loan_default.database.control_documents import Decision
from loan_default.database.control_repositories import DecisionRepository, lost_champion
from loan_default.database.documents import (
    ID_DIGITS,
    Champion,
    DatasetName,
    ModelMetadata,
    PerformanceMetrics,
    finite_metrics,
)
from loan_default.database.gate_documents import Approval
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError, DataError, did_you_mean

_SHOWN = 5
"""The most models that a message names."""

_COUNTS = frozenset({"rows", "bads"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A model with its metrics and the decisions about it."""

    model: ModelMetadata
    is_champion: bool
    metrics: tuple[PerformanceMetrics, ...]
    """The newest metrics come first."""
    decisions: tuple[Decision, ...]
    """The newest decision comes first."""
    approvals: tuple[Approval, ...] = ()
    """The newest approval by a person comes first."""

    @property
    def test(self) -> PerformanceMetrics | None:
        """The newest metrics on rows that the model had not seen, None where there are none."""
        return on_unseen_rows(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that can be written as JSON."""
        return {
            **self.model.model_dump(mode="json"),
            "champion": self.is_champion,
            "metrics": [each.model_dump(mode="json") for each in self.metrics],
            "decisions": [each.model_dump(mode="json") for each in self.decisions],
            "approvals": [each.model_dump(mode="json") for each in self.approvals],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFile:
    """A model file that is to be loaded."""

    path: Path
    sha256: str | None
    """The digest that the file must have; None = the one in the file beside it."""
    why: str
    """Why this model was chosen, in words."""
    version: str | None = None
    """Version in the registry; None = the file was named by its path."""


def list_models(database: Database) -> list[Registered]:
    """List all models, the newest first."""
    repository = ModelRepository(database)
    champion = repository.champion()
    return [_registered(database, model, champion) for model in repository.newest_first()]


def find_model(database: Database, version: str) -> Registered:
    """Find the model of a version or of the beginning of one.

    Raises:
        DataError: no model has it, or several, or it is an address.
    """
    if looks_like_address(version):  # what follows would repeat its password
        raise DataError(
            "the model must be a version or a .pth file of this machine, not an address. "
            "`loan-default models` lists the versions."
        )
    repository = ModelRepository(database)
    exact = repository.find(version)
    if exact is not None:
        found = [exact]
    elif version:
        found = repository.starting_with(version, limit=_SHOWN)
    else:
        found = []
    if len(found) == 1:
        return _registered(database, found[0], repository.champion())
    if found:
        few = ", ".join(each.version for each in found)
        raise DataError(f"a version must name one model, however: {version!r} names {few}. Write more of it.")
    versions = repository.ids()
    if versions:
        hint = did_you_mean(version, versions) or " `loan-default models` lists them."
    else:
        hint = " None is yet: train one with train.py --pretrain --train."
    raise DataError(f"the model must be registered, however: {version!r} is not.{hint}")


def file_to_score_with(
    database: Database, version: str | None, *, home: Path, sha256: str | None
) -> ModelFile:
    """Find the file of a registered model, which must have the digest that the registry holds.

    Args:
        version: a version or the beginning of one; None = the champion, or the newest while there is none.
        home: folder of the models.
        sha256: digest that the caller expects as well; None = any.

    Raises:
        DataError: there is no such model.
        ArtifactError: the registry holds another digest than the caller expects.
    """
    if version is not None:
        model, why = find_model(database, version).model, "asked for"
    else:
        model, why = model_that_answers(database)
    if sha256 is not None and sha256 != model.sha256:
        raise ArtifactError(
            f"--sha256 must be the digest of the registered model, however: {sha256[:ID_DIGITS]}…, that of "
            f"{model.version} is {model.sha256[:ID_DIGITS]}…"
        )
    return ModelFile(path=home / model.path, sha256=model.sha256, why=why, version=model.version)


def model_that_answers(database: Database) -> tuple[ModelMetadata, str]:
    """Find the champion, or the newest model while there has never been one; the text says which, in words.

    DataError where no model is registered, or the pointer to a former champion is gone.
    """
    repository = ModelRepository(database)
    champion = repository.champion()
    if champion is not None:
        return repository.get(champion.version), "the champion"
    if (former := lost_champion(database)) is not None:
        raise DataError(
            "the pointer to the champion must exist where a model has been the champion, however: "
            f"{former} has been, and there is none. Restore it, roll back to that version, or name a model "
            "with --model."
        )
    newest = repository.latest()
    if newest is None:
        raise DataError(
            "a model must be registered, however: none is. Train one with train.py --pretrain --train; "
            "`score --model` also takes a model file."
        )
    return newest, "the newest one, as there is no champion yet"


def _registered(database: Database, model: ModelMetadata, champion: Champion | None) -> Registered:
    return Registered(
        model=model,
        is_champion=champion is not None and champion.version == model.version,
        metrics=tuple(MetricsRepository(database).of_model(model.version)),
        decisions=tuple(DecisionRepository(database).of_model(model.version)),
        approvals=tuple(ApprovalRepository(database).of_model(model.version)),
    )


def metrics_to_store(measured: Mapping[str, Any]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Split off the counts; returns the metrics, and a reason for each that is not defined."""
    return finite_metrics({name: value for name, value in measured.items() if name not in _COUNTS})


def on_unseen_rows(metrics: Iterable[PerformanceMetrics]) -> PerformanceMetrics | None:
    """The first of these that was computed on rows that the model had not seen; None = there is none."""
    for each in metrics:
        if each.dataset is not DatasetName.VALIDATION:
            return each
    return None
