"""Slots: how many runs this host trains at once, and the device and threads of each. Never imports torch.

By default there is one slot a device. `LAB_SLOTS` decides; without it, the number stored in the lab's home, which the
Machines page changes while runs are trained.
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
from lab.settings import MOST_SLOTS, PROCESS_ENVIRONMENT, Settings, parse_slots

_THREADS = "OMP_NUM_THREADS"  # read by torch when it makes its pool; later is too late for some of its libraries
_ANY_GPU = ("auto", "cuda")


@dataclass(frozen=True, slots=True)
class Slot:
    """One of `count` slots of a host. index: from 0. device: as `LAB_DEVICE` would name it.

    share: which slot of its device it is, from 1. threads: of its worker; 0 leaves the number to torch.
    """

    index: int = 0
    count: int = 1
    device: str = "auto"
    share: int = 1
    threads: int = 0

    def name(self, device: str) -> str:
        """Return what the slot is called in the store: the device's own name, and a number where others share it."""
        return device if self.share == 1 else f"{device} #{self.share}"

    def arguments(self) -> list[str]:
        """Return what `python -m lab.worker` is given: nothing for the only slot, else its place such as "2/4"."""
        return [] if self.count == 1 else [self.place]

    @property
    def place(self) -> str:
        """Its place among all, such as "2/4"."""
        return f"{self.index + 1}/{self.count}"

    def environment(self) -> dict[str, str]:
        """Return the variables that a worker of this slot needs before it starts."""
        return {_THREADS: str(self.threads)} if self.threads else {}


def plan_slots(device: str, count: int) -> tuple[Slot, ...]:
    """Return `count` slots: spread over the GPUs where `device` leaves the choice, with equal shares of the cores."""
    gpus = count_gpus(os.environ) if device.strip().lower() in _ANY_GPU and count > 1 else 0
    devices = [f"cuda:{number}" for number in range(gpus)] if gpus > 1 else [device]
    threads = 0 if count == 1 else max(1, count_cores(os.environ) // count)
    return tuple(
        Slot(index, count, devices[index % len(devices)], 1 + index // len(devices), threads) for index in range(count)
    )


def worker_environment(slot: Slot, settings: Settings, outer: Mapping[str, str]) -> dict[str, str]:
    """Return all variables of a slot's worker. outer: those of this process, which the slot's and the lab's own overrule."""
    return {**PROCESS_ENVIRONMENT, **outer, **slot.environment(), **settings.environment()}


def read_slot(argument: str, device: str) -> Slot:
    """Return the slot that `Slot.arguments` named. Raises `ConfigError` for anything else."""
    index, _, count = argument.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) <= MOST_SLOTS):
        raise ConfigError(f"The slot is {argument[:40]!r}, but it must be a place among all, such as 2/4.")
    return plan_slots(device, int(count))[int(index) - 1]


def host_slots(settings: Settings) -> tuple[Slot, ...]:
    """Return the slots of this host as they are to be now."""
    return plan_slots(settings.device, count_slots(settings))


def host_slot_names(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return name and device of each slot of this host, as its workers will name them in the store."""
    devices = [(slot, likely_device(slot.device)) for slot in host_slots(settings)]
    return tuple((slot.name(device), device) for slot, device in devices)


def count_slots(settings: Settings) -> int:
    """Return how many slots this host has: `LAB_SLOTS`, else the stored number, else one a device."""
    return settings.slots or read_stored_slots(settings) or default_slots(settings.device)


def default_slots(device: str) -> int:
    """Return one a device: the number of GPUs where `device` leaves the choice, else 1."""
    return max(1, count_gpus(os.environ)) if device.strip().lower() == "auto" else 1


def likely_device(device: str) -> str:
    """Return what torch will call a device; "auto" by what is in the machine, because importing torch takes seconds."""
    if device.strip().lower() != "auto":
        return device.strip().lower()
    if count_gpus(os.environ):
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def slots_path(settings: Settings) -> Path:
    """Return the file in the lab's home that holds the number chosen on the page."""
    return settings.home / "slots"


def read_stored_slots(settings: Settings) -> int:
    """Return the stored number of slots, 0 where none is stored or it cannot be read."""
    try:
        return parse_slots(slots_path(settings).read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        return 0


def store_slots(settings: Settings, count: int) -> None:
    """Store the number of slots; the supervisor follows within a second. Raises `ConfigError`, `ReadOnlyError`."""
    settings.require_writable()
    if not 1 <= count <= MOST_SLOTS:
        raise ConfigError(f"The number of slots is {count}, but it must be from 1 to {MOST_SLOTS}.", field="slots")
    if settings.slots:
        raise ConfigError(f"LAB_SLOTS is set to {settings.slots} and decides: start the lab without it.", field="slots")
    settings.make_home()
    write_atomically(slots_path(settings), (f"{count}\n".encode(),))


def count_cores(env: Mapping[str, str]) -> int:
    """Return how many threads compute at full speed: physical cores that this process may use, or a lower OMP_NUM_THREADS."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(usable, psutil.cpu_count(logical=False) or usable)
    given = env.get(_THREADS, "")
    return min(cores, int(given)) if given.isdecimal() and int(given) > 0 else cores


def count_gpus(env: Mapping[str, str]) -> int:
    """Return how many NVIDIA GPUs torch will find, by the driver's device files: importing torch takes seconds."""
    if _has_cpu_torch():
        return 0
    there = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name.removeprefix("nvidia").isdecimal()])
    return count_visible(there, env.get("CUDA_VISIBLE_DEVICES"))


@cache
def _has_cpu_torch() -> bool:
    """Whether the installed torch was built without CUDA; reading it takes longer than all else that is asked every second."""
    return metadata.version("torch").endswith("+cpu")


def count_visible(there: int, chosen: str | None) -> int:
    """Return how many of the GPUs that are there CUDA shows: its list ends at the first number below zero, None shows all."""
    if chosen is None:
        return there
    names = [name.strip() for name in chosen.split(",")]
    return min(there, next((at for at, name in enumerate(names) if not name or name.startswith("-")), len(names)))
