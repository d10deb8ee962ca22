"""What `test_cuda_host` runs in separate processes on the runtime without a GPU; prints one JSON line per result.

python -m tests.cuda_host.walk networks|settings|failures|devices|memory|kernels|algorithms|together|benchmark
"""

import ctypes
import dataclasses
import gc
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import gpu, gpu_sections
from benchmarks.limit import build_limit
from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.config import RunConfig
from lab.training import recordings
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Ended, Notice, Started
from lab.training.session import Session, process_settings
from lab.training.static_evaluation import LAUNCHED_FIRST
from lab.training.step_choice import StepKind
from lab.training.stepping import autocast_dtype
from lab.training.together import Job, train_together
from lab.worker.loop import prepare_device
from lab.worker.ranks import device_of
from tests.training.test_training_captured import BASE, SETTINGS
from tests.training.test_training_gpu import LateNet, RaisingNet, UnevaluatedNet, ValueNet, on_gpu
from tests.training.training_nets import SmallNet, build_data

CUDA, SECOND = torch.device("cuda"), torch.device("cuda:1")
CAPTURED_NODES, CAPTURES, INVALIDATED, UNSAFE = 1, 7, 8, 9  # counters of `runtime.c`
Found = dict[str, Any]


def replace_comparisons_of_rates() -> None:
    """Replace comparisons with a learning rate: torch's optimizers compare it with 0, but no kernel computes here."""
    for name, result in (("__ge__", True), ("__lt__", False)):
        original = getattr(Tensor, name)

        def compare(self: Tensor, other: Any, original: Any = original, result: bool = result) -> Any:
            return result if self.is_cuda and self.ndim == 0 and isinstance(other, float) else original(self, other)

        setattr(Tensor, name, compare)


def run(
    what: str,
    config: RunConfig,
    network: nn.Module,
    data: ResidentData,
    kind: StepKind = StepKind.AUTO,
    *,
    device: torch.device = CUDA,
) -> Found:
    """Train, and return what the run reports."""
    found: Found = {"what": what, "notices": []}
    for event in train(config, network=network, data=data, device=device, steps=kind):
        if isinstance(event, Started):
            found["steps"] = event.environment["steps"]
        elif isinstance(event, Notice):
            found["notices"].append(event.code)
        elif isinstance(event, Ended):
            found["taken"] = event.step
    return found


def networks() -> Iterator[Found]:
    """Every network, with deterministic algorithms: torch refuses others."""
    data = on_gpu(build_data(train=10, val=2, test=4, size=28, classes=10))
    for arch in list_architectures():
        config = RunConfig(arch=arch.id, epochs=1, batch_size=4, val_fraction=0.0, deterministic=True)
        for kind in (StepKind.AUTO, StepKind.LAUNCHED):
            yield run(f"{arch.id} {kind}", config, build_network(arch.id), data, kind)


def settings() -> Iterator[Found]:
    data = on_gpu(build_data())
    for what, chosen in SETTINGS.items():
        yield run(what, RunConfig(**{**BASE, **chosen}), SmallNet(), data)  # type: ignore[arg-type]


def failures() -> Iterator[Found]:
    """A step that waits, and captures of a step and of an evaluation that fail: the run continues.

    With dropout and augmentation. offset: of torch's generator after the run. reclaimed: see `reclaims_memory`. held:
    bytes that are reserved after further failures.
    """
    config = RunConfig(**{**BASE, "augment": "light"})  # type: ignore[arg-type]
    often = config.replace(eval_every=1, epochs=4)
    runs = ((ValueNet, config), (LateNet, config), (RaisingNet, config), (SmallNet, often), (UnevaluatedNet, often))
    for kind, chosen in runs:
        found = run(kind.__name__, chosen, kind(), on_gpu(build_data()))
        offset = torch.cuda.default_generators[0].get_offset()
        yield {**found, "offset": offset, "reclaimed": reclaims_memory()}
    reserved = []
    for _ in range(3):
        for kind in (LateNet, RaisingNet, UnevaluatedNet):
            run("", often, kind(), on_gpu(build_data()))
        gc.collect()
        torch.cuda.empty_cache()
        reserved.append(torch.cuda.memory_reserved(CUDA))
    yield {"what": "held", "bytes": reserved}


