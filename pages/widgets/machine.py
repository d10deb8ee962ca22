"""The name of the device that this machine would train on, found without importing torch.

The worker asks torch itself; this is for pages that must open quickly.
"""

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from lab.formatting import plural
from lab.worker.supervisor.slots import count_gpus

_ASK_S = 5.0


@cache
def describe_machine(device: str = "auto") -> str:
    """Return a text such as "NVIDIA H200 (cuda)" or "CPU, 8 cores, AMD EPYC 9654". device: the lab's setting."""
    wanted = device.lower()
    cards = _gpu_names() if wanted == "auto" or wanted.startswith("cuda") else []
    if cards:
        index = int(wanted.partition(":")[2] or 0) if wanted.startswith("cuda") else 0
        return f"{cards[min(index, len(cards) - 1)]} (cuda)"
    if wanted in ("auto", "mps") and platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple GPU (mps)"
    cores = os.cpu_count() or 1
    name = _cpu_name()
    return ", ".join(["CPU", plural(cores, "core"), *([name] if name else [])])


def device_choices() -> list[str]:
    """Return the device settings that make sense on this machine; the worker checks the one that is chosen."""
    count = count_gpus(os.environ)
    cuda = ["cuda", *(f"cuda:{index}" for index in range(count))] if count else []
    mps = ["mps"] if describe_machine() == "Apple GPU (mps)" else []
    return ["auto", *cuda, *mps, "cpu"]


def _gpu_names() -> list[str]:
    """Return the names of the GPUs that the supervisor creates slots for, in CUDA's order."""
    count = count_gpus(os.environ)
    names = _nvidia_names() if count else []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    places = [int(chosen[at]) if at < len(chosen) and chosen[at].strip().isdecimal() else at for at in range(count)]
    return [names[place] if place < len(names) else "NVIDIA GPU" for place in places]


@cache
def _nvidia_names() -> list[str]:
    """Return the GPU names that nvidia-smi lists, none if it is not installed or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8", errors="replace").splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0].lower() != "unknown" else ""
