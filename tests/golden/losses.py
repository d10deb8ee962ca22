"""The first batch losses of every network, which must stay equal bit for bit when code is refactored.

`python -m tests.golden.losses tests/golden/0.1.0/losses-VENDOR.json` records them: once, with the code of that release,
in one file per processor vendor. The bits depend on torch, the processor's vendor (MKL and oneDNN choose their kernels
by it), its vector width and the thread count, so these conditions are stored with the numbers.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from lab.architectures.registry import get_architecture, list_architectures
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.service.lab import Lab
from lab.settings import Settings
from lab.training.engine import train
from lab.training.events import StepMetrics

STEPS = 20
LARGE_PIXELS = 100  # networks on larger images get small batches: VGG-19 takes seconds a step on one core
MNIST = Path(__file__).resolve().parents[3] / "shared" / "data"


def conditions() -> dict[str, str]:
    """Return the conditions that the bits depend on, in addition to the code."""
    return {
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "vendor": _vendor(),
        "threads": "1",
    }


def _vendor() -> str:
    """Return the processor's vendor id, such as "AuthenticAMD", or "" if /proc/cpuinfo does not have it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")


def is_large(arch_id: str) -> bool:
    """Whether a network's images are so large that 20 steps take too long for a quick test."""
    size = get_architecture(arch_id).default_input_size
    return size != "native" and int(size) > LARGE_PIXELS


def first_losses(arch_id: str, *, dataset: str, home: Path, data: Path, steps: int = STEPS) -> list[str]:
    """Return the losses of the first batches as hexadecimal float64 values."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lab = Lab(Settings.from_env({"LAB_HOME": str(home), "LAB_DATA": str(data)}))
        batch = 2 if is_large(arch_id) else 32
        config = lab.validation.resolve(
            RunConfig(
                arch=arch_id,
                dataset=dataset,
                batch_size=batch,
                max_steps=steps,
                train_limit=1000,
                seed=11,
                device="cpu",
            )
        ).config
        device = torch.device("cpu")
        resident = load_resident(config, root=data, device=device)
        few = _few_images(resident)  # the evaluations at the end are not compared: four images are enough
        events = train(config, network=lab.weights.build_initial(config), data=few, device=device)
        found: list[Any] = [value for e in events if isinstance(e, StepMetrics) for value in e.loss.tolist()]
    finally:
        torch.set_num_threads(before)
    return [float(value).hex() for value in found]


def _few_images(resident: Any) -> Any:
    import dataclasses

    few = {name: getattr(resident, name)[:4] for name in ("val_x", "val_y", "test_x", "test_y")}
    return dataclasses.replace(resident, **few)


def main(target: Path) -> None:
    """Record every network on the built-in digits, and on MNIST if it is available."""
    home = Path(os.environ.get("TMPDIR", "/tmp")) / "golden-losses"
    found: dict[str, Any] = {"conditions": conditions(), "losses": {}}
    for dataset, data in (("digits", home), ("mnist", MNIST)):
        if dataset == "mnist" and not data.is_dir():
            continue
        for arch in list_architectures():
            if dataset == "mnist" and arch.default_input_size not in ("native", "32"):
                continue  # takes minutes each, and runs the same code as on the digits
            losses = first_losses(arch.id, dataset=dataset, home=home, data=data)
            assert len(losses) == STEPS, (arch.id, len(losses))
            found["losses"][f"{dataset}/{arch.id}"] = losses
            sys.stderr.write(f"{dataset} {arch.id} {float.fromhex(losses[-1]):.4f}\n")
            target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
