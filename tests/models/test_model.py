import copy
import hashlib
import io
import re
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logit

from loan_default.data.schema.language import Schema
from loan_default.errors import ArtifactError
from loan_default.models.artifact import digest_path, read_artifact, write_artifact
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture
from loan_default.models.model import (
    LoanModel,
    PretrainedEncoder,
    load_encoder,
    load_model,
    mean_probability,
    save_encoder,
    save_model,
)
from loan_default.models.tree_training import refit_trees

Payload = dict[str, Any]


@pytest.fixture
def encoder_file(architecture: Architecture, schema: Schema, tmp_path: Path) -> Path:
    torch.manual_seed(2)
    path = tmp_path / "encoder.pth"
    save_encoder(
        path,
        PretrainedEncoder(
            schema=schema,
            features=architecture.features,
            config=architecture.encoder,
            state=architecture.new_encoder().state_dict(),
            provenance={"seed": 2},
        ),
    )
    return path


def refused(path: Path, load: Callable[..., object] = load_model) -> str:
    with pytest.raises(ArtifactError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message, message
    assert "however" in message
    return message


def rewritten(path: Path, change: Callable[[Payload], object], *, kind: str = "model") -> Path:
    """The same file with something changed and a right digest."""
    payload = copy.deepcopy(read_artifact(path, kind=kind))
    change(payload)
    return written(path, payload)


def written(path: Path, payload: Payload) -> Path:
    """Any payload with a right digest."""
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    path.write_bytes(buffer.getvalue())
    digest_path(path).write_text(hashlib.sha256(buffer.getvalue()).hexdigest())
    return path


# There and back


@pytest.mark.slow
def test_a_loaded_model_predicts_the_same_bits(saved: Path, model: LoanModel, frame: pd.DataFrame) -> None:
    loaded = load_model(saved)
    np.testing.assert_array_equal(loaded.predict_pd(frame), model.predict_pd(frame))
    np.testing.assert_array_equal(loaded.predict_raw(frame), model.predict_raw(frame))
    assert len(np.unique(model.predict_pd(frame))) > 300


def test_all_else_comes_back_too(saved: Path, model: LoanModel) -> None:
    loaded = load_model(saved)
    assert loaded.version == model.version
    assert loaded.schema == model.schema
    assert loaded.schema.digest == model.schema.digest
    assert loaded.calibration == model.calibration
    assert loaded.architecture.encoder == model.architecture.encoder
    assert loaded.architecture.head == model.architecture.head
    assert loaded.metrics == {"test": {"auc": 0.75, "rows": 100}}
    assert loaded.provenance == model.provenance
    assert loaded.reference["pd"]["counts"].tolist() == [5, 6, 7, 0]


@pytest.mark.slow
def test_a_loaded_model_can_be_saved_again(saved: Path, tmp_path: Path, frame: pd.DataFrame) -> None:
    loaded = load_model(saved)
    save_model(tmp_path / "again.pth", loaded)
    again = load_model(tmp_path / "again.pth")
    np.testing.assert_array_equal(again.predict_pd(frame), loaded.predict_pd(frame))
    assert again.schema.digest == loaded.schema.digest


def test_pds_lie_inside_0_and_1_and_bad_rows_get_one_too(model: LoanModel) -> None:
    odd = pd.DataFrame(
        {
            "amount": [np.nan, np.inf, -1e300, 1e300],
            "purpose": ["?", None, "car", "car"],
            "extra": [1, 2, 3, 4],
        }
    )
    for rows in (odd, odd.iloc[:0], pd.DataFrame(index=range(3))):
        predicted = model.predict_pd(rows)
        assert predicted.shape == (len(rows),)
        assert ((predicted > 0) & (predicted < 1)).all()


@pytest.mark.slow
def test_a_row_is_scored_alone_as_among_others(model: LoanModel, frame: pd.DataFrame) -> None:
    together = model.predict_pd(frame)
    alone = np.array([model.predict_pd(frame.iloc[[row]])[0] for row in range(10)])
    np.testing.assert_allclose(alone, together[:10], atol=1e-6)
    np.testing.assert_allclose(
        model.predict_pd(pd.concat([frame] * 8)), np.tile(together, 8), atol=1e-6
    )  # more rows than are scored at once


def test_members_are_averaged_in_probability(model: LoanModel, frame: pd.DataFrame) -> None:
    inputs = model.architecture.features.transform(frame)
    each = [mean_probability([member], inputs) for member in model.members]
    np.testing.assert_allclose(model.predict_raw(frame), np.mean(each, axis=0), rtol=1e-12)
    assert np.abs(each[0] - each[1]).max() > 1e-3


def test_an_encoder_comes_back(encoder_file: Path, architecture: Architecture, schema: Schema) -> None:
    loaded = load_encoder(encoder_file)
    assert loaded.config == architecture.encoder
    assert loaded.schema == schema
    encoder = architecture.new_encoder()
    encoder.load_state_dict(loaded.state)
    torch.manual_seed(2)
    for name, tensor in architecture.new_encoder().state_dict().items():
        assert torch.equal(loaded.state[name], tensor), name


def test_columns_with_different_numbers_of_bins_can_be_saved(model: LoanModel, saved: Path) -> None:
    bins = {len(edges) for edges in model.architecture.features.edges}
    assert len(bins) > 1, "the bins of the test data must be uneven for this to say anything"
    load_model(saved)


def test_a_figure_that_is_not_finite_is_refused_when_it_is_saved(model: LoanModel, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with pytest.raises(ArtifactError, match=r"figures\.auc=nan"):
        save_model(path, replace(model, metrics={"auc": float("nan")}))
    assert list(tmp_path.iterdir()) == []


# With trees


@pytest.fixture
def model_with_trees(model: LoanModel, labelled: Labelled) -> LoanModel:
    return replace(model, trees=refit_trees(labelled, rounds=5, seed=0))


@pytest.mark.slow
def test_networks_and_trees_come_back_and_count_alike(
    model: LoanModel, model_with_trees: LoanModel, frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    save_model(path, model_with_trees)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict_pd(frame), model_with_trees.predict_pd(frame))
    assert loaded.trees is not None
    inputs = model.architecture.features.transform(frame)
    mean = (logit(model.predict_raw(frame)) + loaded.trees.logits(inputs)) / 2
    np.testing.assert_allclose(logit(loaded.predict_raw(frame)), mean, rtol=1e-9)
    assert np.abs(loaded.predict_raw(frame) - model.predict_raw(frame)).max() > 0.01


def test_a_release_that_knows_no_trees_refuses_the_file_and_reads_the_others(
    model: LoanModel, model_with_trees: LoanModel, tmp_path: Path
) -> None:
    """It would score by the networks alone."""
    versions = []
    for each in (model, model_with_trees):
        save_model(tmp_path / "model.pth", each)
        versions.append(torch.load(tmp_path / "model.pth", weights_only=True)["version"])
    assert versions == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda trees: trees.pop("left"), "missing 'left'"),
        (lambda trees: trees.update(columns=torch.tensor([5, 2])), r"the \(4, 2\) columns"),
        (lambda trees: trees["codes"].__setitem__((0, 1), 1_000), "codes of the features"),
        (lambda trees: trees["codes"].__setitem__((0, 1), -1), "codes of the features"),
        (lambda trees: trees.update(value=[1.0]), "AttributeError"),
        (lambda trees: trees["left"].fill_(0), "children must come after"),
    ],
)
def test_trees_that_are_none_are_refused(
    model_with_trees: LoanModel, tmp_path: Path, change: Callable[[Payload], object], reason: str
) -> None:
    path = tmp_path / "model.pth"
    save_model(path, model_with_trees)
    assert re.search(reason, refused(rewritten(path, lambda payload: change(payload["trees"]))))


