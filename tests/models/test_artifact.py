"""Every file that is not exactly what was written must be refused, with one error and one line."""

import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.models.artifact import (
    MAX_BYTES,
    VERSION,
    WITHOUT_TREES,
    check_values,
    digest_path,
    migrate,
    read_artifact,
    write_artifact,
)

PAYLOAD = {"weights": {"a": torch.arange(200.0), "b": torch.ones(3, 4)}, "words": ["x", None, 1.5, True, 7]}
HEAD = {"format": "loan-default/model", "version": VERSION}


def refused(path: Path, **options: Any) -> str:
    """The message of the refusal, which must be one ArtifactError on one line."""
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path, kind="model", **options)
    message = str(caught.value)
    assert "\n" not in message, message
    assert "however" in message
    return message


def put_bytes(path: Path, content: bytes) -> Path:
    """Any bytes, with their right digest beside them."""
    path.write_bytes(content)
    digest_path(path).write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    return path


def put(path: Path, content: Any) -> Path:
    """Any object as torch saves it, with its right digest beside it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return put_bytes(path, buffer.getvalue())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


@pytest.fixture
def written(path: Path) -> Path:
    write_artifact(path, PAYLOAD, kind="model")
    return path


def test_round_trip(written: Path) -> None:
    read = read_artifact(written, kind="model")
    assert torch.equal(read["weights"]["a"], PAYLOAD["weights"]["a"])
    assert read["words"] == PAYLOAD["words"]
    assert read["version"] == WITHOUT_TREES < VERSION


def test_the_digest_beside_is_that_of_sha256sum(written: Path) -> None:
    result = subprocess.run(
        ["sha256sum", "-c", digest_path(written).name], cwd=written.parent, check=False, capture_output=True
    )
    assert result.returncode == 0


def test_writing_returns_the_digest_that_reading_accepts(path: Path) -> None:
    digest = write_artifact(path, PAYLOAD, kind="model")
    digest_path(path).unlink()
    read_artifact(path, kind="model", sha256=digest)
    assert "recorded digest" in refused(path, sha256="0" * 64)
    assert "recorded digest" in refused(path, sha256=""), "an empty digest is not 'the one beside the file'"


def test_what_could_not_be_read_again_is_not_written(written: Path) -> None:
    before = written.read_bytes()
    for value in (math.nan, torch.tensor([math.inf]), object, np.float64(1.0), (1, 2), {1: 2}):
        with pytest.raises(ArtifactError):
            write_artifact(written, {"value": value}, kind="model")
    assert written.read_bytes() == before
    read_artifact(written, kind="model")


# Damage


@pytest.mark.slow
def test_no_flipped_bit_loads(written: Path) -> None:
    content = written.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.choice(len(content) * 8, size=300, replace=False).tolist():
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        written.write_bytes(flipped)
        assert "must have its recorded digest" in refused(written)  # before anything is parsed


@pytest.mark.slow
def test_no_flipped_bit_in_the_digest_loads(written: Path) -> None:
    beside = digest_path(written)
    content = beside.read_bytes()
    for position in range(64 * 8):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        beside.write_bytes(flipped)
        refused(written)


def test_no_part_of_a_file_loads(written: Path) -> None:
    content = written.read_bytes()
    for size in np.linspace(0, len(content) - 1, 20).astype(int):
        written.write_bytes(content[:size])
        refused(written)
        put_bytes(written, content[:size])  # even if the part has a digest of its own
        refused(written)


@pytest.mark.parametrize("content", [b"", bytes(5000), b"PK\x03\x04", b"\x80\x04."], ids=repr)
def test_empty_zero_filled_and_broken_files(path: Path, content: bytes) -> None:
    refused(put_bytes(path, content))


def test_a_longer_file_is_refused(written: Path) -> None:
    written.write_bytes(written.read_bytes() + b"\0")
    assert "recorded digest" in refused(written)


def test_a_missing_file_or_digest(written: Path) -> None:
    assert "must exist" in refused(written.with_name("other.pth"))
    assert "must be readable" in refused(written.parent)
    digest_path(written).unlink()
    assert "must come with its digest" in refused(written)


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\xff" * 64, b"g" * 64, b"A" * 64, b"a" * 65, b" " + b"a" * 64]
)
def test_a_digest_file_that_holds_none(written: Path, content: bytes) -> None:
    digest_path(written).write_bytes(content)
    assert "digest" in refused(written)


def test_a_file_beyond_the_limit_is_refused_unread(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a sparse file: it has a size but takes no room
    message = refused(path)
    assert f"at most {MAX_BYTES} bytes, however: {path} has {MAX_BYTES + 1}" in message


# Foreign files


def test_foreign_files(path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.txt", "not a tensor")
    for content in (png, json.dumps({"format": HEAD["format"]}).encode(), archive.getvalue(), b"x" * 1000):
        refused(put_bytes(path, content))


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [HEAD],
        {},
        {"weights": torch.zeros(3)},
        {"format": "loan-default/encoder", "version": 1},
        {"format": "loan-default/model\n", "version": 1},
        {"format": torch.zeros(3, 3), "version": 1},
        {"format": ["loan-default/model"], "version": 1},
    ],
    ids=lambda content: f"{content!r}"[:40],
)
def test_torch_files_of_something_else(path: Path, content: Any) -> None:
    assert "must be a loan-default/model" in refused(put(path, content))


def test_an_encoder_is_no_model(path: Path) -> None:
    write_artifact(path, PAYLOAD, kind="encoder")
    assert "is 'loan-default/encoder'" in refused(path)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


class EvilSystem(Evil):
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("kind", [Evil, EvilSystem])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_in_a_file_does_not_run(path: Path, tmp_path: Path, kind: type[Evil], zipped: bool) -> None:
    marker = tmp_path / "marker"
    buffer = io.BytesIO()
    torch.save(HEAD | {"x": kind(marker)}, buffer, _use_new_zipfile_serialization=zipped)
    refused(put_bytes(path, buffer.getvalue()))
    assert not marker.exists()
    # The marker would be there if it were loaded as torch did in the past.
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert marker.exists()


def test_the_switch_that_makes_torch_load_code_is_refused(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(ConfigurationError, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD must not be set"):
        read_artifact(written, kind="model")


@pytest.mark.slow
def test_packed_records_are_refused_before_they_are_unpacked(path: Path) -> None:
    stored = io.BytesIO()
    torch.save(HEAD | {"x": torch.zeros(5_000_000)}, stored)
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert len(packed.getvalue()) < 200_000
    assert "must not be compressed" in refused(put_bytes(path, packed.getvalue()))


# Values


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def doubled(times: int) -> Any:
    """A list of 2^times places in a file of a few hundred bytes."""
    value: Any = []
    for _ in range(times):
        value = [value] * 4
    return value


class Text(str):
    pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: torch.tensor([1.0, math.nan]), "must be finite, however: file.x"),
        (lambda: torch.tensor([-math.inf]), "must be finite"),
        (lambda: {"y": [0.5, math.nan]}, r"numbers must be finite, however: file.x.y[1]=nan"),
        (lambda: torch.zeros(1).expand(10**9), "must lie in the file"),
        (lambda: torch.zeros(1, dtype=torch.bool).expand(50, 2), "must lie in the file"),
        (lambda: torch.zeros(4, 4).T[:, ::2], "must lie in the file"),
        (lambda: torch.eye(3).to_sparse(), "must be plain"),
        (lambda: torch.eye(3).to_sparse_csr(), "must be plain"),
        (lambda: torch.zeros(2, dtype=torch.complex64), "must be plain"),
        (lambda: torch.zeros(2, dtype=torch.bfloat16), "must be plain"),
        (lambda: torch.zeros(2, dtype=torch.uint8), "must be plain"),
        (lambda: torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8), "plain"),
        (lambda: torch.empty(3, device="meta"), "must be plain"),
        (lambda: torch.empty(10**12, device="meta", dtype=torch.int64), "must be plain"),
        (lambda: {1: 2}, "keys must be text"),
        (lambda: {("a", "b"): 2}, "keys must be text"),
        (lambda: {1, 2}, "values must be plain, however: file.x is a set"),
        (lambda: (1, 2), "values must be plain, however: file.x is a tuple"),
        (lambda: b"bytes", "values must be plain, however: file.x is a bytes"),
        (lambda: 1 + 2j, "values must be plain"),
        (lambda: torch.float32, "values must be plain"),
        (lambda: nested(13), "nested at most 12 deep"),
        (lambda: nested(100), "nested at most 12 deep"),
        (lambda: doubled(11), "must hold fewer values"),
        (lambda: {"two\nlines": math.nan}, "must be finite"),
    ],
)
def test_values_that_no_model_has(path: Path, make: Callable[[], Any], says: str) -> None:
    started = time.monotonic()
    assert says in refused(put(path, HEAD | {"x": make()}))
    assert time.monotonic() - started < 60, "it hangs"


def test_objects_are_refused_by_torch(path: Path) -> None:
    for value in (np.float64(1.0), np.zeros(2), Text("a"), Path("a"), torch.nn.Linear(1, 1)):
        assert "tensors and plain values only" in refused(put(path, HEAD | {"x": value}))


def test_tensors_together_may_not_be_larger_than_the_file() -> None:
    one = torch.zeros(100)
    check_values({"a": one, "b": one}, limit=800)
    with pytest.raises(ArtifactError, match="must lie in the file"):
        check_values({"a": one, "b": one}, limit=799)


# Versions


@pytest.mark.parametrize(
    "version", [VERSION + 1, 10**30, 0, -3, None, "1", 1.0, True, [1], torch.ones(2, 2, 2)]
)
def test_a_version_without_a_way_is_refused(path: Path, version: Any) -> None:
    assert "ersion" in refused(put(path, HEAD | {"version": version}))


def test_a_missing_version_is_refused(path: Path) -> None:
    assert "version=None" in refused(put(path, {"format": HEAD["format"]}))


def test_migrations_are_chained_in_order() -> None:
    migrations = {
        1: lambda payload: {**payload, "steps": [*payload["steps"], "to 2"]},
        2: lambda payload: {**payload, "steps": [*payload["steps"], "to 3"]},
        3: lambda payload: {**payload, "steps": [*payload["steps"], "to 4"]},
    }
    old = {"version": 1, "steps": []}
    assert migrate(old, migrations=migrations, version=4)["steps"] == ["to 2", "to 3", "to 4"]
    assert migrate({"version": 3, "steps": []}, migrations=migrations, version=4)["steps"] == ["to 4"]
    assert migrate({"version": 4, "steps": []}, migrations=migrations, version=4)["steps"] == []
    assert old == {"version": 1, "steps": []}
    with pytest.raises(ArtifactError, match="version 4 must have a way to version 5, however: there is none"):
        migrate(old, migrations=migrations, version=5)
    with pytest.raises(ArtifactError, match="must be 2 or older, however: version=3"):
        migrate({"version": 3}, migrations=migrations, version=2)


# Killed while writing

WRITER = """
import sys
from pathlib import Path
import torch
from loan_default.models.artifact import write_artifact

