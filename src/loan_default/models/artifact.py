"""Model files: tensors and plain values in a `.pth`, refused before anything in them is used if in doubt.

Reading goes from the outside in: size, digest, `torch.load(weights_only=True)` of the very bytes that were
digested, format and version, every value's type, every tensor's layout, size and finiteness. The
code that builds a model from the values checks what they mean. The digest stands beside the file in
`<name>.sha256`, in the format of sha256sum, and in the registry. A digest stops damage and mix-ups; whoever
can write both files can replace both.
"""

import hashlib
import io
import math
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loan_default.errors import ArtifactError, ConfigurationError
from loan_default.files import write_atomically

VERSION = 2
"""Version of the layout of model and encoder files."""

WITHOUT_TREES = 1
"""Version of the layout of files that hold no trees: earlier releases read them too."""

MAX_BYTES = 1 << 30
"""A larger file is refused unread; the preset `default` makes about 8 MB."""

_DTYPES = frozenset({torch.float32, torch.float64, torch.int64, torch.bool})
_MAX_DEPTH = 12

Payload = dict[str, Any]
Migration = Callable[[Payload], Payload]

MIGRATIONS: Mapping[int, Migration] = {WITHOUT_TREES: lambda payload: payload}
"""Version of the format -> function that makes a payload of the next version from one of this version."""


def write_artifact(path: Path, payload: Mapping[str, Any], *, kind: str, version: int = WITHOUT_TREES) -> str:
    """Write the file and its digest beside it; a kill leaves the old pair or is noticed when reading.

    Args:
        kind: what the file holds, `model` or `encoder`.
        version: of the layout; an older release refuses a newer one, instead of reading half of it.

    Returns:
        The SHA-256 of the file.

    Raises:
        ArtifactError: the payload holds what reading would refuse; nothing is written.
    """
    buffer = io.BytesIO()
    torch.save({"format": _format(kind), "version": version, **payload}, buffer)
    check_values(payload, limit=buffer.tell())
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    write_atomically(path, buffer.getvalue())
    write_digest(path, digest)
    return digest


def write_digest(path: Path, sha256: str) -> None:
    """Write the digest of a file beside it, as `sha256sum --check` reads it."""
    write_atomically(digest_path(path), f"{sha256}  {path.name}\n".encode())


def read_artifact(path: Path, *, kind: str, sha256: str | None = None) -> Payload:
    """The payload of a file that passed every check.

    Args:
        kind: what the file must hold.
        sha256: the digest it must have, e.g. from the registry; None = the one beside the file.

    Raises:
        ArtifactError: with the first reason for which the file was refused.
        ConfigurationError: the environment switches torch's safe loading off.
    """
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise ConfigurationError(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD must not be set, however: it is, and would let model files run "
            "code."
        )
    content = _read(path)
    expected = _digest_beside(path) if sha256 is None else sha256
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtifactError(
            f"a model file must have its recorded digest, however: {path} has {found[:12]}…, recorded is "
            f"{expected[:12]}…. It is damaged or another file; fetch it anew."
        )
    _check_unpacked_size(content, path)
    try:
        payload = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:  # torch and pickle raise a dozen kinds here; all mean the same
        raise ArtifactError(
            f"a model file must hold tensors and plain values only, however: {path}: {type(error).__name__}."
        ) from error
    if not isinstance(payload, dict) or payload.get("format") != _format(kind):
        found_format = shown(payload.get("format") if isinstance(payload, dict) else payload)
        raise ArtifactError(f"the file must be a {_format(kind)}, however: {path} is {found_format}.")
    check_values(payload, limit=len(content))
    return migrate(payload, migrations=MIGRATIONS, version=VERSION)


def digest_path(path: Path) -> Path:
    """Path of the file that holds the digest of a model file."""
    return path.with_name(path.name + ".sha256")