# What is no model


def test_a_model_is_no_encoder_and_the_other_way_round(saved: Path, encoder_file: Path) -> None:
    assert "must be a loan-default/model" in refused(encoder_file)
    assert "must be a loan-default/encoder" in refused(saved, load_encoder)


KEYS = ("model_version", "schema", "features", "encoder", "head", "members", "calibration", "figures")


@pytest.mark.parametrize("key", [*KEYS, "reference", "provenance"])
def test_each_part_must_be_there(saved: Path, key: str) -> None:
    assert key in refused(rewritten(saved, lambda payload: payload.pop(key)))


@pytest.mark.slow
@pytest.mark.parametrize("key", [*KEYS, "reference", "provenance"])
def test_each_part_must_be_of_its_kind(saved: Path, key: str) -> None:
    others: list[Any] = [None, 5, [], [[1]], torch.zeros(2, 2)]
    if key not in ("figures", "reference", "provenance"):
        others += [{}, {"a": 1}]
    if key != "model_version":
        others.append("text")
    content = read_artifact(saved, kind="model")
    for value in others:
        refused(written(saved, content | {key: value}))


@pytest.mark.slow
@pytest.mark.parametrize("key", ["schema", "features", "encoder", "state", "provenance"])
def test_each_part_of_an_encoder_must_be_there_and_of_its_kind(encoder_file: Path, key: str) -> None:
    content = read_artifact(encoder_file, kind="encoder")
    for value in (None, "text", [1], torch.zeros(2, 2)):
        refused(written(encoder_file, content | {key: value}), load_encoder)
    del content[key]
    refused(written(encoder_file, content), load_encoder)