path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for number in (1, 2):
        write_artifact(path, {"number": number, "x": torch.full((200_000,), float(number))}, kind="model")
"""


@pytest.mark.slow
def test_a_kill_leaves_the_old_file_or_the_new_one(path: Path) -> None:
    digests = {
        write_artifact(path, {"number": number, "x": torch.full((200_000,), float(number))}, kind="model")
        for number in (1, 2)
    }
    rng = np.random.default_rng(3)
    seen: list[str] = []
    pairs = rounds = 0
    while rounds < 2 or (pairs == 0 and rounds < 20):  # a busy machine may stop each writer between its files
        rounds += 1
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        for _ in range(25):
            time.sleep(float(rng.uniform(0.002, 0.02)))
            # A reader at any time has one of the two, whole; the registry's digest says which.
            seen.append(hashlib.sha256(path.read_bytes()).hexdigest())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        seen.append(found)
        payload = read_artifact(path, kind="model", sha256=found)
        assert torch.equal(payload["x"], torch.full((200_000,), float(payload["number"])))
        assert digest_path(path).read_text()[:64] in digests
        try:  # by the digest beside it: either, or a refusal between the two writes
            read_artifact(path, kind="model")
            pairs += 1
        except ArtifactError:
            assert digest_path(path).read_text()[:64] != found
    assert set(seen) <= digests
    assert len(set(seen)) == 2, "the writer must have been at work"
    assert pairs > 0