def check_values(payload: Mapping[str, Any], *, limit: int) -> None:
    """Refuse anything but plain values and sound tensors.

    Args:
        limit: bytes that all tensors together may take; a file cannot hold more than it weighs.

    Raises:
        ArtifactError: a foreign type, a sparse, strided, huge or non-finite tensor, a NaN, deep nesting, or
            one list that is referred to many times.
    """
    total = 0
    for number, (where, value) in enumerate(_walk(payload, "file", depth=0)):
        if number > limit:
            raise ArtifactError(f"a file of {limit} bytes must hold fewer values than that, however: {where}")
        if isinstance(value, Tensor):
            is_plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
            if not is_plain or value.dtype not in _DTYPES:
                raise ArtifactError(
                    f"tensors must be plain, however: {where} is {value.layout}, {value.dtype}, on "
                    f"{value.device}"
                )
            total += value.numel() * value.element_size()
            if total > limit or not value.is_contiguous():
                raise ArtifactError(
                    f"tensors must lie in the file, however: {where} has shape {tuple(value.shape)} and "
                    f"strides {value.stride()} in a file of {limit} bytes"
                )
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise ArtifactError(f"tensors must be finite, however: {where} holds NaN or infinity")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ArtifactError(f"numbers must be finite, however: {where}={value}")
        elif not (value is None or isinstance(value, dict) or type(value) in (str, int, float, bool, list)):
            raise ArtifactError(f"values must be plain, however: {where} is a {type(value).__name__}")


def migrate(payload: Payload, *, migrations: Mapping[int, Migration], version: int) -> Payload:
    """The payload brought to a version, step by step.

    Raises:
        ArtifactError: it has no version, a newer one, or one that no step starts from.
    """
    found = payload.get("version")
    if type(found) is not int or found > version:
        raise ArtifactError(
            f"the file's version must be {version} or older, however: version={shown(found)}. "
            "Update loan-default."
        )
    while found < version:
        if found not in migrations:
            raise ArtifactError(
                f"version {found} must have a way to version {version}, however: there is none"
            )
        payload = migrations[found](payload)
        found += 1
    return payload


def shown(value: Any) -> str:
    """A value of a file on one short line, for a message."""
    if type(value) is int and abs(value) >= 10**18:  # Python refuses to write out a very long one
        return "a huge int"
    is_plain = value is None or type(value) in (str, bool, float, int)
    return repr(value)[:80] if is_plain else f"a {type(value).__name__}"


def _format(kind: str) -> str:
    return f"loan-default/{kind}"


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ArtifactError(
                f"a model file must have at most {MAX_BYTES} bytes, however: {path} has {size}"
            )
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # it may have grown since
    except FileNotFoundError:
        raise ArtifactError(f"the model file must exist, however: {path} does not") from None
    except OSError as error:
        raise ArtifactError(f"the model file must be readable, however: {path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ArtifactError(f"a model file must have at most {MAX_BYTES} bytes, however: {path} has more")
    return content


def _check_unpacked_size(content: bytes, path: Path) -> None:
    """torch stores its records as they are; packed ones could unpack to a thousand times the memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(record.file_size for record in archive.infolist())
    except Exception as error:  # a damaged archive raises a dozen kinds too
        raise ArtifactError(
            f"a model file must be what torch.save writes, however: {path}: {type(error).__name__}."
        ) from error
    if unpacked > len(content):
        raise ArtifactError(
            f"a model file must not be compressed, however: {path} has {len(content)} bytes and would unpack "
            f"to {unpacked}"
        )


def _digest_beside(path: Path) -> str:
    beside = digest_path(path)
    try:
        text = beside.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise ArtifactError(
            f"a model file must come with its digest, however: {beside} is not there or not readable. "
            "Copy it along with the model, or name the digest with --sha256."
        ) from None
    match = re.match(r"([0-9a-f]{64})\b", text)
    if match is None:
        raise ArtifactError(
            f"a digest file must begin with 64 hexadecimal digits, however: {beside} does not"
        )
    return match[1]


def _walk(value: Any, where: str, *, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _MAX_DEPTH:
        raise ArtifactError(f"values must be nested at most {_MAX_DEPTH} deep, however: {where}")
    yield where, value
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise ArtifactError(f"keys must be text, however: {where} has {shown(key)}")
            name = key if key.isprintable() and len(key) < 80 else shown(key)
            yield from _walk(item, f"{where}.{name}", depth=depth + 1)
    elif type(value) is list:
        for index, item in enumerate(value):
            yield from _walk(item, f"{where}[{index}]", depth=depth + 1)
