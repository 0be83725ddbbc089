"""Where weights come from: the provenance that a model keeps, and digests of all that decides its weights."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import torch

import loan_default
from loan_default.data.datasets.row_hashing import DIGEST_VERSION
from loan_default.evaluation.formats import verbatim
from loan_default.models.classifier import Classifier
from loan_default.models.features import features_to_dict
from loan_default.models.fitting import StateDict
from loan_default.models.trees import Trees, trees_to_dict
from loan_default.pipelines.training.plan import TrainingPlan

LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "pyarrow")
"""Libraries whose versions decide the result and are recorded."""
FOR_TREES = ("lightgbm",)
"""Those that decide it where the model has trees."""


def provenance_of(plan: TrainingPlan) -> dict[str, Any]:
    """Where the weights of a run come from: data, schema, options, device and versions."""
    return {
        "data": plan.dataset.source,
        "data_digest": plan.dataset.digest,
        "data_digest_version": DIGEST_VERSION,
        "schema_digest": plan.schema.digest,
        "split_digest": plan.split.digest,
        "code_version": version_of("loan-default"),
        "code_digest": digest_of_code(Path(loan_default.__file__).parent),
        "seed": plan.options.seed,
        "out_of_time": plan.options.out_of_time,
        "split": plan.options.split,
        "split_version": plan.split_version,
        "encoder_given": plan.encoder is not None,
        "encoder_split_version": plan.encoder_split_version,
        "seen_until": None if plan.seen_until is None else plan.seen_until.isoformat(),
        "preset": plan.preset.name,
        "objective": plan.objective,
        "device": str(plan.compute.device),
        "threads": plan.compute.threads,
        "python": platform.python_version(),
        **{library: version_of(library) for library in LIBRARIES},
    }


def fingerprint_of_run(plan: TrainingPlan) -> str:
    """Digest of all that decides the weights of a run before it begins: who resumes it must agree on it."""
    encoder = [digest_of_weights([plan.encoder.state])] if plan.encoder is not None else []
    stages = {"pretrain": plan.options.pretrain, "train": plan.options.train}
    if plan.options.with_trees:
        stages["with_trees"] = True
    # Absent otherwise: runs of older releases can be resumed.
    rejects = [provenance_of_rejects(plan)] if plan.options.infers_rejects else []
    preset = asdict(plan.preset)
    if not preset["pretraining_weight"]:
        del preset["pretraining_weight"]
    return fingerprint_of_stage(plan, stages, preset, encoder, *rejects)


def provenance_of_rejects(plan: TrainingPlan) -> dict[str, Any]:
    """What was inferred of rejected applications, by which method; empty = the data name none."""
    if plan.rejects is None:
        return {}
    sides = np.concatenate([plan.rejects.learned, plan.rejects.held_out])
    return {
        "rejected_applications": len(sides),
        "rejects_digest": hashlib.sha256(sides.tobytes()).hexdigest(),
        "reject_inference": plan.options.reject_inference,
        "reject_factor": plan.options.factor_of_rejects,
    }


def fingerprint_of_stage(plan: TrainingPlan, *parts: object) -> str:
    """Digest of all that decides the weights of a stage; `parts` are what this stage adds to the plan."""
    features = {
        key: [{name: _to_list(value) for name, value in feature.items()} for feature in listed]
        for key, listed in features_to_dict(plan.features).items()
    }
    content = {
        "data": plan.dataset.digest,
        "split": plan.split.digest,
        "pretraining": hashlib.sha256(plan.pretraining.tobytes()).hexdigest(),
        "features": features,
        "encoder": asdict(plan.preset.encoder),
        "head": asdict(plan.preset.head),
        "seed": plan.options.seed,
        "parts": parts,
    }
    return digest_of_values(content)


def digest_of_code(package: Path) -> str:
    """SHA-256 of the modules of a package and their names: it tells two states of one version apart."""
    content = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        content.update(f"{path.relative_to(package).as_posix()} {len(source)}\n".encode())
        content.update(source)
    return content.hexdigest()


def digest_of_values(content: Mapping[str, Any]) -> str:
    """SHA-256 of values that JSON can hold, whatever the order of their names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def digest_of_weights(states: Sequence[StateDict]) -> str:
    """SHA-256 of the weights of some networks, in their order."""
    content = hashlib.sha256()
    for state in states:
        for name, tensor in sorted(state.items()):
            content.update(name.encode())
            content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


def provenance_of_weights(members: Sequence[Classifier], trees: Trees | None) -> dict[str, Any]:
    """What a model learned, as its provenance has it: a digest of it, and the size of its trees."""
    states = [member.state_dict() for member in members]
    if trees is None:
        return {"weights": digest_of_weights(states)}
    arrays = {name: torch.from_numpy(array) for name, array in trees_to_dict(trees).items()}
    return {
        "weights": digest_of_weights([*states, arrays]),
        "trees": f"{len(trees)} trees, {trees.leaves} leaves",
        **{library: version_of(library) for library in FOR_TREES},
    }


def provenance_in_words(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The provenance of a model as people read it in reports and cards."""
    return {name.replace("_", " "): verbatim(value) for name, value in provenance.items()}


def _to_list(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
