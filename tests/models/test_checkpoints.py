import hashlib
import io
from pathlib import Path

import pytest
import torch

from loan_default.errors import ArtifactError
from loan_default.models.checkpoints import read_checkpoint, write_checkpoint

STATE = {"weights": torch.arange(50.0), "epoch": 3, "history": [{"loss": 0.5}]}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "member.ckpt"
    write_checkpoint(path, STATE)
    read = read_checkpoint(path)
    assert torch.equal(read.pop("weights"), STATE["weights"])
    assert read == {"epoch": 3, "history": [{"loss": 0.5}]}
    assert [file.name for file in path.parent.iterdir()] == ["member.ckpt"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_checkpoint_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "member.ckpt"
    write_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ArtifactError, match=r"as it was written, however: .* is damaged"):
        read_checkpoint(path)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "member.ckpt"
    write_checkpoint(path, STATE)
    content = path.read_bytes()
    for position in range(0, len(content), 17):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(ArtifactError, match="damaged"):
            read_checkpoint(path)


def write_body(path: Path, content: object) -> None:
    """A checkpoint with a right digest and any content."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    body = buffer.getvalue()
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "member.ckpt", tmp_path / "marker"
    write_body(path, {"state": Evil(marker)})
    with pytest.raises(ArtifactError, match="tensors and plain values only"):
        read_checkpoint(path)
    assert not marker.exists()


def test_something_else_with_a_right_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "member.ckpt"
    write_body(path, [1, 2])
    with pytest.raises(ArtifactError, match=r"must be a dict, however: .* is a list"):
        read_checkpoint(path)
