"""The model card of a registered model: its stored documents, gathered, checked and written.

Nothing is computed here but digests and differences: a figure that is not stored is missing, and a card with
a missing figure is refused.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loan_default.database.audit_documents import content_digest
from loan_default.database.audit_repository import AuditRepository
from loan_default.database.audit_verification import verify_trail
from loan_default.database.connect import Database
from loan_default.database.control_documents import MOVES, Decision
from loan_default.database.documents import ID_DIGITS, DatasetName, ModelMetadata, PerformanceMetrics
from loan_default.database.evidence_documents import EvidenceRepository, ModelEvidence
from loan_default.database.gate_documents import Approval
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.repositories import MetricsRepository, ModelRepository, TrainingDataRepository
from loan_default.errors import DataError
from loan_default.evaluation.card_contents import CARD_VERSION, ModelCard, card_of, digest_of_json
from loan_default.evaluation.card_pages import card_markdown, render_card
from loan_default.files import write_atomically
from loan_default.pipelines.governance.configured import configured_thresholds, watched_measures
from loan_default.pipelines.registry import find_model
from loan_default.settings import Settings

_COMPARED = ("auc", "ks", "brier", "ece", "log_loss", "calibration_slope")
"""Metrics of the evaluation, and of the change log."""
FILES = ("card.html", "card.md", "card.json")
"""What a card is written as."""


def gather_card(database: Database, version: str, *, settings: Settings) -> ModelCard:
    """Gather the card of a model from what is stored about it.

    Args:
        version: a version or the beginning of one.
        settings: the thresholds that are configured.

    Raises:
        DataError: there is no such model, a figure is missing, or a document is not as the trail has it.
        DependencyError: the database is away.
    """
    found = find_model(database, version)
    model, evidence = found.model, _evidence(database, found.model)
    evaluation = _newest_evaluation(found.metrics)
    trail = AuditRepository(database).in_order(version=model.version)
    thresholds = configured_thresholds(settings)
    approvals = ApprovalRepository(database).of_model(model.version)
    former = _former_champion(found.decisions, model)
    return card_of(
        {
            "card_version": CARD_VERSION,
            "version": model.version,
            "status": str(model.status),
            "is_champion": found.is_champion,
            "created_at": f"{model.created_at:%Y-%m-%d %H:%M} UTC",
            "code_version": model.code_version,
            "seed": model.seed,
            "parameters": model.parameters,
            "rows": model.rows,
            "libraries": model.libraries,
            "training_seconds": model.training_seconds,
            "run": model.run,
            "evidence": evidence.figures,
            "evaluation": None if evaluation is None else _evaluation(database, evaluation),
            "decisions": [_decision(each) for each in found.decisions],
            "approvals": _approvals(approvals),
            "audit": [
                {
                    "number": each.number,
                    "happened_at": f"{each.happened_at:%Y-%m-%d %H:%M:%S} UTC",
                    "action": str(each.action),
                    "who": each.who,
                    "digest": each.digest,
                }
                for each in trail
            ],
            "audit_faults": verify_trail(database).faults,
            "thresholds": thresholds,
            "watched": watched_measures(settings),
            "materiality": settings.materiality,
            "former_champion": former,
            "changes": [] if former is None else _changes(database, former, model),
            "inputs": [
                ("model file", model.sha256),
                (f"model_metadata/{model.id}", content_digest(model)),
                (f"model_evidence/{evidence.id}", content_digest(evidence)),
                (f"training_data/{model.snapshot}", _digest_of_snapshot(database, model)),
                *((f"performance_metrics/{each.id}", content_digest(each)) for each in found.metrics),
                *((f"decisions/{each.id}", content_digest(each)) for each in found.decisions),
                *((f"approvals/{each.id}", content_digest(each)) for each in approvals),
                *((f"audit/{each.id}", each.digest) for each in trail),
                ("settings", digest_of_json(thresholds)),
            ],
        }
    )


def write_card(card: ModelCard, folder: Path) -> list[Path]:
    """Write a card as HTML, Markdown and JSON; returns the files."""
    texts = (render_card(card), card_markdown(card), json.dumps(card.model_dump(mode="json"), indent=2))
    paths = [folder / name for name in FILES]
    for path, text in zip(paths, texts, strict=True):
        write_atomically(path, text.encode())
    return paths


def _evidence(database: Database, model: ModelMetadata) -> ModelEvidence:
    """The evidence of a model, which must be what the trail recorded."""
    evidence = EvidenceRepository(database).find(model.version)
    if evidence is None:
        raise DataError(
            f"a model card must be made from stored figures, however: {model.version} has none, as an "
            "earlier release trained it. Train it again."
        )
    if evidence.sha256 != model.sha256:
        raise DataError(
            f"the figures must be those of the model's file, however: they are of "
            f"{evidence.sha256[:ID_DIGITS]}…, and {model.version} has {model.sha256[:ID_DIGITS]}…"
        )
    for record in AuditRepository(database).in_order(version=model.version):
        recorded = record.details.get("evidence")
        if recorded is not None and recorded != content_digest(evidence):
            raise DataError(
                f"the stored figures must be as they were recorded, however: those of {model.version} were "
                f"altered after record {record.number} of the audit trail."
            )
    return evidence


def _newest_evaluation(metrics: Sequence[PerformanceMetrics]) -> PerformanceMetrics | None:
    """The newest metrics that a run of the evaluation computed; None = the training's are the only ones."""
    unseen = (each for each in metrics if each.dataset is not DatasetName.VALIDATION)
    return next((each for each in unseen if each.run is not None), None)