def reclaims_memory() -> bool:
    """Return whether torch's allocator frees cached blocks for an allocation that does not fit beside them."""
    total = torch.cuda.get_device_properties(CUDA).total_memory
    try:
        for share in (0.6, 0.62):
            torch.empty(int(share * total), dtype=torch.uint8, device=CUDA)
    except torch.OutOfMemoryError:
        return False
    torch.cuda.empty_cache()
    return True


def devices() -> Iterator[Found]:
    """A run on the second device while the first is current: dropout, augmentation and captured evaluations."""
    data = on_gpu(build_data(), SECOND)
    config = RunConfig(**{**BASE, "augment": "light", "eval_every": 1, "epochs": 3})  # type: ignore[arg-type]
    yield run("second", config, SmallNet(), data, device=SECOND)
    yield {"what": "current", "device": torch.cuda.current_device(), "bytes": torch.cuda.memory_reserved(CUDA)}
    before = Session(config, SmallNet(), on_gpu(build_data()), CUDA)
    for generator in (None, before.generators.augment):
        torch.rand(3, device=CUDA, generator=generator)
    saved = before.checkpoint()
    moved = Session(config, SmallNet(), data, SECOND)
    moved.restore(saved)
    states = moved.generators.read()
    yield {"what": "moved", "as saved": [torch.equal(states[name], state) for name, state in saved.rng.items()]}
    older = dataclasses.replace(saved, environment={**saved.environment, "device": "cuda"})
    first = Session(config, SmallNet(), on_gpu(build_data()), torch.device("cuda:0"))
    notices = [
        "; ".join(n.message for n in to.changed_conditions(of)) for to in (first, moved) for of in (saved, older)
    ]
    reported = ["device cuda:0 is now cuda:1" in words for words in notices]
    yield {"what": "resumed", "on the first": notices[:2], "on the second": reported[2:]}
    captures = count(CAPTURES)
    prepare_device(CUDA)
    prepare_device(CUDA)
    yield {"what": "warm", "captures": count(CAPTURES) - captures, "streams": len(recordings._idle_streams[0])}
    prepare_device(SECOND)  # a worker of the second slot: there "cuda" means its GPU
    yield {"what": "worker", "device": torch.ones(1, device=CUDA).device.index, "next": device_of(1, CUDA).index}
    nodes = count(CAPTURED_NODES)
    prepare_device(
        CUDA
    )  # on a stream of the second device, not on the idle one of the first, whose graph would be empty
    yield {"what": "worker's graph", "captured": count(CAPTURED_NODES) > nodes}


def memory() -> Iterator[Found]:
    """Bytes allocated after each of three runs, and reserved before and after an evaluation is captured."""
    data = on_gpu(build_data(train=512, test=512, size=28, classes=10))
    config = RunConfig(arch="lenet-bn", epochs=1, batch_size=128, val_fraction=0.0, eval_batch_size=256, max_steps=3)
    gc.disable()  # a run that has ended holds no memory, even before garbage collection
    allocated = []
    for _ in range(3):
        run("", config, build_network("lenet-bn"), data)
        allocated.append(torch.cuda.memory_allocated(CUDA))
    yield {"what": "runs", "bytes": allocated}
    reserved = []
    with process_settings(config, CUDA):
        session = Session(config.replace(arch="resnet-small"), build_network("resnet-small"), data, CUDA)
        session.prepare()
        for _ in range(LAUNCHED_FIRST + 2):
            session.evaluate("test", before_chunk=lambda: None)
            torch.cuda.empty_cache()
            reserved.append(torch.cuda.memory_reserved(CUDA))
    yield {"what": "evaluations", "bytes": reserved, "notices": [notice.code for notice in session.notices()]}
    del session
    torch.cuda.set_per_process_memory_fraction(3e9 / torch.cuda.get_device_properties(CUDA).total_memory)
    large = on_gpu(build_data(train=1024, val=8, test=8, size=28, classes=10))
    too_large = RunConfig(arch="resnet18", epochs=1, batch_size=256, val_fraction=0.0)
    yield run("too little", too_large, build_network("resnet18"), dataclasses.replace(large))


def count(what: int) -> int:
    """Return the value of a counter of the runtime."""
    library = ctypes.CDLL(None)
    library.cuda_host_count.restype = ctypes.c_ulonglong
    return int(library.cuda_host_count(what))


