"""The serving file: a model as plain arrays and values, which a process without torch can score by.

It is derived from a verified model file and belongs to that file's digest; it is a cache, never what is
registered. Format: an uncompressed `.npz` without pickles, whose `content` is JSON in UTF-8, in which
`{"$array": 3}` stands for the array `a3`. Its own digest lies beside it.
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.language import schema_to_dict
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.errors import ArtifactError
from loan_default.files import write_atomically
from loan_default.models.calibration import Calibration
from loan_default.models.features import features_from_dict, features_to_dict
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.frozen_network import FrozenBlock, FrozenNetwork
from loan_default.models.golden_rows import golden_from_dict, golden_to_dict
from loan_default.models.trees import trees_from_dict, trees_to_dict

LAYOUT = 1
"""Version of the layout; a file of another one is derived anew."""
FORMAT = "loan-default/serving"
MAX_BYTES = 1 << 30
"""A larger file is refused unread."""

_TYPES = frozenset({np.dtype(kind) for kind in (np.float32, np.float64, np.int64, np.bool_)})
_ARRAY = "$array"
_UNFIT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What building a model from other values than its own can raise."""


def serving_path(cache: Path, model: str) -> Path:
    """Path of the serving file of a model file, by the SHA-256 of that file and the layout."""
    return cache / f"{model}.v{LAYOUT}.npz"


def write_serving_file(path: Path, model: FrozenModel) -> None:
    """Write a model and the digest of its file beside it; a kill leaves the old pair or is noticed."""
    arrays: list[NDArray[Any]] = []
    content = {
        "format": FORMAT,
        "layout": LAYOUT,
        "model": model.digest,
        "version": model.version,
        "schema": schema_to_dict(model.schema),
        "features": features_to_dict(model.features),
        "network": _network_to_dict(model.network),
        "trees": None if model.trees is None else trees_to_dict(model.trees),
        "calibration": asdict(model.calibration),
        "reference": model.reference,
        "golden": golden_to_dict(model.golden),
    }
    packed = json.dumps(_packed(content, arrays), ensure_ascii=True, allow_nan=False).encode()
    buffer = io.BytesIO()
    named = {f"a{index}": array for index, array in enumerate(arrays)}
    np.savez(buffer, allow_pickle=False, content=np.frombuffer(packed, np.uint8), **named)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    write_atomically(path, buffer.getvalue())
    write_atomically(_digest_path(path), f"{digest}  {path.name}\n".encode())


def read_serving_file(path: Path, *, model: str) -> FrozenModel:
    """The model of a serving file that passed every check.

    Args:
        model: SHA-256 of the model file that it must have been derived from.

    Raises:
        ArtifactError: it is absent, damaged, of another layout or of another model file, or holds NaN. The
            golden rows are for the caller to score.
    """
    raw, arrays = _opened(_verified(path), path)
    try:
        if (raw["format"], raw["layout"], raw["model"]) != (FORMAT, LAYOUT, model):
            raise ArtifactError(
                f"a serving file must be of layout {LAYOUT} and of the model {model[:12]}…, however: {path} "
                "is another"
            )
        return _model_from_dict(_unpacked(raw, arrays), where=str(path))
    except _UNFIT as error:
        raise ArtifactError(
            f"a serving file must hold what a model consists of, however: {path}: {type(error).__name__}: "
            f"{str(error)[:200]}"
        ) from error


def _verified(path: Path) -> bytes:
    """The bytes of a file that has the digest beside it."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ArtifactError(f"a serving file must have at most {MAX_BYTES} bytes, however: {size}")
        content, recorded = path.read_bytes(), _digest_path(path).read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"a serving file must be readable and come with its digest, however: {path}: "
            f"{type(error).__name__}"
        ) from None
    if recorded[:1] != [hashlib.sha256(content).hexdigest()]:
        raise ArtifactError(f"a serving file must have its recorded digest, however: {path} has another")
    return content


def _opened(content: bytes, path: Path) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """The plain values and the arrays of a file, all of them finite numbers."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = [archive[f"a{index}"] for index in range(len(archive.files) - 1)]
            raw = json.loads(archive["content"].tobytes().decode())
    except Exception as error:  # a damaged archive raises a dozen kinds; all mean the same
        raise ArtifactError(
            f"the file must be a serving file, however: {path}: {type(error).__name__}."
        ) from error
    for index, array in enumerate(arrays):
        if array.dtype not in _TYPES or not np.isfinite(array).all():
            raise ArtifactError(f"arrays must be finite numbers, however: array {index} of {path} is not")
    if not isinstance(raw, dict):
        raise ArtifactError(f"the file must be a serving file, however: {path} holds no table")
    return raw, arrays


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _network_to_dict(network: FrozenNetwork) -> dict[str, Any]:
    plain = {field.name: getattr(network, field.name) for field in fields(FrozenNetwork)}
    return plain | {
        "blocks": [
            {field.name: getattr(block, field.name) for field in fields(FrozenBlock)}
            for block in network.blocks
        ]
    }


def _network_from_dict(raw: Mapping[str, Any]) -> FrozenNetwork:
    blocks = tuple(FrozenBlock(**block) for block in raw["blocks"])
    layers = tuple((weight, bias) for weight, bias in raw["layers"])
    return FrozenNetwork(**{**raw, "blocks": blocks, "layers": layers})


def _model_from_dict(raw: Mapping[str, Any], *, where: str) -> FrozenModel:
    features = features_from_dict(raw["features"])
    calibration = Calibration(**raw["calibration"])
    if not calibration.is_rising:
        raise ArtifactError(f"calibration must keep the ranking, however: {calibration}")
    network = _network_from_dict(raw["network"])
    numbers, codes = len(features.numerical), sum(features.cardinalities)
    if (len(network.left), network.slope.shape[1]) != (numbers, numbers) or (
        codes and codes != network.categories.shape[1]
    ):
        raise ArtifactError(f"columns must be those of the network, however: {where} has others")
    return FrozenModel(
        version=raw["version"],
        digest=raw["model"],
        schema=schema_from_dict(raw["schema"], where=where),
        features=features,
        network=network,
        trees=None if raw["trees"] is None else trees_from_dict(raw["trees"]),
        calibration=calibration,
        reference=raw["reference"],
        golden=golden_from_dict(raw["golden"], features),
    )


def _packed(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Plain values, in which arrays are replaced by their number; they are appended to `arrays`."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _packed(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(item, arrays) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ArtifactError("numbers of a model must be finite, however: one is not")
    return value


def _unpacked(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _unpacked(item, arrays) for key, item in value.items()}
    return [_unpacked(item, arrays) for item in value] if isinstance(value, list) else value
