"""The choice of device, threads and processes, each with the reason that is printed and stored."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from loan_default.choices import Choice, DeviceName
from loan_default.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """Device, threads of one process, and processes at once."""

    device: torch.device
    threads: int
    processes: int
    choices: tuple[Choice, ...]


def choose_compute(requested: DeviceName, *, members: int, environ: Mapping[str, str], cores: int) -> Compute:
    """Device, threads and processes for a run.

    Args:
        requested: `auto` takes a GPU where there is one.
        members: networks to train; never more processes than that.
        environ: `OMP_NUM_THREADS` caps the threads of a process; 1 makes a run repeatable to the bit.
        cores: cores that this process may use.

    Raises:
        ConfigurationError: a GPU was asked for and there is none, or OMP_NUM_THREADS is no positive number.
    """
    device, why_device = _device(requested)
    threads, why_threads = _threads(environ, cores)
    if device.type != "cpu":
        processes, why_processes = 1, "members share one GPU, one after the other"
    else:
        processes = max(1, min(members, cores))
        why_processes = (
            f"a member a process with one thread, on {cores} core{'s' * (cores > 1)}"
            if processes > 1
            else "one member, or one core"
        )
    choices = (
        Choice(what="device", value=str(device), reason=why_device),
        Choice(what="threads", value=str(threads), reason=why_threads),
        Choice(what="processes", value=str(processes), reason=why_processes),
    )
    return Compute(device=device, threads=threads, processes=processes, choices=choices)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads while the block runs, and on as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_cores() -> int:
    """Cores that the scheduler lets this process run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(requested: DeviceName) -> tuple[torch.device, str]:
    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        raise ConfigurationError(
            "device cuda must have a GPU, however: torch finds none. Use --device cpu, or auto."
        )
    if requested != "auto":
        return torch.device(requested), f"asked for by --device {requested}"
    if available:
        return torch.device("cuda"), f"found {torch.cuda.get_device_name()}"
    return torch.device("cpu"), "torch finds no GPU"


def _threads(environ: Mapping[str, str], cores: int) -> tuple[int, str]:
    value = environ.get("OMP_NUM_THREADS", "")
    if value:
        if not (value.isascii() and value.isdigit()) or int(value) < 1:
            raise ConfigurationError(f"OMP_NUM_THREADS must be a positive integer, however: {value!r}")
        return int(value), f"set by OMP_NUM_THREADS={value}"
    if cores <= 2:
        return 1, "2 cores or fewer: a thread that waits for a busy core costs more than it brings"
    return min(4, cores // 2), f"half of {cores} cores, 4 at most: the networks are small"
