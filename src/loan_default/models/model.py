"""The model: it turns a canonical frame into calibrated PDs, and is written to and read from a file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from loan_default.data.schema.language import Schema, schema_to_dict
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.errors import ArtifactError
from loan_default.models.arrays import predict, to_tensors
from loan_default.models.artifact import (
    VERSION,
    WITHOUT_TREES,
    Payload,
    read_artifact,
    shown,
    write_artifact,
)
from loan_default.models.calibration import Calibration
from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import Encoder, EncoderConfig
from loan_default.models.features import Features, Inputs, features_from_dict, features_to_dict
from loan_default.models.fitting import StateDict
from loan_default.models.golden_rows import (
    GoldenRows,
    golden_frame,
    golden_from_dict,
    golden_records,
    golden_to_dict,
)
from loan_default.models.member_training import Architecture
from loan_default.models.trees import Trees, blend, trees_from_dict, trees_to_dict

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoanModel:
    """A trained, calibrated model."""

    version: str
    schema: Schema
    architecture: Architecture
    members: tuple[Classifier, ...]
    trees: Trees | None = None
    """Boosted trees that count as much as all members together; None = the model has none."""
    calibration: Calibration
    metrics: Mapping[str, Any]
    """Metrics when it was trained: split -> metric -> value."""
    reference: Mapping[str, Any]
    """Histograms of the training rows, for drift."""
    provenance: Mapping[str, Any]
    """Data digest, code version, seed, library versions."""
    golden: GoldenRows | None = None
    """Rows by which what scores by the file shows that it is sound; None = a file of an older release."""

    def predict_pd(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Calibrated PD `(rows,)` of a canonical frame."""
        return self.calibration.apply(self.predict_raw(frame))

    def predict_inputs(self, inputs: Inputs) -> NDArray[np.float64]:
        """Calibrated PD `(rows,)` of rows as the features transform them."""
        return self.calibration.apply(raw_probability(self.members, self.trees, inputs))

    def predict_raw(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Probability of members and trees `(rows,)` before calibration."""
        return raw_probability(self.members, self.trees, self.architecture.features.transform(frame))


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedEncoder:
    """An encoder that was trained without labels, with the features that its tokens stand for."""

    schema: Schema
    features: Features
    config: EncoderConfig
    state: StateDict
    provenance: Mapping[str, Any]


def mean_probability(members: Sequence[nn.Module], inputs: Inputs) -> NDArray[np.float64]:
    """Average of the members in probability space, `(rows,)`, before calibration."""
    device = next(members[0].parameters()).device
    tensors = to_tensors(inputs, device)
    result: NDArray[np.float64] = np.mean([predict(member, tensors) for member in members], axis=0)
    return result


def raw_probability(members: Sequence[nn.Module], trees: Trees | None, inputs: Inputs) -> NDArray[np.float64]:
    """Probability `(rows,)` before calibration: that of the members, blended with that of the trees."""
    networks = mean_probability(members, inputs)
    return networks if trees is None else blend(networks, trees.logits(inputs))


def save_model(path: Path, model: LoanModel) -> str:
    """Write a model file; returns its SHA-256."""
    architecture = model.architecture
    payload = {
        "model_version": model.version,
        "schema": schema_to_dict(model.schema),
        "features": _to_plain(features_to_dict(architecture.features)),
        "encoder": asdict(architecture.encoder),
        "head": asdict(architecture.head),
        "members": [_cpu(member.state_dict()) for member in model.members],
        "calibration": asdict(model.calibration),
        "figures": _to_plain(model.metrics),
        "reference": _to_plain(model.reference),
        "provenance": _to_plain(model.provenance),
    }
    if model.golden is not None:  # a key that earlier releases leave aside
        payload["golden"] = _to_plain(golden_to_dict(model.golden))
    if model.trees is None:
        return write_artifact(path, payload, kind="model", version=WITHOUT_TREES)
    payload["trees"] = _to_plain(trees_to_dict(model.trees))
    return write_artifact(path, payload, kind="model", version=VERSION)


def load_model(path: Path, *, sha256: str | None = None) -> LoanModel:
    """A model on the CPU, ready to predict.

    Args:
        sha256: the digest the file must have; None = the one that lies beside it.

    Raises:
        ArtifactError: the file is damaged, foreign, or not what a model consists of.
    """
    payload = read_artifact(path, kind="model", sha256=sha256)
    with _refusing(path):
        architecture = Architecture(
            features=_features(payload["features"]),
            encoder=_config(EncoderConfig, payload["encoder"]),
            head=_config(HeadConfig, payload["head"]),
        )
        if not payload["members"]:
            raise ArtifactError("a model must have a member, however: none")
        _check_sizes(architecture.features, architecture.encoder, architecture.head, payload["members"][0])
        with torch.device("meta"):  # shapes without memory: nothing is built before they agree
            expected = architecture.new_classifier()
        for number, state in enumerate(payload["members"], start=1):
            _check_state(state, expected, where=f"member {number}")
        members = tuple(_loaded(architecture.new_classifier(), state) for state in payload["members"])
        return LoanModel(
            version=_text(payload["model_version"]),
            schema=schema_from_dict(payload["schema"], where=str(path)),
            architecture=architecture,
            members=members,
            trees=_trees(payload, architecture.features),
            calibration=_calibration(payload["calibration"]),
            metrics=_table(payload, "figures"),
            reference=_table(payload, "reference"),
            provenance=_table(payload, "provenance"),
            golden=_golden(payload, architecture.features),
        )


def golden_rows_of(model: LoanModel) -> GoldenRows:
    """Made-up rows with the PDs that the model gives them."""
    records = golden_records(model.architecture.features)
    return GoldenRows(records=tuple(records), pds=model.predict_pd(golden_frame(records, model.schema)))


def save_encoder(path: Path, encoder: PretrainedEncoder) -> str:
    """Write an encoder file; returns its SHA-256."""
    payload = {
        "schema": schema_to_dict(encoder.schema),
        "features": _to_plain(features_to_dict(encoder.features)),
        "encoder": asdict(encoder.config),
        "state": _cpu(encoder.state),
        "provenance": _to_plain(encoder.provenance),
    }
    return write_artifact(path, payload, kind="encoder")


def load_encoder(path: Path, *, sha256: str | None = None) -> PretrainedEncoder:
    """A pretrained encoder.

    Raises:
        ArtifactError: the file is damaged, foreign, or not what an encoder consists of.
    """
    payload = read_artifact(path, kind="encoder", sha256=sha256)
    with _refusing(path):
        features, config = _features(payload["features"]), _config(EncoderConfig, payload["encoder"])
        _check_sizes(features, config, None, payload["state"])
        with torch.device("meta"):
            expected = Encoder(features.edges, features.cardinalities, config, features.level_counts)
        _check_state(payload["state"], expected, where="encoder")
        return PretrainedEncoder(
            schema=schema_from_dict(payload["schema"], where=str(path)),
            features=features,
            config=config,
            state=payload["state"],
            provenance=_table(payload, "provenance"),
        )


class _refusing:  # noqa: N801 (reads as a word: with _refusing(path))
    """Turns what goes wrong while a model is built from a file into one refusal that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _UNFIT):
            raise ArtifactError(
                f"the file must hold what a model consists of, however: {self.path}: "
                f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ) from error


