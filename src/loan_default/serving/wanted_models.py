"""Which models shall answer: the champion by its pointer, and the challenger of the experiment that runs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loan_default.database.connect import Database
from loan_default.database.documents import ModelMetadata
from loan_default.database.experiment_documents import Mode
from loan_default.database.repositories import ModelRepository
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.errors import ArtifactError
from loan_default.pipelines.registry import model_that_answers
from loan_default.serving.experiments import champion_rev, runs_beside


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedModel:
    """A model file that shall be loaded."""

    path: Path
    sha256: str
    version: str | None
    """The version that it must hold; None = whichever it does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedTrial:
    """The experiment that runs."""

    id: str
    mode: Mode
    share: float
    challenger: WantedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The models that shall answer now."""

    champion: WantedModel
    trial: WantedTrial | None = None


Source = Callable[[], Wanted]
"""Asked every few seconds. DataError: no model can be named; DependencyError: the store does not answer."""


def registered_models(database: Database, home: Path) -> Source:
    """The champion, or the newest model while there has never been one, and the running experiment.

    The pointer in the document store is the truth.
    """
    models, experiments = ModelRepository(database), ExperimentRepository(database)

    def wanted() -> Wanted:
        champion, _ = model_that_answers(database)
        experiment = experiments.running()
        trial = None
        if experiment is not None and runs_beside(experiment, champion.version, rev=champion_rev(database)):
            challenger = models.get(experiment.challenger)
            trial = WantedTrial(
                id=experiment.id,
                mode=experiment.mode,
                share=experiment.share,
                challenger=_file_of(challenger, home, sha256=experiment.challenger_digest),
            )
        return Wanted(champion=_file_of(champion, home, sha256=champion.sha256), trial=trial)

    return wanted


def one_registered_model(model: ModelMetadata, home: Path) -> Source:
    """One registered model and no other, whatever the pointer says."""
    return lambda: Wanted(champion=_file_of(model, home, sha256=model.sha256))


def one_file(path: Path, *, sha256: str | None) -> Source:
    """One model file and no other.

    Args:
        path: the model file.
        sha256: the digest that it must have; None = the one in the file beside it.

    Raises:
        ArtifactError: the digest is neither given nor beside the file.
    """
    digest = _digest_beside(path) if sha256 is None else sha256
    return lambda: Wanted(champion=WantedModel(path=path, sha256=digest, version=None))


def _file_of(model: ModelMetadata, home: Path, *, sha256: str) -> WantedModel:
    return WantedModel(path=home / model.path, sha256=sha256, version=model.version)


def _digest_beside(path: Path) -> str:
    beside = path.with_name(path.name + ".sha256")
    try:
        recorded = re.match(r"[0-9a-f]{64}\b", beside.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        recorded = None
    if recorded is None:
        raise ArtifactError(
            f"a model file must come with its digest, however: {beside} is not there or holds none. Copy it "
            "along with the model, or name the digest."
        )
    return recorded[0]