def weights(payload: Payload) -> dict[str, torch.Tensor]:
    return payload["members"][1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda payload: weights(payload).pop("norm.bias"), "member 2 has missing 'norm.bias'"),
        (lambda payload: weights(payload).update(extra=torch.zeros(1)), "member 2 has unknown 'extra'"),
        (lambda payload: weights(payload).update({"norm.bias": torch.zeros(3)}), r"must fit the network"),
        (
            lambda payload: weights(payload).update({"norm.bias": weights(payload)["norm.bias"].double()}),
            "torch.float64",
        ),
        (lambda payload: weights(payload)["norm.bias"].fill_(float("nan")), "must be finite"),
        (lambda payload: weights(payload)["norm.weight"][3:4].fill_(float("-inf")), "must be finite"),
        (
            lambda payload: weights(payload).update({"norm.bias": torch.zeros(1).expand(10**9)}),
            "must lie in the file",
        ),
        (lambda payload: weights(payload).update({"norm.bias": torch.eye(3).to_sparse()}), "must be plain"),
        (lambda payload: weights(payload).update({"norm.bias": [0.0] * 16}), "what a model consists of"),
        (lambda payload: weights(payload).update({"norm.bias": torch.empty(112, device="meta")}), "plain"),
        (lambda payload: payload["members"].append({}), "member 3 has missing"),
        (lambda payload: payload["members"].clear(), "must have a member, however: none"),
    ],
)
def test_weights_that_are_not_those_of_the_network(
    saved: Path, change: Callable[[Payload], object], says: str
) -> None:
    assert says in refused(rewritten(saved, change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda payload: payload["encoder"].pop("heads"), "EncoderConfig must be stored whole"),
        (lambda payload: payload["encoder"].update(depth=3), "it has unknown 'depth'"),
        (lambda payload: payload["head"].pop("dropout"), "HeadConfig must be stored whole"),
        (
            lambda payload: payload["encoder"].update(numerical="linear"),
            "weights must be those of the network",
        ),
        (lambda payload: payload["encoder"].update(heads=0), "heads must be a positive integer"),
        (lambda payload: payload["encoder"].update(width="16"), "TypeError"),
        (lambda payload: payload["calibration"].update(slope="1"), "calibration must be numbers"),
        (lambda payload: payload["calibration"].pop("slope"), "Calibration must be stored whole"),
        (lambda payload: payload["calibration"].update(slope=-1.0), "calibration must keep the ranking"),
        (lambda payload: payload["calibration"].update(slope=float("inf")), "numbers must be finite"),
        (lambda payload: payload["features"]["numerical"][0].pop("edges"), "KeyError: 'edges'"),
        (lambda payload: payload["features"]["numerical"].pop(), "weights must"),
        (lambda payload: payload["features"]["categorical"].clear(), "weights must"),
        (
            lambda payload: payload["features"]["numerical"][0].update(edges=torch.tensor([1.0, 0.0])),
            "edges must be finite and ascend",
        ),
        (
            lambda payload: payload["features"]["categorical"][0].update(vocabulary=["a", "b", "b"]),
            "names must be text and distinct",
        ),
        (lambda payload: payload["schema"]["columns"]["amount"].update(kind="x"), "kind must be one of"),
        (lambda payload: payload["schema"].update(columns=torch.zeros(3, 3)), "tables must be there"),
        (lambda payload: payload.update(model_version=""), "must have a version, however: ''"),
    ],
)
def test_descriptions_that_contradict_the_weights_or_themselves(
    saved: Path, change: Callable[[Payload], object], says: str
) -> None:
    assert says in refused(rewritten(saved, change))