def kernels() -> Iterator[Found]:
    """The kernels that a captured step has in addition to the same step on one constant batch.

    deterministic: in addition to the same step with other algorithms.
    """
    for arch, precision in (*((arch, "float32") for arch in gpu_sections.SMALL[:4]), ("lenet-bn", "bfloat16")):
        config = RunConfig(arch=arch, batch_size=64, val_fraction=0.0, precision=precision)
        step = step_kernels(config)
        deterministic = step_kernels(config.replace(deterministic=True)) - step
        yield {"what": f"{arch} {precision}", "more": step - limit_kernels(config), "deterministic": deterministic}


def step_kernels(config: RunConfig) -> int:
    """Return the number of kernels in the captured step of a configuration."""
    data = on_gpu(build_data(train=128, val=2, test=2, size=28, classes=10))
    with process_settings(config, CUDA):
        before = count(CAPTURED_NODES)
        Session(config, build_network(config.arch), data, CUDA).prepare()
        return count(CAPTURED_NODES) - before


def limit_kernels(config: RunConfig) -> int:
    """Return the number of kernels in the benchmark's step on one constant batch."""
    network, precision = build_network(config.arch), autocast_dtype(config)
    with process_settings(config, CUDA):
        before = count(CAPTURED_NODES)
        build_limit(network, (1, 28, 28), batch=config.batch_size, lr=config.lr, device=CUDA, precision=precision)
        return count(CAPTURED_NODES) - before


class RecordedNet(SmallNet):
    """Records for which batches cuDNN benchmarks algorithms: (training, images, whether it benchmarks)."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: set[tuple[bool, int, bool]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.noted.add((self.training, len(x), torch.backends.cudnn.benchmark))
        return super().forward(x)


def algorithms() -> Iterator[Found]:
    """Epochs of 90 images in batches of 16, the last of 10; a copy on the meta device runs too, without computing."""
    for kind in (StepKind.AUTO, StepKind.LAUNCHED):
        network = RecordedNet()
        run("", RunConfig(**BASE), network, on_gpu(build_data()), kind)  # type: ignore[arg-type]
        yield {"what": kind.value, "noted": sorted(network.noted), "after": torch.backends.cudnn.benchmark}


def together() -> Iterator[Found]:
    """Three runs that take turns, captured and launched, twice. streams: those idle again after garbage collection."""
    data = on_gpu(build_data())
    config = RunConfig(**{**BASE, "augment": "light"})  # type: ignore[arg-type]
    for what in ("first", "second"):
        kinds = (StepKind.AUTO, StepKind.AUTO, StepKind.LAUNCHED)
        jobs = [Job(config=config, network=SmallNet(), data=data, steps=kind) for kind in kinds]
        ended = [event.step for _, event in train_together(jobs, device=CUDA) if isinstance(event, Ended)]
        del jobs
        gc.collect()
        streams = {stream.cuda_stream for stream in recordings._idle_streams[0]}
        yield {"what": what, "taken": ended, "streams": len(streams)}


def benchmark() -> Iterator[Found]:
    """The GPU benchmark at tiny sizes; its own lines are not JSON. Left out: speedrun, whose whitening reads values."""
    gpu.FULL = gpu_sections.TINY
    names = ("steps", "runs", "evaluation", "large", "together")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "gpu.json"
        chosen = [argument for name in names for argument in ("--section", name)]
        code = gpu.main([*chosen, "--data", folder, "--out", str(out)])
        sections = json.loads(out.read_text(encoding="utf-8"))["sections"]
    for name, section in sections.items():
        steps = sorted({row["steps"] for row in section["rows"] if "steps" in row})
        yield {"what": name, "code": code, "error": section["error"], "steps": steps, "rows": len(section["rows"])}


def report(found: Found) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main(what: str) -> None:
    warnings.simplefilter("error")
    torch.backends.cudnn.enabled = False  # cuDNN calls the driver directly
    replace_comparisons_of_rates()
    walks = (networks, settings, failures, devices, memory, kernels, algorithms, together, benchmark)
    for found in {walk.__name__: walk for walk in walks}[what]():
        report(found)
    report({"what": "calls", "unsafe": count(UNSAFE), "invalidated": count(INVALIDATED)})


if __name__ == "__main__":
    main(sys.argv[1])
