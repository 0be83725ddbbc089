"""Training of boosted trees: a member of the model of another kind than its networks, fitted by LightGBM.

The trees see what the networks see. What the library fitted is copied into plain arrays and compared with
the library row by row, so that nothing but training needs it.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models.baseline import normalised
from loan_default.models.features import Inputs
from loan_default.models.labelled import Labelled
from loan_default.models.trees import Trees

MOST_ROUNDS = 3_000
"""Trees at most."""
Directions = NDArray[np.int64] | None
_PATIENCE = 50
"""Rounds in vain before the fit ends."""
_TOLERANCE = 1e-12
"""Largest difference of a logit from that of the library, beside 1 or the logit itself."""


def import_lightgbm() -> ModuleType:
    """The library that fits trees.

    Raises:
        ConfigurationError: it is not installed, or what it needs of the system is not.
    """
    try:
        import lightgbm  # noqa: PLC0415 (only a run with trees needs it)
    except (ImportError, OSError) as error:  # the latter where the system has no OpenMP
        raise ConfigurationError(
            f"trees must have LightGBM to be fitted, however: {' '.join(str(error).split())[:200]}. Install "
            'it by pip install "loan-default[trees]", and libgomp1 of the system where that is missing, or '
            "train --no-with-trees."
        ) from error
    return lightgbm


def fit_trees(
    train: Labelled, validation: Labelled, *, seed: int, threads: int = 1, directions: Directions = None
) -> Trees:
    """Trees fitted on the training rows, as many as give the best log loss of the validation rows.

    The same rows, seed and version of the library give the same trees, whatever the number of threads.

    Args:
        directions: `(F,)` how the PD must move with each numerical feature, as `Features` has it.

    Raises:
        ConfigurationError: the library is not installed.
        ArtifactError: the copied trees do not score rows as the library does.
    """
    lightgbm = import_lightgbm()
    rows = _dataset(lightgbm, train)
    booster = lightgbm.train(
        _parameters(train.inputs, directions, seed=seed, threads=threads),
        rows,
        num_boost_round=MOST_ROUNDS,
        valid_sets=[_dataset(lightgbm, validation, reference=rows)],
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    )
    return _checked_trees(booster, train.inputs, validation.inputs)


def refit_trees(
    rows: Labelled, *, rounds: int, seed: int, threads: int = 1, directions: Directions = None
) -> Trees:
    """As many trees as were found before, fitted on other rows; nothing is scored.

    Raises:
        ConfigurationError, ArtifactError: as `fit_trees`.
    """
    lightgbm = import_lightgbm()
    parameters = _parameters(rows.inputs, directions, seed=seed, threads=threads)
    booster = lightgbm.train(parameters, _dataset(lightgbm, rows), num_boost_round=rounds)
    return _checked_trees(booster, rows.inputs)


def trees_of(booster: Any, *, numerical: int, categorical: int) -> Trees:
    """The trees of a booster up to its best round, as arrays.

    Args:
        booster: a `lightgbm.Booster` whose columns are numerical ones, then codes.

    Raises:
        ArtifactError: it has a kind of node that these arrays have no room for.
    """
    nodes = _Nodes()
    dumped = booster.dump_model(num_iteration=booster.best_iteration if booster.best_iteration > 0 else None)
    for tree in dumped["tree_info"]:
        nodes.roots.append(len(nodes.feature))
        nodes.add(tree["tree_structure"])
    return Trees(
        columns=np.array([numerical, categorical], dtype=np.int64),
        roots=np.array(nodes.roots, dtype=np.int64),
        feature=np.array(nodes.feature, dtype=np.int64),
        threshold=np.array(nodes.threshold, dtype=np.float64),
        left=np.array(nodes.left, dtype=np.int64),
        right=np.array(nodes.right, dtype=np.int64),
        missing_left=np.array(nodes.missing_left, dtype=np.bool_),
        value=np.array(nodes.value, dtype=np.float64),
        codes=np.array(nodes.codes, dtype=np.int64).reshape(-1, 2),
    )


def _parameters(inputs: Inputs, directions: Directions, *, seed: int, threads: int) -> dict[str, Any]:
    constraints = {}
    if directions is not None and directions.any():
        constraints["monotone_constraints"] = [*directions.tolist(), *[0] * inputs.codes.shape[1]]
    return constraints | {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": 0.05,
        "seed": seed % 2**31,  # its numbers are signed
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,  # else it tries out which way is faster, and the ways round differently
        "verbosity": -1,
    }


def _dataset(lightgbm: ModuleType, rows: Labelled, *, reference: Any = None) -> Any:
    numerical, categorical = rows.inputs.numerical.shape[1], rows.inputs.codes.shape[1]
    return lightgbm.Dataset(
        _matrix(rows.inputs),
        label=rows.labels,
        weight=normalised(rows.weights),
        reference=reference,
        categorical_feature=list(range(numerical, numerical + categorical)),
        params={"verbosity": -1},
    )


def _matrix(inputs: Inputs) -> NDArray[np.float64]:
    return np.concatenate([inputs.numerical, inputs.codes], axis=1, dtype=np.float64)


@dataclass(kw_only=True, slots=True)
class _Nodes:
    """Columns of the arrays of `Trees` while nodes are added."""

    roots: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    missing_left: list[bool] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    codes: list[tuple[int, int]] = field(default_factory=list)

    def add(self, node: dict[str, Any]) -> int:
        """Add a node and all below it; returns its position."""
        position = len(self.feature)
        is_leaf = "split_feature" not in node
        self.feature.append(-1 if is_leaf else node["split_feature"])
        self.value.append(node["leaf_value"] if is_leaf else 0.0)
        threshold, missing_left = 0.0, False
        if not is_leaf and node["decision_type"] == "==":
            self.codes += [(position, int(code)) for code in str(node["threshold"]).split("||")]
        elif not is_leaf:
            threshold, missing_left = node["threshold"], _sends_missing_left(node)
        self.threshold.append(threshold)
        self.missing_left.append(missing_left)
        self.left.append(0)
        self.right.append(0)
        if not is_leaf:
            self.left[position] = self.add(node["left_child"])
            self.right[position] = self.add(node["right_child"])
        return position


def _sends_missing_left(node: dict[str, Any]) -> bool:
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    if node["missing_type"] == "None":  # no training row lacked it; the library then reads a missing one as 0
        return bool(node["threshold"] >= 0)
    raise ArtifactError(f"nodes must not take 0 for missing, however: missing_type={node['missing_type']!r}")


def _checked_trees(booster: Any, *parts: Inputs) -> Trees:
    """The trees of a booster, which score these rows, and rows of nothing known, as the library does."""
    numerical, categorical = parts[0].numerical.shape[1], parts[0].codes.shape[1]
    trees = trees_of(booster, numerical=numerical, categorical=categorical)
    unknown = Inputs(
        numerical=np.full((2, numerical), np.nan, dtype=np.float32),
        codes=np.repeat(
            [[0], [1 + max(int(part.codes.max(initial=0)) for part in parts)]], categorical, axis=1
        ),
    )
    for part in (*parts, unknown):
        expected = np.asarray(booster.predict(_matrix(part), raw_score=True))
        far = np.abs(trees.logits(part) - expected) / np.maximum(1, np.abs(expected))
        if far.max(initial=0) > _TOLERANCE:
            raise ArtifactError(
                f"copied trees must score rows as LightGBM does, within {_TOLERANCE}, however: a logit is "
                f"{far.max():.1e} from its own. Train --no-with-trees, and report it."
            )
    return trees
