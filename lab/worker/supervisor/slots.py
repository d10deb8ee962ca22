"""Slots: how many runs this host trains at once, and the device and threads of each. Never imports torch.

`LAB_SLOTS` determines the number; without it, the number stored in the lab's home, which the Machines page can change
while runs are in training; otherwise there is one slot per device.
"""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

from lab.atomic_files import write_atomically
from lab.errors import ConfigError
from lab.settings import MAX_SLOTS, PROCESS_ENVIRONMENT, Settings, parse_slots

_THREADS = "OMP_NUM_THREADS"  # must be set before torch creates its thread pools
_ANY_GPU = ("auto", "cuda")
_WSL_DRIVER = (Path("/dev/dxg"), Path("/usr/lib/wsl/lib/libcuda.so.1"))


@dataclass(frozen=True, slots=True)
class Slot:
    """One of `count` slots of a host. index: from 0. device: a value of `LAB_DEVICE`.

    share: the number of the slot on its device, from 1. threads: of its worker; 0 leaves the number to torch.
    """

    index: int = 0
    count: int = 1
    device: str = "auto"
    share: int = 1
    threads: int = 0

    def name(self, device: str) -> str:
        """Return the slot's name in the store: the device's name, with a number from the second slot of a device on."""
        return device if self.share == 1 else f"{device} #{self.share}"

    def arguments(self) -> list[str]:
        """Return the arguments for `python -m lab.worker`: none for the only slot, else its place such as "2/4"."""
        return [] if self.count == 1 else [self.place]

    @property
    def place(self) -> str:
        """Its place among all slots, such as "2/4"."""
        return f"{self.index + 1}/{self.count}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables for a worker of this slot."""
        return {_THREADS: str(self.threads)} if self.threads else {}


def plan_slots(device: str, count: int) -> tuple[Slot, ...]:
    """Return `count` slots with equal shares of the cores, distributed over the GPUs for "auto" and "cuda"."""
    gpus = count_gpus(os.environ) if device.strip().lower() in _ANY_GPU and count > 1 else 0
    devices = [f"cuda:{number}" for number in range(gpus)] if gpus > 1 else [device]
    threads = 0 if count == 1 else max(1, count_cores(os.environ) // count)
    return tuple(
        Slot(index, count, devices[index % len(devices)], 1 + index // len(devices), threads) for index in range(count)
    )


def worker_environment(slot: Slot, settings: Settings, outer: Mapping[str, str]) -> dict[str, str]:
    """Return all environment variables of a slot's worker. outer: those of this process, with lower precedence."""
    return {**PROCESS_ENVIRONMENT, **outer, **slot.environment(), **settings.environment()}


def read_slot(argument: str, device: str) -> Slot:
    """Return the slot of an argument from `Slot.arguments`. Raises `ConfigError` for an invalid one."""
    index, _, count = argument.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) <= MAX_SLOTS):
        raise ConfigError(f"The slot is {argument[:40]!r}, but it must be a place among all slots, such as 2/4.")
    return plan_slots(device, int(count))[int(index) - 1]


def host_slots(settings: Settings) -> tuple[Slot, ...]:
    """Return the slots that this host should have."""
    return plan_slots(settings.device, count_slots(settings))


def host_slot_names(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the name and device of each slot of this host, as its workers store them."""
    devices = [(slot, likely_device(slot.device)) for slot in host_slots(settings)]
    return tuple((slot.name(device), device) for slot, device in devices)


def count_slots(settings: Settings) -> int:
    """Return the number of slots of this host: `LAB_SLOTS`, else the stored number, else one per device."""
    return settings.slots or read_stored_slots(settings) or default_slots(settings.device)


def default_slots(device: str) -> int:
    """Return one slot per device: the number of GPUs if `device` is "auto", else 1."""
    return max(1, count_gpus(os.environ)) if device.strip().lower() == "auto" else 1


def likely_device(device: str) -> str:
    """Return the name that torch will use for a device, without importing torch, which takes seconds."""
    if device.strip().lower() != "auto":
        return device.strip().lower()
    if count_gpus(os.environ):
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def slots_path(settings: Settings) -> Path:
    """Return the file in the lab's home with the number of slots chosen on the page."""
    return settings.home / "slots"


def read_stored_slots(settings: Settings) -> int:
    """Return the stored number of slots, 0 if none is stored or it cannot be read."""
    try:
        return parse_slots(slots_path(settings).read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        return 0


def store_slots(settings: Settings, count: int) -> None:
    """Store the number of slots; the supervisor applies it within a second. Raises `ConfigError`, `ReadOnlyError`."""
    settings.require_writable()
    if not 1 <= count <= MAX_SLOTS:
        raise ConfigError(f"The number of slots is {count}, but it must be from 1 to {MAX_SLOTS}.", field="slots")
    if settings.slots:
        raise ConfigError(
            f"LAB_SLOTS is set to {settings.slots} and takes precedence: start the lab without it.", field="slots"
        )
    settings.make_home()
    write_atomically(slots_path(settings), (f"{count}\n".encode(),))


def count_cores(env: Mapping[str, str]) -> int:
    """Return the number of physical cores that this process may use, or `OMP_NUM_THREADS` if it is lower."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(usable, psutil.cpu_count(logical=False) or usable)
    given = env.get(_THREADS, "")
    return min(cores, int(given)) if given.isdecimal() and int(given) > 0 else cores


def count_gpus(env: Mapping[str, str]) -> int:
    """Return how many NVIDIA GPUs torch will find, from the driver's device files, without importing torch."""
    if _has_cpu_torch():
        return 0
    there = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name.removeprefix("nvidia").isdecimal()])
    return count_visible(there or int(_has_wsl_driver()), env.get("CUDA_VISIBLE_DEVICES"))


def _has_wsl_driver() -> bool:
    """Return whether Windows' NVIDIA driver is available in WSL, which has one device file for all GPUs."""
    return all(path.exists() for path in _WSL_DRIVER)


@cache
def _has_cpu_torch() -> bool:
    """Return whether the installed torch was built without CUDA; cached, because reading the metadata is slow."""
    return metadata.version("torch").endswith("+cpu")


def count_visible(there: int, chosen: str | None) -> int:
    """Return how many of `there` GPUs are visible to CUDA.

    chosen: the value of `CUDA_VISIBLE_DEVICES`, whose list ends at the first negative number; None if it is not set.
    """
    if chosen is None:
        return there
    names = [name.strip() for name in chosen.split(",")]
    return min(there, next((at for at, name in enumerate(names) if not name or name.startswith("-")), len(names)))