def _evaluation(database: Database, metrics: PerformanceMetrics) -> dict[str, Any]:
    beside = None
    if metrics.beside is not None:
        others = MetricsRepository(database).of_model(metrics.beside)
        beside = next((each for each in others if each.run == metrics.run), None)
    return {
        "dataset": str(metrics.dataset),
        "rows": metrics.rows,
        "snapshot": metrics.snapshot,
        "beside": metrics.beside,
        "metrics": [
            {
                "name": name,
                "value": metrics.figures.get(name),
                "low": metrics.intervals[name][0] if name in metrics.intervals else None,
                "high": metrics.intervals[name][1] if name in metrics.intervals else None,
                "champion": None if beside is None else beside.figures.get(name),
            }
            for name in _COMPARED
        ],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    plain = decision.model_dump(mode="json")
    return {
        "decided_at": f"{decision.decided_at:%Y-%m-%d %H:%M:%S} UTC",
        "action": str(decision.action).replace("_", " "),
        "run": decision.run,
        "champion": decision.champion,
        "reasons": decision.reasons,
        "rules": [_rule(each) for each in plain.get("rules", ())],
    }


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    low, high = rule["interval"] or (None, None)
    kept = ("number", "name", "outcome", "value", "threshold", "data", "sentence")
    return {name: rule[name] for name in kept} | {"low": low, "high": high}


def _approvals(approvals: Sequence[Approval]) -> list[dict[str, Any]]:
    """Approvals and overrides of the model by people, the first first."""
    return [
        {
            "approver": each.approver,
            "reason": each.reason,
            "overrides": each.overrides,
            "granted_at": f"{each.granted_at:%Y-%m-%d %H:%M} UTC",
            "expires_at": f"{each.expires_at:%Y-%m-%d %H:%M} UTC",
        }
        for each in reversed(approvals)
    ]


def _former_champion(decisions: Sequence[Decision], model: ModelMetadata) -> str | None:
    """The champion that the model replaced, or was compared with last."""
    moves = [each for each in decisions if each.action in MOVES]
    newest = next(iter(moves or decisions), None)
    return None if newest is None or newest.champion == model.version else newest.champion


def _changes(database: Database, former: str, model: ModelMetadata) -> list[dict[str, str]]:
    """What differs from the former champion, of what is stored of both."""
    before = ModelRepository(database).find(former)
    if before is None:
        return [{"what": "document", "before": "not stored any more", "now": "stored"}]
    names = (
        "code_version", "preset", "objective", "pretrained", "members", "trees", "parameters", "seed",
        "schema_name", "schema_digest", "snapshot", "rows", "libraries",
    )  # fmt: skip
    listed = [
        {
            "what": name.replace("_", " "),
            "before": _shown(getattr(before, name)),
            "now": _shown(getattr(model, name)),
        }
        for name in names
        if getattr(before, name) != getattr(model, name)
    ]
    repository = MetricsRepository(database)
    own, others = repository.of_model(model.version), repository.of_model(former)
    pair = next(
        ((new, old) for new in own for old in others if new.run is not None and new.run == old.run), None
    )
    if pair is not None:
        new, old = pair
        listed += [
            {
                "what": f"{name.replace('_', ' ')} on the same rows",
                "before": _shown(old.figures.get(name)),
                "now": _shown(new.figures.get(name)),
            }
            for name in _COMPARED
        ]
    return listed


def _shown(value: object) -> str:
    if value is None:
        return "not defined"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in sorted(value.items()))
    return str(value)


def _digest_of_snapshot(database: Database, model: ModelMetadata) -> str:
    return TrainingDataRepository(database).get(model.snapshot).digest
