"""Device selection and description, memory measurement, and the process settings that make a CPU fast.

`resolve_device` turns "auto" or a name into a `torch.device`, or raises an error that the user can act on.
`keep_big_blocks` can be called at any time. Variables that must be set before torch is imported are in
`lab.settings.PROCESS_ENVIRONMENT`.
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
    """Return the device with this name; "auto" is the first GPU, or the CPU if there is none. Raises `DeviceError`."""
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
    """Make this GPU the process's current CUDA device; a device without an index changes nothing."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def numbered_device(name: str) -> str:
    """Return a device's name with its index: "cuda" is the process's current CUDA device, such as "cuda:0"."""
    return f"cuda:{torch.cuda.current_device()}" if name == "cuda" and torch.cuda.is_available() else name


def describe_device(device: torch.device) -> dict[str, Any]:
    """Return the facts about the machine that are recorded with a result: names, versions, threads, memory in MiB."""
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
        gpu = torch.cuda.get_device_properties(device)
        facts |= {"name": gpu.name, "memory_mb": gpu.total_memory // _MB, "cuda": torch.version.cuda or ""}
    elif device.type == "mps":
        facts |= {"name": f"Apple GPU ({platform.machine()})"}
    return facts


def memory_mb(device: torch.device) -> float:
    """Return the peak memory in MiB since `reset_peak_memory`: allocated by CUDA, else resident in the process.

    NaN on Windows, where exported code may run and the standard library does not provide it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MB
    lines = _STATUS.read_text(encoding="utf-8").splitlines() if _STATUS.exists() else []
    for line in lines:  # preferred: the value of getrusage may be the peak of the parent process
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MB if sys.platform == "darwin" else peak / 1024  # macOS counts bytes, others KiB


def reset_peak_memory(device: torch.device) -> bool:
    """Reset the peak to the memory in use now; return False if the system cannot, so that the peak is the process's.

    A worker trains one run after another, and a small network's peak must not be that of the large one before it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)  # return the blocks that `keep_big_blocks` retained
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")  # 5: reset the peak resident set size to the current one
    except OSError:  # not Linux, or a container without it
        return False
    return True


def to_double(x: torch.Tensor) -> torch.Tensor:
    """Return the tensor as float64, on the CPU if the device does not support float64 (MPS)."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an allocation failed: CUDA and MPS have an exception type or a message, the CPU only a message.

    cuBLAS and cuDNN name a status, such as CUBLAS_STATUS_ALLOC_FAILED if there is no memory for a handle. The last
    message means that no algorithm of a convolution fits into memory, or that none exists, which is not the case for
    the convolutions of the lab.
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
    """Wait for all queued work of a GPU; a CPU has none."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release_memory(device: torch.device) -> None:
    """Release the memory blocks that torch caches on a GPU, so that other allocations fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextlib.contextmanager
def without_trials(device: torch.device) -> Iterator[None]:
    """Turn cuDNN benchmarking off for code that runs too rarely to repay it: tens of ms per shape and layer."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = before and device.type != "cuda"
    try:
        yield
    finally:
        cudnn.benchmark = before


@cache
def keep_big_blocks() -> bool:
    """Make glibc keep large freed blocks instead of returning them to the kernel; return False without glibc.

    Otherwise every step maps and page-faults its large tensors again (max-pooling's backward most of all).
    """
    if not _has_glibc():
        return False
    libc = ctypes.CDLL(None)
    settings = ((_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_MAX), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    return all(libc.mallopt(setting, value) == 1 for setting, value in settings)


def retained_below(device: torch.device) -> int:
    """Return the size in bytes below which freed blocks stay in a process that called `keep_big_blocks`; 0 if none do."""
    return _MMAP_THRESHOLD_MAX if device.type == "cpu" and _has_glibc() else 0


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