_UNFIT = (LookupError, TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError, MemoryError)


def _config(kind: type[T], raw: Mapping[str, Any]) -> T:
    """A configuration from a file, of which no field is left to the present defaults."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for name in sorted(names ^ raw.keys()):
        side = "missing" if name in names else "unknown"
        raise ArtifactError(f"{kind.__name__} must be stored whole, however: it has {side} {shown(name)}")
    return kind(**raw)


def _check_sizes(
    features: Features, encoder: EncoderConfig, head: HeadConfig | None, state: Mapping[str, Tensor]
) -> None:
    """Refuse sizes that the stored weights rule out, before time or memory is spent on them."""
    for config in (encoder, head):
        if config is not None and config.n_layers > len(state):
            raise ArtifactError(
                f"n_layers must be that of the weights, however: n_layers={shown(config.n_layers)}, "
                f"{len(state)} tensors"
            )
    # The table of bins has the room of the finest column in every column.
    bins = len(features.edges) * max((len(edges) - 1 for edges in features.edges), default=0)
    stored = sum(tensor.numel() for tensor in state.values())
    if encoder.numerical == "piecewise" and bins > stored:
        raise ArtifactError(f"bins must be those of the weights, however: {bins} bins, {stored} weights")


def _check_state(state: Mapping[str, Tensor], expected: nn.Module, *, where: str) -> None:
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in expected.state_dict().items()}
    for name in sorted(shapes.keys() ^ state.keys()):
        side = "missing" if name in shapes else "unknown"
        raise ArtifactError(
            f"weights must be those of the network, however: {where} has {side} {shown(name)}"
        )
    for name, (shape, dtype) in shapes.items():
        found = (tuple(state[name].shape), state[name].dtype)
        if found != (shape, dtype):
            raise ArtifactError(
                f"weights must fit the network, however: {where} {name!r} is {found}, "
                f"must be {(shape, dtype)}"
            )


def _loaded(module: Classifier, state: StateDict) -> Classifier:
    module.load_state_dict(state)
    return module.eval()


def _features(raw: Payload) -> Features:
    return features_from_dict(to_arrays(raw))


def _to_plain(value: Any) -> Any:
    """Arrays become tensors, tuples lists, numpy numbers Python's: what a file may hold."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    return value


