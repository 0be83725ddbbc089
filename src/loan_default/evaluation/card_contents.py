"""The contents of a model card and validation report: stored figures, with digests of all inputs.

`ModelCard.model_json_schema()` is the JSON schema behind the documents. What is missing, unknown or not a
number is refused: there is no default that could render in the place of a figure.
"""

import hashlib
import json
from typing import Any

from pydantic import FiniteFloat, ValidationError

from loan_default.errors import DataError
from loan_default.evaluation.training_evidence import Facts, TrainingEvidence

CARD_VERSION = "1.2"
"""MAJOR.MINOR of the JSON schema."""


class MeasuredFacts(Facts):
    """A metric of the newest evaluation on rows that no compared model has seen."""

    name: str
    value: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    champion: FiniteFloat | None
    """The same of the champion on the same rows; None = it was not compared."""


class EvaluationFacts(Facts):
    """The newest evaluation of the model outside of its training."""

    dataset: str
    rows: int
    snapshot: str
    beside: str | None
    """Version of the champion on the same rows; None = there was none."""
    metrics: tuple[MeasuredFacts, ...]


class RuleFacts(Facts):
    """A rule of the gate as it was checked."""

    number: int
    name: str
    outcome: str
    value: FiniteFloat | None
    threshold: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    data: str | None
    sentence: str


class DecisionFacts(Facts):
    """A decision about the model."""

    decided_at: str
    action: str
    run: str
    champion: str | None
    reasons: tuple[str, ...]
    rules: tuple[RuleFacts, ...]
    """Empty = the release that decided stored sentences only."""


class ApprovalFacts(Facts):
    """A person's approval, or override of rules."""

    approver: str
    reason: str
    overrides: tuple[str, ...]
    granted_at: str
    expires_at: str


class AuditFacts(Facts):
    """A record of the audit trail."""

    number: int
    happened_at: str
    action: str
    who: str
    digest: str


class ThresholdFacts(Facts):
    """A threshold or setting as it is configured."""

    variable: str
    value: str
    meaning: str


class WatchedFacts(Facts):
    """A measure that is watched while the model is in service."""

    what: str
    window: str
    """Which applications are looked at, and when."""
    warns: FiniteFloat
    """From where on it warns, where that is beyond chance."""
    acts: FiniteFloat
    """From where on it asks for action."""


class ChangeFacts(Facts):
    """What is different from the former champion."""

    what: str
    before: str
    now: str


class ModelCard(Facts):
    """Everything in the documents of one model."""

    card_version: str
    version: str
    status: str
    is_champion: bool
    created_at: str
    code_version: str
    seed: int
    parameters: int
    rows: dict[str, int]
    libraries: dict[str, str]
    training_seconds: FiniteFloat
    run: str | None
    evidence: TrainingEvidence
    evaluation: EvaluationFacts | None
    """None = the model was not evaluated since its training."""
    decisions: tuple[DecisionFacts, ...]
    approvals: tuple[ApprovalFacts, ...]
    audit: tuple[AuditFacts, ...]
    """Records about the model, the first first."""
    audit_faults: tuple[str, ...]
    """What a verification of the whole trail has found."""
    thresholds: tuple[ThresholdFacts, ...]
    watched: tuple[WatchedFacts, ...]
    materiality: str | None
    """Tier that the lender has assigned; None = none."""
    former_champion: str | None
    changes: tuple[ChangeFacts, ...]
    """Against the former champion; empty without one."""
    inputs: tuple[tuple[str, str], ...]
    """Name and SHA-256 of each document that the card was made from."""

    @property
    def digest(self) -> str:
        """SHA-256 of the contents as JSON with sorted names."""
        return digest_of_json(self.model_dump(mode="json"))


def card_of(contents: dict[str, Any]) -> ModelCard:
    """Check the contents of a card; DataError names what is missing or no figure."""
    try:
        return ModelCard.model_validate(contents)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)
        named = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in first[:5])
        raise DataError(
            f"a model card must have every figure, however: {len(first)} are missing or wrong: {named}. "
            "Nothing is filled in: train or evaluate the model again."
        ) from None


def card_schema() -> dict[str, Any]:
    """The JSON schema of a card."""
    return ModelCard.model_json_schema()


def digest_of_json(content: Any) -> str:
    """SHA-256 of plain values as JSON, whatever the order of their names."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
