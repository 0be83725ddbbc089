"""Checkpoints: a file after each epoch, complete or absent, read without running anything in it.

The file is the SHA-256 of the rest in hexadecimal, a line feed, and the rest as `torch.save` writes it.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from loan_default.errors import ArtifactError
from loan_default.files import write_atomically

_HEADER = 65  # bytes: 64 digits and a line feed


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Replace the file atomically: a kill leaves the old checkpoint or the new one."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    write_atomically(path, digest.encode() + b"\n" + buffer.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain values of a checkpoint, on the CPU.

    Raises:
        ArtifactError: the file is not one that `write_checkpoint` wrote.
    """
    content = path.read_bytes()
    digest, body = content[:_HEADER], content[_HEADER:]
    if digest != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise ArtifactError(
            f"a checkpoint must be as it was written, however: {path} is damaged or something else. "
            "Delete it to start this stage anew."
        )
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise a dozen kinds here; all mean the same
        raise ArtifactError(
            f"a checkpoint must hold tensors and plain values only, however: {path}: {type(error).__name__}."
        ) from error
    if not isinstance(state, dict):
        raise ArtifactError(f"a checkpoint must be a dict, however: {path} is a {type(state).__name__}.")
    return state