def to_arrays(value: Any) -> Any:
    """The values of a file, with arrays for tensors."""
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {key: to_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_arrays(item) for item in value]
    return value


def _cpu(state: Mapping[str, Tensor]) -> StateDict:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ArtifactError(f"a model must have a version, however: {shown(value)}")
    return value


def _golden(payload: Payload, features: Features) -> GoldenRows | None:
    return golden_from_dict(to_arrays(payload["golden"]), features) if "golden" in payload else None


def _trees(payload: Payload, features: Features) -> Trees | None:
    if "trees" not in payload:
        return None
    trees = trees_from_dict(to_arrays(payload["trees"]))
    columns = (len(features.numerical), len(features.categorical))
    if tuple(trees.columns) != columns:
        raise ArtifactError(f"trees must ask for the {columns} columns, however: {tuple(trees.columns)}")
    nodes, codes = trees.codes.T
    most = np.array(features.cardinalities, dtype=np.int64)[trees.feature[nodes] - columns[0]]
    if (codes < 0).any() or (codes >= most).any():
        raise ArtifactError("trees must ask for codes of the features, however: one is another")
    return trees


def _calibration(raw: Mapping[str, Any]) -> Calibration:
    # Releases up to 0.2 stored Platt's two numbers alone.
    plain = raw.keys() == {"slope", "intercept"}
    calibration = _config(Calibration, {**raw, "asymmetry": 0.0, "curvature": 0.0} if plain else raw)
    for name, number in asdict(calibration).items():
        if type(number) is not float:
            raise ArtifactError(f"calibration must be numbers, however: {name}={shown(number)}")
    if not calibration.is_rising:
        raise ArtifactError(f"calibration must keep the ranking, however: {calibration}")
    return calibration


def _table(payload: Payload, name: str) -> dict[str, Any]:
    if not isinstance(payload[name], dict):
        raise ArtifactError(f"{name} must be a table, however: {shown(payload[name])}")
    table: dict[str, Any] = payload[name]
    return table
