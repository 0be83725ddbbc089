"""One run of the evaluation: what its steps share, and the ids that they pass to each other."""

from dataclasses import dataclass
from pathlib import Path

from loan_default.database.repositories import ModelRepository
from loan_default.pipelines.services import Services
from loan_default.review_policy import DEFAULT_REVIEW_POLICY, PolicyProfile
from loan_default.thresholds import DEFAULT_POLICY, GatePolicy, Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A model to evaluate."""

    version: str
    why: str
    """Why this model was chosen, in words."""
    rollback: bool = False
    """Whether the model becomes the champion whatever its metrics are, because somebody asked for it."""
    replaces: str | None = None
    """Version of the champion that a person has confirmed may be replaced where it cannot be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """What an evaluation has found, with the ids of the stored metrics."""

    version: str
    metrics: str | None
    """Id of its metrics; None = it was not measured."""
    champion: str | None
    """Version of the champion at that time; None = there was none, or the model is it."""
    champion_metrics: str | None
    """Id of the champion's metrics; None = the two are not compared."""
    seen_rev: int
    """Moves of the champion's pointer when it was read."""
    snapshot: str | None
    """Id of the data; None = it was not measured."""
    rows: str
    """Which rows the metrics were computed on, in words."""
    alone: str | None = None
    """Why the model is not compared with the champion that there is or has been; None = it is compared, or
    there has never been a champion."""
    rollback: bool = False
    """Whether the model becomes the champion whatever its metrics are, and is not measured."""
    replaces: str | None = None
    """Version of the champion that a person has confirmed may be replaced where it cannot be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRun:
    """One run of the evaluation: services, folders and rules that all its steps use."""

    services: Services
    home: Path
    maturity_days: int
    thresholds: Thresholds
    policy: GatePolicy = DEFAULT_POLICY
    profile: PolicyProfile = DEFAULT_REVIEW_POLICY.profile
    """Policy profile, which says whether groups are compared."""
    by: str | None = None
    """Name of the user who started the run; None = a scheduler did, or nobody has a name."""

    @property
    def id(self) -> str:
        """Id that the scheduler gave the run."""
        return self.services.run

    @property
    def models(self) -> ModelRepository:
        """The registry of models."""
        return ModelRepository(self.services.database)
