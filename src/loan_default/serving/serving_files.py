"""Model files to what a server scores by: verified, derived where that was not done yet, without torch here.

The model file stays the authority: it must have its digest whenever a model is loaded. What is derived from
it lies in a cache under that digest. Where it is absent or damaged it is derived anew by a child process, so
that torch, which takes several hundred MB, stays out of the process that serves.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import structlog

from loan_default.errors import ArtifactError, DependencyError
from loan_default.files import sha256_of
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.serving_file import read_serving_file, serving_path

SECONDS = 300.0
"""How long deriving may take; it takes a few seconds on an idle machine."""
_DERIVING = "loan_default.models.deriving"
_REFUSED = 3

log = structlog.get_logger()


def frozen_from(path: Path, *, sha256: str, cache: Path, seconds: float = SECONDS) -> FrozenModel:
    """The model of a file, by what is or will be derived from it.

    Args:
        path: the model file.
        sha256: the digest that it must have.
        cache: folder of serving files.
        seconds: how long deriving may take.

    Raises:
        ArtifactError: the model file is refused, or nothing sound is derived and torch is not installed.
        DependencyError: deriving was killed, took too long, or could not write.
    """
    _check_model_file(path, sha256)
    derived = serving_path(cache, sha256)
    try:
        return read_serving_file(derived, model=sha256)
    except ArtifactError as error:
        if find_spec("torch") is None:
            raise ArtifactError(
                f"a model must have a sound serving file where torch is not installed, however: {error}. "
                "Register the model where torch is, with the same home folder."
            ) from error
        if derived.exists():
            log.warning("serving_file_refused", model=sha256[:12], reason=str(error))
    _derive_in_child(path, sha256, derived, seconds)
    return read_serving_file(derived, model=sha256)


def _check_model_file(path: Path, sha256: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ArtifactError(f"the model file must be readable, however: {path}: {error.strerror}") from error
    if found != sha256:
        raise ArtifactError(
            f"a model file must have its recorded digest, however: {path} has {found[:12]}…, recorded is "
            f"{sha256[:12]}…. It is damaged or another file; fetch it anew."
        )


def _derive_in_child(path: Path, sha256: str, out: Path, seconds: float) -> None:
    command = [sys.executable, "-m", _DERIVING, str(path), sha256, str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and module)
            command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(
            f"Cannot derive what serves model {sha256[:12]}…: {type(error).__name__} within {seconds:g} s. "
            "Try again, with more memory or time."
        ) from error
    if done.returncode == 0:
        return
    last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
    if done.returncode == _REFUSED:
        raise ArtifactError(last)
    raise DependencyError(
        f"Cannot derive what serves model {sha256[:12]}…: its process ended with {done.returncode}: "
        f"{last[:200]}. Try again, with more memory."
    )
