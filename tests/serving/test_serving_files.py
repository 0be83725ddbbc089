"""Files that a server starts from: derived once, refused where anything in them is damaged."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving.conftest import Saved

from loan_default.errors import ArtifactError, DependencyError
from loan_default.models.deriving import REFUSED, derive, main
from loan_default.models.model import LoanModel, golden_rows_of, save_model
from loan_default.models.serving_file import read_serving_file, serving_path
from loan_default.serving import serving_files
from loan_default.serving.record_arrays import RecordArrays
from loan_default.serving.serving_files import frozen_from


def refused(path: Path, model: str) -> str:
    with pytest.raises(ArtifactError) as caught:
        read_serving_file(path, model=model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def signed(path: Path, content: bytes) -> None:
    """Write content with its right digest, as who may write both files can."""
    path.write_bytes(content)
    path.with_name(path.name + ".sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")


def test_a_serving_file_holds_the_model(registered: Saved, model: LoanModel) -> None:
    frozen = read_serving_file(registered.serving_file, model=registered.sha256)
    assert (frozen.version, frozen.digest) == (model.version, registered.sha256)
    assert frozen.schema == model.schema
    assert frozen.features.names == model.architecture.features.names
    assert frozen.calibration == model.calibration


@pytest.mark.slow
def test_the_same_model_file_gives_the_same_bytes(registered: Saved, tmp_path: Path) -> None:
    derive(registered.path, sha256=registered.sha256, out=tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == registered.serving_file.read_bytes()


@pytest.mark.slow
def test_no_flipped_bit_and_no_truncation_is_read(saved: Saved) -> None:
    content = saved.serving_file.read_bytes()
    rng = np.random.default_rng(1)
    for position in rng.choice(len(content), size=150, replace=False).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        saved.serving_file.write_bytes(flipped)
        assert "recorded digest" in refused(saved.serving_file, saved.sha256)
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        saved.serving_file.write_bytes(content[:length])
        assert "recorded digest" in refused(saved.serving_file, saved.sha256)
    saved.serving_file.write_bytes(content)
    read_serving_file(saved.serving_file, model=saved.sha256)


@pytest.mark.slow
def test_damage_with_a_right_digest_is_never_read_as_another_model(saved: Saved) -> None:
    content = saved.serving_file.read_bytes()
    sound = read_serving_file(saved.serving_file, model=saved.sha256)
    rng = np.random.default_rng(2)
    refused_ones = 0
    for position in rng.choice(len(content), size=60, replace=False).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        signed(saved.serving_file, bytes(flipped))
        try:
            read = read_serving_file(saved.serving_file, model=saved.sha256)
        except ArtifactError:
            refused_ones += 1
        else:  # a bit of the archive that means nothing
            inputs = RecordArrays(sound.features)(sound.golden.records)
            np.testing.assert_array_equal(read.predict_pd(inputs), sound.predict_pd(inputs))
    assert refused_ones > 50, "each array has a checksum of its own"


def test_a_file_without_its_digest_or_of_another_model_is_refused(saved: Saved) -> None:
    assert "is another" in refused(saved.serving_file, "0" * 64)
    saved.serving_file.with_name(saved.serving_file.name + ".sha256").unlink()
    assert "come with its digest" in refused(saved.serving_file, saved.sha256)
    assert "must be readable" in refused(saved.cache / "none.npz", saved.sha256)


def rewritten(path: Path, change: Callable[[dict[str, Any], list[Any]], object]) -> None:
    """The file with something changed and a right digest."""
    with np.load(path) as archive:
        arrays = [archive[f"a{index}"] for index in range(len(archive.files) - 1)]
        content = json.loads(archive["content"].tobytes())
    change(content, arrays)
    buffer = io.BytesIO()
    packed = np.frombuffer(json.dumps(content).encode(), np.uint8)
    np.savez(buffer, content=packed, **{f"a{at}": array for at, array in enumerate(arrays)})
    signed(path, buffer.getvalue())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content, arrays: arrays[0].__setitem__(0, np.nan), "must be finite numbers"),
        (lambda content, arrays: arrays[-1].__setitem__(0, np.inf), "must be finite numbers"),
        (lambda content, arrays: arrays.__setitem__(0, arrays[0].astype(str)), "must be finite numbers"),
        (lambda content, arrays: arrays.pop(), "IndexError|KeyError"),
        (lambda content, arrays: content.update(layout=2), "is another"),
        (lambda content, arrays: content.update(format="loan-default/model"), "is another"),
        (lambda content, arrays: content["network"].pop("heads"), "TypeError"),
        (lambda content, arrays: content["network"].update(depth=3), "TypeError"),
        (lambda content, arrays: content["calibration"].update(slope=-1.0), "keep the ranking"),
        (lambda content, arrays: content["schema"].update(columns={}), "must be there"),
        (lambda content, arrays: content["features"]["numerical"].pop(), "those of the network"),
        (lambda content, arrays: content["features"]["categorical"].pop(), "those of the network"),
        (lambda content, arrays: content.pop("golden"), "KeyError"),
    ],
)
def test_what_is_no_model_is_refused_for_all_its_right_digest(
    saved: Saved, change: Callable[[dict[str, Any], list[Any]], object], reason: str
) -> None:
    rewritten(saved.serving_file, lambda content, arrays: None)
    read_serving_file(saved.serving_file, model=saved.sha256)
    rewritten(saved.serving_file, change)
    with pytest.raises(ArtifactError, match=reason):
        read_serving_file(saved.serving_file, model=saved.sha256)


def test_pickles_are_not_loaded(saved: Saved) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, content=np.array([{"a": print}], dtype=object))
    signed(saved.serving_file, buffer.getvalue())
    assert "ValueError" in refused(saved.serving_file, saved.sha256)


def test_a_model_file_that_is_damaged_is_refused_although_its_serving_file_is_sound(saved: Saved) -> None:
    content = saved.path.read_bytes()
    rng = np.random.default_rng(3)
    damaged = [content[:length] for length in (0, 1, 1000, len(content) // 2, len(content) - 1)]
    for position in rng.choice(len(content), size=100, replace=False).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        damaged.append(bytes(flipped))
    for each in damaged:
        saved.path.write_bytes(each)
        with pytest.raises(ArtifactError, match="recorded digest"):
            frozen_from(saved.path, sha256=saved.sha256, cache=saved.cache)
    saved.path.unlink()
    with pytest.raises(ArtifactError, match="must be readable"):
        frozen_from(saved.path, sha256=saved.sha256, cache=saved.cache)


@pytest.mark.slow
def test_what_is_absent_or_damaged_is_derived_anew_by_another_process(saved: Saved) -> None:
    sound = saved.serving_file.read_bytes()
    saved.serving_file.write_bytes(sound[:-1])
    frozen_from(saved.path, sha256=saved.sha256, cache=saved.cache)
    assert saved.serving_file.read_bytes() == sound


def test_without_torch_a_sound_serving_file_must_be_there(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_files, "find_spec", lambda name: None)
    frozen_from(saved.path, sha256=saved.sha256, cache=saved.cache)
    saved.serving_file.write_bytes(b"")
    with pytest.raises(ArtifactError, match="where torch is not installed"):
        frozen_from(saved.path, sha256=saved.sha256, cache=saved.cache)


@pytest.mark.slow
def test_a_process_that_takes_too_long_can_be_tried_again(saved: Saved) -> None:
    saved.serving_file.unlink()
    with pytest.raises(DependencyError, match=r"within 0\.01 s"):
        frozen_from(saved.path, sha256=saved.sha256, cache=saved.cache, seconds=0.01)


# Golden rows


def test_a_model_that_does_not_score_the_golden_rows_of_its_training_is_not_derived(
    model: LoanModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = golden_rows_of(model)
    wrong = replace(golden, pds=golden.pds + 1e-5)
    sha256 = save_model(tmp_path / "model.pth", replace(model, golden=wrong))
    assert main([str(tmp_path / "model.pth"), sha256, str(tmp_path / "out.npz")]) == REFUSED
    error = capsys.readouterr().err
    assert error.startswith("golden rows must have the PDs that their training stored, however: model ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.slow
def test_a_file_of_an_older_release_gets_golden_rows_when_it_is_derived(
    model: LoanModel, tmp_path: Path
) -> None:
    sha256 = save_model(tmp_path / "model.pth", model)
    out = serving_path(tmp_path, sha256)
    assert main([str(tmp_path / "model.pth"), sha256, str(out)]) == 0
    golden = read_serving_file(out, model=sha256).golden
    np.testing.assert_array_equal(golden.pds, golden_rows_of(model).pds)