HUGE = 10**9


@pytest.mark.parametrize(
    ("part", "sizes"),
    [
        ("encoder", {"width": HUGE}),
        ("encoder", {"width": 10**30}),
        ("encoder", {"width": 10**400, "heads": 1}),
        ("encoder", {"n_layers": HUGE}),
        ("encoder", {"n_layers": 10**400}),
        ("encoder", {"feed_forward": 1e9}),
        ("encoder", {"feed_forward": 1e300}),
        ("encoder", {"heads": HUGE, "width": HUGE}),
        ("head", {"n_layers": HUGE}),
        ("head", {"hidden": HUGE}),
        ("head", {"hidden": 10**400}),
        ("head", {"predictors": HUGE}),
        ("head", {"predictors": 10**19}),
    ],
    ids=str,
)
def test_absurd_sizes_are_refused_at_once_and_without_memory(
    saved: Path, part: str, sizes: dict[str, float]
) -> None:
    rewritten(saved, lambda payload: payload[part].update(sizes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    refused(saved)
    assert time.monotonic() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


@pytest.mark.slow
def test_many_columns_with_one_fine_one_are_refused_without_memory(saved: Path) -> None:
    """The table of bins has the room of the finest column everywhere: 3,000 x 100,000 places here."""

    def change(payload: Payload) -> None:
        fine = {"name": "fine", "quantiles": torch.zeros(1), "edges": torch.arange(1e5), "levels": []}
        coarse = [{**fine, "name": f"c{i}", "edges": torch.tensor([0.0, 1.0])} for i in range(3_000)]
        payload["features"]["numerical"] = [fine, *coarse]

    rewritten(saved, change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "bins must be those of the weights" in refused(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kilobytes"


@pytest.mark.slow
def test_a_damaged_file_does_not_load_by_the_registrys_digest_either(saved: Path, model: LoanModel) -> None:
    digest = save_model(saved, model)
    content = saved.read_bytes()
    rng = np.random.default_rng(1)
    for position in rng.choice(len(content), size=100, replace=False).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        saved.write_bytes(flipped)
        with pytest.raises(ArtifactError, match="recorded digest"):
            load_model(saved, sha256=digest)
    saved.write_bytes(content)
    load_model(saved, sha256=digest)


def test_a_swapped_file_with_its_own_digest_is_refused_by_the_registrys(
    saved: Path, model: LoanModel
) -> None:
    registered = save_model(saved, model)
    save_model(saved, replace(model, version="another"))
    load_model(saved)
    with pytest.raises(ArtifactError, match="recorded digest"):
        load_model(saved, sha256=registered)


def test_the_file_holds_plain_values_only(saved: Path) -> None:
    def kinds(value: Any) -> set[type]:
        if isinstance(value, dict):
            return {dict}.union(*(kinds(item) for item in value.values()))
        if isinstance(value, list):
            return {list}.union(*(kinds(item) for item in value))
        return {type(value)}

    payload = read_artifact(saved, kind="model")
    assert kinds(payload) <= {dict, list, str, int, float, bool, type(None), torch.Tensor}
    write_artifact(saved, {key: value for key, value in payload.items() if key != "version"}, kind="model")
    load_model(saved)
