"""Which device a run uses, what that device is, and the process settings that make a CPU fast.

`resolve_device` turns "auto" or a name into a `torch.device` or one clear sentence; `keep_big_blocks` can be called at
any time. What must be in the environment before torch is imported is `lab.settings.PROCESS_ENVIRONMENT`.
"""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from lab.errors import DeviceError, near_miss

if sys.platform != "win32":
    import resource

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # <malloc.h>
_MMAP_THRESHOLD_MAX = 32 * 2**20  # bytes; glibc refuses more (HEAP_MAX_SIZE / 2)
_MB = 2**20
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # proc(5)


def available_devices() -> tuple[str, ...]:
    """Return the names that `resolve_device` accepts on this machine, best first, without "auto"."""
    names: list[str] = []
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return (*names, "cpu")


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of this name; "auto" is the first GPU, else the CPU. Raises `DeviceError`."""
    known = available_devices()
    wanted = name.strip().lower()
    if wanted == "auto":
        return torch.device(known[0])
    if wanted in known:
        return torch.device(wanted)
    raise DeviceError(
        f"The device {name!r} is not on this machine. {near_miss(wanted, ('auto', *known))}", field="device"
    )


def use_device(device: torch.device) -> None:
    """Let "cuda" mean this GPU from now on, in this process; without a number it is the one that it means already."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def numbered_device(name: str) -> str:
    """Return a device's name with its number: "cuda" is the GPU that this process means by it, such as "cuda:0"."""
    return f"cuda:{torch.cuda.current_device()}" if name == "cuda" and torch.cuda.is_available() else name


def describe_device(device: torch.device) -> dict[str, Any]:
    """Return what a result's reader needs to know of the machine: names, versions, threads, memory in MiB."""
    facts: dict[str, Any] = {
        "device": str(device),
        "name": _cpu_name(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        facts |= {"name": card.name, "memory_mb": card.total_memory // _MB, "cuda": torch.version.cuda or ""}
    elif device.type == "mps":
        facts |= {"name": f"Apple GPU ({platform.machine()})"}
    return facts


def memory_mb(device: torch.device) -> float:
    """Return the peak memory in MiB since `reset_peak_memory`: allocated on a CUDA device, else resident in this process.

    NaN on Windows, where exported code may run and the standard library does not say.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MB
    lines = _STATUS.read_text(encoding="utf-8").splitlines() if _STATUS.exists() else []
    for line in lines:  # first: what getrusage says may be the peak of the process that started this one
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MB if sys.platform == "darwin" else peak / 1024  # macOS counts bytes, others KiB


def reset_peak_memory(device: torch.device) -> bool:
    """Let the peak begin anew at what is in use now; False where the system cannot (there it is the process's).

    A worker trains one run after the other, and a small network's peak is not that of the large one before it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)  # what `keep_big_blocks` kept
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")  # 5: the peak resident set size is what is resident now
    except OSError:  # not Linux, or a container without it
        return False
    return True


def to_double(x: torch.Tensor) -> torch.Tensor:
    """Return the numbers as float64, on the CPU where the device has no such format (MPS)."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an allocation failed: CUDA and MPS have a type of their own or a phrase, the CPU only a phrase.

    cuBLAS and cuDNN name a status: CUBLAS_STATUS_ALLOC_FAILED where a handle finds no room, for instance. A convolution of which no
    algorithm finds room ends with the last phrase; every kind of convolution in the lab has algorithms.
    """
    phrases = (
        "out of memory",
        "can't allocate memory",
        "STATUS_ALLOC_FAILED",
        "DEVICE_ALLOCATION_FAILED",
        "unable to find an engine to execute",
    )
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(phrase in text for phrase in phrases)


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was asked for; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release_memory(device: torch.device) -> None:
    """Give blocks that torch holds for later back to a GPU, so that smaller ones find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextlib.contextmanager
def without_trials(device: torch.device) -> Iterator[None]:
    """Let cuDNN choose by its rules what is computed too seldom to try all algorithms for: each shape of each layer takes tens of ms."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = before and device.type != "cuda"
    try:
        yield
    finally:
        cudnn.benchmark = before


@cache
def keep_big_blocks() -> bool:
    """Tell glibc to keep big freed blocks instead of returning them to the kernel; False where there is no glibc.

    Without it every step's large tensors are mapped and page-faulted anew (max-pooling's backward most of all).
    """
    if not _has_glibc():
        return False
    libc = ctypes.CDLL(None)
    settings = ((_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_MAX), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    return all(libc.mallopt(setting, value) == 1 for setting, value in settings)


@cache
def _has_glibc() -> bool:
    return sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"


@cache
def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:  # not Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()
